/** Shards: which there are, in which order they are to be read, and what is in one. */
import { type Api, ApiError, type CallOptions } from "./api.ts";
import { after, type Position, recordsOf, type StreamRecord } from "./records.ts";

export interface Shard {
  readonly shardId: string;
  readonly parents: readonly string[];
  readonly isOpen: boolean;
}

/** A stream by name or ARN, as requests name it. */
export const naming = (stream: string): object =>
  stream.startsWith("arn:") ? { StreamARN: stream } : { StreamName: stream };

/** Every shard with records that may still be read. */
export async function listShards(api: Api, stream: string, options?: CallOptions): Promise<readonly Shard[]> {
  const shards: Shard[] = [];
  let token: unknown;
  do {
    const input = token === undefined ? naming(stream) : { NextToken: token };
    const page = await api.kinesis("ListShards", input, options);
    for (const shard of (page["Shards"] ?? []) as readonly Readonly<Record<string, unknown>>[]) {
      const range = (shard["SequenceNumberRange"] ?? {}) as Readonly<Record<string, unknown>>;
      shards.push({
        shardId: String(shard["ShardId"]),
        parents: [shard["ParentShardId"], shard["AdjacentParentShardId"]].filter((id) => typeof id === "string"),
        isOpen: range["EndingSequenceNumber"] === undefined,
      });
    }
    token = page["NextToken"];
  } while (token !== undefined && token !== null);
  return shards;
}

/**
 * Shards whose turn has come: not done, and their parents are, or are gone. Who reads in this order sees the records of each
 * partition key in theirs.
 */
export function readyShards(shards: readonly Shard[], isDone: (shardId: string) => boolean): readonly Shard[] {
  const listed = new Set(shards.map(({ shardId }) => shardId));
  return shards.filter(
    ({ shardId, parents }) => !isDone(shardId) && parents.every((parent) => !listed.has(parent) || isDone(parent)),
  );
}

export interface ShardReading {
  readonly api: Api;
  readonly stream: string;
  readonly shardId: string;
  readonly from: Position;
  /** Ends the reading, without an error. */
  readonly signal: AbortSignal;
  /** Between two reads of a shard that has nothing new. */
  readonly pollMs: number;
  /** Records of the stream in one read. */
  readonly limit?: number | undefined;
  /** Told of each failure; reading goes on. Throw to end it. */
  readonly onError: (error: unknown) => void;
}

export interface ShardPage {
  readonly records: readonly StreamRecord[];
  /** Nothing will follow: the shard was closed, and this is its end. */
  readonly ended: boolean;
}

const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 10_000;

export const backoffMs = (failures: number): number =>
  Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures, 20));

async function iteratorAt({ api, stream, shardId, signal }: ShardReading, position: Position): Promise<unknown> {
  const where =
    position.type === "AFTER"
      ? {
          ShardIteratorType: position.subSequenceNumber === null ? "AFTER_SEQUENCE_NUMBER" : "AT_SEQUENCE_NUMBER",
          StartingSequenceNumber: position.sequenceNumber,
        }
      : position.type === "AT_TIMESTAMP"
        ? { ShardIteratorType: position.type, Timestamp: position.timestampMs / 1000 }
        : { ShardIteratorType: position.type };
  const answer = await api.kinesis("GetShardIterator", { ...naming(stream), ShardId: shardId, ...where }, { signal });
  return answer["ShardIterator"];
}

/** Records in front of the position, which belong to the same record of the stream. */
const isBehind = ({ sequenceNumber, subSequenceNumber }: StreamRecord, position: Position): boolean =>
  position.type !== "AFTER" ||
  position.subSequenceNumber === null ||
  sequenceNumber !== position.sequenceNumber ||
  (subSequenceNumber ?? 0) > position.subSequenceNumber;

/** What is in a shard, page after page, until it ends or the signal is given. Also yields pages without records. */
export async function* readShard(reading: ShardReading): AsyncGenerator<ShardPage> {
  const { api, shardId, signal, pollMs } = reading;
  const limit = reading.limit === undefined ? {} : { Limit: Math.min(10_000, reading.limit) };
  let position = reading.from;
  let iterator: unknown = null;
  let failures = 0;
  while (!signal.aborted) {
    let page: ShardPage;
    let isAtTip: boolean;
    try {
      iterator ??= await iteratorAt(reading, position);
      const answer = await api.kinesis("GetRecords", { ShardIterator: iterator, ...limit }, { signal });
      const from = position;
      const records = recordsOf(shardId, answer).filter((record) => isBehind(record, from));
      const last = records.at(-1);
      if (last !== undefined) position = after(last);
      iterator = answer["NextShardIterator"] ?? null;
      isAtTip = records.length === 0 || Number(answer["MillisBehindLatest"] ?? 0) === 0;
      page = { records, ended: iterator === null };
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof ApiError ? error.code : null;
      // It lives for five minutes; the work on a batch may have taken longer. In other failures it stays: another one for
      // LATEST would begin later.
      if (code === "ExpiredIteratorException" || code === "InvalidArgumentException") iterator = null;
      if (code === "ExpiredIteratorException") continue;
      reading.onError(error);
      await api.time.sleep(backoffMs(failures++), signal);
      continue;
    }
    yield page;
    if (page.ended) return;
    if (isAtTip) await api.time.sleep(pollMs, signal);
  }
}
