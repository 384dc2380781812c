import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import {
  type KeyMaterialRecord,
  type KeyRecord,
  idOfKey,
  keyTable,
  materialExpiryId,
  materialExpiryTable,
  materialTable,
} from "./records.ts";

/** Most materials that are read of one key: rotations every 90 days for two thousand years stay below. */
export const MATERIALS_PER_KEY_MAX = 10_000;

/** A key with its materials, by their ids, in the order in which they came. */
export interface MaterialSet {
  readonly key: KeyRecord;
  readonly materials: ReadonlyMap<string, KeyMaterialRecord>;
}

/** Reads all of a key's materials. A later commit that changes them also changes the key, and so conflicts with another one. */
export async function materialsOf(read: Reader, key: KeyRecord): Promise<MaterialSet> {
  const prefix = idOfKey(key);
  const listed = await read.list(materialTable, { prefix, limit: MATERIALS_PER_KEY_MAX });
  const found: [string, KeyMaterialRecord][] = [];
  for (const { id, value } of listed) {
    // Those that may change but stay what they wrap are read singly: meanwhile they may be wrapped under another domain key.
    const material = value.state === "NON_CURRENT" ? value : await read.get(materialTable, id);
    if (material !== null) found.push([id[prefix.length] ?? "", material]);
  }
  return { key, materials: new Map(found.sort(([, a], [, b]) => inOrder(a, b))) };
}

/** The first material, those that rotations brought by their dates, and the one that waits. */
const inOrder = (a: KeyMaterialRecord, b: KeyMaterialRecord): number =>
  Number(isWaiting(a)) - Number(isWaiting(b)) ||
  (a.rotation?.dateMs ?? 0) - (b.rotation?.dateMs ?? 0) ||
  Number(a.state === "CURRENT") - Number(b.state === "CURRENT");

/** Until when a material can be used: 0 when it is not there, infinity when it does not expire. */
const usableUntilMs = (material: KeyMaterialRecord): number =>
  material.wrapped === null ? 0 : (material.imported?.expiresMs ?? Number.POSITIVE_INFINITY);

export const isPresent = (material: KeyMaterialRecord, nowMs: number): boolean => usableUntilMs(material) > nowMs;

/** Imported for a rotation that has not come yet: not part of the key until then. */
export const isWaiting = (material: KeyMaterialRecord): boolean =>
  material.state === "PENDING_ROTATION" || material.state === "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";

/** The id and record of the first material for which `holds` says so. */
export function findMaterial(
  { materials }: MaterialSet,
  holds: (material: KeyMaterialRecord) => boolean,
): readonly [id: string, material: KeyMaterialRecord] | null {
  for (const entry of materials) if (holds(entry[1])) return entry;
  return null;
}

export const currentMaterial = (set: MaterialSet): readonly [id: string, material: KeyMaterialRecord] | null =>
  findMaterial(set, ({ state }) => state === "CURRENT");

/** What a key is after a change to its materials, and what has to be stored for it, its own record left out. */
export interface MaterialChange {
  readonly key: KeyRecord;
  readonly writes: readonly Write[];
}

/** Puts (null: removes) materials of a key, and makes the key's own record agree with them. */
export function changeMaterials(
  before: MaterialSet,
  changes: ReadonlyMap<string, KeyMaterialRecord | null>,
): MaterialChange {
  const { key } = before;
  const after = new Map(before.materials);
  const writes: Write[] = [];
  for (const [id, changed] of changes) {
    const oldExpiryMs = before.materials.get(id)?.imported?.expiresMs ?? null;
    const newExpiryMs = changed?.imported?.expiresMs ?? null;
    if (oldExpiryMs !== newExpiryMs) {
      if (oldExpiryMs !== null) writes.push(materialExpiryTable.remove(materialExpiryId(key, id, oldExpiryMs)));
      if (newExpiryMs !== null) writes.push(materialExpiryTable.put(materialExpiryId(key, id, newExpiryMs), {}));
    }
    const recordId = [...idOfKey(key), id];
    if (changed === null) {
      after.delete(id);
      writes.push(materialTable.remove(recordId));
    } else {
      after.set(id, changed);
      writes.push(materialTable.put(recordId, changed));
    }
  }
  return { key: agreeing(key, after), writes };
}

function agreeing(key: KeyRecord, materials: ReadonlyMap<string, KeyMaterialRecord>): KeyRecord {
  let current: readonly [id: string, material: KeyMaterialRecord] | null = null;
  let olderUntilMs = Number.POSITIVE_INFINITY;
  for (const [id, material] of materials) {
    if (material.state === "CURRENT") current = [id, material];
    if (material.state === "NON_CURRENT") olderUntilMs = Math.min(olderUntilMs, usableUntilMs(material));
  }
  const currentUntilMs = current === null ? Number.POSITIVE_INFINITY : usableUntilMs(current[1]);
  return {
    ...key,
    materialId: current?.[0] ?? null,
    materialExpiresMs: currentUntilMs === Number.POSITIVE_INFINITY ? null : currentUntilMs,
    olderMaterialsUntilMs: olderUntilMs === Number.POSITIVE_INFINITY ? null : olderUntilMs,
    materialsRevision: key.materialsRevision + 1,
  };
}

/** The same as one list of writes, for a key that is not the one that the request names. */
export const changeWrites = ({ key, writes }: MaterialChange): readonly Write[] => [
  keyTable.put(idOfKey(key), key),
  ...writes,
];

/** A material without what it wraps: deleted, or expired. */
export const withoutContent = (material: KeyMaterialRecord): KeyMaterialRecord => ({
  ...material,
  wrapped: null,
  imported: material.imported === null ? null : { ...material.imported, expiresMs: null },
});

/** Removes all of a key's materials, for a key that goes. */
export async function materialRemovals(read: Reader, key: KeyRecord): Promise<readonly Write[]> {
  const set = await materialsOf(read, key);
  return changeMaterials(set, new Map([...set.materials.keys()].map((id) => [id, null]))).writes;
}
