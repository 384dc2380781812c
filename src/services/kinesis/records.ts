/** What this service keeps in the metadata store. */
import type { PrincipalIds } from "../../authz/principals.ts";
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

/** Where a stream is. */
export interface StreamPlace {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
}

/** By stream id: for requests that name a stream by nothing else. */
export const streamPlaces: Table<StreamPlace> = table<StreamPlace>("kinesis.stream-id");

/** A resource policy as it was put, and the unique ids of the principals that it names (PrincipalDirectory). */
export interface PolicyRecord {
  readonly document: string;
  readonly principalIds: PrincipalIds;
}

/**
 * By stream id (so that a new stream of the same name does not get it) and resource: `stream`, or `consumer/NAME:EPOCH`.
 * Goes with the stream.
 */
export const resourcePolicies: Table<PolicyRecord> = table<PolicyRecord>("kinesis.policy");

/** What an account pledged to AWS. Ended: when the commitment ends or has ended; null: nobody asked for that. */
export interface AccountSettingsRecord {
  readonly committedAtMs: number;
  readonly endsAtMs: number | null;
}

/** By account and region. */
export const accountSettings: Table<AccountSettingsRecord> = table<AccountSettingsRecord>("kinesis.account");

export interface ConsumerRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly deletedAtMs: number | null;
  readonly tags: Readonly<Record<string, string>>;
}

/** By stream id and name. A deregistered one stays until the next change, or the stream's deletion, takes it away. */
export const consumers: Table<ConsumerRecord> = table<ConsumerRecord>("kinesis.consumer");

/** By stream id: written with every change of the stream's consumers, so that two changes at once cannot both count the same. */
export const consumerChanges: Table<{ readonly count: number }> = table<{ readonly count: number }>(
  "kinesis.consumer-changes",
);
