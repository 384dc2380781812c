import type { ContextValues } from "../../../authz/types.ts";
import { noSuchPolicy, policyNotAttachable, quotaExceeded } from "../errors.ts";
import { ATTACHED_POLICIES_PER_USER_MAX, foldedName } from "../model.ts";
import { decodeMarker, encodeMarker, pageCount, pageOfList, pageOfTable } from "../pagination.ts";
import { findPolicy } from "../policy-lookup.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { usePolicy } from "../policy-use.ts";
import { policyUsers, users } from "../records.ts";
import type { PolicyUserRecord, UserRecord } from "../records.ts";
import { boundaryContext, describe, existing, policyAccess, policyResource, userAccess, userResource } from "../row.ts";
import type { Row, UserTarget } from "../row.ts";
import type { ListEntitiesForPolicyRequest } from "../shapes.generated.ts";
import { existingPolicy } from "./policies.ts";

interface Attachment {
  readonly UserName: string;
  readonly PolicyArn: string;
}

const attachmentContext = (input: Attachment, user: UserRecord | null): ContextValues => ({
  "iam:PolicyARN": input.PolicyArn,
  ...boundaryContext(user),
});

export const attachUserPolicy: Row<"AttachUserPolicy", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:AttachUserPolicy", attachmentContext),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const user = existing(target);
    const policy = await findPolicy(read, accountId, input.PolicyArn);
    if (policy === null) throw policyNotAttachable(input.PolicyArn);
    const audit = { resources: [userResource(user), policyResource(policy.arn, accountId)] };
    // Attaching again what is attached changes nothing and is no error.
    if (user.attachedPolicyArns.includes(policy.arn)) return { output: {}, audit };
    if (user.attachedPolicyArns.length >= ATTACHED_POLICIES_PER_USER_MAX) {
      throw quotaExceeded("PoliciesPerUser", ATTACHED_POLICIES_PER_USER_MAX);
    }
    const after = { ...user, attachedPolicyArns: [...user.attachedPolicyArns, policy.arn] };
    return {
      output: {},
      writes: [
        users.put([accountId, foldedName(user.userName)], after),
        ...(await usePolicy(read, after, policy.arn, { asPolicy: true })),
      ],
      audit,
    };
  },
};

export const detachUserPolicy: Row<"DetachUserPolicy", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:DetachUserPolicy", attachmentContext),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const user = existing(target);
    if (!user.attachedPolicyArns.includes(input.PolicyArn)) throw noSuchPolicy(input.PolicyArn);
    const after = {
      ...user,
      attachedPolicyArns: user.attachedPolicyArns.filter((arn) => arn !== input.PolicyArn),
    };
    return {
      output: {},
      writes: [
        users.put([accountId, foldedName(user.userName)], after),
        ...(await usePolicy(read, after, input.PolicyArn, { asPolicy: false })),
      ],
      audit: { resources: [userResource(user), policyResource(input.PolicyArn, accountId)] },
    };
  },
};

/** The name at the end of a policy's ARN. */
const nameOf = (arn: string): string => arn.slice(arn.lastIndexOf("/") + 1);

/** The path within a policy's ARN, with both its slashes. */
const pathOf = (arn: string): string => arn.slice(arn.indexOf("/"), arn.lastIndexOf("/") + 1);

export const listAttachedUserPolicies: Row<"ListAttachedUserPolicies", UserTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: userAccess("iam:ListAttachedUserPolicies"),
  async handle(_context, input, target) {
    const pathPrefix = input.PathPrefix ?? "/";
    const attached = existing(target).attachedPolicyArns.filter((arn) => pathOf(arn).startsWith(pathPrefix));
    // By name and whose it is, not by ARN: a marker has at most 320 characters.
    const { items, tail } = pageOfList(attached, (arn) => `${nameOf(arn)}:${arn.split(":")[4] ?? ""}`, input);
    return {
      output: { AttachedPolicies: items.map((arn) => ({ PolicyName: nameOf(arn), PolicyArn: arn })), ...tail },
    };
  },
};

export const listEntitiesForPolicy: Row<"ListEntitiesForPolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:ListEntitiesForPolicy"),
  async handle({ call, read }, input, target) {
    const policy = existingPolicy(target, input.PolicyArn);
    const { items, last } = await pageOfTable(read, policyUsers, {
      prefix: [call.principal.accountId, policy.arn],
      after: decodeMarker(input),
      countMax: pageCount(input),
      accept: entityFilter(input),
    });
    return {
      output: {
        PolicyGroups: [],
        PolicyRoles: [],
        PolicyUsers: items.map(({ userName, userId }) => ({ UserName: userName, UserId: userId })),
        ...(last === null ? { IsTruncated: false } : { IsTruncated: true, Marker: encodeMarker(last) }),
      },
    };
  },
};

function entityFilter(request: ListEntitiesForPolicyRequest): (entity: PolicyUserRecord) => boolean {
  const pathPrefix = request.PathPrefix ?? "/";
  return (entity) => {
    if (request.EntityFilter !== undefined && request.EntityFilter !== "User") return false;
    if (!entity.path.startsWith(pathPrefix)) return false;
    if (request.PolicyUsageFilter === "PermissionsPolicy") return entity.asPolicy;
    if (request.PolicyUsageFilter === "PermissionsBoundary") return entity.asBoundary;
    return true;
  };
}
