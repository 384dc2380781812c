import { noSuchUserPolicy, userPolicySizeExceeded } from "../errors.ts";
import { encodedDocument, foldedName, policySize, storedDocument, USER_POLICY_SIZE_MAX } from "../model.ts";
import type { CompilePolicy } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import { requireValidDocument } from "../policy-document.ts";
import { users } from "../records.ts";
import { boundaryContext, describe, existing, userAccess, userResource } from "../row.ts";
import type { Row, UserTarget } from "../row.ts";

/** How decisions and errors call an inline policy. */
export const inlinePolicyId = (policyName: string): string => `inline:${policyName}`;

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);

export const putUserPolicy = (compile: CompilePolicy): Row<"PutUserPolicy", UserTarget> => ({
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:PutUserPolicy", (_input, user) => boundaryContext(user)),
  async handle(_context, input, target) {
    const user = existing(target);
    requireValidDocument(compile, input.PolicyDocument, inlinePolicyId(input.PolicyName));
    const others = user.inlinePolicies.filter(({ name }) => name !== input.PolicyName);
    const size = [...others.map(({ document }) => document), input.PolicyDocument]
      .map(policySize)
      .reduce((sum, length) => sum + length, 0);
    if (size > USER_POLICY_SIZE_MAX) throw userPolicySizeExceeded(user.userName, USER_POLICY_SIZE_MAX);
    const policy = { name: input.PolicyName, document: storedDocument(input.PolicyDocument) };
    const after = { ...user, inlinePolicies: [...others, policy].sort(byName) };
    return {
      output: {},
      writes: [users.put([user.accountId, foldedName(user.userName)], after)],
      audit: { resources: [userResource(user)] },
    };
  },
});

export const getUserPolicy: Row<"GetUserPolicy", UserTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: userAccess("iam:GetUserPolicy"),
  async handle(_context, input, target) {
    const user = existing(target);
    const policy = user.inlinePolicies.find(({ name }) => name === input.PolicyName);
    if (policy === undefined) throw noSuchUserPolicy(input.PolicyName);
    return {
      output: {
        UserName: user.userName,
        PolicyName: policy.name,
        PolicyDocument: encodedDocument(policy.document),
      },
      audit: { resources: [userResource(user)] },
    };
  },
};

export const deleteUserPolicy: Row<"DeleteUserPolicy", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:DeleteUserPolicy", (_input, user) => boundaryContext(user)),
  async handle(_context, input, target) {
    const user = existing(target);
    const left = user.inlinePolicies.filter(({ name }) => name !== input.PolicyName);
    if (left.length === user.inlinePolicies.length) throw noSuchUserPolicy(input.PolicyName);
    return {
      output: {},
      writes: [users.put([user.accountId, foldedName(user.userName)], { ...user, inlinePolicies: left })],
      audit: { resources: [userResource(user)] },
    };
  },
};

export const listUserPolicies: Row<"ListUserPolicies", UserTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: userAccess("iam:ListUserPolicies"),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existing(target).inlinePolicies, ({ name }) => name, input);
    return { output: { PolicyNames: items.map(({ name }) => name), ...tail } };
  },
};
