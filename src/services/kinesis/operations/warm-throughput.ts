import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import type { StreamRecord } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import { checkShardLimit } from "../shard-limit.ts";
import type { UpdateStreamWarmThroughputInput, UpdateStreamWarmThroughputOutput } from "../shapes.generated.ts";
import { checkWarmThroughput, warmThroughputOf } from "../warm-throughput.ts";
import { planned } from "./reshard.ts";

/** More is made ready at once, by splits; what is too much is merged when it has been idle (on-demand.ts). */
export function updateStreamWarmThroughput(
  env: Environment,
): Operation<UpdateStreamWarmThroughputInput, UpdateStreamWarmThroughputOutput, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => describeRequest(input, { warmThroughputMiBps: input.WarmThroughputMiBps }),
    access: async ({ call }, input) => accessTo("UpdateStreamWarmThroughput", targetOfInput(call, input)),
    handle: async ({ call, read }, { WarmThroughputMiBps: mibps }, target) => {
      const stream = await activeStream(read, target, call.nowMs);
      await checkWarmThroughput(read, stream, mibps, call.nowMs);
      const updatedAtMs = Math.floor(call.nowMs);
      const updated: StreamRecord = { ...stream, updatedAtMs, warmThroughputMiBps: mibps };
      const output = {
        StreamARN: target.arn,
        StreamName: target.name,
        WarmThroughput: warmThroughputOf(updated) ?? undefined,
      };
      const missing = mibps - stream.openShardCount;
      if (missing <= 0) {
        return { output, writes: [streams.put(streamKey(target), updated)], audit: streamResource(target) };
      }
      await checkShardLimit(env, read, target, call.nowMs, missing);
      return planned(env, target, updated, { kind: "uniform", shardCount: mibps }, output);
    },
  };
}
