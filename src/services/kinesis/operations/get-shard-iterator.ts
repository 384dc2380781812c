import { parseBlock } from "../../../envelope/record-block.ts";
import type { Operation } from "../../../gateway/contract.ts";
import type { ServiceError } from "../../../base/errors.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, describeRequest, servingStream, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { dryRun, invalidArgument, shardNotFound } from "../errors.ts";
import { isExpired } from "../model.ts";
import { sealIterator } from "../iterator.ts";
import { belongsTo, parseSequenceNumber } from "../sequence.ts";
import type { GetShardIteratorInput, GetShardIteratorOutput } from "../shapes.generated.ts";
import type { LiveShard } from "../shards.ts";
import { shardIdOf, shardIndexOf } from "../shards.ts";

/** Records are numbered from 1. */
const FIRST_POSITION = 1;

function badCombination(input: GetShardIteratorInput): ServiceError {
  const also =
    input.StartingSequenceNumber === undefined ? "no StartingSequenceNumber" : "also a StartingSequenceNumber";
  return invalidArgument(
    "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or " +
      `(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified ${input.ShardIteratorType} and ${also}.`,
  );
}

function positionOfSequenceNumber(input: GetShardIteratorInput, target: StreamTarget, shard: LiveShard): number {
  const text = input.StartingSequenceNumber;
  if (text === undefined) throw badCombination(input);
  const invalid = (why: string): ServiceError =>
    invalidArgument(
      `StartingSequenceNumber ${text} used in GetShardIterator on shard ${shard.shardId} in stream ${target.name} ` +
        `under account ${target.accountId} is invalid${why}.`,
    );
  const parts = parseSequenceNumber(text);
  if (parts === null) throw invalid("");
  if (parts.shardIndex !== shard.record.index) {
    throw invalidArgument(
      `Invalid StartingSequenceNumber. It encodes ${shardIdOf(parts.shardIndex)}, ` +
        `while it was used in a call to a shard with ${shard.shardId}`,
    );
  }
  if (!belongsTo(parts, shard.record)) throw invalid(" because it did not come from this stream");
  const after = input.ShardIteratorType === "AFTER_SEQUENCE_NUMBER" ? 1 : 0;
  // The ending sequence number of a closed shard lies far behind its last record.
  const closed = shard.record.closed ?? null;
  const last = closed === null ? Number.MAX_SAFE_INTEGER : closed.lastIndex + 1;
  return Math.min(Math.max(FIRST_POSITION, parts.index + after), last);
}

/** Of the first record that arrived at or after a time; behind the newest one when there is none. */
async function positionAt(env: Environment, shard: LiveShard, timeMs: number): Promise<number> {
  const firstIndex = await env.records.firstIndexAt(shard.ref, timeMs);
  if (firstIndex === null) return await positionBehindNewest(env, shard);
  const [block] = await env.records.read(shard.ref, firstIndex, { blocksMax: 1, bytesMax: 1 });
  const parsed = block === undefined ? null : parseBlock(block.bytes, block.firstIndex, block.lastIndex);
  const within = parsed?.arrivalsMs.findIndex((arrivalMs) => arrivalMs >= timeMs) ?? 0;
  return firstIndex + Math.max(0, within);
}

async function positionBehindNewest(env: Environment, shard: LiveShard): Promise<number> {
  const last = await env.records.last(shard.ref);
  return last === null ? FIRST_POSITION : last.lastIndex + 1;
}

/** Throws InvalidArgumentException where the time is missing or still to come. */
function checkedTimestamp({ Timestamp }: GetShardIteratorInput, nowMs: number): number {
  if (Timestamp === undefined) {
    throw invalidArgument(
      "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. " +
        "Current request has no timestamp parameter.",
    );
  }
  if (Timestamp <= nowMs) return Timestamp;
  throw invalidArgument(
    "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. " +
      `timestampInMillis: ${Timestamp}, currentTimestampInMillis: ${nowMs}`,
  );
}

/** Where to begin: index of the first record to read. */
export async function positionOf(
  env: Environment,
  input: GetShardIteratorInput,
  target: StreamTarget,
  shard: LiveShard,
  nowMs: number,
): Promise<number> {
  const type = input.ShardIteratorType;
  if (type === "AT_SEQUENCE_NUMBER" || type === "AFTER_SEQUENCE_NUMBER")
    return positionOfSequenceNumber(input, target, shard);
  if (type === "AT_TIMESTAMP") return await positionAt(env, shard, checkedTimestamp(input, nowMs));
  if (input.StartingSequenceNumber !== undefined) throw badCombination(input);
  // Reading skips what has expired, so the oldest record needs no looking up.
  return type === "LATEST" ? await positionBehindNewest(env, shard) : FIRST_POSITION;
}

export function getShardIterator(
  env: Environment,
): Operation<GetShardIteratorInput, GetShardIteratorOutput, StreamTarget> {
  return {
    event: "data",
    readOnly: true,
    describe: (input) => describeRequest(input, { shardId: input.ShardId, shardIteratorType: input.ShardIteratorType }),
    access: async ({ call }, input) => accessTo("GetShardIterator", targetOfInput(call, input)),
    handle: async ({ call }, input, target) => {
      const stream = await servingStream(env.reader, target, call.nowMs);
      const index = shardIndexOf(input.ShardId);
      const shard = index === null ? undefined : (await env.shardMaps.of(stream)).at(index);
      if (shard === undefined || isExpired(shard.record, stream, call.nowMs))
        throw shardNotFound(index === null ? input.ShardId : shardIdOf(index), target);
      const position = await positionOf(env, input, target, shard, call.nowMs);
      if (input.DryRun === true) throw dryRun();
      const { accountId, region, name } = target;
      const iterator = sealIterator(env.secretBox, {
        accountId,
        region,
        name,
        streamId: stream.streamId,
        shardIndex: shard.record.index,
        position,
        createdMs: Math.floor(call.nowMs),
      });
      return { output: { ShardIterator: iterator }, audit: streamResource(target) };
    },
  };
}
