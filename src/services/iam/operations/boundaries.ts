import type { Operation } from "../../../gateway/contract.ts";
import { boundaryContext, entityAccess, entityResource, existingEntity, putEntity } from "../entities.ts";
import type { BoundedRecord, EntityKind, EntityTarget } from "../entities.ts";
import { boundaryNotAttachable } from "../errors.ts";
import { findPolicy } from "../policy-lookup.ts";
import { usePolicy } from "../policy-use.ts";
import { describe } from "../row.ts";
import type { Nothing } from "../shapes.generated.ts";

type WithBoundary = { readonly PermissionsBoundary: string };

/** PutUserPermissionsBoundary, PutRolePermissionsBoundary. */
export const putPermissionsBoundary = <Entity extends BoundedRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & WithBoundary, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Put${kind.label}PermissionsBoundary`, (input: Named & WithBoundary) => ({
    "iam:PermissionsBoundary": input.PermissionsBoundary,
  })),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const entity = existingEntity(kind, target);
    const policy = await findPolicy(read, accountId, input.PermissionsBoundary);
    if (policy === null) throw boundaryNotAttachable(input.PermissionsBoundary);
    const audit = { resources: [entityResource(kind, entity)] };
    const { boundaryArn } = entity;
    if (boundaryArn === policy.arn) return { output: {}, audit };
    return {
      output: {},
      writes: [
        putEntity(kind, { ...entity, boundaryArn: policy.arn }),
        ...(boundaryArn === null ? [] : await usePolicy(read, kind, entity, boundaryArn, { asBoundary: false })),
        ...(await usePolicy(read, kind, entity, policy.arn, { asBoundary: true })),
      ],
      audit,
    };
  },
});

/** DeleteUserPermissionsBoundary, DeleteRolePermissionsBoundary. */
export const deletePermissionsBoundary = <Entity extends BoundedRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe: (input) => describe(input as object),
  access: entityAccess(kind, `iam:Delete${kind.label}PermissionsBoundary`, (_input: Named, entity) =>
    boundaryContext(entity),
  ),
  async handle({ read }, _input, target) {
    const entity = existingEntity(kind, target);
    const audit = { resources: [entityResource(kind, entity)] };
    if (entity.boundaryArn === null) return { output: {}, audit };
    return {
      output: {},
      writes: [
        putEntity(kind, { ...entity, boundaryArn: null }),
        ...(await usePolicy(read, kind, entity, entity.boundaryArn, { asBoundary: false })),
      ],
      audit,
    };
  },
});
