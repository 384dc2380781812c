import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { DataKeys } from "../../envelope/data-keys.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Dispatch } from "../../gateway/contract.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import type { Background } from "./background.ts";
import type { ShardWriters } from "./shard-writer.ts";
import type { ShardMaps } from "./shards.ts";

/** What the operations share: made once per service by `createKinesisService`. */
export interface Environment {
  readonly records: RecordLog;
  /**
   * Reads that leave no expectations behind. The data plane uses it: a put must never run again because the stream changed
   * meanwhile, for that would put its records twice.
   */
  readonly reader: Reader;
  readonly dataKeys: DataKeys;
  readonly dispatch: Dispatch;
  readonly secretBox: SecretBox;
  readonly clock: Clock;
  readonly random: Random;
  readonly writers: ShardWriters;
  readonly shardMaps: ShardMaps;
  readonly background: Background;
  /** Open shards per account and Region. */
  readonly shardCountMax: number;
  readonly onDemandStreamCountMax: number;
}
