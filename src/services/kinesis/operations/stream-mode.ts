import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { limitExceeded } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { MODE_UPDATES_PER_DAY_MAX, withinDay } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import { checkShardLimit } from "../shard-limit.ts";
import type { Nothing, StreamMode, UpdateStreamModeInput } from "../shapes.generated.ts";
import { checkWarmThroughput } from "../warm-throughput.ts";
import { planned } from "./reshard.ts";

/** Throws LimitExceededException; otherwise the instants to keep, this one included. */
function countedUpdates(stream: StreamRecord, nowMs: number): readonly number[] {
  const recent = withinDay(stream.modeUpdatesMs ?? [], nowMs);
  if (recent.length < MODE_UPDATES_PER_DAY_MAX) return [...recent, nowMs];
  throw limitExceeded(
    `You have changed the capacity mode of this stream ${recent.length} times in the last 24 hours. ` +
      `The limit is ${MODE_UPDATES_PER_DAY_MAX}.`,
  );
}

/** What only on-demand streams have goes with the mode. */
function withMode(stream: StreamRecord, mode: StreamMode): StreamRecord {
  if (mode === "ON_DEMAND") return { ...stream, mode };
  const { warmThroughputMiBps: _warm, distribution: _distribution, ...rest } = stream;
  return { ...rest, mode };
}

/**
 * The shards stay as they are: an on-demand stream goes on from them, a provisioned one keeps what it has. More come where
 * warm throughput is asked for.
 */
export function updateStreamMode(env: Environment): Operation<UpdateStreamModeInput, Nothing, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: ({ StreamModeDetails: { StreamMode: streamMode }, WarmThroughputMiBps: mibps, ...input }) =>
      describeRequest(input, {
        streamModeDetails: { streamMode },
        ...(mibps === undefined ? {} : { warmThroughputMiBps: mibps }),
      }),
    access: async ({ call }, input) => accessTo("UpdateStreamMode", targetOfInput(call, input)),
    handle: async ({ call, read }, input, target) => {
      const stream = await activeStream(read, target, call.nowMs);
      const mode = input.StreamModeDetails.StreamMode;
      const mibps = input.WarmThroughputMiBps;
      if (mibps !== undefined) await checkWarmThroughput(read, { ...target, mode }, mibps, call.nowMs);
      // Asked for what it is, nothing changes, and nothing is counted.
      if (mode === stream.mode && mibps === undefined) return { output: {}, audit: streamResource(target) };
      const changed: StreamRecord = {
        ...withMode(stream, mode),
        updatedAtMs: Math.floor(call.nowMs),
        ...(mode === stream.mode ? {} : { modeUpdatesMs: countedUpdates(stream, call.nowMs) }),
        ...(mibps === undefined ? {} : { warmThroughputMiBps: mibps }),
      };
      const missing = (mibps ?? 0) - stream.openShardCount;
      if (missing > 0) {
        await checkShardLimit(env, read, target, call.nowMs, missing);
        return planned(env, target, changed, { kind: "uniform", shardCount: stream.openShardCount + missing }, {});
      }
      return { output: {}, writes: [streams.put(streamKey(target), changed)], audit: streamResource(target) };
    },
  };
}
