import type { AuditEvent } from "../../audit/event.ts";
import type { AuditLog } from "../../audit/log.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { RecordReader } from "../../store/caching-reader.ts";
import type { MetadataStore, Write } from "../../store/metadata-store.ts";
import type { KeyMaterials } from "./materials.ts";
import { isDeleted, keyArnOf } from "./model.ts";
import { type KeyRecord, aliasTable, deletionTable, idOfKey, keyTable, materialTable } from "./records.ts";

export interface BackgroundDeps {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly materials: KeyMaterials;
}

/** How many records one look takes. */
const BATCH = 100;
/** Most materials that one key can have: rotations are limited far below. */
const MATERIALS_PER_KEY_MAX = 10_000;

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
  if (key !== null && isDeleted(key, nowMs)) {
    const id = idOfKey(key);
    removals.push(keyTable.remove(id));
    const materials = await tracking.reader.list(materialTable, { prefix: id, limit: MATERIALS_PER_KEY_MAX });
    removals.push(...materials.map((material) => materialTable.remove(material.id)));
    for (const name of key.aliases) {
      const aliasId = [key.accountId, key.region, name];
      const alias = await tracking.reader.get(aliasTable, aliasId);
      // The name may have been given to another key since this one was gone.
      if (alias?.keyId === key.keyId) removals.push(aliasTable.remove(aliasId));
    }
    removals.push(...deps.auditLog.entry(deleteKeyEvent(key, deps.random.uuid(), nowMs)));
    deps.materials.forget(keyArnOf(key));
  }
  // After a conflict the record stays listed, and the next look finds it again.
  await deps.store.commit({ expect: tracking.expectations(), writes: removals });
}

/** What AWS writes when it deletes a key: an event of the service's own, without a caller. */
function deleteKeyEvent(key: KeyRecord, eventId: string, nowMs: number): AuditEvent {
  return {
    eventVersion: "1.11",
    userIdentity: { accountId: key.accountId, invokedBy: "AWS Internal" },
    eventTime: `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    eventSource: "kms.amazonaws.com",
    eventName: "DeleteKey",
    awsRegion: key.region,
    sourceIPAddress: "AWS Internal",
    userAgent: "AWS Internal",
    requestParameters: null,
    responseElements: null,
    requestID: eventId,
    eventID: eventId,
    readOnly: false,
    resources: [{ ARN: keyArnOf(key), accountId: key.accountId, type: "AWS::KMS::Key" }],
    eventType: "AwsServiceEvent",
    managementEvent: true,
    recipientAccountId: key.accountId,
    eventCategory: "Management",
  };
}

/** Wraps every key material again that lies under an older domain key. */
export async function rewrapMaterials(deps: Pick<BackgroundDeps, "store" | "reader" | "materials">): Promise<void> {
  const failures: unknown[] = [];
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await deps.reader.list(materialTable, { prefix: [], after, limit: BATCH });
    // One damaged record must not keep all that follow it under the old domain key.
    for (const { id } of page) await rewrapMaterial(deps, id).catch((error: unknown) => failures.push(error));
    if (page.length < BATCH) break;
    after = page.at(-1)?.id;
  }
  if (failures.length > 0) {
    throw new Error(`${failures.length} key materials could not be wrapped again`, { cause: failures[0] });
  }
}

/** One at a time: each is a commit of its own, so that a conflict concerns one material only and the server stays responsive. */
async function rewrapMaterial(
  deps: Pick<BackgroundDeps, "store" | "reader" | "materials">,
  id: readonly string[],
): Promise<void> {
  const tracking = deps.reader.tracking();
  const record = await tracking.reader.get(materialTable, id);
  if (record === null) return;
  const wrapped = deps.materials.rewrap(id, record.wrapped);
  if (wrapped === null) return;
  // A conflict means that the material was removed or wrapped again meanwhile: nothing is lost.
  await deps.store.commit({ expect: tracking.expectations(), writes: [materialTable.put(id, { ...record, wrapped })] });
}
