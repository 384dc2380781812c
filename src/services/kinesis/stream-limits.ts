/**
 * AWS's limits on shards and requests, for those who test against them: `serve --stream-limits aws`. Without it none of this
 * is there: the operations stand in the table as they are. Token buckets, which start full and live in memory.
 */
import type { Clock } from "../../base/clock.ts";
import type { ServiceError } from "../../base/errors.ts";
import { LruMap } from "../../base/lru.ts";
import type { AnyOperation, Call } from "../../gateway/contract.ts";
import type { StreamTarget } from "./access.ts";
import { limitExceeded, throughputExceeded } from "./errors.ts";
import type { ShardIterator } from "./iterator.ts";
import type { GetRecordsInput, GetRecordsOutput, GetShardIteratorInput } from "./shapes.generated.ts";
import { shardIdOf } from "./shards.ts";

const MIB = 1024 * 1024;
/** Developer Guide, "Quotas and limits": each shard takes so much in a second ... */
const WRITE_BYTES_PER_SECOND = MIB;
const WRITE_RECORDS_PER_SECOND = 1_000;
/** ... and gives so much, in so many calls of GetRecords. */
const READ_BYTES_PER_SECOND = 2 * MIB;
const READS_PER_SECOND = 5;
/** API Reference, GetShardIterator. */
const ITERATORS_PER_SECOND = 5;

/** Requests a second that an account may make in a Region (API Reference, each operation). */
const REQUESTS_PER_SECOND: Readonly<Record<string, number>> = {
  AddTagsToStream: 5,
  CreateStream: 5,
  DecreaseStreamRetentionPeriod: 5,
  DeleteResourcePolicy: 5,
  DeleteStream: 5,
  DescribeAccountSettings: 5,
  DescribeLimits: 1,
  DescribeStream: 10,
  DescribeStreamConsumer: 20,
  DescribeStreamSummary: 20,
  DisableEnhancedMonitoring: 5,
  EnableEnhancedMonitoring: 5,
  GetResourcePolicy: 5,
  IncreaseStreamRetentionPeriod: 5,
  ListStreams: 5,
  ListTagsForResource: 5,
  ListTagsForStream: 5,
  MergeShards: 5,
  PutResourcePolicy: 5,
  RemoveTagsFromStream: 5,
  SplitShard: 5,
  StartStreamEncryption: 5,
  StopStreamEncryption: 5,
  TagResource: 5,
  UntagResource: 5,
  UpdateAccountSettings: 5,
  UpdateMaxRecordSize: 5,
  UpdateShardCount: 10,
  UpdateStreamMode: 5,
  UpdateStreamRecordDistributionStrategy: 5,
  UpdateStreamWarmThroughput: 5,
};
/** The same for each stream. */
const STREAM_REQUESTS_PER_SECOND: Readonly<Record<string, number>> = {
  DeregisterStreamConsumer: 5,
  ListShards: 1_000,
  ListStreamConsumers: 5,
  RegisterStreamConsumer: 5,
};

/** Buckets of one kind kept; one that is forgotten begins full again. */
const BUCKETS_MAX = 50_000;
/** A bucket that is full to within a rounding error counts as full. */
const TOLERANCE = 1e-9;

interface Bucket {
  /** What may be taken at `atMs`; below zero after something that is larger than the bucket. */
  tokens: number;
  atMs: number;
}

/** Buckets that hold one second's worth each. */
class Buckets {
  readonly #clock: Clock;
  readonly #buckets = new LruMap<string, Bucket>(BUCKETS_MAX);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What is there now, of a bucket that fills at this rate. */
  level(id: string, perSecond: number): number {
    const bucket = this.#buckets.get(id);
    if (bucket === undefined) return perSecond;
    const passedMs = this.#clock.monotonicMs() - bucket.atMs;
    return Math.min(perSecond, bucket.tokens + (passedMs / 1000) * perSecond);
  }

  /** What is larger than a bucket waits for a full one, and what comes behind it for the rest. */
  has(id: string, perSecond: number, count: number): boolean {
    return this.level(id, perSecond) >= Math.min(count, perSecond) - TOLERANCE;
  }

  take(id: string, perSecond: number, count: number): void {
    this.#buckets.set(id, { tokens: this.level(id, perSecond) - count, atMs: this.#clock.monotonicMs() });
  }
}

export interface StreamLimits {
  /** May a record of so many bytes, partition key included, be put into the shard now? A yes counts. */
  admitPut(streamId: string, shardIndex: number, bytes: number): boolean;
  /** The operation within the limits that AWS sets to it. */
  within(name: string, operation: AnyOperation): AnyOperation;
}

export function createStreamLimits(clock: Clock): StreamLimits {
  const buckets = new Buckets(clock);
  return {
    admitPut(streamId, shardIndex, bytes) {
      const shard = `${streamId}/${shardIndex}`;
      const [ofBytes, ofRecords] = [`write ${shard}`, `put ${shard}`];
      if (!buckets.has(ofRecords, WRITE_RECORDS_PER_SECOND, 1)) return false;
      if (!buckets.has(ofBytes, WRITE_BYTES_PER_SECOND, bytes)) return false;
      buckets.take(ofRecords, WRITE_RECORDS_PER_SECOND, 1);
      buckets.take(ofBytes, WRITE_BYTES_PER_SECOND, bytes);
      return true;
    },
    within(name, operation) {
      if (name === "GetRecords") return getRecordsWithin(buckets, operation);
      if (name === "GetShardIterator") return getShardIteratorWithin(buckets, operation);
      const ofStream = STREAM_REQUESTS_PER_SECOND[name];
      if (ofStream !== undefined) return requestsWithin(buckets, operation, ofStream, "stream");
      const ofAccount = REQUESTS_PER_SECOND[name];
      return ofAccount === undefined ? operation : requestsWithin(buckets, operation, ofAccount, "account");
    },
  };
}

/** Counted once permission is given, and once however often the operation runs because records changed meanwhile. */
function requestsWithin(
  buckets: Buckets,
  operation: AnyOperation,
  perSecond: number,
  per: "account" | "stream",
): AnyOperation {
  const counted = new WeakSet<Call>();
  return {
    ...operation,
    handle: (context, input, target: Partial<StreamTarget> | null) => {
      const { call } = context;
      if (!counted.has(call)) {
        const { accountId } = call.principal;
        const id = `${call.operation} ${per === "stream" ? (target?.arn ?? accountId) : `${accountId} ${call.region}`}`;
        if (!buckets.has(id, perSecond, 1)) throw tooManyRequests(accountId, target);
        buckets.take(id, perSecond, 1);
        counted.add(call);
      }
      return operation.handle(context, input, target);
    },
  };
}

const tooManyRequests = (accountId: string, target: Partial<StreamTarget> | null): ServiceError =>
  limitExceeded(
    target?.name === undefined
      ? `Rate exceeded for account ${accountId}.`
      : `Rate exceeded for stream ${target.name} under account ${target.accountId}.`,
  );

/** A call reads as much as it likes, up to 10 MiB; until that is made up for, the next ones are refused. */
const getRecordsWithin = (buckets: Buckets, operation: AnyOperation): AnyOperation => ({
  ...operation,
  handle: async (
    context,
    input: GetRecordsInput,
    target: StreamTarget & { readonly iterator: Pick<ShardIterator, "streamId" | "shardIndex"> },
  ) => {
    if (input.DryRun === true) return operation.handle(context, input, target);
    const { streamId, shardIndex } = target.iterator;
    const [ofBytes, ofCalls] = [`read ${streamId}/${shardIndex}`, `get ${streamId}/${shardIndex}`];
    const isFree = buckets.has(ofCalls, READS_PER_SECOND, 1) && buckets.level(ofBytes, READ_BYTES_PER_SECOND) > 0;
    if (!isFree) throw throughputExceeded(shardIdOf(shardIndex), target);
    buckets.take(ofCalls, READS_PER_SECOND, 1);
    const outcome = await operation.handle(context, input, target);
    const { Records } = outcome.output as GetRecordsOutput;
    const bytes = Records.reduce((sum, { Data, PartitionKey = "" }) => sum + Data.length + PartitionKey.length, 0);
    buckets.take(ofBytes, READ_BYTES_PER_SECOND, bytes);
    return outcome;
  },
});

/** Counted afterwards: only a shard that is there has a bucket. */
const getShardIteratorWithin = (buckets: Buckets, operation: AnyOperation): AnyOperation => ({
  ...operation,
  handle: async (context, input: GetShardIteratorInput, target: StreamTarget) => {
    const outcome = await operation.handle(context, input, target);
    const id = `iterator ${target.arn} ${input.ShardId}`;
    if (!buckets.has(id, ITERATORS_PER_SECOND, 1)) throw throughputExceeded(input.ShardId, target);
    buckets.take(id, ITERATORS_PER_SECOND, 1);
    return outcome;
  },
});
