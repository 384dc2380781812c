/** A request to seal a stream's retained records again, under the key that the stream has now: its record, and what follows. Pure. */
import type { SealingKey } from "../../envelope/record-block.ts";
import type { Table } from "../../store/table.ts";
import { table } from "../../store/table.ts";
import { AT_START, type ShardCursor } from "./shard-walk.ts";
import type { StreamRecord } from "./model.ts";

/**
 * Puts that were under way when the key was changed may still be stored under the old one. Sealing again begins when they are
 * done, so that it comes past them, too.
 */
const CHANGE_SETTLES_MS = 5_000;

/** Places of damaged records that are remembered; the others are only counted. */
const DAMAGED_PLACES_MAX = 20;

export interface ResealCounts {
  readonly resealedBlocks: number;
  readonly resealedRecords: number;
  readonly resealedBytes: number;
  /** That were found under key, material and suite that they shall have. */
  readonly currentRecords: number;
  /** In blocks of which some record is not what was put: they stay as they are, under their key. */
  readonly leftRecords: number;
}

export interface DamagedPlace {
  readonly shardId: string;
  /** Sequence numbers of the block's first and last record. */
  readonly first: string;
  readonly last: string;
}

/** What all records behind the cursor are sealed with. */
export interface SealedUnder {
  readonly keyArn: string;
  readonly materialId: string | null;
  readonly suite: number;
}

export interface ResealJob {
  /** That of the request, which the event of `ResealStream` names. */
  readonly id: string;
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
  readonly requestedAtMs: number;
  readonly endedAtMs: number | null;
  readonly state: "RUNNING" | "DONE" | "STOPPED";
  /** Why it stopped; null unless it did. */
  readonly reason: { readonly code: string; readonly message: string } | null;
  /** Null before the first data key. */
  readonly sealedUnder: SealedUnder | null;
  /** When the stream had last been given a key, as the walk began. Absent in older records, and before the walk. */
  readonly keyGivenAtMs?: number;
  readonly cursor: ShardCursor;
  readonly counts: ResealCounts;
  readonly damaged: readonly DamagedPlace[];
}

/** By stream id: a stream has one job, the latest. */
export const resealJobs: Table<ResealJob> = table<ResealJob>("kinesis.reseal");

export const NO_COUNTS: ResealCounts = {
  resealedBlocks: 0,
  resealedRecords: 0,
  resealedBytes: 0,
  currentRecords: 0,
  leftRecords: 0,
};

/** A new job goes on where one stopped, and begins at the start otherwise: what is sealed as it shall be costs a look. */
export function requestedJob(stream: StreamRecord, previous: ResealJob | null, id: string, nowMs: number): ResealJob {
  const { accountId, region, name } = stream;
  const stopped = previous?.state === "STOPPED" ? previous : null;
  return {
    id,
    accountId,
    region,
    name,
    requestedAtMs: Math.floor(nowMs),
    endedAtMs: null,
    state: "RUNNING",
    reason: null,
    sealedUnder: stopped?.sealedUnder ?? null,
    ...(stopped?.keyGivenAtMs === undefined ? {} : { keyGivenAtMs: stopped.keyGivenAtMs }),
    cursor: stopped?.cursor ?? AT_START,
    counts: stopped?.counts ?? NO_COUNTS,
    damaged: stopped?.damaged ?? [],
  };
}

export const underOf = (key: SealingKey, materialOf: (wrapped: Uint8Array) => string | null): SealedUnder => ({
  keyArn: key.keyArn,
  materialId: materialOf(key.wrapped),
  suite: key.key.suite,
});

export const isSame = (a: SealedUnder | null, b: SealedUnder): boolean =>
  a !== null && a.keyArn === b.keyArn && a.materialId === b.materialId && a.suite === b.suite;

const keyGivenAtMs = (stream: StreamRecord): number => stream.encryptionStartsMs.at(-1) ?? 0;

/** The key was not given anew since the walk began, nor rotated: one that came back saw records under another one meanwhile. */
export const goesOn = (job: ResealJob, stream: StreamRecord, under: SealedUnder): boolean =>
  isSame(job.sealedUnder, under) && job.keyGivenAtMs === keyGivenAtMs(stream);

/** What lies behind the cursor has to be looked at again. */
export const startedOver = (job: ResealJob, stream: StreamRecord, sealedUnder: SealedUnder): ResealJob => ({
  ...job,
  sealedUnder,
  keyGivenAtMs: keyGivenAtMs(stream),
  cursor: AT_START,
  counts: { ...job.counts, currentRecords: 0, leftRecords: 0 },
  damaged: [],
});

export const withDamage = (job: ResealJob, places: readonly DamagedPlace[]): readonly DamagedPlace[] =>
  [...job.damaged, ...places].slice(0, DAMAGED_PLACES_MAX);

export const plus = (counts: ResealCounts, more: Partial<ResealCounts>): ResealCounts => ({
  resealedBlocks: counts.resealedBlocks + (more.resealedBlocks ?? 0),
  resealedRecords: counts.resealedRecords + (more.resealedRecords ?? 0),
  resealedBytes: counts.resealedBytes + (more.resealedBytes ?? 0),
  currentRecords: counts.currentRecords + (more.currentRecords ?? 0),
  leftRecords: counts.leftRecords + (more.leftRecords ?? 0),
});

/** How long to wait until puts under the former key are through. */
export function settlesInMs(stream: StreamRecord, nowMs: number): number {
  const age = nowMs - keyGivenAtMs(stream);
  return age >= 0 && age < CHANGE_SETTLES_MS ? CHANGE_SETTLES_MS - age : 0;
}
