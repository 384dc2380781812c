import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, describeRequest, existingStream, streamResource, targetOfInput } from "../access.ts";
import { consumersOf } from "../consumers.ts";
import type { Environment } from "../environment.ts";
import type { StreamRecord } from "../model.ts";
import { encryptionType, isExpired, statusOf, streamArn } from "../model.ts";
import type {
  DescribeLimitsInput,
  DescribeLimitsOutput,
  DescribeStreamInput,
  DescribeStreamOutput,
  DescribeStreamSummaryInput,
  DescribeStreamSummaryOutput,
  EncryptionType,
  EnhancedMetrics,
  StreamModeDetails,
  StreamStatus,
} from "../shapes.generated.ts";
import { describeShard } from "../shards.ts";
import { listStreamRecords } from "../stream-list.ts";
import { warmThroughputOf } from "../warm-throughput.ts";

/** AWS answers with at most this many, whatever is asked for. */
const SHARD_PAGE_COUNT_MAX = 100;

interface Described {
  readonly StreamName: string;
  readonly StreamARN: string;
  readonly StreamStatus: StreamStatus;
  readonly StreamModeDetails: StreamModeDetails;
  readonly RetentionPeriodHours: number;
  readonly StreamCreationTimestamp: number;
  readonly EnhancedMonitoring: readonly EnhancedMetrics[];
  readonly EncryptionType: EncryptionType;
  readonly KeyId?: string;
}

/** What both descriptions say. */
const describe = (stream: StreamRecord, status: StreamStatus): Described => ({
  StreamName: stream.name,
  StreamARN: streamArn(stream),
  StreamStatus: status,
  StreamModeDetails: { StreamMode: stream.mode },
  RetentionPeriodHours: stream.retentionHours,
  StreamCreationTimestamp: stream.createdAtMs,
  EnhancedMonitoring: [{ ShardLevelMetrics: stream.shardMetrics ?? [] }],
  EncryptionType: encryptionType(stream),
  ...(stream.encryption === null ? {} : { KeyId: stream.encryption.keyId }),
});

export function describeStream(env: Environment): Operation<DescribeStreamInput, DescribeStreamOutput, StreamTarget> {
  return {
    event: "management",
    readOnly: true,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => accessTo("DescribeStream", targetOfInput(call, input)),
    handle: async ({ call, read }, input, target) => {
      const stream = await existingStream(read, target, call.nowMs);
      const status = statusOf(stream, call.nowMs) ?? "DELETING";
      const start = input.ExclusiveStartShardId;
      // A stream has no shards to show before it is made.
      const shards = status === "CREATING" ? [] : (await env.shardMaps.of(stream)).shards;
      const rest = shards.filter(
        ({ record, shardId }) => (start === undefined || shardId > start) && !isExpired(record, stream, call.nowMs),
      );
      const page = rest.slice(0, Math.min(input.Limit ?? SHARD_PAGE_COUNT_MAX, SHARD_PAGE_COUNT_MAX));
      return {
        output: {
          StreamDescription: {
            ...describe(stream, status),
            Shards: page.map(describeShard),
            HasMoreShards: page.length < rest.length,
          },
        },
        audit: streamResource(target),
      };
    },
  };
}

export const describeStreamSummary: Operation<DescribeStreamSummaryInput, DescribeStreamSummaryOutput, StreamTarget> = {
  event: "management",
  readOnly: true,
  describe: (input) => describeRequest(input),
  access: async ({ call }, input) => accessTo("DescribeStreamSummary", targetOfInput(call, input)),
  handle: async ({ call, read }, _input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const status = statusOf(stream, call.nowMs) ?? "DELETING";
    const warmThroughput = warmThroughputOf(stream);
    return {
      output: {
        StreamDescriptionSummary: {
          ...describe(stream, status),
          StreamId: stream.streamId,
          OpenShardCount: status === "CREATING" ? 0 : stream.openShardCount,
          ConsumerCount: (await consumersOf(read, stream.streamId, call.nowMs)).present.length,
          MaxRecordSizeInKiB: stream.maxRecordKiB,
          ...(warmThroughput === null ? {} : { WarmThroughput: warmThroughput }),
          ...(stream.mode === "ON_DEMAND"
            ? { RecordDistributionStrategy: stream.distribution ?? "USER_PARTITION_KEY" }
            : {}),
        },
      },
      audit: streamResource(target),
    };
  },
};

export function describeLimits(env: Environment): Operation<DescribeLimitsInput, DescribeLimitsOutput, null> {
  return {
    event: "management",
    readOnly: true,
    access: async ({ call }) => ({
      checks: [{ action: "kinesis:DescribeLimits", resource: "*", resourceAccountId: call.principal.accountId }],
      target: null,
    }),
    handle: async ({ call, read }) => {
      const scope = { accountId: call.principal.accountId, region: call.region };
      const streams = await listStreamRecords(read, scope, call.nowMs, undefined, Number.POSITIVE_INFINITY);
      return {
        output: {
          ShardLimit: env.shardCountMax,
          OpenShardCount: streams.reduce((total, stream) => total + stream.openShardCount, 0),
          OnDemandStreamCount: streams.filter(({ mode }) => mode === "ON_DEMAND").length,
          OnDemandStreamCountLimit: env.onDemandStreamCountMax,
        },
      };
    },
  };
}
