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
import { PAGE_LENGTH_MAX, pageOfNames, requestedPage } from "../pagination.ts";
import { accounts, instanceProfiles, roles } from "../records.ts";
import type { InstanceProfileRecord, RoleRecord } from "../records.ts";
import { accountOf, creationChecks, describe, listAccess, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { InstanceProfile, Role } from "../shapes.generated.ts";
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

/** Access to one instance profile. A missing one is checked under the ARN that it would have, which is also what a denial names. */
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
          shownResource: profileArn(accountId, "/", name),
          resourceAccountId: accountId,
          context: { ...resourceTagContext(profile?.tags ?? []), ...extra(input) },
        },
      ],
    };
  };
}

/** A role as profiles show it; null when it is gone. */
type ShownRole = (accountId: string, roleName: string) => Promise<Role | null>;

/** Makes what is shown of each role once, however many profiles hold it. */
function rolesShown(read: Reader): ShownRole {
  const shown = new Map<string, Promise<Role | null>>();
  return (accountId, roleName) => {
    const name = foldedName(roleName);
    const known =
      shown.get(name) ??
      read.get(roles, [accountId, name]).then((role) => (role === null ? null : roleOut(read, role)));
    shown.set(name, known);
    return known;
  };
}

/**
 * An instance profile as GetInstanceProfile shows it, its role included. Lists leave tags out, CreateInstanceProfile an empty
 * list of them.
 */
export async function profileOut(
  profile: InstanceProfileRecord,
  detail: "full" | "created" | "listed",
  shownRole: ShownRole,
): Promise<InstanceProfile> {
  const held = await Promise.all(profile.roleNames.map((roleName) => shownRole(profile.accountId, roleName)));
  return {
    Path: profile.path,
    InstanceProfileName: profile.instanceProfileName,
    InstanceProfileId: profile.instanceProfileId,
    Arn: profile.arn,
    CreateDate: profile.createdMs,
    Roles: held.flatMap((role) => (role === null ? [] : [role])),
    ...(detail === "full" || (detail === "created" && profile.tags.length > 0) ? { Tags: tagsOut(profile.tags) } : {}),
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
      checks: creationChecks(
        {
          action: "iam:CreateInstanceProfile",
          resource: profileArn(accountId, input.Path ?? "/", input.InstanceProfileName),
          resourceAccountId: accountId,
        },
        "iam:TagInstanceProfile",
        input.Tags,
      ),
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
    const output = { InstanceProfile: await profileOut(profile, "created", rolesShown(read)) };
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
      output: { InstanceProfile: await profileOut(profile, "full", rolesShown(read)) },
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
    const shownRole = rolesShown(read);
    const { items, tail } = await requestedPage(read, instanceProfiles, input, {
      prefix: [call.principal.accountId],
      accept: (profile) => profile.path.startsWith(pathPrefix),
      show: (profile) => profileOut(profile, "listed", shownRole),
    });
    return { output: { InstanceProfiles: items, ...tail } };
  },
};

/** The instance profile of a (folded) name, if there still is one. */
async function listedProfile(
  read: Reader,
  accountId: string,
  name: string,
  shownRole: ShownRole,
): Promise<InstanceProfile | null> {
  const profile = await read.get(instanceProfiles, [accountId, name]);
  return profile === null ? null : await profileOut(profile, "listed", shownRole);
}

function withoutTrust(role: Role): Role {
  const { AssumeRolePolicyDocument: _, ...rest } = role;
  return rest;
}

/**
 * All the instance profiles that hold a role, for where the role itself is shown around them and pages cannot end in between.
 * Where that gets long, the rest of them leave out the trust policy, which is the role's own every time.
 */
export async function profilesOf(read: Reader, role: RoleRecord): Promise<readonly InstanceProfile[]> {
  const shownRole = rolesShown(read);
  const shown: InstanceProfile[] = [];
  let length = 0;
  for (const name of role.instanceProfileNames) {
    const profile = await listedProfile(read, role.accountId, name, shownRole);
    if (profile === null) continue;
    const kept = length < PAGE_LENGTH_MAX ? profile : { ...profile, Roles: profile.Roles.map(withoutTrust) };
    length += JSON.stringify(kept).length;
    shown.push(kept);
  }
  return shown;
}

export const listInstanceProfilesForRole: Row<"ListInstanceProfilesForRole", EntityTarget<RoleRecord>> = {
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(roleKind, "iam:ListInstanceProfilesForRole"),
  async handle({ read }, input, target) {
    const role = existingEntity(roleKind, target);
    const shownRole = rolesShown(read);
    const { items, tail } = await pageOfNames(role.instanceProfileNames, input, (name) =>
      listedProfile(read, role.accountId, name, shownRole),
    );
    return { output: { InstanceProfiles: items, ...tail } };
  },
};
