import type { AuditLog } from "../../audit/log.ts";
import type { Random } from "../../base/random.ts";
import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { factsOf } from "./key-specs.ts";
import {
  type MaterialChange,
  type MaterialSet,
  changeMaterials,
  changeWrites,
  currentMaterial,
  findMaterial,
  isPresent,
  materialsOf,
} from "./material-set.ts";
import type { KeyMaterials } from "./materials.ts";
import { isPrimary } from "./model.ts";
import { relatedKeys } from "./multi-region.ts";
import { type KeyMaterialRecord, type KeyRecord, rotationId, rotationTable } from "./records.ts";
import { serviceEvent } from "./service-events.ts";
import type { RotationType } from "./shapes.generated.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Default of EnableKeyRotation, and the period of AWS managed keys. */
export const ROTATION_PERIOD_DAYS_DEFAULT = 365;

export const rotationFrom = (periodDays: number, nowMs: number): NonNullable<KeyRecord["rotation"]> => ({
  periodDays,
  nextMs: nowMs + periodDays * DAY_MS,
});

/**
 * When a key is due to be rotated by the clock. Null: rotation is off, or pauses because the key is not in use, or the key is
 * a replica, which is rotated with its primary.
 */
export function rotationDueMs(key: KeyRecord | null): number | null {
  if (key === null || !key.enabled || key.deletionDateMs !== null || key.replicaDeletionDays !== null) return null;
  return key.multiRegion === null || isPrimary(key) ? (key.rotation?.nextMs ?? null) : null;
}

/** Keeps the table of what is rotated next in step with a key that changes. `before` null: it is new. `after` null: it goes. */
export function rotationWrites(before: KeyRecord | null, after: KeyRecord | null): readonly Write[] {
  const [oldMs, newMs] = [rotationDueMs(before), rotationDueMs(after)];
  if (oldMs === newMs) return [];
  return [
    ...(before === null || oldMs === null ? [] : [rotationTable.remove(rotationId(before, oldMs))]),
    ...(after === null || newMs === null ? [] : [rotationTable.put(rotationId(after, newMs), {})]),
  ];
}

export interface RotationDeps {
  readonly materials: KeyMaterials;
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly random: Random;
}

/**
 * Gives a key, and all keys related to it, their next material: a new one, or of imported ones the one that waits. Null when
 * none waits. The change holds everything but the record of `key` itself.
 */
export async function rotateKey(
  deps: RotationDeps,
  read: Reader,
  key: KeyRecord,
  type: RotationType,
  nowMs: number,
): Promise<MaterialChange | null> {
  const sets: MaterialSet[] = [];
  for (const member of [key, ...(await relatedKeys(read, key))]) sets.push(await materialsOf(read, member));
  const next = key.origin === "EXTERNAL" ? waitingMaterial(sets, nowMs) : newMaterial(deps.materials, sets, nowMs);
  if (next === null) return null;
  const changes = sets.map((set, index) => {
    const material = next.records[index];
    const change = material === undefined ? null : advance(set, next.id, material, type, nowMs);
    const event = serviceEvent(
      set.key,
      index === 0
        ? {
            eventName: "RotateKey",
            rotationType: type,
            previousKeyMaterialId: currentMaterial(set)?.[0],
            currentKeyMaterialId: next.id,
          }
        : { eventName: "SynchronizeMultiRegionKey" },
      deps.random.uuid(),
      nowMs,
    );
    return change === null ? null : { ...change, writes: [...change.writes, ...deps.auditLog.entry(event)] };
  });
  const [own, ...others] = changes;
  if (own === undefined || own === null) return null;
  return {
    key: own.key,
    writes: [...own.writes, ...others.flatMap((change) => (change === null ? [] : changeWrites(change)))],
  };
}

interface NextMaterial {
  readonly id: string;
  /** One for each set, in their order; undefined: that key does not know it. */
  readonly records: readonly (KeyMaterialRecord | undefined)[];
}

function waitingMaterial(sets: readonly MaterialSet[], nowMs: number): NextMaterial | null {
  const [own] = sets;
  const found =
    own === undefined
      ? null
      : findMaterial(own, (material) => material.state === "PENDING_ROTATION" && isPresent(material, nowMs));
  if (found === null) return null;
  const [id] = found;
  const records = sets.map(({ materials }) => materials.get(id));
  // In a related key it may have expired a moment ago: rotated to it, that key could no longer be used.
  const isEverywhere = records.every((material) => material !== undefined && isPresent(material, nowMs));
  return isEverywhere ? { id, records } : null;
}

function newMaterial(materials: KeyMaterials, sets: readonly MaterialSet[], nowMs: number): NextMaterial {
  const id = materials.newId();
  const [own] = sets;
  const byteLength = own === undefined ? undefined : factsOf(own.key.keySpec).materialBytes;
  if (byteLength === undefined) throw new Error("a key that is not made of random bytes is not rotated");
  const wrapped = materials.make(
    sets.map(({ key }) => key),
    id,
    byteLength,
  );
  return {
    id,
    records: wrapped.map((text) => ({
      createdMs: nowMs,
      wrapped: text,
      state: "CURRENT",
      rotation: null,
      imported: null,
    })),
  };
}

function advance(
  set: MaterialSet,
  id: string,
  material: KeyMaterialRecord,
  type: RotationType,
  nowMs: number,
): MaterialChange {
  const changes = new Map<string, KeyMaterialRecord>();
  const old = currentMaterial(set);
  if (old !== null) changes.set(old[0], { ...old[1], state: "NON_CURRENT" });
  changes.set(id, { ...material, state: "CURRENT", rotation: { dateMs: nowMs, type } });
  const change = changeMaterials(set, changes);
  const { rotation } = change.key;
  const key: KeyRecord =
    type === "AUTOMATIC" && rotation !== null ? { ...change.key, rotation: behind(rotation, nowMs) } : change.key;
  return { key, writes: [...change.writes, ...rotationWrites(set.key, key)] };
}

/** The next date of a schedule behind this instant. Dates that went by while the key or the server rested are not made up for. */
function behind(rotation: NonNullable<KeyRecord["rotation"]>, nowMs: number): NonNullable<KeyRecord["rotation"]> {
  const periodMs = rotation.periodDays * DAY_MS;
  const periods = Math.max(1, Math.floor((nowMs - rotation.nextMs) / periodMs) + 1);
  return { ...rotation, nextMs: rotation.nextMs + periods * periodMs };
}
