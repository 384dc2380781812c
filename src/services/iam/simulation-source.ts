/** The policies of a stored user, group or role, for the simulator. */
import type { AuthorizationPrincipal } from "../../authz/types.ts";
import { parseArn } from "../../base/arn.ts";
import { ServiceError } from "../../base/errors.ts";
import type { AccessCheck } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { findEntity, groupKind, resourceTagContext, roleKind, userKind } from "./entities.ts";
import type { EntityRecord } from "./entities.ts";
import { invalidInput, noSuchNamed } from "./errors.ts";
import { findPolicy } from "./policy-lookup.ts";
import { groups } from "./records.ts";
import type { GroupRecord, RoleRecord, UserRecord } from "./records.ts";
import { simulatedPolicy, type PolicySimulator, type SimulatedPolicy } from "./simulator.ts";

/** What a PolicySourceArn names; `entity` is null when there is none of that ARN. */
export type SourceTarget =
  | { readonly type: "user"; readonly name: string; readonly entity: UserRecord | null }
  | { readonly type: "group"; readonly name: string; readonly entity: GroupRecord | null }
  | { readonly type: "role"; readonly name: string; readonly entity: RoleRecord | null };

const ENTITY = /^(user|group|role)\/(?:[!-~]+\/)?([\w+=,.@-]{1,128})$/;

/** @throws InvalidInput unless the text is the ARN of a user, group or role */
export async function findSource(read: Reader, arn: string): Promise<{ target: SourceTarget; accountId: string }> {
  const parsed = parseArn(arn);
  const [, type, name = ""] = ENTITY.exec(parsed?.resource ?? "") ?? [];
  if (parsed === null || parsed.service !== "iam" || parsed.region !== "" || type === undefined) {
    throw invalidInput(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`);
  }
  const { accountId } = parsed;
  // The path is part of the ARN but not of the key: under another path stands another, absent entity.
  const at = <Entity extends EntityRecord>(entity: Entity | null): Entity | null =>
    entity?.arn === arn ? entity : null;
  switch (type) {
    case "user":
      return { accountId, target: { type, name, entity: at(await findEntity(read, userKind, accountId, name)) } };
    case "group":
      return { accountId, target: { type, name, entity: at(await findEntity(read, groupKind, accountId, name)) } };
    default:
      return {
        accountId,
        target: { type: "role", name, entity: at(await findEntity(read, roleKind, accountId, name)) },
      };
  }
}

/** Whoever may not simulate learns nothing of whether the entity exists. */
export async function sourceAccess(
  read: Reader,
  action: string,
  arn: string,
): Promise<{ readonly target: SourceTarget; readonly checks: readonly AccessCheck[] }> {
  const { target, accountId } = await findSource(read, arn);
  const tags: EntityRecord["tags"] = (target.entity as EntityRecord | null)?.tags;
  return {
    target,
    checks: [{ action, resource: arn, resourceAccountId: accountId, context: resourceTagContext(tags ?? []) }],
  };
}

export interface SourcePolicies {
  readonly identity: readonly SimulatedPolicy[];
  readonly boundary: SimulatedPolicy | null;
  /** Who would ask; null for a group, which cannot. */
  readonly principal: AuthorizationPrincipal | null;
}

/** Inline and attached policies, for a user with those of its groups. @throws NoSuchEntity */
export async function policiesOfSource(
  read: Reader,
  simulator: PolicySimulator,
  { type, name, entity }: SourceTarget,
): Promise<SourcePolicies> {
  if (entity === null) throw noSuchNamed(type, name);
  const ofGroups = type === "user" ? await groupsOf(read, entity) : [];
  const holders: readonly (readonly ["user" | "group" | "role", EntityRecord])[] = [
    [type, entity],
    ...ofGroups.map((group) => ["group", group] as const),
  ];
  const inline = holders.flatMap(([holder, { inlinePolicies }]) =>
    inlinePolicies.map((policy) =>
      simulatedPolicy(simulator, { id: policy.name, type: holder, document: policy.document }),
    ),
  );
  // What is attached to a user and to its groups as well counts once.
  const arns = new Set(holders.flatMap(([, { attachedPolicyArns }]) => attachedPolicyArns));
  const { accountId } = entity;
  const attached = await Promise.all([...arns].map((arn) => managed(read, simulator, accountId, arn, "identity")));
  const boundaryArn = (entity as EntityRecord).boundaryArn ?? null;
  return {
    identity: [...inline, ...attached],
    boundary: boundaryArn === null ? null : await managed(read, simulator, accountId, boundaryArn, "boundary"),
    principal: type === "group" ? null : principalOf(type, entity),
  };
}

function principalOf(
  type: "user" | "role",
  { arn, accountId, ...entity }: UserRecord | RoleRecord,
): AuthorizationPrincipal {
  if (type === "user") return { type: "User", arn, accountId, userId: "userId" in entity ? entity.userId : "" };
  // A session of the role, whatever it would be called.
  const role = "roleName" in entity ? { name: entity.roleName, id: entity.roleId } : { name: "", id: "" };
  return {
    type: "AssumedRole",
    arn: `arn:aws:sts::${accountId}:assumed-role/${role.name}/simulation`,
    accountId,
    userId: `${role.id}:simulation`,
    roleArn: arn,
    roleId: role.id,
  };
}

async function groupsOf(read: Reader, user: UserRecord | RoleRecord | GroupRecord): Promise<readonly GroupRecord[]> {
  const names = "groupNames" in user ? (user.groupNames ?? []) : [];
  const found = await Promise.all(names.map((name) => read.get(groups, [user.accountId, name])));
  return found.flatMap((group) => (group === null ? [] : [group]));
}

async function managed(
  read: Reader,
  simulator: PolicySimulator,
  accountId: string,
  arn: string,
  kind: "identity" | "boundary",
): Promise<SimulatedPolicy> {
  const policy = await findPolicy(read, accountId, arn);
  if (policy === null) {
    throw new ServiceError("PolicyEvaluation", `The policy ${arn} could not be evaluated.`, { status: 500 });
  }
  const type = policy.record === null ? "aws-managed" : "user-managed";
  return simulatedPolicy(simulator, { id: policy.policyName, type, document: policy.defaultDocument }, kind);
}
