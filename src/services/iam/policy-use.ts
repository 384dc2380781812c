import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { entityName } from "./entities.ts";
import type { EntityKind, EntityRecord } from "./entities.ts";
import { foldedName } from "./model.ts";
import { policyUsers, policyUses } from "./records.ts";
import type { PolicyUseRecord, PolicyUserRecord } from "./records.ts";

const UNUSED: PolicyUseRecord = { attachmentCount: 0, boundaryCount: 0 };

export const useOf = async (read: Reader, accountId: string, arn: string): Promise<PolicyUseRecord> =>
  (await read.get(policyUses, [accountId, arn])) ?? UNUSED;

/** Users, groups and roles may have the same name. A slash is in none of them. */
function entryId<Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  entity: Entity,
  policyArn: string,
): readonly string[] {
  const name = foldedName(entityName(kind, entity));
  return [entity.accountId, policyArn, kind.type === "user" ? name : `${kind.type}/${name}`];
}

const entryOf = <Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  entity: Entity,
  use: Pick<PolicyUserRecord, "asPolicy" | "asBoundary">,
): PolicyUserRecord => ({
  entity: kind.type,
  userName: entityName(kind, entity),
  userId: kind.idOf(entity),
  path: entity.path,
  ...use,
});

/** The writes that record how an entity uses a policy from now on; what is not given stays as it is. */
export async function usePolicy<Entity extends EntityRecord, Named>(
  read: Reader,
  kind: EntityKind<Entity, Named>,
  entity: Entity,
  arn: string,
  change: { readonly asPolicy?: boolean; readonly asBoundary?: boolean },
): Promise<readonly Write[]> {
  const { accountId } = entity;
  const id = entryId(kind, entity, arn);
  const before = await read.get(policyUsers, id);
  const use = await useOf(read, accountId, arn);
  const asPolicy = change.asPolicy ?? before?.asPolicy ?? false;
  const asBoundary = change.asBoundary ?? before?.asBoundary ?? false;
  const after: PolicyUseRecord = {
    attachmentCount: use.attachmentCount + Number(asPolicy) - Number(before?.asPolicy ?? false),
    boundaryCount: use.boundaryCount + Number(asBoundary) - Number(before?.asBoundary ?? false),
  };
  return [
    after.attachmentCount + after.boundaryCount === 0
      ? policyUses.remove([accountId, arn])
      : policyUses.put([accountId, arn], after),
    asPolicy || asBoundary
      ? policyUsers.put(id, entryOf(kind, entity, { asPolicy, asBoundary }))
      : policyUsers.remove(id),
  ];
}

/** The writes that carry an entity's entries over to a new name or path. */
export function renamePolicyUser<Entity extends EntityRecord, Named>(
  kind: EntityKind<Entity, Named>,
  before: Entity,
  after: Entity,
): readonly Write[] {
  const { boundaryArn = null } = before;
  const arns = new Set([...before.attachedPolicyArns, ...(boundaryArn === null ? [] : [boundaryArn])]);
  const writes: Write[] = [];
  for (const arn of arns) {
    const [from, to] = [entryId(kind, before, arn), entryId(kind, after, arn)];
    if (from.at(-1) !== to.at(-1)) writes.push(policyUsers.remove(from));
    const use = { asPolicy: after.attachedPolicyArns.includes(arn), asBoundary: after.boundaryArn === arn };
    writes.push(policyUsers.put(to, entryOf(kind, after, use)));
  }
  return writes;
}
