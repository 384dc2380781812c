/** Streams and shards: what they are, and what follows from the time. Pure. */
import type { SuiteName } from "../../envelope/suite.ts";
import type {
  EncryptionType,
  MetricsName,
  RecordDistributionStrategy,
  StreamMode,
  StreamStatus,
} from "./shapes.generated.ts";

/** How long a stream stays in CREATING, UPDATING and DELETING: long enough to be seen by a client that polls. */
export const TRANSITION_MS = 300;

export const HOUR_MS = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;
export const RETENTION_HOURS_MIN = 24;
export const RETENTION_HOURS_MAX = 8760;

/** Successful applications of a key, and stops, per stream and rolling 24 hours. */
export const ENCRYPTION_CHANGES_PER_DAY_MAX = 25;
/** UpdateShardCount, per stream and rolling 24 hours. */
export const SHARD_COUNT_UPDATES_PER_DAY_MAX = 10;
export const MODE_UPDATES_PER_DAY_MAX = 2;
/** Open shards of one stream that UpdateShardCount makes. */
export const STREAM_SHARD_COUNT_MAX = 10_000;

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

/** One shard becomes two, or two neighbours become one. Shards are named by index, the lower hash keys first. */
export type ShardChange =
  | {
      readonly kind: "split";
      readonly index: number;
      /** Where the upper half begins: 32 hexadecimal digits. */
      readonly at: string;
    }
  | { readonly kind: "merge"; readonly indices: readonly [number, number] };

/** Resharding that is committed and still to be carried out, round by round. */
export type Reshard =
  /** To so many equal ranges, in as many rounds as that takes. */
  | { readonly kind: "uniform"; readonly shardCount: number }
  | { readonly kind: "round"; readonly shardCount: number; readonly changes: readonly ShardChange[] };

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
  /** The stream is UPDATING until it is done. `shardCount` in it: open shards then. Absent in older records. */
  readonly reshard?: Reshard | null;
  /** Of UpdateShardCount, as far back as its limit per rolling 24 hours reaches. */
  readonly shardCountUpdatesMs?: readonly number[];
  /** The same of UpdateStreamMode. */
  readonly modeUpdatesMs?: readonly number[];
  readonly retentionHours: number;
  /** Nothing older is ever returned: what had expired when the retention period was changed stays expired. */
  readonly expiredBeforeMs: number;
  readonly maxRecordKiB: number;
  readonly encryption: StreamEncryption | null;
  /** What seals new records. Null or absent: what the server was told to use. Readers open every suite. */
  readonly suite?: SuiteName | null;
  /** Oldest first, as far back as records are kept: in them, a record in clear is not what was put. */
  readonly sealedPeriods: readonly SealedPeriod[];
  readonly encryptionStartsMs: readonly number[];
  readonly encryptionStopsMs: readonly number[];
  readonly tags: Readonly<Record<string, string>>;
  /** There is a policy for it in `kinesis.policy`: who has none is not to pay for looking. Absent: none. */
  readonly hasPolicy?: boolean;
  /** Shard-level metrics that were enabled. Absent: none. */
  readonly shardMetrics?: readonly MetricsName[];
  /** What an on-demand stream is to be ready for: so many open shards at least. Absent: nothing. */
  readonly warmThroughputMiBps?: number;
  /** Absent: USER_PARTITION_KEY. */
  readonly distribution?: RecordDistributionStrategy;
}

export interface ShardRecord {
  readonly index: number;
  /** The range of hash keys, both ends included, as 32 hexadecimal digits. */
  readonly startHash: string;
  readonly endHash: string;
  /** What its sequence numbers begin with. Of a child: a second or more behind its parents' end, so that its numbers are larger. */
  readonly createdAtMs: number;
  /** When it began to take records. Absent: at `createdAtMs`. */
  readonly openedAtMs?: number;
  /** Indices of the one shard that it was split from, or the two that it was merged from, lower hash keys first. Absent: none. */
  readonly parents?: readonly number[];
  /** Null or absent: open. `lastIndex` is that of its last record, 0 without any; none arrived after `atMs`. */
  readonly closed?: { readonly atMs: number; readonly lastIndex: number } | null;
}

export const isOpen = (shard: ShardRecord): boolean => (shard.closed ?? null) === null;

export const openedAtMs = (shard: ShardRecord): number => shard.openedAtMs ?? shard.createdAtMs;

/** An iterator for a shard lives 5 minutes, and a reader that is at its end is to be told where to go on. */
export const ITERATOR_GRACE_MS = 600_000;

/** Is it closed, with nothing left in it that may be returned? Such a shard is shown to nobody any more. */
export const isExpired = (shard: ShardRecord, stream: StreamRecord, nowMs: number): boolean =>
  (shard.closed?.atMs ?? Number.POSITIVE_INFINITY) < horizonMs(stream, nowMs);

/** Holds between the two instants; a wall clock that stepped back behind the first one does not prolong a state. */
const within = (nowMs: number, sinceMs: number): boolean => sinceMs <= nowMs && nowMs < sinceMs + TRANSITION_MS;

/** Null: the stream is gone. Nothing flips a status in the background; it follows from the record and the time. */
export function statusOf(stream: StreamRecord, nowMs: number): StreamStatus | null {
  if (stream.deletedAtMs !== null) return within(nowMs, stream.deletedAtMs) ? "DELETING" : null;
  if (within(nowMs, stream.createdAtMs)) return "CREATING";
  if ((stream.reshard ?? null) !== null) return "UPDATING";
  if (stream.updatedAtMs !== null && within(nowMs, stream.updatedAtMs)) return "UPDATING";
  return "ACTIVE";
}

/** What counts against the account's limit: shards that are open, or will be. */
export const countedShards = ({ openShardCount, reshard }: StreamRecord): number =>
  Math.max(openShardCount, reshard?.shardCount ?? 0);

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
  const goesOn = stream.sealedPeriods.at(-1)?.toMs === null;
  const opened = { fromMs: Math.max(nowMs, newestArrivalMs), toMs: null };
  const sealedPeriods = goesOn ? stream.sealedPeriods : [...keptPeriods(stream, nowMs), opened];
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
