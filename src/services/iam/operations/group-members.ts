import { entityAccess, entityResource, existingEntity, findEntity, groupKind, userKind } from "../entities.ts";
import { notInGroup } from "../entity-errors.ts";
import { noSuchNamed, quotaExceeded } from "../errors.ts";
import { foldedName } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import { groupMembers, groups, groupSizes, users } from "../records.ts";
import { describe } from "../row.ts";
import type { Row, UserTarget } from "../row.ts";
import { groupOut } from "./groups.ts";
import type { GroupTarget } from "./groups.ts";

/** IAM User Guide, "IAM and AWS STS quotas". */
export const GROUPS_PER_USER_MAX = 10;

export const addUserToGroup: Row<"AddUserToGroup", GroupTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(groupKind, "iam:AddUserToGroup"),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const group = existingEntity(groupKind, target);
    const user = await findEntity(read, userKind, accountId, input.UserName);
    if (user === null) throw noSuchNamed("user", input.UserName);
    const audit = { resources: [entityResource(groupKind, group), entityResource(userKind, user)] };
    const groupName = foldedName(group.groupName);
    const before = user.groupNames ?? [];
    // Adding again who is in the group changes nothing and is no error.
    if (before.includes(groupName)) return { output: {}, audit };
    if (before.length >= GROUPS_PER_USER_MAX) throw quotaExceeded("GroupsPerUser", GROUPS_PER_USER_MAX);
    const userName = foldedName(user.userName);
    const size = await read.get(groupSizes, [accountId, groupName]);
    return {
      output: {},
      writes: [
        users.put([accountId, userName], { ...user, groupNames: [...before, groupName].sort() }),
        groupMembers.put([accountId, groupName, userName], { userName: user.userName, addedMs: call.nowMs }),
        groupSizes.put([accountId, groupName], { memberCount: (size?.memberCount ?? 0) + 1 }),
      ],
      audit,
    };
  },
};

export const removeUserFromGroup: Row<"RemoveUserFromGroup", GroupTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(groupKind, "iam:RemoveUserFromGroup"),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const group = existingEntity(groupKind, target);
    const user = await findEntity(read, userKind, accountId, input.UserName);
    if (user === null) throw noSuchNamed("user", input.UserName);
    const groupName = foldedName(group.groupName);
    const before = user.groupNames ?? [];
    if (!before.includes(groupName)) throw notInGroup(user.userName, group.groupName);
    const userName = foldedName(user.userName);
    const memberCount = ((await read.get(groupSizes, [accountId, groupName]))?.memberCount ?? 0) - 1;
    return {
      output: {},
      writes: [
        users.put([accountId, userName], { ...user, groupNames: before.filter((name) => name !== groupName) }),
        groupMembers.remove([accountId, groupName, userName]),
        memberCount > 0
          ? groupSizes.put([accountId, groupName], { memberCount })
          : groupSizes.remove([accountId, groupName]),
      ],
      audit: { resources: [entityResource(groupKind, group), entityResource(userKind, user)] },
    };
  },
};

export const listGroupsForUser: Row<"ListGroupsForUser", UserTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(userKind, "iam:ListGroupsForUser"),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const { items, tail } = pageOfList(existingEntity(userKind, target).groupNames ?? [], (name) => name, input);
    const found = await Promise.all(items.map((name) => read.get(groups, [accountId, name])));
    return { output: { Groups: found.flatMap((group) => (group === null ? [] : [groupOut(group)])), ...tail } };
  },
};
