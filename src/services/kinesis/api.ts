/** The table of this service: each operation and its handler. What is not here answers as unsupported. */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { DataKeys } from "../../envelope/data-keys.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { SuiteName } from "../../envelope/suite.ts";
import type { AnyOperation, Dispatch, Service } from "../../gateway/contract.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { createBackground } from "./background.ts";
import type { Environment } from "./environment.ts";
import { FanOut } from "./fan-out.ts";
import {
  deregisterStreamConsumer,
  describeStreamConsumer,
  listStreamConsumers,
  registerStreamConsumer,
} from "./operations/consumers.ts";
import { subscribeToShard } from "./operations/subscribe-to-shard.ts";
import { createStream, deleteStream } from "./operations/create-delete.ts";
import { describeAccountSettings, updateAccountSettings } from "./operations/account-settings.ts";
import { describeLimits, describeStream, describeStreamSummary } from "./operations/describe.ts";
import { startStreamEncryption, stopStreamEncryption } from "./operations/encryption.ts";
import { getRecords } from "./operations/get-records.ts";
import { getShardIterator } from "./operations/get-shard-iterator.ts";
import { listShards } from "./operations/list-shards.ts";
import { listStreams } from "./operations/list-streams.ts";
import { putRecord, putRecords } from "./operations/put.ts";
import { decreaseStreamRetentionPeriod, increaseStreamRetentionPeriod } from "./operations/retention-period.ts";
import {
  addTagsToStream,
  listTagsForResource,
  listTagsForStream,
  removeTagsFromStream,
  tagResource,
  untagResource,
} from "./operations/tags.ts";
import { mergeShards, splitShard } from "./operations/reshard.ts";
import { updateShardCount } from "./operations/reshard-uniform.ts";
import { updateStreamMode } from "./operations/stream-mode.ts";
import { reportStreamEncryption } from "./encryption-report.ts";
import type { KmsUse } from "./kms-use.ts";
import { createOnDemand } from "./on-demand.ts";
import { describeStreamReseal, endStreamReseal, resealStream } from "./operations/reseal.ts";
import { createResealing } from "./resealing.ts";
import { createResharder } from "./resharder.ts";
import { deleteResourcePolicy, getResourcePolicy, putResourcePolicy } from "./operations/resource-policy.ts";
import {
  disableEnhancedMonitoring,
  enableEnhancedMonitoring,
  updateMaxRecordSize,
  updateStreamRecordDistributionStrategy,
} from "./operations/stream-settings.ts";
import { updateStreamWarmThroughput } from "./operations/warm-throughput.ts";
import { ResourcePolicies, type ResourcePolicyLanguage, underPolicies } from "./resource-policies.ts";
import { model } from "./shapes.generated.ts";
import { takingStreamIds } from "./stream-id.ts";
import { createStreamLimits, type StreamLimits } from "./stream-limits.ts";
import { ShardWriters } from "./shard-writer.ts";
import { ShardMaps } from "./shards.ts";

/** Developer Guide, "Quotas and limits": to each consumer, of each shard. Only within AWS's limits. */
const FAN_OUT_BYTES_PER_SECOND: number = 2 * 1024 * 1024;
/** Open shards per account and Region: AWS starts at 200 to 500 and raises it on request. */
const SHARD_COUNT_MAX = 5_000;
/** AWS's default quota. Reported, not enforced: an on-demand stream costs here what any other does. */
const ON_DEMAND_STREAM_COUNT_MAX = 50;

export interface KinesisDeps extends ResourcePolicyLanguage {
  readonly records: RecordLog;
  /** For background work only: handlers hand their writes to the gateway. */
  readonly metadata: MetadataStore;
  /** Reads the same store, without expectations. */
  readonly reader: Reader;
  readonly dataKeys: DataKeys;
  readonly dispatch: Dispatch;
  readonly secretBox: SecretBox;
  readonly clock: Clock;
  readonly random: Random;
  readonly shardCountMax?: number;
  /** Whether AWS's limits on shards and requests hold. Default: "none". */
  readonly streamLimits?: "none" | "aws";
  /** For new records of streams that say nothing else (default: aes). */
  readonly streamSuite?: SuiteName;
  /** Counts calls of KMS. Default: nobody does. */
  readonly kmsUse?: KmsUse;
  /** The id of the key material that a wrapped data key names: KMS's to know. Default: none is told. */
  readonly materialOf?: (wrapped: Uint8Array) => string | null;
  /** Told of background work that failed and will be tried again. */
  readonly backgroundFailed?: (error: unknown) => void;
}

/** The table as it is served: what holds for every operation is added here, so that no row can forget it. */
const within = (
  limits: StreamLimits | null,
  policies: ResourcePolicies,
  operations: Readonly<Record<string, AnyOperation>>,
): Readonly<Record<string, AnyOperation>> =>
  Object.fromEntries(
    Object.entries(operations).map(([name, operation]) => {
      const served = takingStreamIds(underPolicies(operation, policies));
      return [name, limits === null ? served : limits.within(name, served)];
    }),
  );

/** Not in the model: no request names them. The operator asks through the admin socket (server/streams.ts). */
const operatorOperations = (env: Environment): Readonly<Record<string, AnyOperation>> => ({
  DescribeStreamReseal: describeStreamReseal(env),
  EndStreamReseal: endStreamReseal,
  ReportStreamEncryption: reportStreamEncryption(env),
  ResealStream: resealStream(env),
});

export function createKinesisService(deps: KinesisDeps): Service {
  const { records, metadata, reader, clock, random } = deps;
  const shardMaps = new ShardMaps(reader);
  const fanOut = new FanOut({ clock, metadata });
  const writers = new ShardWriters({ records: fanOut.telling(records), clock, random });
  const failed = deps.backgroundFailed;
  const resharder = createResharder({ records, metadata, reader, writers, clock, failed });
  const onDemand = createOnDemand({ metadata, reader, shardMaps, resharder, clock, failed });
  const background = createBackground({ records, metadata, reader, shardMaps, writers, clock, failed });
  const policies = new ResourcePolicies(deps);
  const limits = deps.streamLimits === "aws" ? createStreamLimits(clock) : null;
  const streamSuite = deps.streamSuite ?? "aes";
  const materialOf = deps.materialOf ?? ((): null => null);
  const resealing = createResealing({ ...deps, shardMaps, streamSuite, materialOf, failed });
  const env: Environment = {
    ...deps,
    resealing,
    kmsUse: deps.kmsUse ?? null,
    materialOf,
    writers,
    shardMaps,
    background,
    resharder,
    onDemand,
    shardCountMax: deps.shardCountMax ?? SHARD_COUNT_MAX,
    streamSuite,
    onDemandStreamCountMax: ON_DEMAND_STREAM_COUNT_MAX,
    limits,
    fanOut,
    fanOutBytesPerSecond: limits === null ? null : FAN_OUT_BYTES_PER_SECOND,
  };
  return {
    model,
    operations: {
      ...operatorOperations(env),
      ...within(limits, policies, {
        AddTagsToStream: addTagsToStream,
        CreateStream: createStream(env),
        DecreaseStreamRetentionPeriod: decreaseStreamRetentionPeriod,
        DeleteResourcePolicy: deleteResourcePolicy,
        DeleteStream: deleteStream(env),
        DeregisterStreamConsumer: deregisterStreamConsumer,
        DescribeAccountSettings: describeAccountSettings,
        DescribeLimits: describeLimits(env),
        DescribeStream: describeStream(env),
        DescribeStreamConsumer: describeStreamConsumer,
        DescribeStreamSummary: describeStreamSummary,
        DisableEnhancedMonitoring: disableEnhancedMonitoring,
        EnableEnhancedMonitoring: enableEnhancedMonitoring,
        GetRecords: getRecords(env),
        GetResourcePolicy: getResourcePolicy(policies),
        GetShardIterator: getShardIterator(env),
        IncreaseStreamRetentionPeriod: increaseStreamRetentionPeriod,
        ListShards: listShards(env),
        ListStreamConsumers: listStreamConsumers(env),
        ListStreams: listStreams(env),
        ListTagsForResource: listTagsForResource,
        ListTagsForStream: listTagsForStream,
        MergeShards: mergeShards(env),
        PutRecord: putRecord(env),
        PutRecords: putRecords(env),
        PutResourcePolicy: putResourcePolicy(policies),
        RegisterStreamConsumer: registerStreamConsumer,
        RemoveTagsFromStream: removeTagsFromStream,
        SplitShard: splitShard(env),
        StartStreamEncryption: startStreamEncryption(env),
        StopStreamEncryption: stopStreamEncryption,
        SubscribeToShard: subscribeToShard(env),
        TagResource: tagResource,
        UntagResource: untagResource,
        UpdateAccountSettings: updateAccountSettings,
        UpdateMaxRecordSize: updateMaxRecordSize,
        UpdateShardCount: updateShardCount(env),
        UpdateStreamMode: updateStreamMode(env),
        UpdateStreamRecordDistributionStrategy: updateStreamRecordDistributionStrategy,
        UpdateStreamWarmThroughput: updateStreamWarmThroughput(env),
      }),
    },
    start: () => {
      const stopBackground = background.start();
      const stopResharder = resharder.start();
      const stopOnDemand = onDemand.start();
      const stopResealing = resealing.start();
      return async () => {
        await stopResealing();
        fanOut.endAll();
        await stopOnDemand();
        // Before the writers: what it holds would never be drained.
        await stopResharder();
        await stopBackground();
        await writers.drain();
      };
    },
  };
}
