/** Streams and shards: what they are, and what follows from the time. Pure. */
import type { EncryptionType, StreamMode, StreamStatus } from "./shapes.generated.ts";

/** How long a stream stays in CREATING, UPDATING and DELETING: long enough to be seen by a client that polls. */
export const TRANSITION_MS = 300;

export const HOUR_MS = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;
export const RETENTION_HOURS_MIN = 24;
export const RETENTION_HOURS_MAX = 8760;

/** Successful applications of a key, and stops, per stream and rolling 24 hours. */
export const ENCRYPTION_CHANGES_PER_DAY_MAX = 25;

export const TAG_COUNT_MAX = 50;
/** Shards of a new on-demand stream. */
export const ON_DEMAND_SHARD_COUNT = 4;

export interface StreamEncryption {
  /** Id, ARN or alias, as the owner gave it: what the stream's description echoes. */
  readonly keyId: string;
  /** What the key resolved to then, and what KMS is called with. */
  readonly keyArn: string;
}

/** From StartStreamEncryption to StopStreamEncryption; open while the stream is encrypted. */
export interface SealedPeriod {
  readonly fromMs: number;
  readonly toMs: number | null;
}

export interface StreamRecord {
  /** Immutable, and never given again: what records are bound to. */
  readonly streamId: string;
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
  readonly createdAtMs: number;
  /** When the last change began that takes the stream through UPDATING. */
  readonly updatedAtMs: number | null;
  readonly deletedAtMs: number | null;
  readonly mode: StreamMode;
  readonly openShardCount: number;
  /** Which version of its `kinesis.shards` record belongs to it. */
  readonly shardsVersion: number;
  readonly retentionHours: number;
  /** Nothing older is ever returned: what had expired when the retention period was changed stays expired. */
  readonly expiredBeforeMs: number;
  readonly maxRecordKiB: number;
  readonly encryption: StreamEncryption | null;
  /** Oldest first, as far back as records are kept: in them, a record in clear is not what was put. */
  readonly sealedPeriods: readonly SealedPeriod[];
  readonly encryptionStartsMs: readonly number[];
  readonly encryptionStopsMs: readonly number[];
  readonly tags: Readonly<Record<string, string>>;
}

export interface ShardRecord {
  readonly index: number;
  /** The range of hash keys, both ends included, as 32 hexadecimal digits. */
  readonly startHash: string;
  readonly endHash: string;
  readonly createdAtMs: number;
}

/** Holds between the two instants; a wall clock that stepped back behind the first one does not prolong a state. */
const within = (nowMs: number, sinceMs: number): boolean => sinceMs <= nowMs && nowMs < sinceMs + TRANSITION_MS;

/** Null: the stream is gone. Nothing flips a status in the background; it follows from the record and the time. */
export function statusOf(stream: StreamRecord, nowMs: number): StreamStatus | null {
  if (stream.deletedAtMs !== null) return within(nowMs, stream.deletedAtMs) ? "DELETING" : null;
  if (within(nowMs, stream.createdAtMs)) return "CREATING";
  if (stream.updatedAtMs !== null && within(nowMs, stream.updatedAtMs)) return "UPDATING";
  return "ACTIVE";
}

/** May records be put and read? */
export const servesData = (status: StreamStatus | null): boolean => status === "ACTIVE" || status === "UPDATING";

export const encryptionType = (stream: StreamRecord): EncryptionType => (stream.encryption === null ? "NONE" : "KMS");

/** Arrival time of the oldest record that may still be returned. */
export const horizonMs = (stream: StreamRecord, nowMs: number): number =>
  Math.max(stream.expiredBeforeMs, nowMs - stream.retentionHours * HOUR_MS);

/** Puts that were under way when encryption started may still be in clear; AWS speaks of 5 seconds, too. */
const CLEAR_AFTER_START_MS_MAX = 5_000;
/** So that they are not later than that: a record in clear that waited longer for its turn is not stored. */
export const CLEAR_WAIT_MS_MAX = 4_000;

/** Could a record in clear have been put then? The record store is not trusted: it could exchange a sealed record for one in clear. */
export const mayBeInClear = (stream: StreamRecord, arrivalMs: number): boolean =>
  stream.sealedPeriods.every(
    ({ fromMs, toMs }) => arrivalMs <= fromMs + CLEAR_AFTER_START_MS_MAX || (toMs !== null && arrivalMs >= toMs),
  );

/** No record in clear is given an earlier arrival time than this, lest it be taken for one put by the store. */
export const clearNotBeforeMs = (stream: StreamRecord): number => stream.sealedPeriods.at(-1)?.toMs ?? 0;

/**
 * Encryption begins, or goes on under another key. `newestArrivalMs` is that of the stream's newest record: a wall clock
 * that was set back must not put records that are there already into the period.
 */
export function withEncryption(
  stream: StreamRecord,
  encryption: StreamEncryption,
  nowMs: number,
  newestArrivalMs: number,
): StreamRecord {
  const isOpen = stream.sealedPeriods.at(-1)?.toMs === null;
  const opened = { fromMs: Math.max(nowMs, newestArrivalMs), toMs: null };
  const sealedPeriods = isOpen ? stream.sealedPeriods : [...keptPeriods(stream, nowMs), opened];
  return { ...stream, updatedAtMs: nowMs, encryption, sealedPeriods };
}

export const withoutEncryption = (stream: StreamRecord, nowMs: number): StreamRecord => ({
  ...stream,
  updatedAtMs: nowMs,
  encryption: null,
  sealedPeriods: keptPeriods(stream, nowMs).map(({ fromMs, toMs }) => ({
    fromMs,
    toMs: toMs ?? Math.max(fromMs, nowMs),
  })),
});

/** Without those of which no record can be left. */
const keptPeriods = (stream: StreamRecord, nowMs: number): readonly SealedPeriod[] =>
  stream.sealedPeriods.filter(({ toMs }) => toMs === null || toMs >= nowMs - RETENTION_HOURS_MAX * HOUR_MS);

/** The instants of the last 24 hours, which a limit per rolling day counts. */
export const withinDay = (instantsMs: readonly number[], nowMs: number): readonly number[] =>
  instantsMs.filter((instantMs) => instantMs > nowMs - DAY_MS);

export const streamArn = (stream: {
  readonly region: string;
  readonly accountId: string;
  readonly name: string;
}): string => `arn:aws:kinesis:${stream.region}:${stream.accountId}:stream/${stream.name}`;
