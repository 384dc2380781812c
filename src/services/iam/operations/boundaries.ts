import { boundaryNotAttachable } from "../errors.ts";
import { foldedName } from "../model.ts";
import { findPolicy } from "../policy-lookup.ts";
import { usePolicy } from "../policy-use.ts";
import { users } from "../records.ts";
import { boundaryContext, describe, existing, userAccess, userResource } from "../row.ts";
import type { Row, UserTarget } from "../row.ts";

export const putUserPermissionsBoundary: Row<"PutUserPermissionsBoundary", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:PutUserPermissionsBoundary", (input: { UserName: string; PermissionsBoundary: string }) => ({
    "iam:PermissionsBoundary": input.PermissionsBoundary,
  })),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const user = existing(target);
    const policy = await findPolicy(read, accountId, input.PermissionsBoundary);
    if (policy === null) throw boundaryNotAttachable(input.PermissionsBoundary);
    const audit = { resources: [userResource(user)] };
    if (user.boundaryArn === policy.arn) return { output: {}, audit };
    return {
      output: {},
      writes: [
        users.put([accountId, foldedName(user.userName)], { ...user, boundaryArn: policy.arn }),
        ...(user.boundaryArn === null ? [] : await usePolicy(read, user, user.boundaryArn, { asBoundary: false })),
        ...(await usePolicy(read, user, policy.arn, { asBoundary: true })),
      ],
      audit,
    };
  },
};

export const deleteUserPermissionsBoundary: Row<"DeleteUserPermissionsBoundary", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:DeleteUserPermissionsBoundary", (_input, user) => boundaryContext(user)),
  async handle({ call, read }, _input, target) {
    const { accountId } = call.principal;
    const user = existing(target);
    const audit = { resources: [userResource(user)] };
    if (user.boundaryArn === null) return { output: {}, audit };
    return {
      output: {},
      writes: [
        users.put([accountId, foldedName(user.userName)], { ...user, boundaryArn: null }),
        ...(await usePolicy(read, user, user.boundaryArn, { asBoundary: false })),
      ],
      audit,
    };
  },
};
