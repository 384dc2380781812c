/** What this service keeps in the metadata store. */
import { type Table, table } from "../../store/table.ts";
import type { LeaseRecord } from "./lease.ts";

/** Where an application begins in a shard that it has done nothing in. LATEST is the instant of its registration. */
export type Start = "TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP";

export interface ApplicationRecord {
  readonly name: string;
  readonly start: Start;
  /** Null: at the oldest record. The same for every shard, so that nothing falls between a shard and its children. */
  readonly startMs: number | null;
  readonly createdAtMs: number;
  readonly leaseCount: number;
}

/** [stream id, application]: a new stream of the same name begins without any. */
export const applications: Table<ApplicationRecord> = table<ApplicationRecord>("consumers.application");

/** [stream id, application, shard id] */
export const leases: Table<LeaseRecord> = table<LeaseRecord>("consumers.lease");

/** [stream id]: which streams have something here, for who cleans up behind deleted ones. Rewritten with each new application. */
export interface StreamIndexRecord {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
  readonly applicationCount: number;
}
export const streamIndex: Table<StreamIndexRecord> = table<StreamIndexRecord>("consumers.stream");
