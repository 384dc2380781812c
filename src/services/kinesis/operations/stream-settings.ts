/** What can be set of a stream beside its shards, retention and encryption: record size, metrics, distribution. */
import type { Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, activeStream, describeRequest, streamResource, targetOfInput } from "../access.ts";
import { invalidArgument } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import type {
  DisableEnhancedMonitoringInput,
  EnableEnhancedMonitoringInput,
  EnhancedMonitoringOutput,
  MetricsName,
  Nothing,
  UpdateMaxRecordSizeInput,
  UpdateStreamRecordDistributionStrategyInput,
} from "../shapes.generated.ts";

/** The stream takes the change through UPDATING. */
async function updated<Output>(
  { call, read }: OperationContext,
  target: StreamTarget,
  change: (stream: StreamRecord) => Partial<StreamRecord>,
  output: (before: StreamRecord, after: StreamRecord) => Output,
): Promise<Outcome<Output>> {
  const before = await activeStream(read, target, call.nowMs);
  const after: StreamRecord = { ...before, ...change(before), updatedAtMs: Math.floor(call.nowMs) };
  return {
    output: output(before, after),
    writes: [streams.put(streamKey(target), after)],
    audit: streamResource(target),
  };
}

/** What is larger and there already stays, and is read as before. */
export const updateMaxRecordSize: Operation<UpdateMaxRecordSizeInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { maxRecordSizeInKiB: input.MaxRecordSizeInKiB }),
  access: async ({ call }, input) => accessTo("UpdateMaxRecordSize", targetOfInput(call, input)),
  handle: (context, input, target) =>
    updated(
      context,
      target,
      () => ({ maxRecordKiB: input.MaxRecordSizeInKiB }),
      () => ({}),
    ),
};

/** In the order in which AWS lists them. */
const SHARD_METRICS: readonly MetricsName[] = [
  "IncomingBytes",
  "IncomingRecords",
  "OutgoingBytes",
  "OutgoingRecords",
  "WriteProvisionedThroughputExceeded",
  "ReadProvisionedThroughputExceeded",
  "IteratorAgeMilliseconds",
];

const metricsOf = (stream: StreamRecord): readonly MetricsName[] => stream.shardMetrics ?? [];

const monitoring = (
  context: OperationContext,
  target: StreamTarget,
  named: readonly MetricsName[],
  isKept: (before: boolean, named: boolean) => boolean,
): Promise<Outcome<EnhancedMonitoringOutput>> => {
  const names = new Set(named.includes("ALL") ? SHARD_METRICS : named);
  const kept = (before: readonly MetricsName[]): readonly MetricsName[] =>
    SHARD_METRICS.filter((metric) => isKept(before.includes(metric), names.has(metric)));
  return updated(
    context,
    target,
    (stream) => ({ shardMetrics: kept(metricsOf(stream)) }),
    (before, after) => ({
      StreamName: target.name,
      StreamARN: target.arn,
      CurrentShardLevelMetrics: metricsOf(before),
      DesiredShardLevelMetrics: metricsOf(after),
    }),
  );
};

export const enableEnhancedMonitoring: Operation<
  EnableEnhancedMonitoringInput,
  EnhancedMonitoringOutput,
  StreamTarget
> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { shardLevelMetrics: input.ShardLevelMetrics }),
  access: async ({ call }, input) => accessTo("EnableEnhancedMonitoring", targetOfInput(call, input)),
  handle: (context, input, target) =>
    monitoring(context, target, input.ShardLevelMetrics, (before, named) => before || named),
};

export const disableEnhancedMonitoring: Operation<
  DisableEnhancedMonitoringInput,
  EnhancedMonitoringOutput,
  StreamTarget
> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { shardLevelMetrics: input.ShardLevelMetrics }),
  access: async ({ call }, input) => accessTo("DisableEnhancedMonitoring", targetOfInput(call, input)),
  handle: (context, input, target) =>
    monitoring(context, target, input.ShardLevelMetrics, (before, named) => before && !named),
};

/** Takes effect at once, without UPDATING (API Reference, UpdateStreamRecordDistributionStrategy). */
export const updateStreamRecordDistributionStrategy: Operation<
  UpdateStreamRecordDistributionStrategyInput,
  Nothing,
  StreamTarget
> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { recordDistributionStrategy: input.RecordDistributionStrategy }),
  access: async ({ call }, input) => accessTo("UpdateStreamRecordDistributionStrategy", targetOfInput(call, input)),
  handle: async ({ call, read }, { RecordDistributionStrategy: distribution }, target) => {
    const stream = await activeStream(read, target, call.nowMs);
    checkDistribution(stream.mode, distribution);
    return {
      output: {},
      writes: [streams.put(streamKey(target), { ...stream, distribution })],
      audit: streamResource(target),
    };
  },
};

/** Throws InvalidArgumentException for what only on-demand streams can do. */
export function checkDistribution(mode: StreamRecord["mode"], distribution: StreamRecord["distribution"]): void {
  if (mode === "ON_DEMAND" || distribution !== "AUTO") return;
  throw invalidArgument("The AUTO record distribution strategy is only supported for streams in ON_DEMAND mode.");
}
