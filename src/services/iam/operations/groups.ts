import type { Random } from "../../../base/random.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import { entityAccess, entityResource, existingEntity, groupKind } from "../entities.ts";
import type { EntityTarget } from "../entities.ts";
import { groupExists } from "../entity-errors.ts";
import { mustDelete, mustDetachPolicies, mustRemoveFromGroups, quotaExceeded } from "../errors.ts";
import { foldedName, groupArn, newEntityId } from "../model.ts";
import { requestedPage } from "../pagination.ts";
import { renamePolicyUser } from "../policy-use.ts";
import { accounts, groupMembers, groups, groupSizes, users } from "../records.ts";
import type { GroupMemberRecord, GroupRecord } from "../records.ts";
import { accountOf, describe, listAccess, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { Group } from "../shapes.generated.ts";
import { userOut } from "./users.ts";

/** IAM User Guide, "IAM and AWS STS quotas". */
export const GROUPS_PER_ACCOUNT_MAX = 300;

export type GroupTarget = EntityTarget<GroupRecord>;

export const groupOut = (group: GroupRecord): Group => ({
  Path: group.path,
  GroupName: group.groupName,
  GroupId: group.groupId,
  Arn: group.arn,
  CreateDate: group.createdMs,
});

const groupId = (accountId: string, groupName: string): readonly string[] => [accountId, foldedName(groupName)];

export const createGroup = (random: Random): Row<"CreateGroup", null> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call }, input) {
    const { accountId } = call.principal;
    const resource = groupArn(accountId, input.Path ?? "/", input.GroupName);
    return { target: null, checks: [{ action: "iam:CreateGroup", resource, resourceAccountId: accountId }] };
  },
  async handle({ call, read }, input) {
    const { accountId } = call.principal;
    const id = groupId(accountId, input.GroupName);
    if ((await read.get(groups, id)) !== null) throw groupExists(input.GroupName);
    const account = await accountOf(read, accountId);
    const groupCount = account.groupCount ?? 0;
    if (groupCount >= GROUPS_PER_ACCOUNT_MAX) throw quotaExceeded("GroupsPerAccount", GROUPS_PER_ACCOUNT_MAX);
    const path = input.Path ?? "/";
    const group: GroupRecord = {
      accountId,
      groupName: input.GroupName,
      groupId: newEntityId("AGPA", random),
      path,
      arn: groupArn(accountId, path, input.GroupName),
      createdMs: call.nowMs,
      inlinePolicies: [],
      attachedPolicyArns: [],
    };
    const output = { Group: groupOut(group) };
    return {
      output,
      writes: [groups.put(id, group), accounts.put([accountId], { ...account, groupCount: groupCount + 1 })],
      audit: { responseElements: responseElements(output), resources: [entityResource(groupKind, group)] },
    };
  },
});

export const getGroup: Row<"GetGroup", GroupTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(groupKind, "iam:GetGroup"),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const group = existingEntity(groupKind, target);
    const { items, tail } = await requestedPage(read, groupMembers, input, {
      prefix: groupId(accountId, group.groupName),
      accept: () => true,
      async show({ userName }) {
        const user = await read.get(users, [accountId, foldedName(userName)]);
        return user === null ? null : userOut(user, "listed");
      },
    });
    return {
      output: { Group: groupOut(group), Users: items, ...tail },
      audit: { resources: [entityResource(groupKind, group)] },
    };
  },
};

export const updateGroup: Row<"UpdateGroup", GroupTarget> = {
  event: "management",
  readOnly: false,
  describe,
  async access(context, input) {
    const { checks, target } = await entityAccess(groupKind, "iam:UpdateGroup")(context, input);
    const { accountId } = context.call.principal;
    const newArn = groupArn(
      accountId,
      input.NewPath ?? target.record?.path ?? "/",
      input.NewGroupName ?? input.GroupName,
    );
    const shownArn = groupArn(accountId, input.NewPath ?? "/", input.NewGroupName ?? input.GroupName);
    // As for users: permission under both names, or a deny on one of them could be stepped around.
    return {
      target,
      checks: [...checks, ...checks.map((check) => ({ ...check, resource: newArn, shownResource: shownArn }))],
    };
  },
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const before = existingEntity(groupKind, target);
    const path = input.NewPath ?? before.path;
    const groupName = input.NewGroupName ?? before.groupName;
    const after: GroupRecord = { ...before, path, groupName, arn: groupArn(accountId, path, groupName) };
    const moved = foldedName(groupName) !== foldedName(before.groupName);
    if (moved && (await read.get(groups, groupId(accountId, groupName))) !== null) throw groupExists(groupName);
    return {
      output: {},
      writes: [
        ...(moved ? [groups.remove(groupId(accountId, before.groupName))] : []),
        groups.put(groupId(accountId, groupName), after),
        ...renamePolicyUser(groupKind, before, after),
        ...(moved ? await movedMembers(read, before, after) : []),
      ],
      audit: { resources: [entityResource(groupKind, before)] },
    };
  },
};

const MEMBER_CHUNK_COUNT = 500;

/** The writes that carry a group's users over to its new name. */
async function movedMembers(read: Reader, before: GroupRecord, after: GroupRecord): Promise<readonly Write[]> {
  const { accountId } = before;
  const size = await read.get(groupSizes, groupId(accountId, before.groupName));
  if (size === null) return [];
  const [oldName, newName] = [foldedName(before.groupName), foldedName(after.groupName)];
  const writes: Write[] = [groupSizes.remove([accountId, oldName]), groupSizes.put([accountId, newName], size)];
  const prefix = [accountId, oldName];
  let chunk: readonly { readonly id: readonly string[]; readonly value: GroupMemberRecord }[];
  let last: readonly string[] | undefined;
  do {
    chunk = await read.list(groupMembers, { prefix, after: last, limit: MEMBER_CHUNK_COUNT });
    for (const { id, value: member } of chunk) {
      const name = foldedName(member.userName);
      const user = await read.get(users, [accountId, name]);
      writes.push(groupMembers.remove(id), groupMembers.put([accountId, newName, name], member));
      if (user === null) continue;
      const groupNames = (user.groupNames ?? []).map((groupName) => (groupName === oldName ? newName : groupName));
      writes.push(users.put([accountId, name], { ...user, groupNames: groupNames.sort() }));
    }
    last = chunk.at(-1)?.id;
  } while (chunk.length === MEMBER_CHUNK_COUNT);
  return writes;
}

export const deleteGroup: Row<"DeleteGroup", GroupTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(groupKind, "iam:DeleteGroup"),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const group = existingEntity(groupKind, target);
    const id = groupId(accountId, group.groupName);
    const size = await read.get(groupSizes, id);
    if (size !== null) throw mustRemoveFromGroups();
    if (group.attachedPolicyArns.length > 0) throw mustDetachPolicies();
    if (group.inlinePolicies.length > 0) throw mustDelete("policies");
    const account = await accountOf(read, accountId);
    return {
      output: {},
      writes: [
        groups.remove(id),
        accounts.put([accountId], { ...account, groupCount: Math.max(0, (account.groupCount ?? 0) - 1) }),
      ],
      audit: { resources: [entityResource(groupKind, group)] },
    };
  },
};

export const listGroups: Row<"ListGroups", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListGroups"),
  async handle({ call, read }, input) {
    const pathPrefix = input.PathPrefix ?? "/";
    const { items, tail } = await requestedPage(read, groups, input, {
      prefix: [call.principal.accountId],
      accept: (group) => group.path.startsWith(pathPrefix),
      show: groupOut,
    });
    return { output: { Groups: items, ...tail } };
  },
};
