import { boundaryOf } from "./boundaries.ts";
import type { Random } from "../../../base/random.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import { userKind } from "../entities.ts";
import { mustDelete, mustDetachPolicies, mustRemoveFromGroups, quotaExceeded, userExists } from "../errors.ts";
import { foldedName, newEntityId, userArn, USERS_PER_ACCOUNT_MAX } from "../model.ts";
import { requestedPage } from "../pagination.ts";
import { renamePolicyUser, usePolicy } from "../policy-use.ts";
import { accessKeys, accounts, groupMembers, renamedUsers, users } from "../records.ts";
import type { UserRecord } from "../records.ts";
import {
  accountOf,
  boundedCreationChecks,
  describe,
  existing,
  listAccess,
  ownerAccess,
  responseElements,
  userAccess,
  userResource,
} from "../row.ts";
import type { OwnerTarget, Row, UserTarget } from "../row.ts";
import type { User } from "../shapes.generated.ts";
import { tagsFrom, tagsOut } from "../tags.ts";

/** A user as GetUser shows it. ListUsers leaves tags and boundary out. */
export function userOut(user: UserRecord, detail: "full" | "listed"): User {
  return {
    Path: user.path,
    UserName: user.userName,
    UserId: user.userId,
    Arn: user.arn,
    CreateDate: user.createdMs,
    ...(detail === "full" && user.boundaryArn !== null
      ? {
          PermissionsBoundary: {
            PermissionsBoundaryType: "PermissionsBoundaryPolicy",
            PermissionsBoundaryArn: user.boundaryArn,
          },
        }
      : {}),
    ...(detail === "full" && user.tags.length > 0 ? { Tags: tagsOut(user.tags) } : {}),
  };
}

export const createUser = (random: Random): Row<"CreateUser", UserTarget> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call, read }, input) {
    const { accountId } = call.principal;
    return {
      target: { name: input.UserName, record: await read.get(users, [accountId, foldedName(input.UserName)]) },
      checks: boundedCreationChecks(
        accountId,
        userArn(accountId, input.Path ?? "/", input.UserName),
        { action: "iam:CreateUser", tagAction: "iam:TagUser" },
        input,
      ),
    };
  },
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    if (target.record !== null) throw userExists(input.UserName);
    const account = await accountOf(read, accountId);
    if (account.userCount >= USERS_PER_ACCOUNT_MAX) throw quotaExceeded("UsersPerAccount", USERS_PER_ACCOUNT_MAX);
    const boundaryArn = await boundaryOf(read, accountId, input);
    const path = input.Path ?? "/";
    const user: UserRecord = {
      accountId,
      userName: input.UserName,
      userId: newEntityId("AIDA", random),
      path,
      arn: userArn(accountId, path, input.UserName),
      createdMs: call.nowMs,
      tags: tagsFrom([], input.Tags ?? []),
      inlinePolicies: [],
      attachedPolicyArns: [],
      boundaryArn,
      accessKeyIds: [],
    };
    const output = { User: userOut(user, "full") };
    return {
      output,
      writes: [
        users.put([accountId, foldedName(user.userName)], user),
        accounts.put([accountId], { ...account, userCount: account.userCount + 1 }),
        ...(boundaryArn === null ? [] : await usePolicy(read, userKind, user, boundaryArn, { asBoundary: true })),
      ],
      audit: { responseElements: responseElements(output), resources: [userResource(user)] },
    };
  },
});

export const getUser: Row<"GetUser", OwnerTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: ownerAccess("iam:GetUser"),
  async handle({ call, read }, _input, target) {
    if (target.type === "root") {
      const { accountId, arn } = call.principal;
      const account = await accountOf(read, accountId);
      // Root is shown as a user without a name; the shape requires one.
      return {
        output: {
          User: { Path: "/", UserName: account.name, UserId: accountId, Arn: arn, CreateDate: account.createdMs },
        },
      };
    }
    const user = existing(target);
    return { output: { User: userOut(user, "full") }, audit: { resources: [userResource(user)] } };
  },
};

export const updateUser: Row<"UpdateUser", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  async access(context, input) {
    const { checks, target } = await userAccess("iam:UpdateUser")(context, input);
    const { accountId } = context.call.principal;
    const newArn = userArn(accountId, input.NewPath ?? target.record?.path ?? "/", input.NewUserName ?? input.UserName);
    const shownArn = userArn(accountId, input.NewPath ?? "/", input.NewUserName ?? input.UserName);
    // Who renames a user must be allowed to under both names, with the tags that it has under both, or a deny on one of them
    // could be stepped around.
    return {
      target,
      checks: [...checks, ...checks.map((check) => ({ ...check, resource: newArn, shownResource: shownArn }))],
    };
  },
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const before = existing(target);
    const path = input.NewPath ?? before.path;
    const userName = input.NewUserName ?? before.userName;
    const after: UserRecord = { ...before, path, userName, arn: userArn(accountId, path, userName) };
    const moved = foldedName(userName) !== foldedName(before.userName);
    if (moved && (await read.get(users, [accountId, foldedName(userName)])) !== null) throw userExists(userName);
    const keys = await Promise.all(before.accessKeyIds.map((id) => read.get(accessKeys, [id])));
    return {
      output: {},
      writes: [
        ...(moved ? [users.remove([accountId, foldedName(before.userName)])] : []),
        users.put([accountId, foldedName(userName)], after),
        ...(after.arn === before.arn ? [] : [renamedUsers.put([accountId, after.userId], { userName })]),
        ...renamePolicyUser(userKind, before, after),
        ...(await renamedMember(read, before, after)),
        ...keys.flatMap((key) =>
          key === null
            ? []
            : [
                accessKeys.put([key.accessKeyId], {
                  ...key,
                  owner: { type: "user", userName, userId: after.userId, arn: after.arn },
                }),
              ],
        ),
      ],
      audit: { resources: [userResource(before)] },
    };
  },
};

/** The writes that carry a user's memberships over to its new name. */
async function renamedMember(read: Reader, before: UserRecord, after: UserRecord): Promise<readonly Write[]> {
  if (before.userName === after.userName) return [];
  const writes: Write[] = [];
  for (const groupName of before.groupNames ?? []) {
    const id = [before.accountId, groupName, foldedName(before.userName)];
    const member = await read.get(groupMembers, id);
    if (member === null) continue;
    const idAfter = [after.accountId, groupName, foldedName(after.userName)];
    if (idAfter.at(-1) !== id.at(-1)) writes.push(groupMembers.remove(id));
    writes.push(groupMembers.put(idAfter, { ...member, userName: after.userName }));
  }
  return writes;
}

export const deleteUser: Row<"DeleteUser", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:DeleteUser"),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const user = existing(target);
    if (user.accessKeyIds.length > 0) throw mustDelete("access keys");
    if (user.attachedPolicyArns.length > 0) throw mustDetachPolicies();
    if (user.inlinePolicies.length > 0) throw mustDelete("policies");
    if ((user.groupNames ?? []).length > 0) throw mustRemoveFromGroups();
    const account = await accountOf(read, accountId);
    return {
      output: {},
      writes: [
        users.remove([accountId, foldedName(user.userName)]),
        renamedUsers.remove([accountId, user.userId]),
        accounts.put([accountId], { ...account, userCount: account.userCount - 1 }),
        ...(user.boundaryArn === null
          ? []
          : await usePolicy(read, userKind, user, user.boundaryArn, { asBoundary: false })),
      ],
      audit: { resources: [userResource(user)] },
    };
  },
};

export const listUsers: Row<"ListUsers", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListUsers"),
  async handle({ call, read }, input) {
    const pathPrefix = input.PathPrefix ?? "/";
    const { items, tail } = await requestedPage(read, users, input, {
      prefix: [call.principal.accountId],
      accept: (user) => user.path.startsWith(pathPrefix),
      show: (user) => userOut(user, "listed"),
    });
    return { output: { Users: items, ...tail } };
  },
};
