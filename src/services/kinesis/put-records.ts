/** From checked records to their places in the shards: routed, sealed under the caller's data key, appended. */
import type { PlainRecord, SealingKey } from "../../envelope/record-block.ts";
import { contentBytes } from "../../envelope/record-block.ts";
import type { DataKeyScope } from "../../envelope/key-service.ts";
import { ServiceError } from "../../base/errors.ts";
import type { Call } from "../../gateway/contract.ts";
import type { StreamTarget } from "./access.ts";
import type { Environment } from "./environment.ts";
import { invalidArgument, withKmsErrors } from "./errors.ts";
import { clearNotBeforeMs, type StreamRecord } from "./model.ts";
import type { LiveShard } from "./shards.ts";
import { hashKeyOf } from "./shards.ts";

/** Data keys live 5 minutes and shards queue for milliseconds: one more try is plenty. */
const ATTEMPTS_MAX = 3;

export interface IncomingRecord {
  readonly Data: Uint8Array;
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string | undefined;
}

/** What became of one record. */
export type Put =
  | { readonly kind: "placed"; readonly shardId: string; readonly sequenceNumber: string }
  | { readonly kind: "throttled"; readonly shardId: string }
  | { readonly kind: "failed"; readonly shardId: string };

/** Encryption context of every KMS call for a stream. */
export const encryptionContextOf = (target: StreamTarget): Readonly<Record<string, string>> => ({
  "aws:kinesis:arn": target.arn,
});

/** Throws where one record alone is too large. `path` names it as AWS does. Returns its size, partition key included. */
export function checkRecordSize(stream: StreamRecord, record: IncomingRecord, path: string): number {
  const bytesMax = stream.maxRecordKiB * 1024;
  if (record.Data.length > bytesMax) {
    throw new ServiceError(
      "ValidationException",
      `1 validation error detected: Value at '${path}' failed to satisfy constraint: ` +
        `Member must have length less than or equal to ${bytesMax}`,
    );
  }
  const bytes = contentBytes({ partitionKey: record.PartitionKey, data: record.Data });
  if (bytes > bytesMax)
    throw invalidArgument(`Record size, partition key included, exceeds ${stream.maxRecordKiB} KB limit`);
  return bytes;
}

interface ShardBatch {
  readonly shard: LiveShard;
  readonly records: PlainRecord[];
  /** Where each record stood in the request. */
  readonly positions: number[];
}

async function route(
  env: Environment,
  stream: StreamRecord,
  incoming: readonly IncomingRecord[],
): Promise<readonly ShardBatch[]> {
  const shards = await env.shardMaps.of(stream);
  const batches = new Map<LiveShard, ShardBatch>();
  for (let position = 0; position < incoming.length; position++) {
    const record = incoming[position] as IncomingRecord;
    const shard = shards.route(hashKeyOf(record));
    let batch = batches.get(shard);
    if (batch === undefined) batches.set(shard, (batch = { shard, records: [], positions: [] }));
    batch.records.push({ partitionKey: record.PartitionKey, data: record.Data });
    batch.positions.push(position);
  }
  return [...batches.values()];
}

/**
 * Puts all records; the result says what became of each, in the order of the request. Throws what refuses the request as
 * a whole: KMS's errors, under this service's names.
 */
export async function putRecords(
  env: Environment,
  call: Call,
  stream: StreamRecord,
  target: StreamTarget,
  incoming: readonly IncomingRecord[],
): Promise<readonly Put[]> {
  const results: Put[] = [];
  let pending = await route(env, stream, incoming);
  for (let attempt = 1; pending.length > 0; attempt++) {
    const key = await sealingKey(env, call, stream, target, pending);
    const unplaced: ShardBatch[] = [];
    await Promise.all(
      pending.map(async (batch) => {
        const outcome = await env.writers.append(batch.shard.ref, batch.records, key, clearNotBeforeMs(stream));
        if (outcome.kind === "key expired" && attempt < ATTEMPTS_MAX) unplaced.push(batch);
        else batch.positions.forEach((position, order) => (results[position] = putOf(batch.shard, outcome, order)));
      }),
    );
    pending = unplaced;
  }
  return results;
}

async function sealingKey(
  env: Environment,
  call: Call,
  stream: StreamRecord,
  target: StreamTarget,
  batches: readonly ShardBatch[],
): Promise<SealingKey | null> {
  if (stream.encryption === null) return null;
  const scope: DataKeyScope = {
    keyId: stream.encryption.keyArn,
    resourceId: stream.streamId,
    encryptionContext: encryptionContextOf(target),
  };
  const uses = batches.reduce((total, { records }) => total + records.length, 0);
  return await withKmsErrors(() => env.dataKeys.forSealing(call, scope, uses));
}

function putOf(shard: LiveShard, outcome: Awaited<ReturnType<Environment["writers"]["append"]>>, order: number): Put {
  const { shardId } = shard;
  if (outcome.kind === "throttled") return { kind: "throttled", shardId };
  if (outcome.kind === "key expired" || order >= outcome.placedCount) return { kind: "failed", shardId };
  return {
    kind: "placed",
    shardId,
    sequenceNumber: shard.sequenceNumber(outcome.firstIndex + order, outcome.arrivalMs),
  };
}
