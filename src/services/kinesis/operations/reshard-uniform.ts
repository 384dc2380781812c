/** UpdateShardCount: as many equal shards as asked for, by splits and merges in several rounds (reshard.ts). */
import type { ServiceError } from "../../../base/errors.ts";
import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { limitExceeded } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { SHARD_COUNT_UPDATES_PER_DAY_MAX, STREAM_SHARD_COUNT_MAX, streamArn, withinDay } from "../model.ts";
import { checkShardLimit } from "../shard-limit.ts";
import type { UpdateShardCountInput, UpdateShardCountOutput } from "../shapes.generated.ts";
import { planned, provisionedStream } from "./reshard.ts";

/** Throws LimitExceededException: at most twice the open shards, at least half of them, never more than the most. */
function checkCount(open: number, target: number): void {
  const refuse = (why: string): ServiceError =>
    limitExceeded(`${why} Current open shard count: ${open}, Target shard count: ${target}`);
  if (target > STREAM_SHARD_COUNT_MAX) {
    throw refuse(`Target shard count or number of open shards cannot be greater than ${STREAM_SHARD_COUNT_MAX}.`);
  }
  if (target > open * 2) throw refuse("UpdateShardCount cannot scale up over double your current open shard count.");
  if (target < open / 2) throw refuse("UpdateShardCount cannot scale down below half your current open shard count.");
}

/** Throws LimitExceededException; otherwise the instants to keep, this one included. */
function countedUpdates(stream: StreamRecord, nowMs: number): readonly number[] {
  const recent = withinDay(stream.shardCountUpdatesMs ?? [], nowMs);
  if (recent.length < SHARD_COUNT_UPDATES_PER_DAY_MAX) return [...recent, nowMs];
  throw limitExceeded(
    `You have updated the shard count of this stream ${recent.length} times in the last 24 hours. ` +
      `The limit is ${SHARD_COUNT_UPDATES_PER_DAY_MAX}.`,
  );
}

export function updateShardCount(
  env: Environment,
): Operation<UpdateShardCountInput, UpdateShardCountOutput, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) =>
      describeRequest(input, { targetShardCount: input.TargetShardCount, scalingType: input.ScalingType }),
    access: async ({ call }, input) => accessTo("UpdateShardCount", targetOfInput(call, input)),
    handle: async (context, input, target) => {
      const { call, read } = context;
      const stream = await provisionedStream(context, target);
      await activeStream(read, target, call.nowMs);
      const open = stream.openShardCount;
      const shardCount = input.TargetShardCount;
      checkCount(open, shardCount);
      const updated: StreamRecord = {
        ...stream,
        updatedAtMs: Math.floor(call.nowMs),
        shardCountUpdatesMs: countedUpdates(stream, call.nowMs),
      };
      if (shardCount > open) await checkShardLimit(env, read, target, call.nowMs, shardCount - open);
      return planned(
        env,
        target,
        updated,
        { kind: "uniform", shardCount },
        {
          StreamName: target.name,
          CurrentShardCount: open,
          TargetShardCount: shardCount,
          StreamARN: streamArn(stream),
        },
      );
    },
  };
}
