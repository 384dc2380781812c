import type { ContextValues } from "../../../authz/types.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { boundaryContext, entityAccess, entityResource, existingEntity, putEntity } from "../entities.ts";
import type { EntityKind, EntityRecord, EntityTarget } from "../entities.ts";
import { noSuchPolicy, policyNotAttachable, quotaExceeded } from "../errors.ts";
import { pageOfList, requestedPage } from "../pagination.ts";
import type { Page, PageRequest } from "../pagination.ts";
import { findPolicy } from "../policy-lookup.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { usePolicy } from "../policy-use.ts";
import { policyUsers } from "../records.ts";
import type { PolicyUserRecord } from "../records.ts";
import { describe, policyAccess, policyResource } from "../row.ts";
import type { Row } from "../row.ts";
import type { AttachedPolicy, EntityType, ListEntitiesForPolicyRequest, Nothing } from "../shapes.generated.ts";
import { existingPolicy } from "./policies.ts";

type WithPolicyArn = { readonly PolicyArn: string };

const attachmentContext = (input: WithPolicyArn, entity: EntityRecord | null): ContextValues => ({
  "iam:PolicyARN": input.PolicyArn,
  ...boundaryContext(entity),
});

/** AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy. */
export const attachPolicy = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & WithPolicyArn, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Attach${kind.label}Policy`, (input: Named & WithPolicyArn, entity) =>
    attachmentContext(input, entity),
  ),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const entity = existingEntity(kind, target);
    const policy = await findPolicy(read, accountId, input.PolicyArn);
    if (policy === null) throw policyNotAttachable(input.PolicyArn);
    const audit = { resources: [entityResource(kind, entity), policyResource(policy.arn, accountId)] };
    // Attaching again what is attached changes nothing and is no error.
    if (entity.attachedPolicyArns.includes(policy.arn)) return { output: {}, audit };
    if (entity.attachedPolicyArns.length >= kind.attachedMax) {
      throw quotaExceeded(`PoliciesPer${kind.label}`, kind.attachedMax);
    }
    const after = { ...entity, attachedPolicyArns: [...entity.attachedPolicyArns, policy.arn] };
    return {
      output: {},
      writes: [putEntity(kind, after), ...(await usePolicy(read, kind, after, policy.arn, { asPolicy: true }))],
      audit,
    };
  },
});

/** DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy. */
export const detachPolicy = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & WithPolicyArn, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Detach${kind.label}Policy`, (input: Named & WithPolicyArn, entity) =>
    attachmentContext(input, entity),
  ),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const entity = existingEntity(kind, target);
    const { PolicyArn } = input;
    if (!entity.attachedPolicyArns.includes(PolicyArn)) throw noSuchPolicy(PolicyArn);
    const after = { ...entity, attachedPolicyArns: entity.attachedPolicyArns.filter((arn) => arn !== PolicyArn) };
    return {
      output: {},
      writes: [putEntity(kind, after), ...(await usePolicy(read, kind, after, PolicyArn, { asPolicy: false }))],
      audit: { resources: [entityResource(kind, entity), policyResource(PolicyArn, accountId)] },
    };
  },
});

/** The name at the end of a policy's ARN. */
export const nameOf = (arn: string): string => arn.slice(arn.lastIndexOf("/") + 1);

/** The path within a policy's ARN, with both its slashes. */
const pathOf = (arn: string): string => arn.slice(arn.indexOf("/"), arn.lastIndexOf("/") + 1);

type AttachedPage = Page<unknown>["tail"] & { readonly AttachedPolicies: readonly AttachedPolicy[] };

/** ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies. */
export const listAttachedPolicies = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<
  Named & PageRequest & { readonly PathPrefix?: string | undefined },
  AttachedPage,
  EntityTarget<Entity>
> => ({
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(kind, `iam:ListAttached${kind.label}Policies`),
  async handle(_context, input, target) {
    const pathPrefix = input.PathPrefix ?? "/";
    const attached = existingEntity(kind, target).attachedPolicyArns.filter((arn) =>
      pathOf(arn).startsWith(pathPrefix),
    );
    // By name and whose it is, not by ARN: a marker has at most 320 characters.
    const { items, tail } = pageOfList(attached, (arn) => `${nameOf(arn)}:${arn.split(":")[4] ?? ""}`, input);
    return {
      output: { AttachedPolicies: items.map((arn) => ({ PolicyName: nameOf(arn), PolicyArn: arn })), ...tail },
    };
  },
});

/** Of the record of a policy's user; records of older builds are all of users. */
const entityTypeOf = ({ entity = "user" }: PolicyUserRecord): "user" | "group" | "role" => entity;

export const listEntitiesForPolicy: Row<"ListEntitiesForPolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:ListEntitiesForPolicy"),
  async handle({ call, read }, input, target) {
    const policy = existingPolicy(target, input.PolicyArn);
    const { items, tail } = await requestedPage(read, policyUsers, input, {
      prefix: [call.principal.accountId, policy.arn],
      accept: entityFilter(input),
      show: (entity) => entity,
    });
    const of = (type: "user" | "group" | "role") => items.filter((item) => entityTypeOf(item) === type);
    return {
      output: {
        PolicyGroups: of("group").map(({ userName, userId }) => ({ GroupName: userName, GroupId: userId })),
        PolicyRoles: of("role").map(({ userName, userId }) => ({ RoleName: userName, RoleId: userId })),
        PolicyUsers: of("user").map(({ userName, userId }) => ({ UserName: userName, UserId: userId })),
        ...tail,
      },
    };
  },
};

const FILTER_OF: Readonly<Record<"user" | "group" | "role", EntityType>> = {
  user: "User",
  group: "Group",
  role: "Role",
};

function entityFilter(request: ListEntitiesForPolicyRequest): (entity: PolicyUserRecord) => boolean {
  const pathPrefix = request.PathPrefix ?? "/";
  return (entity) => {
    if (request.EntityFilter !== undefined && request.EntityFilter !== FILTER_OF[entityTypeOf(entity)]) return false;
    if (!entity.path.startsWith(pathPrefix)) return false;
    if (request.PolicyUsageFilter === "PermissionsPolicy") return entity.asPolicy;
    if (request.PolicyUsageFilter === "PermissionsBoundary") return entity.asBoundary;
    return true;
  };
}
