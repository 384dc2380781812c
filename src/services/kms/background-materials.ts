import type { RecordReader } from "../../store/caching-reader.ts";
import type { Table } from "../../store/table.ts";
import type { BackgroundDeps } from "./background.ts";
import { destroy } from "./material-family.ts";
import { changeWrites, materialsOf } from "./material-set.ts";
import { keyArnOf, keyStateOf } from "./model.ts";
import { keyTable, materialExpiryId, materialExpiryTable, rotationId, rotationTable } from "./records.ts";
import { rotateKey, rotationDueMs } from "./rotation.ts";
import { serviceEvent } from "./service-events.ts";

type Due = Table<Record<string, never>>;

/** How many rows one look takes. */
const BATCH = 100;
/** How often a row is tried again at once when what it was decided on has changed; after that the next look finds it. */
const CONFLICT_RETRIES_MAX = 4;

type Attempt = "committed" | "conflict";

/** Rotates every key whose date has come. The row of one that is just being made stays, and is looked at again. */
export async function rotateDueKeys(deps: BackgroundDeps): Promise<void> {
  const nowMs = deps.clock.wallMs();
  await eachDue(deps.reader, rotationTable, nowMs, (id) => rotateDueKey(deps, id, nowMs));
}

async function rotateDueKey(deps: BackgroundDeps, id: readonly string[], nowMs: number): Promise<Attempt> {
  const tracking = deps.reader.tracking();
  const { reader: read } = tracking;
  const [, ...keyId] = id;
  const key = await read.get(keyTable, keyId);
  const dueMs = rotationDueMs(key);
  if (key === null || dueMs === null || !isSame(id, rotationId(key, dueMs))) {
    return await deps.store.commit({ expect: tracking.expectations(), writes: [rotationTable.remove(id)] });
  }
  if (!["Enabled", "Updating"].includes(keyStateOf(key, nowMs))) return "committed";
  const change = await rotateKey(deps, read, key, "AUTOMATIC", nowMs);
  if (change === null) return "committed";
  return await deps.store.commit({ expect: tracking.expectations(), writes: changeWrites(change) });
}

/** Destroys imported material that has expired. To callers it is gone since that instant; this makes it physical. */
export async function destroyExpiredMaterials(deps: BackgroundDeps): Promise<void> {
  const nowMs = deps.clock.wallMs();
  await eachDue(deps.reader, materialExpiryTable, nowMs, (id) => destroyExpired(deps, id, nowMs));
}

async function destroyExpired(deps: BackgroundDeps, id: readonly string[], nowMs: number): Promise<Attempt> {
  const tracking = deps.reader.tracking();
  const { reader: read } = tracking;
  const materialId = id.at(-1) ?? "";
  const key = await read.get(keyTable, id.slice(1, -1));
  const set = key === null ? null : await materialsOf(read, key);
  const expiresMs = set?.materials.get(materialId)?.imported?.expiresMs ?? null;
  if (set === null || expiresMs === null || !isSame(id, materialExpiryId(set.key, materialId, expiresMs))) {
    return await deps.store.commit({ expect: tracking.expectations(), writes: [materialExpiryTable.remove(id)] });
  }
  const event = serviceEvent(
    set.key,
    { eventName: "DeleteExpiredKeyMaterial", keyMaterialId: materialId },
    deps.random.uuid(),
    nowMs,
  );
  const writes = [...changeWrites(await destroy(read, set, materialId)), ...deps.auditLog.entry(event)];
  const outcome = await deps.store.commit({ expect: tracking.expectations(), writes });
  if (outcome === "committed") deps.materials.forget(keyArnOf(set.key));
  return outcome;
}

/** Runs for every row of a table ordered by time whose time has come. One that fails does not keep those behind it. */
async function eachDue(
  reader: RecordReader,
  table: Due,
  nowMs: number,
  run: (id: readonly string[]) => Promise<Attempt>,
): Promise<void> {
  const failures: unknown[] = [];
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await reader.list(table, { prefix: [], after, limit: BATCH });
    const due = page.filter(({ id }) => Number(id[0]) <= nowMs);
    for (const { id } of due) await tried(() => run(id)).catch((error: unknown) => failures.push(error));
    if (due.length < BATCH) break;
    after = page.at(-1)?.id;
  }
  if (failures.length > 0) throw new Error(`${failures.length} rows of ${table.name} failed`, { cause: failures[0] });
}

/** Materials that are just being wrapped again conflict with what is done to their keys. */
async function tried(run: () => Promise<Attempt>): Promise<void> {
  for (let retry = 0; (await run()) === "conflict" && retry < CONFLICT_RETRIES_MAX; retry += 1);
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((part, index) => part === b[index]);
