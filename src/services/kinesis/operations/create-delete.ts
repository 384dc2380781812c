import type { Operation } from "../../../gateway/contract.ts";
import {
  accessTo,
  checkOn,
  describeRequest,
  existingStream,
  streamResource,
  targetOf,
  targetOfInput,
} from "../access.ts";
import type { StreamTarget } from "../access.ts";
import { consumersToChange, removeAllConsumers } from "../consumers.ts";
import type { Environment } from "../environment.ts";
import { invalidArgument, streamExists, streamHasConsumers } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { ON_DEMAND_SHARD_COUNT, RETENTION_HOURS_MIN, statusOf } from "../model.ts";
import { deletions, resourcePolicies, shardLists, streamKey, streamPlaces, streams } from "../records.ts";
import type { CreateStreamInput, DeleteStreamInput, Nothing, StreamMode } from "../shapes.generated.ts";
import { uniformShards } from "../shards.ts";
import { checkShardLimit } from "../shard-limit.ts";
import { checkTags } from "../tags.ts";
import { checkWarmThroughput } from "../warm-throughput.ts";
import { checkDistribution } from "./stream-settings.ts";

const DEFAULT_MAX_RECORD_KIB = 1024;
const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Twenty and three letters or digits, as AWS's stream ids: 118 random bits. */
function newStreamId(random: Environment["random"]): string {
  const letters = Array.from(random.bytes(23), (byte) => LETTERS.charAt(byte % LETTERS.length)).join("");
  return `${letters.slice(0, 20)}-${letters.slice(20)}`;
}

function shardCountOf(mode: StreamMode, input: CreateStreamInput): number {
  if (mode === "ON_DEMAND") {
    if (input.ShardCount === undefined) return Math.max(ON_DEMAND_SHARD_COUNT, input.WarmThroughputMiBps ?? 0);
    throw invalidArgument("ShardCount can not be specified for a stream in ON_DEMAND mode.");
  }
  if (input.ShardCount === undefined)
    throw invalidArgument("ShardCount must be specified for a stream in PROVISIONED mode.");
  return input.ShardCount;
}

/** For the audit trail. */
const settingsIn = (input: CreateStreamInput): Readonly<Record<string, unknown>> => ({
  ...(input.WarmThroughputMiBps === undefined ? {} : { warmThroughputMiBps: input.WarmThroughputMiBps }),
  ...(input.MaxRecordSizeInKiB === undefined ? {} : { maxRecordSizeInKiB: input.MaxRecordSizeInKiB }),
  ...(input.RecordDistributionStrategy === undefined
    ? {}
    : { recordDistributionStrategy: input.RecordDistributionStrategy }),
});

export function createStream(env: Environment): Operation<CreateStreamInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => {
      const mode = input.StreamModeDetails?.StreamMode;
      return describeRequest(input, {
        ...(input.ShardCount === undefined ? {} : { shardCount: input.ShardCount }),
        ...(mode === undefined ? {} : { streamModeDetails: { streamMode: mode } }),
        ...settingsIn(input),
      });
    },
    access: async ({ call }, input) => {
      const target = targetOf(call.principal.accountId, call.region, input.StreamName);
      const tags = Object.entries(input.Tags ?? {});
      const context = Object.fromEntries(tags.map(([key, value]) => [`aws:RequestTag/${key}`, value]));
      const withTags = tags.length === 0 ? {} : { ...context, "aws:TagKeys": tags.map(([key]) => key) };
      const checks = [checkOn("CreateStream", target, withTags)];
      if (tags.length > 0) checks.push(checkOn("AddTagsToStream", target, withTags));
      return { checks, target };
    },
    handle: async ({ call, read }, input, target) => {
      const existing = await read.get(streams, streamKey(target));
      if (existing !== null && statusOf(existing, call.nowMs) !== null) throw streamExists(target);
      const mode = input.StreamModeDetails?.StreamMode ?? "PROVISIONED";
      const shardCount = shardCountOf(mode, input);
      const { WarmThroughputMiBps: warmThroughputMiBps, RecordDistributionStrategy: distribution } = input;
      checkDistribution(mode, distribution);
      if (warmThroughputMiBps !== undefined)
        await checkWarmThroughput(read, { ...target, mode }, warmThroughputMiBps, call.nowMs);
      checkTags(target, input.Tags ?? {}, 0);
      await checkShardLimit(env, read, target, call.nowMs, shardCount);
      const createdAtMs = Math.floor(call.nowMs);
      const stream: StreamRecord = {
        streamId: newStreamId(env.random),
        accountId: target.accountId,
        region: target.region,
        name: target.name,
        createdAtMs,
        updatedAtMs: null,
        deletedAtMs: null,
        mode,
        openShardCount: shardCount,
        shardsVersion: 1,
        retentionHours: RETENTION_HOURS_MIN,
        expiredBeforeMs: 0,
        maxRecordKiB: input.MaxRecordSizeInKiB ?? DEFAULT_MAX_RECORD_KIB,
        encryption: null,
        sealedPeriods: [],
        encryptionStartsMs: [],
        encryptionStopsMs: [],
        tags: { ...input.Tags },
        ...(warmThroughputMiBps === undefined ? {} : { warmThroughputMiBps }),
        ...(distribution === undefined ? {} : { distribution }),
      };
      const { accountId, region, name } = target;
      return {
        output: {},
        writes: [
          streams.put(streamKey(target), stream),
          streamPlaces.put([stream.streamId], { accountId, region, name }),
          shardLists.put([stream.streamId], { version: 1, shards: uniformShards(shardCount, createdAtMs) }),
        ],
        audit: streamResource(target),
      };
    },
  };
}

export function deleteStream(env: Environment): Operation<DeleteStreamInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => accessTo("DeleteStream", targetOfInput(call, input)),
    handle: async ({ call, read }, input, target) => {
      const stream = await existingStream(read, target, call.nowMs);
      // Asked for twice, deletion goes on as it began.
      if (stream.deletedAtMs !== null) return { output: {}, audit: streamResource(target) };
      const changing = await consumersToChange(read, stream.streamId, call.nowMs);
      if (changing.present.length > 0 && input.EnforceConsumerDeletion !== true) throw streamHasConsumers(target);
      const deletedAtMs = Math.floor(call.nowMs);
      const { accountId, region, name } = target;
      return {
        output: {},
        writes: [
          streams.put(streamKey(target), { ...stream, deletedAtMs }),
          deletions.put([stream.streamId], { accountId, region, name, deletedAtMs }),
          ...removeAllConsumers(stream.streamId, changing),
          streamPlaces.remove([stream.streamId]),
          resourcePolicies.remove([stream.streamId, "stream"]),
        ],
        audit: streamResource(target),
        committed: () => env.background.wakeForDeletion(),
      };
    },
  };
}
