import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import {
  type MaterialChange,
  type MaterialSet,
  changeMaterials,
  changeWrites,
  findMaterial,
  isPresent,
  isWaiting,
  materialsOf,
  withoutContent,
} from "./material-set.ts";
import type { KeyMaterials } from "./materials.ts";
import { isPrimary } from "./model.ts";
import { relatedKeys } from "./multi-region.ts";
import type { KeyMaterialRecord, KeyRecord } from "./records.ts";

/*
 * The related keys of a multi-Region key have the same materials. What was made here is the same everywhere at once. What is
 * imported is known everywhere by its id, and is imported Region by Region; new material waits until it is in all of them.
 */

const waitingForImport = (material: KeyMaterialRecord): KeyMaterialRecord => ({
  ...material,
  state: "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
});

/** Related keys as they are once there is a new replica, and the writes for their materials; their own records are left out. */
export interface Replication {
  readonly replica: KeyRecord;
  readonly primary: KeyRecord;
  readonly others: readonly KeyRecord[];
  readonly writes: readonly Write[];
}

/**
 * What a new replica has of its primary's materials. Imported material that waits for its rotation waits for the new replica
 * too, which changes the whole family.
 */
export async function replicaMaterials(
  materials: Pick<KeyMaterials, "copy">,
  read: Reader,
  primary: KeyRecord,
  replica: KeyRecord,
): Promise<Replication> {
  const set = await materialsOf(read, primary);
  const copies = [...set.materials].map(([id, material]): [string, KeyMaterialRecord] => {
    if (material.imported === null && material.wrapped !== null) {
      return [id, { ...material, wrapped: materials.copy(primary, replica, id, material.wrapped) }];
    }
    return [id, isWaiting(material) ? waitingForImport(withoutContent(material)) : withoutContent(material)];
  });
  const made = changeMaterials({ key: replica, materials: new Map() }, new Map(copies));
  const waiting = findMaterial(set, ({ state }) => state === "PENDING_ROTATION");
  const related = await relatedKeys(read, primary);
  if (waiting === null) return { replica: made.key, primary, others: related, writes: made.writes };
  const [id] = waiting;
  const changed = changeMaterials(set, new Map([[id, waitingForImport(waiting[1])]]));
  const others = await changeRelated(read, related, id, waitingForImport);
  return {
    replica: made.key,
    primary: changed.key,
    others: others.map(({ key }) => key),
    writes: [...made.writes, ...changed.writes, ...others.flatMap(({ writes }) => writes)],
  };
}

/** The same change to one material of each key, where it is known. */
async function changeRelated(
  read: Reader,
  keys: readonly KeyRecord[],
  materialId: string,
  change: (material: KeyMaterialRecord) => KeyMaterialRecord | null,
): Promise<readonly MaterialChange[]> {
  const changes: MaterialChange[] = [];
  for (const key of keys) {
    const set = await materialsOf(read, key);
    const material = set.materials.get(materialId);
    if (material === undefined) changes.push({ key, writes: [] });
    else changes.push(changeMaterials(set, new Map([[materialId, change(material)]])));
  }
  return changes;
}

/** New material for a later rotation: waits in the key, and for a family's primary in its replicas, which import it next. */
export async function addWaiting(
  read: Reader,
  set: MaterialSet,
  materialId: string,
  material: KeyMaterialRecord,
): Promise<MaterialChange> {
  const related = await relatedKeys(read, set.key);
  const waiting: KeyMaterialRecord =
    related.length === 0 ? { ...material, state: "PENDING_ROTATION" } : waitingForImport(material);
  const { key, writes } = changeMaterials(set, new Map([[materialId, waiting]]));
  const others: Write[] = [];
  for (const replica of related) {
    const known = await materialsOf(read, replica);
    others.push(...changeWrites(changeMaterials(known, new Map([[materialId, withoutContent(waiting)]]))));
  }
  return { key, writes: [...writes, ...others] };
}

/** Material that the key knows comes back. One that waits is ready for rotation once every related key has it. */
export async function restore(
  read: Reader,
  set: MaterialSet,
  materialId: string,
  material: KeyMaterialRecord,
  nowMs: number,
): Promise<MaterialChange> {
  const unchanged = changeMaterials(set, new Map([[materialId, material]]));
  if (material.state !== "PENDING_MULTI_REGION_IMPORT_AND_ROTATION") return unchanged;
  const related = await relatedKeys(read, set.key);
  for (const other of related) {
    const theirs = (await materialsOf(read, other)).materials.get(materialId);
    if (theirs === undefined || !isPresent(theirs, nowMs)) return unchanged;
  }
  const ready = (waiting: KeyMaterialRecord): KeyMaterialRecord => ({ ...waiting, state: "PENDING_ROTATION" });
  const { key, writes } = changeMaterials(set, new Map([[materialId, ready(material)]]));
  const changes = await changeRelated(read, related, materialId, ready);
  return { key, writes: [...writes, ...changes.flatMap(changeWrites)] };
}

/**
 * Imported material goes: it was deleted, or has expired. The key still knows it, so that it can be imported again. What
 * waits for a rotation is not part of the key yet and is forgotten altogether, by the replicas too if the primary loses it.
 * If a replica does, all related keys wait until it has been imported there again.
 */
export async function destroy(read: Reader, set: MaterialSet, materialId: string): Promise<MaterialChange> {
  const material = set.materials.get(materialId);
  if (material === undefined) return { key: set.key, writes: [] };
  const { key } = set;
  if (!isWaiting(material)) return changeMaterials(set, new Map([[materialId, withoutContent(material)]]));
  if (key.multiRegion !== null && !isPrimary(key))
    return await destroyWaitingInReplica(read, set, materialId, material);
  const own = changeMaterials(set, new Map([[materialId, null]]));
  const changes = await changeRelated(read, await relatedKeys(read, key), materialId, () => null);
  return { key: own.key, writes: [...own.writes, ...changes.flatMap(changeWrites)] };
}

async function destroyWaitingInReplica(
  read: Reader,
  set: MaterialSet,
  materialId: string,
  material: KeyMaterialRecord,
): Promise<MaterialChange> {
  const own = changeMaterials(set, new Map([[materialId, waitingForImport(withoutContent(material))]]));
  if (material.state !== "PENDING_ROTATION") return own;
  const changes = await changeRelated(read, await relatedKeys(read, set.key), materialId, waitingForImport);
  return { key: own.key, writes: [...own.writes, ...changes.flatMap(changeWrites)] };
}
