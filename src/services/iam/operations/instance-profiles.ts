import { formatArn } from "../../../base/arn.ts";
import type { Random } from "../../../base/random.ts";
import type { ContextValues } from "../../../authz/types.ts";
import type { Access, AuditResource, OperationContext } from "../../../gateway/contract.ts";
import type { Reader } from "../../../store/table.ts";
import { entityAccess, existingEntity, resourceTagContext, roleKind } from "../entities.ts";
import type { EntityTarget } from "../entities.ts";
import { instanceProfileExists, noSuchInstanceProfile } from "../entity-errors.ts";
import { mustRemoveFromInstanceProfile, quotaExceeded } from "../errors.ts";
import { foldedName, newEntityId } from "../model.ts";
import { decodeMarker, encodeMarker, pageCount, pageOfList, pageOfTable } from "../pagination.ts";
import { accounts, instanceProfiles, roles } from "../records.ts";
import type { InstanceProfileRecord, RoleRecord } from "../records.ts";
import { accountOf, describe, listAccess, requestTagContext, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { InstanceProfile } from "../shapes.generated.ts";
import { tagsFrom, tagsOut } from "../tags.ts";
import { roleOut } from "./roles.ts";

/** IAM User Guide, "IAM and AWS STS quotas". */
export const INSTANCE_PROFILES_PER_ACCOUNT_MAX = 1_000;

/** An instance profile as a request names it; the record is null when there is none of that name. */
export interface InstanceProfileTarget {
  readonly name: string;
  readonly profile: InstanceProfileRecord | null;
}

type ProfileNamed = { readonly InstanceProfileName: string };

const profileArn = (accountId: string, path: string, name: string): string =>
  formatArn("iam", "", accountId, `instance-profile${path}${name}`);

export const profileId = (profile: InstanceProfileRecord): readonly string[] => [
  profile.accountId,
  foldedName(profile.instanceProfileName),
];

export function existingProfile(target: InstanceProfileTarget): InstanceProfileRecord {
  if (target.profile === null) throw noSuchInstanceProfile(target.name);
  return target.profile;
}

export const profileResource = ({ arn, accountId }: InstanceProfileRecord): AuditResource => ({
  type: "AWS::IAM::InstanceProfile",
  arn,
  accountId,
});

/** Access to one instance profile. A missing one is checked under the ARN that it would have. */
export function profileAccess<Input extends ProfileNamed>(
  action: string,
  extra: (input: Input) => ContextValues = () => ({}),
): (context: OperationContext, input: Input) => Promise<Access<InstanceProfileTarget>> {
  return async ({ call, read }, input) => {
    const { accountId } = call.principal;
    const name = input.InstanceProfileName;
    const found = await read.get(instanceProfiles, [accountId, foldedName(name)]);
    const profile = found?.instanceProfileName === name ? found : null;
    return {
      target: { name, profile },
      checks: [
        {
          action,
          resource: profile?.arn ?? profileArn(accountId, "/", name),
          resourceAccountId: accountId,
          context: { ...resourceTagContext(profile?.tags ?? []), ...extra(input) },
        },
      ],
    };
  };
}

/** An instance profile as GetInstanceProfile shows it, its role included. Lists leave tags out. */
export async function profileOut(
  read: Reader,
  profile: InstanceProfileRecord,
  detail: "full" | "listed",
): Promise<InstanceProfile> {
  const found = await Promise.all(
    profile.roleNames.map((roleName) => read.get(roles, [profile.accountId, foldedName(roleName)])),
  );
  const held = found.flatMap((role) => (role === null ? [] : [role]));
  return {
    Path: profile.path,
    InstanceProfileName: profile.instanceProfileName,
    InstanceProfileId: profile.instanceProfileId,
    Arn: profile.arn,
    CreateDate: profile.createdMs,
    Roles: await Promise.all(held.map((role) => roleOut(read, role))),
    ...(detail === "full" ? { Tags: tagsOut(profile.tags) } : {}),
  };
}

export const createInstanceProfile = (random: Random): Row<"CreateInstanceProfile", null> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call }, input) {
    const { accountId } = call.principal;
    return {
      target: null,
      checks: [
        {
          action: "iam:CreateInstanceProfile",
          resource: profileArn(accountId, input.Path ?? "/", input.InstanceProfileName),
          resourceAccountId: accountId,
          context: requestTagContext(input.Tags),
        },
      ],
    };
  },
  async handle({ call, read }, input) {
    const { accountId } = call.principal;
    const name = input.InstanceProfileName;
    if ((await read.get(instanceProfiles, [accountId, foldedName(name)])) !== null) throw instanceProfileExists(name);
    const account = await accountOf(read, accountId);
    const count = account.instanceProfileCount ?? 0;
    if (count >= INSTANCE_PROFILES_PER_ACCOUNT_MAX) {
      throw quotaExceeded("InstanceProfilesPerAccount", INSTANCE_PROFILES_PER_ACCOUNT_MAX);
    }
    const path = input.Path ?? "/";
    const profile: InstanceProfileRecord = {
      accountId,
      instanceProfileName: name,
      instanceProfileId: newEntityId("AIPA", random),
      path,
      arn: profileArn(accountId, path, name),
      createdMs: call.nowMs,
      roleNames: [],
      tags: tagsFrom([], input.Tags ?? []),
    };
    const output = { InstanceProfile: await profileOut(read, profile, "full") };
    return {
      output,
      writes: [
        instanceProfiles.put(profileId(profile), profile),
        accounts.put([accountId], { ...account, instanceProfileCount: count + 1 }),
      ],
      audit: { responseElements: responseElements(output), resources: [profileResource(profile)] },
    };
  },
});

export const getInstanceProfile: Row<"GetInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: profileAccess("iam:GetInstanceProfile"),
  async handle({ read }, _input, target) {
    const profile = existingProfile(target);
    return {
      output: { InstanceProfile: await profileOut(read, profile, "full") },
      audit: { resources: [profileResource(profile)] },
    };
  },
};

export const deleteInstanceProfile: Row<"DeleteInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: profileAccess("iam:DeleteInstanceProfile"),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const profile = existingProfile(target);
    if (profile.roleNames.length > 0) throw mustRemoveFromInstanceProfile();
    const account = await accountOf(read, accountId);
    const instanceProfileCount = Math.max(0, (account.instanceProfileCount ?? 0) - 1);
    return {
      output: {},
      writes: [
        instanceProfiles.remove(profileId(profile)),
        accounts.put([accountId], { ...account, instanceProfileCount }),
      ],
      audit: { resources: [profileResource(profile)] },
    };
  },
};

export const listInstanceProfiles: Row<"ListInstanceProfiles", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListInstanceProfiles"),
  async handle({ call, read }, input) {
    const pathPrefix = input.PathPrefix ?? "/";
    const { items, last } = await pageOfTable(read, instanceProfiles, {
      prefix: [call.principal.accountId],
      after: decodeMarker(input),
      countMax: pageCount(input),
      accept: (profile) => profile.path.startsWith(pathPrefix),
    });
    return {
      output: {
        InstanceProfiles: await Promise.all(items.map((profile) => profileOut(read, profile, "listed"))),
        ...(last === null ? { IsTruncated: false } : { IsTruncated: true, Marker: encodeMarker(last) }),
      },
    };
  },
};

/** The instance profiles that hold a role. */
export async function profilesOf(
  read: Reader,
  role: RoleRecord,
  names: readonly string[],
): Promise<readonly InstanceProfile[]> {
  const found = await Promise.all(names.map((name) => read.get(instanceProfiles, [role.accountId, name])));
  const held = found.flatMap((profile) => (profile === null ? [] : [profile]));
  return await Promise.all(held.map((profile) => profileOut(read, profile, "listed")));
}

export const listInstanceProfilesForRole: Row<"ListInstanceProfilesForRole", EntityTarget<RoleRecord>> = {
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(roleKind, "iam:ListInstanceProfilesForRole"),
  async handle({ read }, input, target) {
    const role = existingEntity(roleKind, target);
    const { items, tail } = pageOfList(role.instanceProfileNames, (name) => name, input);
    return { output: { InstanceProfiles: await profilesOf(read, role, items), ...tail } };
  },
};
