import type { Access, OperationContext } from "../../../gateway/contract.ts";
import { entityResource, findEntity, putEntity, resourceTagContext, roleKind } from "../entities.ts";
import { notInInstanceProfile } from "../entity-errors.ts";
import { noSuchNamed, quotaExceeded } from "../errors.ts";
import { foldedName, roleArn } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import { instanceProfiles } from "../records.ts";
import { describe, requestTagContext } from "../row.ts";
import type { Row } from "../row.ts";
import type { Tag } from "../shapes.generated.ts";
import { tagsFrom, tagsOut, tagsWithout } from "../tags.ts";
import { existingProfile, profileAccess, profileId, profileResource } from "./instance-profiles.ts";
import type { InstanceProfileTarget } from "./instance-profiles.ts";

const ROLES_PER_INSTANCE_PROFILE = 1;

type ProfileAndRole = { readonly InstanceProfileName: string; readonly RoleName: string };

/**
 * Whoever puts a role where a machine finds it hands over what the role may do: AWS asks for iam:PassRole on the role as well
 * (IAM API Reference, AddRoleToInstanceProfile).
 */
async function passRoleAccess(
  context: OperationContext,
  input: ProfileAndRole,
): Promise<Access<InstanceProfileTarget>> {
  const { accountId } = context.call.principal;
  const { checks, target } = await profileAccess<ProfileAndRole>("iam:AddRoleToInstanceProfile")(context, input);
  const role = await findEntity(context.read, roleKind, accountId, input.RoleName);
  return {
    target,
    checks: [
      ...checks,
      {
        action: "iam:PassRole",
        resource: role?.arn ?? roleArn(accountId, "/", input.RoleName),
        shownResource: roleArn(accountId, "/", input.RoleName),
        resourceAccountId: accountId,
        context: { ...resourceTagContext(role?.tags ?? []), "iam:PassedToService": "ec2.amazonaws.com" },
      },
    ],
  };
}

export const addRoleToInstanceProfile: Row<"AddRoleToInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: passRoleAccess,
  async handle({ call, read }, input, target) {
    const profile = existingProfile(target);
    const role = await findEntity(read, roleKind, call.principal.accountId, input.RoleName);
    if (role === null) throw noSuchNamed("role", input.RoleName);
    // AWS refuses the same role a second time in these words too.
    if (profile.roleNames.length >= ROLES_PER_INSTANCE_PROFILE) {
      throw quotaExceeded("InstanceSessionsPerInstanceProfile", ROLES_PER_INSTANCE_PROFILE);
    }
    const holder = foldedName(profile.instanceProfileName);
    const instanceProfileNames = [...new Set([...role.instanceProfileNames, holder])].sort();
    return {
      output: {},
      writes: [
        instanceProfiles.put(profileId(profile), { ...profile, roleNames: [role.roleName] }),
        putEntity(roleKind, { ...role, instanceProfileNames }),
      ],
      audit: { resources: [profileResource(profile), entityResource(roleKind, role)] },
    };
  },
};

export const removeRoleFromInstanceProfile: Row<"RemoveRoleFromInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: profileAccess("iam:RemoveRoleFromInstanceProfile"),
  async handle({ call, read }, input, target) {
    const profile = existingProfile(target);
    const role = await findEntity(read, roleKind, call.principal.accountId, input.RoleName);
    if (role === null) throw noSuchNamed("role", input.RoleName);
    if (!profile.roleNames.includes(role.roleName)) {
      throw notInInstanceProfile(role.roleName, profile.instanceProfileName);
    }
    const holder = foldedName(profile.instanceProfileName);
    const instanceProfileNames = role.instanceProfileNames.filter((name) => name !== holder);
    return {
      output: {},
      writes: [
        instanceProfiles.put(profileId(profile), { ...profile, roleNames: [] }),
        putEntity(roleKind, { ...role, instanceProfileNames }),
      ],
      audit: { resources: [profileResource(profile), entityResource(roleKind, role)] },
    };
  },
};

export const tagInstanceProfile: Row<"TagInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: profileAccess(
    "iam:TagInstanceProfile",
    (input: { readonly InstanceProfileName: string; readonly Tags: readonly Tag[] }) => requestTagContext(input.Tags),
  ),
  async handle(_context, input, target) {
    const profile = existingProfile(target);
    const tagged = { ...profile, tags: tagsFrom(profile.tags, input.Tags) };
    return {
      output: {},
      writes: [instanceProfiles.put(profileId(profile), tagged)],
      audit: { resources: [profileResource(profile)] },
    };
  },
};

export const untagInstanceProfile: Row<"UntagInstanceProfile", InstanceProfileTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: profileAccess(
    "iam:UntagInstanceProfile",
    (input: { readonly InstanceProfileName: string; readonly TagKeys: readonly string[] }) => ({
      "aws:TagKeys": input.TagKeys,
    }),
  ),
  async handle(_context, input, target) {
    const profile = existingProfile(target);
    const untagged = { ...profile, tags: tagsWithout(profile.tags, input.TagKeys) };
    return {
      output: {},
      writes: [instanceProfiles.put(profileId(profile), untagged)],
      audit: { resources: [profileResource(profile)] },
    };
  },
};

export const listInstanceProfileTags: Row<"ListInstanceProfileTags", InstanceProfileTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: profileAccess("iam:ListInstanceProfileTags"),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existingProfile(target).tags, ({ key }) => key, input);
    return { output: { Tags: tagsOut(items), ...tail } };
  },
};
