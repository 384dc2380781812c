import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { DataKeys } from "../../envelope/data-keys.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { SuiteName } from "../../envelope/suite.ts";
import type { Dispatch } from "../../gateway/contract.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import type { Background } from "./background.ts";
import type { FanOut } from "./fan-out.ts";
import type { KmsUse } from "./kms-use.ts";
import type { OnDemand } from "./on-demand.ts";
import type { Resealing } from "./resealing.ts";
import type { Resharder } from "./resharder.ts";
import type { ShardWriters } from "./shard-writer.ts";
import type { ShardMaps } from "./shards.ts";
import type { StreamLimits } from "./stream-limits.ts";

/** What the operations share: made once per service by `createKinesisService`. */
export interface Environment {
  readonly records: RecordLog;
  /**
   * Reads that leave no expectations behind. The data plane uses it: a put must never run again because the stream changed
   * meanwhile, for that would put its records twice.
   */
  readonly reader: Reader;
  readonly dataKeys: DataKeys;
  /** What new records are sealed with where their stream says nothing else. */
  readonly streamSuite: SuiteName;
  readonly dispatch: Dispatch;
  readonly secretBox: SecretBox;
  readonly clock: Clock;
  readonly random: Random;
  readonly writers: ShardWriters;
  readonly shardMaps: ShardMaps;
  readonly background: Background;
  readonly resharder: Resharder;
  readonly resealing: Resealing;
  /** Counts calls of KMS that this service makes itself. Null: nobody counts. */
  readonly kmsUse: KmsUse | null;
  /** The id of the key material that a wrapped data key names; null: it does not tell. */
  readonly materialOf: (wrapped: Uint8Array) => string | null;
  readonly onDemand: OnDemand;
  /** Open shards per account and Region. */
  readonly shardCountMax: number;
  readonly onDemandStreamCountMax: number;
  /** Null: shards take and give as much as the machine can. */
  readonly limits: StreamLimits | null;
  readonly fanOut: FanOut;
  /** To each consumer, of each shard; null: as much as the consumer takes. */
  readonly fanOutBytesPerSecond: number | null;
  /** Told of what failed without a request to answer for it. */
  readonly backgroundFailed?: ((error: unknown) => void) | undefined;
}
