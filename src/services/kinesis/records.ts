/** What this service keeps in the metadata store. */
import type { Table } from "../../store/table.ts";
import { table } from "../../store/table.ts";
import type { ShardRecord, StreamRecord } from "./model.ts";

/** By account, region and name. */
export const streams: Table<StreamRecord> = table<StreamRecord>("kinesis.stream");

export const streamKey = (of: {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
}): readonly string[] => [of.accountId, of.region, of.name];

export interface ShardsRecord {
  /** The stream record names the version that belongs to it, so that a decoded copy may be kept. */
  readonly version: number;
  readonly shards: readonly ShardRecord[];
}

/** By stream id. Apart from the stream itself, which every put reads and which must stay small. */
export const shardLists: Table<ShardsRecord> = table<ShardsRecord>("kinesis.shards");

/** A deleted stream whose records are still to be dropped. */
export interface DeletionRecord {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
  readonly deletedAtMs: number;
}

/** By stream id. Written with the deletion and removed once everything is gone, so that a crash in between loses nothing. */
export const deletions: Table<DeletionRecord> = table<DeletionRecord>("kinesis.deletion");
