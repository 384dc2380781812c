/**
 * Users, groups and roles as what they have in common: policies hang on them. What an operation does for one of them it does
 * for all; an `EntityKind` says in what they differ.
 */
import type { ContextValues } from "../../authz/types.ts";
import type { Access, AuditResource, OperationContext } from "../../gateway/contract.ts";
import type { Write } from "../../store/metadata-store.ts";
import type { Reader, Table } from "../../store/table.ts";
import { noSuchNamed } from "./errors.ts";
import {
  ATTACHED_POLICIES_PER_GROUP_MAX,
  ATTACHED_POLICIES_PER_ROLE_MAX,
  ATTACHED_POLICIES_PER_USER_MAX,
  foldedName,
  GROUP_POLICY_SIZE_MAX,
  groupArn,
  ROLE_POLICY_SIZE_MAX,
  roleArn,
  USER_POLICY_SIZE_MAX,
  userArn,
} from "./model.ts";
import type { Tag } from "./model.ts";
import { groups, roles, users } from "./records.ts";
import type { GroupRecord, InlinePolicy, RoleRecord, UserRecord } from "./records.ts";

export interface EntityRecord {
  readonly accountId: string;
  readonly path: string;
  readonly arn: string;
  /** By name, ascending. */
  readonly inlinePolicies: readonly InlinePolicy[];
  readonly attachedPolicyArns: readonly string[];
  /** Groups have neither tags nor a boundary. */
  readonly tags?: readonly Tag[];
  readonly boundaryArn?: string | null;
}

/** A user or a role. */
export type BoundedRecord = EntityRecord & { readonly tags: readonly Tag[]; readonly boundaryArn: string | null };

/** `Named`: the part of a request that names the entity. */
export interface EntityKind<Entity extends EntityRecord, Named> {
  readonly type: "user" | "group" | "role";
  /** As it stands in the names of operations and quotas. */
  readonly label: "User" | "Group" | "Role";
  /** By account, folded name. */
  readonly table: Table<Entity>;
  readonly nameIn: (input: Named) => string;
  readonly named: (entity: Entity) => Named;
  readonly idOf: (entity: Entity) => string;
  readonly arnOf: (accountId: string, path: string, name: string) => string;
  readonly attachedMax: number;
  /** Of all inline policies together, counted as `policySize` does. */
  readonly inlineSizeMax: number;
}

type UserNamed = { readonly UserName: string };
type GroupNamed = { readonly GroupName: string };
type RoleNamed = { readonly RoleName: string };

export const userKind: EntityKind<UserRecord, UserNamed> = {
  type: "user",
  label: "User",
  table: users,
  nameIn: ({ UserName }) => UserName,
  named: ({ userName }) => ({ UserName: userName }),
  idOf: ({ userId }) => userId,
  arnOf: userArn,
  attachedMax: ATTACHED_POLICIES_PER_USER_MAX,
  inlineSizeMax: USER_POLICY_SIZE_MAX,
};

export const groupKind: EntityKind<GroupRecord, GroupNamed> = {
  type: "group",
  label: "Group",
  table: groups,
  nameIn: ({ GroupName }) => GroupName,
  named: ({ groupName }) => ({ GroupName: groupName }),
  idOf: ({ groupId }) => groupId,
  arnOf: groupArn,
  attachedMax: ATTACHED_POLICIES_PER_GROUP_MAX,
  inlineSizeMax: GROUP_POLICY_SIZE_MAX,
};

export const roleKind: EntityKind<RoleRecord, RoleNamed> = {
  type: "role",
  label: "Role",
  table: roles,
  nameIn: ({ RoleName }) => RoleName,
  named: ({ roleName }) => ({ RoleName: roleName }),
  idOf: ({ roleId }) => roleId,
  arnOf: roleArn,
  attachedMax: ATTACHED_POLICIES_PER_ROLE_MAX,
  inlineSizeMax: ROLE_POLICY_SIZE_MAX,
};

/** An entity as a request names it; the record is null when there is none of that name. */
export interface EntityTarget<Entity> {
  readonly name: string;
  readonly record: Entity | null;
}

export const entityName = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  entity: Entity,
): string => kind.nameIn(kind.named(entity));

/** Names are unique without regard to case and found with it. */
export async function findEntity<Entity extends EntityRecord, Named>(
  read: Reader,
  kind: EntityKind<Entity, Named>,
  accountId: string,
  name: string,
): Promise<Entity | null> {
  const entity = await read.get(kind.table, [accountId, foldedName(name)]);
  return entity === null || entityName(kind, entity) !== name ? null : entity;
}

/** @throws NoSuchEntity */
export function existingEntity<Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  target: EntityTarget<Entity>,
): Entity {
  if (target.record === null) throw noSuchNamed(kind.type, target.name);
  return target.record;
}

export const putEntity = <Entity extends EntityRecord, Named>(kind: EntityKind<Entity, Named>, entity: Entity): Write =>
  kind.table.put([entity.accountId, foldedName(entityName(kind, entity))], entity);

export const entityResource = <Entity extends EntityRecord, Named>(
  { label }: EntityKind<Entity, Named>,
  { arn, accountId }: Entity,
): AuditResource => ({ type: `AWS::IAM::${label}`, arn, accountId });

export const resourceTagContext = (tags: readonly Tag[]): ContextValues =>
  Object.fromEntries(
    tags.flatMap(({ key, value }) => [
      [`aws:ResourceTag/${key}`, value],
      [`iam:ResourceTag/${key}`, value],
    ]),
  );

/** `iam:PermissionsBoundary`: the boundary that the user or role has. */
export const boundaryContext = (entity: EntityRecord | null): ContextValues =>
  typeof entity?.boundaryArn === "string" ? { "iam:PermissionsBoundary": entity.boundaryArn } : {};

/**
 * Access to one entity. Whoever may not call the operation learns nothing of whether it exists: a missing one is checked
 * under the ARN that it would have, and a denial names that ARN for one that is elsewhere, too.
 */
export function entityAccess<Entity extends EntityRecord, Named, Input extends Named>(
  kind: EntityKind<Entity, Named>,
  action: string,
  extra: (input: Input, entity: Entity | null) => ContextValues = () => ({}),
): (context: OperationContext, input: Input) => Promise<Access<EntityTarget<Entity>>> {
  return async ({ call, read }, input) => {
    const { accountId, arn: callerArn } = call.principal;
    const name = kind.nameIn(input);
    const entity = await findEntity(read, kind, accountId, name);
    const namedArn = kind.arnOf(accountId, "/", name);
    return {
      target: { name, record: entity },
      checks: [
        {
          action,
          resource: entity?.arn ?? namedArn,
          // A caller knows its own path.
          ...(entity?.arn === callerArn ? {} : { shownResource: namedArn }),
          resourceAccountId: accountId,
          context: { ...resourceTagContext(entity?.tags ?? []), ...extra(input, entity) },
        },
      ],
    };
  };
}
