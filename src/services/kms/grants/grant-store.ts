import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import { limitExceeded } from "../errors.ts";
import { idOfKey, type KeyRecord } from "../records.ts";
import { digestOf } from "./constraints.ts";
import { useRows, useWrites } from "./grant-index.ts";
import {
  countTable,
  granteeTable,
  type GrantParty,
  type GrantRecord,
  grantTable,
  type GrantTerms,
  namedTable,
  retirableTable,
  useTable,
} from "./records.ts";

/** One count would make every two grants that are made at the same time conflict. */
const COUNT_PARTS = 16;
/** Grants that `removeGrants` takes at once; each has up to two dozen rows. */
const REMOVED_AT_ONCE = 100;

/** Names the terms of a grant together with its name and who made it: a request that is sent again has the same. */
export function termsDigest(terms: GrantTerms, issuingAccountId: string): string {
  const { name, grantee, retiring, operations, limits } = terms;
  const exact = (context: GrantTerms["limits"]["equals"]): unknown =>
    context === null ? null : Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return digestOf(
    JSON.stringify([
      name,
      issuingAccountId,
      partyOf(grantee),
      retiring === null ? null : partyOf(retiring),
      operations,
      exact(limits.equals),
      exact(limits.subset),
      limits.sourceArn,
    ]),
  );
}

const partyOf = ({ type, name, id }: GrantParty): readonly string[] =>
  id === undefined ? [type, name] : [type, name, id];

/**
 * Everything that is stored of a new grant. Throws LimitExceededException when the key has `countMax` already (KMS quota
 * "Grants for each KMS key").
 */
export async function addGrant(
  read: Reader,
  key: KeyRecord,
  grant: GrantRecord,
  countMax: number,
): Promise<readonly Write[]> {
  await requireRoom(read, key, countMax);
  const id = idOfKey(key);
  const { grantId, retiring } = grant;
  return [
    grantTable.put([...id, grantId], grant),
    ...useWrites(key, grant),
    granteeTable.put([...id, grant.grantee.name, grantId], {}),
    ...(retiring === null ? [] : [retirableTable.put(retirableId(key, retiring.name, grantId), {})]),
    ...(grant.name === null ? [] : [namedTable.put([...id, termsDigest(grant, grant.issuingAccountId)], { grantId })]),
    await countWrite(read, key, grantId, 1),
  ];
}

/** All that `addGrant` stored. */
export async function dropGrant(read: Reader, key: KeyRecord, grant: GrantRecord): Promise<readonly Write[]> {
  return [...removals(key, grant), await countWrite(read, key, grant.grantId, -1)];
}

/**
 * Removes grants of a key that is gone, some at a time: commit what this answers and ask again, until it is empty. A key
 * has up to 50,000 grants, too many for one commit.
 */
export async function removeGrants(read: Reader, key: KeyRecord): Promise<readonly Write[]> {
  const grants = await read.list(grantTable, { prefix: idOfKey(key), limit: REMOVED_AT_ONCE });
  if (grants.length > 0) return grants.flatMap(({ value }) => removals(key, value));
  const counts = await read.list(countTable, { prefix: idOfKey(key), limit: COUNT_PARTS });
  return counts.map((count) => countTable.remove(count.id));
}

function removals(key: KeyRecord, grant: GrantRecord): Write[] {
  const id = idOfKey(key);
  const { grantId, retiring } = grant;
  return [
    grantTable.remove([...id, grantId]),
    ...useRows(key, grant).map((row) => useTable.remove(row)),
    granteeTable.remove([...id, grant.grantee.name, grantId]),
    ...(retiring === null ? [] : [retirableTable.remove(retirableId(key, retiring.name, grantId))]),
    ...(grant.name === null ? [] : [namedTable.remove([...id, termsDigest(grant, grant.issuingAccountId)])]),
  ];
}

const retirableId = (key: KeyRecord, retiring: string, grantId: string): readonly string[] => [
  key.region,
  retiring,
  key.accountId,
  key.keyId,
  grantId,
];

/** Grant ids are random, so their first digit spreads them evenly. */
const countId = (key: KeyRecord, part: string): readonly string[] => [...idOfKey(key), part];

async function countWrite(read: Reader, key: KeyRecord, grantId: string, by: 1 | -1): Promise<Write> {
  const id = countId(key, grantId.charAt(0));
  const count = (await read.get(countTable, id))?.count ?? 0;
  return countTable.put(id, { count: Math.max(0, count + by) });
}

/**
 * The parts are listed, which guards none of them against changes, so that two grants at the same time seldom conflict:
 * what is listed is short by less than one for each part. Only near the limit each is read for certain.
 */
async function requireRoom(read: Reader, key: KeyRecord, countMax: number): Promise<void> {
  const parts = await read.list(countTable, { prefix: idOfKey(key), limit: COUNT_PARTS });
  const counted = parts.reduce((total, { value }) => total + value.count, 0);
  if (counted < countMax - COUNT_PARTS) return;
  let total = 0;
  for (let part = 0; part < COUNT_PARTS; part++) {
    total += (await read.get(countTable, countId(key, part.toString(16))))?.count ?? 0;
  }
  if (total >= countMax) throw limitExceeded(`A KMS key can have at most ${countMax} grants.`);
}
