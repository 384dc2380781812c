/** The policies of a stored user, group or role, for the simulator. */
import type { AuthorizationPrincipal } from "../../authz/types.ts";
import { parseArn } from "../../base/arn.ts";
import { ServiceError } from "../../base/errors.ts";
import type { AccessCheck, OperationContext } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { findEntity, groupKind, resourceTagContext, roleKind, userKind } from "./entities.ts";
import type { EntityRecord } from "./entities.ts";
import { invalidInput, noSuchNamed } from "./errors.ts";
import { findPolicy } from "./policy-lookup.ts";
import { groups } from "./records.ts";
import type { GroupRecord, RoleRecord, UserRecord } from "./records.ts";
import type { Pace } from "./simulation-pace.ts";
import {
  simulatedPolicies,
  simulatedPolicy,
  type PolicySimulator,
  type PolicySource,
  type SimulatedPolicy,
} from "./simulator.ts";

/** What a PolicySourceArn names; `entity` is null when there is none of that ARN. */
export type SourceTarget =
  | { readonly type: "user"; readonly name: string; readonly entity: UserRecord | null }
  | { readonly type: "group"; readonly name: string; readonly entity: GroupRecord | null }
  | { readonly type: "role"; readonly name: string; readonly entity: RoleRecord | null };

const ENTITY = /^(user|group|role)\/(?:[!-~]+\/)?([\w+=,.@-]{1,128})$/;

/**
 * Of another account than the caller's nothing is read: by the kind of its denial, or by a condition on tags, the caller would
 * learn what is there.
 * @throws InvalidInput unless the text is the ARN of a user, group or role
 */
async function findSource(
  read: Reader,
  arn: string,
  callerAccountId: string,
): Promise<{ target: SourceTarget; accountId: string }> {
  const parsed = parseArn(arn);
  const [, type, name = ""] = ENTITY.exec(parsed?.resource ?? "") ?? [];
  if (parsed === null || parsed.service !== "iam" || parsed.region !== "" || type === undefined) {
    throw invalidInput(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`);
  }
  const { accountId } = parsed;
  if (accountId !== callerAccountId) {
    return { accountId, target: { type: type as SourceTarget["type"], name, entity: null } };
  }
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
  { read, call }: OperationContext,
  action: string,
  arn: string,
): Promise<{ readonly target: SourceTarget; readonly checks: readonly AccessCheck[] }> {
  const { target, accountId } = await findSource(read, arn, call.principal.accountId);
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
  pace: Pace,
): Promise<SourcePolicies> {
  if (entity === null) throw noSuchNamed(type, name);
  const ofGroups = type === "user" ? await groupsOf(read, entity) : [];
  const holders: readonly (readonly ["user" | "group" | "role", EntityRecord])[] = [
    [type, entity],
    ...ofGroups.map((group) => ["group", group] as const),
  ];
  // As AWS calls them: `user_ann_PolicyName`. No path is part of it.
  const inline = holders.flatMap(([holder, { arn, inlinePolicies }]) =>
    inlinePolicies.map(({ name: policyName, document }) => ({
      id: `${holder}_${arn.split("/").at(-1) ?? ""}_${policyName}`,
      type: holder,
      document,
    })),
  );
  // What is attached to a user and to its groups as well counts once.
  const arns = new Set(holders.flatMap(([, { attachedPolicyArns }]) => attachedPolicyArns));
  const { accountId } = entity;
  const attached = await Promise.all([...arns].map((arn) => managed(read, accountId, arn)));
  const boundaryArn = (entity as EntityRecord).boundaryArn ?? null;
  return {
    identity: await simulatedPolicies(simulator, [...inline, ...attached], pace),
    boundary:
      boundaryArn === null
        ? null
        : await simulatedPolicy(simulator, await managed(read, accountId, boundaryArn), pace, "boundary"),
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

async function managed(read: Reader, accountId: string, arn: string): Promise<PolicySource> {
  const policy = await findPolicy(read, accountId, arn);
  if (policy === null) {
    throw new ServiceError("PolicyEvaluation", `The policy ${arn} could not be evaluated.`, { status: 500 });
  }
  const type = policy.record === null ? "aws-managed" : "user-managed";
  return { id: policy.policyName, type, document: policy.defaultDocument };
}
