import type { AuditLog } from "../../audit/log.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { RecordReader } from "../../store/caching-reader.ts";
import type { MetadataStore, Write } from "../../store/metadata-store.ts";
import type { KeyCounts } from "./key-counts.ts";
import { removeGrants } from "./grants/grant-store.ts";
import { lastUsageTable } from "./last-usage.ts";
import { materialRemovals } from "./material-set.ts";
import type { KeyMaterials } from "./materials.ts";
import { isDeleted, keyArnOf } from "./model.ts";
import { writesAtRemoval } from "./multi-region.ts";
import { aliasTable, deletionTable, idOfKey, type KeyRecord, keyTable, materialTable } from "./records.ts";
import { rotationWrites } from "./rotation.ts";
import { serviceEvent } from "./service-events.ts";

export interface BackgroundDeps {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly materials: KeyMaterials;
  readonly keyCounts: Pick<KeyCounts, "counted" | "removed">;
}

/** How many records one look takes. */
const BATCH = 100;

/**
 * Removes what is left of keys whose deletion date has come: record, material, aliases. To callers they are gone since
 * that date already; this makes it physical, and writes DeleteKey into the trail in the same commit.
 */
export async function removeDueKeys(deps: BackgroundDeps): Promise<void> {
  const nowMs = deps.clock.wallMs();
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await deps.reader.list(deletionTable, { prefix: [], after, limit: BATCH });
    for (const { id } of page) {
      if (Number(id[0]) > nowMs) return;
      await removeKey(deps, id, nowMs);
    }
    if (page.length < BATCH) return;
    after = page.at(-1)?.id;
  }
}

async function removeKey(deps: BackgroundDeps, due: readonly string[], nowMs: number): Promise<void> {
  const tracking = deps.reader.tracking();
  const key = await tracking.reader.get(keyTable, due.slice(1));
  const removals: Write[] = [deletionTable.remove(due)];
  const isGone = key !== null && isDeleted(key, nowMs);
  if (isGone) {
    await removeGrantsOf(deps, key);
    const id = idOfKey(key);
    removals.push(keyTable.remove(id), lastUsageTable.remove(id));
    removals.push(...(await materialRemovals(tracking.reader, key)), ...rotationWrites(key, null));
    for (const name of key.aliases) {
      const aliasId = [key.accountId, key.region, name];
      const alias = await tracking.reader.get(aliasTable, aliasId);
      // The name may have been given to another key since this one was gone.
      if (alias?.keyId === key.keyId) removals.push(aliasTable.remove(aliasId));
    }
    removals.push(...(await writesAtRemoval(tracking.reader, key, nowMs)));
    removals.push(...deps.auditLog.entry(serviceEvent(key, { eventName: "DeleteKey" }, deps.random.uuid(), nowMs)));
    deps.materials.forget(keyArnOf(key));
  }
  await deps.keyCounts.counted();
  // After a conflict the record stays listed, and the next look finds it again.
  const outcome = await deps.store.commit({ expect: tracking.expectations(), writes: removals });
  if (outcome === "committed" && isGone && key.manager === "CUSTOMER") deps.keyCounts.removed(key);
}

/** In commits of their own before the key's: there may be very many, and nobody can use or add one any more. */
async function removeGrantsOf(deps: BackgroundDeps, key: KeyRecord): Promise<void> {
  for (;;) {
    const writes = await removeGrants(deps.reader, key);
    if (writes.length === 0) return;
    await deps.store.commit({ expect: [], writes });
  }
}

type Rewrapping = Pick<BackgroundDeps, "store" | "reader" | "materials">;

/** Materials that are wrapped again in one commit: a millisecond of work. A commit for each takes minutes for 100,000 keys. */
const REWRAP_BATCH = 20;

/** Wraps every key material again that lies under an older domain key. */
export async function rewrapMaterials(deps: Rewrapping): Promise<void> {
  const failures: unknown[] = [];
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await deps.reader.list(materialTable, { prefix: [], after, limit: REWRAP_BATCH });
    const ids = page.map(({ id }) => id);
    // After a conflict one by one, so that a change of one does not keep the others under the old domain key.
    if ((await rewrapTogether(deps, ids, failures)) === "conflict") {
      for (const id of ids) await rewrapTogether(deps, [id], failures);
    }
    if (page.length < REWRAP_BATCH) break;
    after = ids.at(-1);
  }
  if (failures.length > 0) {
    throw new Error(`${failures.length} key materials could not be wrapped again`, { cause: failures[0] });
  }
}

/** "conflict": one of them was removed or wrapped again meanwhile. A damaged record must not keep the others where they are. */
async function rewrapTogether(
  deps: Rewrapping,
  ids: readonly (readonly string[])[],
  failures: unknown[],
): Promise<"committed" | "conflict"> {
  const tracking = deps.reader.tracking();
  const writes: Write[] = [];
  const failed: unknown[] = [];
  for (const id of ids) {
    const record = await tracking.reader.get(materialTable, id);
    if (record === null || record.wrapped === null) continue;
    try {
      const wrapped = deps.materials.rewrap(id, record.wrapped);
      if (wrapped !== null) writes.push(materialTable.put(id, { ...record, wrapped }));
    } catch (error) {
      failed.push(error);
    }
  }
  const outcome =
    writes.length === 0 ? "committed" : await deps.store.commit({ expect: tracking.expectations(), writes });
  if (outcome === "committed" || ids.length === 1) failures.push(...failed);
  return outcome;
}
