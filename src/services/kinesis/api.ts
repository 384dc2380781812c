/** The table of this service: each operation and its handler. What is not here answers as unsupported. */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { DataKeys } from "../../envelope/data-keys.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Dispatch, Service } from "../../gateway/contract.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { createBackground } from "./background.ts";
import type { Environment } from "./environment.ts";
import { createStream, deleteStream } from "./operations/create-delete.ts";
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
import { model } from "./shapes.generated.ts";
import { ShardWriters } from "./shard-writer.ts";
import { ShardMaps } from "./shards.ts";

/** Open shards per account and Region: AWS starts at 200 to 500 and raises it on request. */
const SHARD_COUNT_MAX = 5_000;
/** AWS's default quota. Reported, not enforced: an on-demand stream costs here what any other does. */
const ON_DEMAND_STREAM_COUNT_MAX = 50;

export interface KinesisDeps {
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
  /** Told of background work that failed and will be tried again. */
  readonly backgroundFailed?: (error: unknown) => void;
}

export function createKinesisService(deps: KinesisDeps): Service {
  const { records, metadata, reader, clock, random } = deps;
  const shardMaps = new ShardMaps(reader);
  const writers = new ShardWriters({ records, clock, random });
  const background = createBackground({ records, metadata, reader, shardMaps, clock, failed: deps.backgroundFailed });
  const env: Environment = {
    ...deps,
    writers,
    shardMaps,
    background,
    shardCountMax: deps.shardCountMax ?? SHARD_COUNT_MAX,
    onDemandStreamCountMax: ON_DEMAND_STREAM_COUNT_MAX,
  };
  return {
    model,
    operations: {
      AddTagsToStream: addTagsToStream,
      CreateStream: createStream(env),
      DecreaseStreamRetentionPeriod: decreaseStreamRetentionPeriod,
      DeleteStream: deleteStream(env),
      DescribeLimits: describeLimits(env),
      DescribeStream: describeStream(env),
      DescribeStreamSummary: describeStreamSummary,
      GetRecords: getRecords(env),
      GetShardIterator: getShardIterator(env),
      IncreaseStreamRetentionPeriod: increaseStreamRetentionPeriod,
      ListShards: listShards(env),
      ListStreams: listStreams(env),
      ListTagsForResource: listTagsForResource,
      ListTagsForStream: listTagsForStream,
      PutRecord: putRecord(env),
      PutRecords: putRecords(env),
      RemoveTagsFromStream: removeTagsFromStream,
      StartStreamEncryption: startStreamEncryption(env),
      StopStreamEncryption: stopStreamEncryption,
      TagResource: tagResource,
      UntagResource: untagResource,
    },
    start: () => {
      const stopBackground = background.start();
      return async () => {
        await stopBackground();
        await writers.drain();
      };
    },
  };
}
