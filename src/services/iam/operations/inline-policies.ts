import type { Operation } from "../../../gateway/contract.ts";
import { boundaryContext, entityAccess, entityName, entityResource, existingEntity, putEntity } from "../entities.ts";
import type { EntityKind, EntityRecord, EntityTarget } from "../entities.ts";
import { inlinePolicySizeExceeded, noSuchInlinePolicy } from "../errors.ts";
import { encodedDocument, policySize, storedDocument } from "../model.ts";
import type { CompilePolicy } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import type { Page, PageRequest } from "../pagination.ts";
import { requireValidDocument } from "../policy-document.ts";
import type { InlinePolicy } from "../records.ts";
import { describe } from "../row.ts";
import type { Nothing } from "../shapes.generated.ts";

/** How decisions and errors call an inline policy of the principal itself. */
export const inlinePolicyId = (policyName: string): string => `inline:${policyName}`;

const byName = (a: InlinePolicy, b: InlinePolicy): number => (a.name < b.name ? -1 : 1);

type PolicyNamed = { readonly PolicyName: string };
type WithDocument = PolicyNamed & { readonly PolicyDocument: string };

/** PutUserPolicy, PutGroupPolicy, PutRolePolicy. */
export const putInlinePolicy = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  compile: CompilePolicy,
): Operation<Named & WithDocument, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Put${kind.label}Policy`, (_input: Named & WithDocument, entity) =>
    boundaryContext(entity),
  ),
  async handle(_context, input, target) {
    const entity = existingEntity(kind, target);
    requireValidDocument(compile, input.PolicyDocument, inlinePolicyId(input.PolicyName));
    const others = entity.inlinePolicies.filter(({ name }) => name !== input.PolicyName);
    const sum = (documents: readonly string[], lengthOf: (document: string) => number): number =>
      documents.map(lengthOf).reduce((total, length) => total + length, 0);
    const otherDocuments = others.map(({ document }) => document);
    const otherLength = sum(otherDocuments, ({ length }) => length);
    const policy = {
      name: input.PolicyName,
      document: storedDocument(input.PolicyDocument, kind.inlineSizeMax, otherLength),
    };
    const size = sum([...otherDocuments, policy.document], policySize);
    if (size > kind.inlineSizeMax) {
      throw inlinePolicySizeExceeded(kind.type, entityName(kind, entity), kind.inlineSizeMax);
    }
    return {
      output: {},
      writes: [putEntity(kind, { ...entity, inlinePolicies: [...others, policy].sort(byName) })],
      audit: { resources: [entityResource(kind, entity)] },
    };
  },
});

/** GetUserPolicy, GetGroupPolicy, GetRolePolicy. */
export const getInlinePolicy = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & PolicyNamed, Named & WithDocument, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(kind, `iam:Get${kind.label}Policy`),
  async handle(_context, input, target) {
    const entity = existingEntity(kind, target);
    const policy = entity.inlinePolicies.find(({ name }) => name === input.PolicyName);
    if (policy === undefined) throw noSuchInlinePolicy(kind.type, input.PolicyName);
    return {
      output: { ...kind.named(entity), PolicyName: policy.name, PolicyDocument: encodedDocument(policy.document) },
      audit: { resources: [entityResource(kind, entity)] },
    };
  },
});

/** DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy. */
export const deleteInlinePolicy = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & PolicyNamed, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Delete${kind.label}Policy`, (_input: Named & PolicyNamed, entity) =>
    boundaryContext(entity),
  ),
  async handle(_context, input, target) {
    const entity = existingEntity(kind, target);
    const left = entity.inlinePolicies.filter(({ name }) => name !== input.PolicyName);
    if (left.length === entity.inlinePolicies.length) throw noSuchInlinePolicy(kind.type, input.PolicyName);
    return {
      output: {},
      writes: [putEntity(kind, { ...entity, inlinePolicies: left })],
      audit: { resources: [entityResource(kind, entity)] },
    };
  },
});

/** ListUserPolicies, ListGroupPolicies, ListRolePolicies. */
export const listInlinePolicies = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<
  Named & PageRequest,
  Page<unknown>["tail"] & { readonly PolicyNames: readonly string[] },
  EntityTarget<Entity>
> => ({
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(kind, `iam:List${kind.label}Policies`),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existingEntity(kind, target).inlinePolicies, ({ name }) => name, input);
    return { output: { PolicyNames: items.map(({ name }) => name), ...tail } };
  },
});
