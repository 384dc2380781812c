/** From checked records to their places in the shards: routed, sealed under the caller's data key, appended. */
import type { PlainRecord, SealingKey } from "../../envelope/record-block.ts";
import { contentBytes } from "../../envelope/record-block.ts";
import type { DataKeyScope } from "../../envelope/key-service.ts";
import { ServiceError } from "../../base/errors.ts";
import type { Call } from "../../gateway/contract.ts";
import type { StreamTarget } from "./access.ts";
import { encryptionContextOf, existingStream } from "./access.ts";
import type { Environment } from "./environment.ts";
import { invalidArgument, withKmsErrors } from "./errors.ts";
import { clearNotBeforeMs, openedAtMs, servesData, statusOf, type StreamRecord } from "./model.ts";
import type { Append } from "./shard-writer.ts";
import type { LiveShard } from "./shards.ts";
import { hashKeyOf } from "./shards.ts";

/** Data keys live 5 minutes and shards queue for milliseconds: one more try is plenty. */
const ATTEMPTS_MAX = 3;
/** Resharding may close a shard several times in a row before it is done. */
const MOVES_MAX = 100;

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
  /** Version of the list of shards by which they were routed. */
  readonly listVersion: number;
}

async function route(
  env: Environment,
  stream: StreamRecord,
  incoming: readonly IncomingRecord[],
  only: readonly number[] | null = null,
): Promise<readonly ShardBatch[]> {
  const shards = await env.shardMaps.of(stream);
  const batches = new Map<LiveShard, ShardBatch>();
  const count = only?.length ?? incoming.length;
  for (let nth = 0; nth < count; nth++) {
    const position = only?.[nth] ?? nth;
    const record = incoming[position] as IncomingRecord;
    const shard = shards.route(hashKeyOf(record));
    let batch = batches.get(shard);
    if (batch === undefined)
      batches.set(shard, (batch = { shard, records: [], positions: [], listVersion: shards.version }));
    batch.records.push({ partitionKey: record.PartitionKey, data: record.Data });
    batch.positions.push(position);
  }
  return [...batches.values()];
}

/** What one request has come to: some of its records may be placed while others are tried again. */
class Putting {
  readonly #env: Environment;
  readonly #call: Call;
  readonly #target: StreamTarget;
  readonly #incoming: readonly IncomingRecord[];
  readonly results: Put[] = [];
  #stream: StreamRecord;
  #placedSome = false;
  #attempts = 0;
  #moves = 0;

  constructor(
    env: Environment,
    call: Call,
    stream: StreamRecord,
    target: StreamTarget,
    incoming: readonly IncomingRecord[],
  ) {
    this.#env = env;
    this.#call = call;
    this.#stream = stream;
    this.#target = target;
    this.#incoming = incoming;
  }

  async run(): Promise<void> {
    let pending = await route(this.#env, this.#stream, this.#incoming);
    while (pending.length > 0) {
      try {
        pending = await this.#attempt(pending);
      } catch (error) {
        // An error would have the caller put everything again, what is placed already too.
        if (!this.#placedSome) throw error;
        for (const { shard, positions } of pending) {
          for (const position of positions) this.results[position] ??= { kind: "failed", shardId: shard.shardId };
        }
        return;
      }
    }
  }

  /** Appends what is pending; answers with what has to be tried again. */
  async #attempt(pending: readonly ShardBatch[]): Promise<readonly ShardBatch[]> {
    const stream = this.#stream;
    const key = await sealingKey(this.#env, this.#call, stream, this.#target, pending);
    const notBeforeMs = clearNotBeforeMs(stream);
    const unplaced: ShardBatch[] = [];
    const moved: number[] = [];
    const mayRepeat = ++this.#attempts < ATTEMPTS_MAX;
    await Promise.all(
      pending.map(async (batch) => {
        const { shard, records, listVersion } = batch;
        // Records of a child never seem older than those of its parents, whatever the wall clock does.
        const earliestMs = Math.max(notBeforeMs, openedAtMs(shard.record));
        const outcome = await this.#env.writers.append(shard.ref, records, key, earliestMs, listVersion);
        if (outcome.kind === "moved") for (const position of batch.positions) moved.push(position);
        else if (outcome.kind === "key expired" && mayRepeat) unplaced.push(batch);
        else this.#settle(batch, outcome);
      }),
    );
    return moved.length === 0 ? unplaced : [...unplaced, ...(await this.#routeAnew(moved))];
  }

  /** Their shards were closed: the stream as it is now says where they belong. */
  async #routeAnew(positions: number[]): Promise<readonly ShardBatch[]> {
    const nowMs = this.#env.clock.wallMs();
    const stream = await existingStream(this.#env.reader, this.#target, nowMs).catch((error: unknown) => {
      if (!this.#placedSome) throw error;
      return null;
    });
    const gone = stream === null || stream.streamId !== this.#stream.streamId || !servesData(statusOf(stream, nowMs));
    if (gone || ++this.#moves > MOVES_MAX) {
      for (const position of positions) this.results[position] = { kind: "failed", shardId: "" };
      return [];
    }
    this.#stream = stream;
    this.#attempts = 0;
    // In the order of the request: so are the records of one partition key.
    return await route(
      this.#env,
      stream,
      this.#incoming,
      positions.toSorted((a, b) => a - b),
    );
  }

  #settle(batch: ShardBatch, outcome: Exclude<Append, { readonly kind: "moved" }>): void {
    const { shard, positions } = batch;
    if (outcome.kind === "placed" && outcome.placedCount > 0) {
      this.#placedSome = true;
      this.#env.onDemand.count(this.#stream, shard.record.index, batch.records, outcome.placedCount);
    }
    positions.forEach((position, order) => (this.results[position] = putOf(shard, outcome, order)));
  }
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
  const putting = new Putting(env, call, stream, target, incoming);
  await putting.run();
  return putting.results;
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
  return await withKmsErrors(() => env.dataKeys.forSealing(call, scope, uses, stream.suite ?? env.streamSuite));
}

function putOf(shard: LiveShard, outcome: Exclude<Append, { readonly kind: "moved" }>, order: number): Put {
  const { shardId } = shard;
  if (outcome.kind === "throttled") return { kind: "throttled", shardId };
  if (outcome.kind === "key expired" || order >= outcome.placedCount) return { kind: "failed", shardId };
  return {
    kind: "placed",
    shardId,
    sequenceNumber: shard.sequenceNumber(outcome.firstIndex + order, outcome.arrivalMs),
  };
}
