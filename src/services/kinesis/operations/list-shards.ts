import type { Call, Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import {
  accessTo,
  activeStream,
  describeRequest,
  existingStream,
  streamResource,
  targetOf,
  targetOfInput,
} from "../access.ts";
import type { Environment } from "../environment.ts";
import { invalidArgument, invalidNextToken, streamNotFound } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { horizonMs, isExpired, isOpen, openedAtMs, servesData, statusOf } from "../model.ts";
import type { NextToken } from "../next-token.ts";
import { checkNextTokenAge, openNextToken, sealNextToken } from "../next-token.ts";
import type { ListShardsInput, ListShardsOutput, ShardFilter } from "../shapes.generated.ts";
import type { LiveShard } from "../shards.ts";
import { describeShard } from "../shards.ts";

const PAGE_COUNT_MAX = 1_000;
/** JSON carries whole seconds, so a client cannot say a stream's creation more precisely. */
const CREATION_TOLERANCE_MS = 1_000;

interface Target extends StreamTarget {
  readonly token: NextToken | null;
}

function targetOfListing(env: Environment, call: Call, input: ListShardsInput): Target {
  if (input.NextToken === undefined) return { ...targetOfInput(call, input), token: null };
  if (input.StreamName !== undefined || input.StreamARN !== undefined) {
    throw invalidArgument("NextToken and StreamName cannot be provided together.");
  }
  if (input.ExclusiveStartShardId !== undefined || input.ShardFilter !== undefined) {
    throw invalidArgument("NextToken cannot be provided together with ExclusiveStartShardId or ShardFilter.");
  }
  const token = openNextToken(env.secretBox, "ListShards", input.NextToken);
  if (token.scope.region !== call.region || token.scope.name === undefined) throw invalidNextToken();
  return { ...targetOf(token.scope.accountId, token.scope.region, token.scope.name), token };
}

/** Which shards a filter lets through. */
function filterOf(filter: ShardFilter | undefined, stream: StreamRecord, nowMs: number): (shard: LiveShard) => boolean {
  if (filter === undefined) return () => true;
  const { Type, ShardId, Timestamp } = filter;
  if (Type === "AFTER_SHARD_ID" && ShardId === undefined) {
    throw invalidArgument("ShardId must be specified in a ShardFilter of type AFTER_SHARD_ID.");
  }
  if ((Type === "AT_TIMESTAMP" || Type === "FROM_TIMESTAMP") && Timestamp === undefined)
    throw invalidArgument(`Timestamp must be specified in a ShardFilter of type ${Type}.`);
  const endsAtOrAfter = ({ record }: LiveShard, timeMs: number): boolean =>
    (record.closed?.atMs ?? Number.POSITIVE_INFINITY) >= timeMs;
  const wasOpenAt = (shard: LiveShard, timeMs: number): boolean =>
    openedAtMs(shard.record) <= timeMs && endsAtOrAfter(shard, timeMs);
  switch (Type) {
    case "AFTER_SHARD_ID":
      return ({ shardId }) => shardId > (ShardId ?? "");
    case "AT_TRIM_HORIZON":
      // Nothing of a young stream has been trimmed: it begins with the shards that it was made with.
      return (shard) => wasOpenAt(shard, Math.max(horizonMs(stream, nowMs), stream.createdAtMs));
    case "AT_LATEST":
      return ({ record }) => isOpen(record);
    case "AT_TIMESTAMP":
      return (shard) => wasOpenAt(shard, Timestamp ?? 0);
    case "FROM_TIMESTAMP":
      return (shard) => endsAtOrAfter(shard, Timestamp ?? 0);
    case "FROM_TRIM_HORIZON":
      return () => true;
  }
}

export function listShards(env: Environment): Operation<ListShardsInput, ListShardsOutput, Target> {
  return {
    event: "management",
    readOnly: true,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => {
      const target = targetOfListing(env, call, input);
      return { ...accessTo("ListShards", target), target };
    },
    handle: async ({ call, read }, input, target) => {
      const { token } = target;
      if (token !== null) checkNextTokenAge(token, call.nowMs);
      const stream = await existingStream(read, target, call.nowMs);
      if (!servesData(statusOf(stream, call.nowMs))) await activeStream(read, target, call.nowMs);
      const createdMs = input.StreamCreationTimestamp;
      const otherStream = createdMs !== undefined && Math.abs(createdMs - stream.createdAtMs) >= CREATION_TOLERANCE_MS;
      if (otherStream || (token !== null && token.scope.streamId !== stream.streamId)) throw streamNotFound(target);

      const filter = token === null ? input.ShardFilter : (JSON.parse(token.filter ?? "null") as ShardFilter | null);
      const after = token?.after ?? input.ExclusiveStartShardId;
      const matches = filterOf(filter ?? undefined, stream, call.nowMs);
      const { shards } = await env.shardMaps.of(stream);
      const isShown = ({ shardId, record }: LiveShard): boolean =>
        (after === undefined || shardId > after) && !isExpired(record, stream, call.nowMs);
      const rest = shards.filter((shard) => isShown(shard) && matches(shard));
      const page = rest.slice(0, Math.min(input.MaxResults ?? PAGE_COUNT_MAX, PAGE_COUNT_MAX));
      const last = page.at(-1);
      const { accountId, region, name } = target;
      const next =
        last === undefined || page.length === rest.length
          ? {}
          : {
              NextToken: sealNextToken(env.secretBox, "ListShards", {
                scope: { accountId, region, name, streamId: stream.streamId },
                after: last.shardId,
                createdMs: call.nowMs,
                filter: JSON.stringify(filter ?? null),
              }),
            };
      return { output: { Shards: page.map(describeShard), ...next }, audit: streamResource(target) };
    },
  };
}
