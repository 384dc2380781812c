/** SplitShard and MergeShards. Both write a plan, which resharder.ts carries out; the stream is UPDATING until then. */
import type { Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, existingStream, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { invalidArgument, shardNotOpen, shardNotThere, streamOnDemand } from "../errors.ts";
import type { Reshard, ShardChange, ShardRecord, StreamRecord } from "../model.ts";
import { isExpired, isOpen } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import { checkShardLimit } from "../shard-limit.ts";
import type { MergeShardsInput, Nothing, SplitShardInput } from "../shapes.generated.ts";
import type { LiveShard, ShardMap } from "../shards.ts";
import { hashKeyHex, shardIndexOf } from "../shards.ts";

const HASH_KEYS = 1n << 128n;

const hashKeyOf = (hex: string): bigint => BigInt(`0x${hex}`);

/** A plan as an outcome: the stream is UPDATING from its commit on. */
export function planned<Output>(
  env: Environment,
  target: StreamTarget,
  stream: StreamRecord,
  reshard: Reshard,
  output: Output,
): Outcome<Output> {
  return {
    output,
    writes: [streams.put(streamKey(target), { ...stream, reshard })],
    audit: streamResource(target),
    committed: () => env.resharder.wake(target),
  };
}

/** Throws ValidationException: the shards of an on-demand stream are nobody's to choose. */
export async function provisionedStream({ call, read }: OperationContext, target: StreamTarget): Promise<StreamRecord> {
  const stream = await existingStream(read, target, call.nowMs);
  if (stream.mode === "ON_DEMAND") throw streamOnDemand(target);
  return stream;
}

/** Throws ResourceNotFoundException. */
function shardNamed(map: ShardMap, stream: StreamRecord, shardId: string, nowMs: number): LiveShard {
  const index = shardIndexOf(shardId);
  const shard = index === null ? undefined : map.at(index);
  if (shard === undefined || isExpired(shard.record, stream, nowMs)) throw shardNotThere(shardId, stream);
  return shard;
}

function checkOpen(shard: LiveShard, target: StreamTarget): void {
  if (!isOpen(shard.record)) throw shardNotOpen(shard.shardId, target);
}

/** One change of one shard or two, once everything else has been checked. AWS looks at arguments before the state. */
async function changeOne(
  env: Environment,
  context: OperationContext,
  target: StreamTarget,
  stream: StreamRecord,
  change: ShardChange,
): Promise<Outcome<Nothing>> {
  const { call, read } = context;
  await activeStream(read, target, call.nowMs);
  const difference = change.kind === "split" ? 1 : -1;
  if (difference > 0) await checkShardLimit(env, read, target, call.nowMs, difference);
  const shardCount = stream.openShardCount + difference;
  const updated = { ...stream, updatedAtMs: Math.floor(call.nowMs) };
  return planned(env, target, updated, { kind: "round", shardCount, changes: [change] }, {});
}

function checkSplitKey(target: StreamTarget, shardId: string, record: ShardRecord, at: bigint): void {
  const [start, end] = [hashKeyOf(record.startHash), hashKeyOf(record.endHash)];
  if (at > start + 1n && at < end && at < HASH_KEYS) return;
  // AWS repeats the hash key here; the audit trail keeps messages, and hash keys that callers chose do not belong there.
  throw invalidArgument(
    `The NewStartingHashKey used in SplitShard() on shard ${shardId} in stream ${target.name} under account ` +
      `${target.accountId} is not both greater than one plus the shard's StartingHashKey ${start} and less than the ` +
      `shard's EndingHashKey ${end}.`,
  );
}

export function splitShard(env: Environment): Operation<SplitShardInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => describeRequest(input, { shardToSplit: input.ShardToSplit }),
    access: async ({ call }, input) => accessTo("SplitShard", targetOfInput(call, input)),
    handle: async (context, input, target) => {
      const stream = await provisionedStream(context, target);
      const map = await env.shardMaps.of(stream);
      const shard = shardNamed(map, stream, input.ShardToSplit, context.call.nowMs);
      const at = BigInt(input.NewStartingHashKey);
      checkSplitKey(target, shard.shardId, shard.record, at);
      checkOpen(shard, target);
      const change: ShardChange = { kind: "split", index: shard.record.index, at: hashKeyHex(at) };
      return await changeOne(env, context, target, stream, change);
    },
  };
}

export function mergeShards(env: Environment): Operation<MergeShardsInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) =>
      describeRequest(input, { shardToMerge: input.ShardToMerge, adjacentShardToMerge: input.AdjacentShardToMerge }),
    access: async ({ call }, input) => accessTo("MergeShards", targetOfInput(call, input)),
    handle: async (context, input, target) => {
      const stream = await provisionedStream(context, target);
      const map = await env.shardMaps.of(stream);
      const [lower, upper] = [input.ShardToMerge, input.AdjacentShardToMerge].map((shardId) =>
        shardNamed(map, stream, shardId, context.call.nowMs),
      ) as [LiveShard, LiveShard];
      // As on AWS, the adjacent shard is the one with the higher hash keys.
      if (hashKeyOf(lower.record.endHash) + 1n !== hashKeyOf(upper.record.startHash)) {
        throw invalidArgument(
          `Shards ${lower.shardId} and ${upper.shardId} in stream ${target.name} under account ${target.accountId} ` +
            "are not an adjacent pair of shards eligible for merging",
        );
      }
      checkOpen(lower, target);
      checkOpen(upper, target);
      const change: ShardChange = { kind: "merge", indices: [lower.record.index, upper.record.index] };
      return await changeOne(env, context, target, stream, change);
    },
  };
}
