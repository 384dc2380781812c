import type { Reader } from "../../../store/table.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { boundaryContext, entityAccess, entityResource, existingEntity, putEntity } from "../entities.ts";
import type { BoundedRecord, EntityKind, EntityTarget } from "../entities.ts";
import { boundaryNotAttachable } from "../errors.ts";
import { findPolicy } from "../policy-lookup.ts";
import { usePolicy } from "../policy-use.ts";
import { describe } from "../row.ts";
import type { Nothing } from "../shapes.generated.ts";

type WithBoundary = { readonly PermissionsBoundary: string };

/** The boundary that a user or role is made with, if any. Throws unless the policy is there. */
export async function boundaryOf(
  read: Reader,
  accountId: string,
  { PermissionsBoundary }: { readonly PermissionsBoundary?: string | undefined },
): Promise<string | null> {
  return PermissionsBoundary === undefined ? null : await existingBoundary(read, accountId, PermissionsBoundary);
}

async function existingBoundary(read: Reader, accountId: string, arn: string): Promise<string> {
  const policy = await findPolicy(read, accountId, arn);
  if (policy === null) throw boundaryNotAttachable(arn);
  return policy.arn;
}

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
    const newArn = await existingBoundary(read, accountId, input.PermissionsBoundary);
    const audit = { resources: [entityResource(kind, entity)] };
    const { boundaryArn } = entity;
    if (boundaryArn === newArn) return { output: {}, audit };
    return {
      output: {},
      writes: [
        putEntity(kind, { ...entity, boundaryArn: newArn }),
        ...(boundaryArn === null ? [] : await usePolicy(read, kind, entity, boundaryArn, { asBoundary: false })),
        ...(await usePolicy(read, kind, entity, newArn, { asBoundary: true })),
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
