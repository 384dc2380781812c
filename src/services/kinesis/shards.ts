/** Which shard a record goes to, and how shards are named and described. */
import { hash } from "node:crypto";
import { LruMap } from "../../base/lru.ts";
import type { ShardRef } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { invalidArgument } from "./errors.ts";
import type { ShardRecord, StreamRecord } from "./model.ts";
import { shardLists } from "./records.ts";
import { sequenceNumbers, startingSequenceNumber } from "./sequence.ts";
import type { Shard } from "./shapes.generated.ts";

const HASH_KEYS = 1n << 128n;
const HASH_DIGITS = 32;
const SHARD_INDEX_MAX = 0x7fff_ffff;
/** Decoded shard lists kept, each of a stream that was in use lately. */
const SHARD_LIST_COUNT_MAX = 1_000;

const hex = (hashKey: bigint): string => hashKey.toString(16).padStart(HASH_DIGITS, "0");

export const shardIdOf = (index: number): string => `shardId-${String(index).padStart(12, "0")}`;

/** The index that a shard id names; AWS takes any prefix and no leading zeros too. Null when it names none. */
export function shardIndexOf(shardId: string): number | null {
  const digits = /^(?:[^-]*-)?([0-9]{1,20})$/.exec(shardId)?.[1];
  const index = digits === undefined ? Number.NaN : Number(digits);
  return index <= SHARD_INDEX_MAX ? index : null;
}

/** `count` equal ranges; the last one takes what division leaves over. */
export function uniformShards(count: number, createdAtMs: number): readonly ShardRecord[] {
  const width = HASH_KEYS / BigInt(count);
  return Array.from({ length: count }, (_, index) => {
    const start = width * BigInt(index);
    const end = index === count - 1 ? HASH_KEYS - 1n : start + width - 1n;
    return { index, startHash: hex(start), endHash: hex(end), createdAtMs };
  });
}

/** A stream's shards, ready to route and to number. */
export interface ShardMap {
  /** By index. */
  readonly shards: readonly LiveShard[];
  /** `hashKey` is 32 hexadecimal digits. */
  route(hashKey: string): LiveShard;
}

export interface LiveShard {
  readonly record: ShardRecord;
  readonly ref: ShardRef;
  readonly shardId: string;
  readonly sequenceNumber: (index: number, arrivalMs: number) => string;
}

function shardMap(streamId: string, records: readonly ShardRecord[]): ShardMap {
  const shards = records.map((record) => ({
    record,
    ref: { streamId, shardIndex: record.index },
    shardId: shardIdOf(record.index),
    sequenceNumber: sequenceNumbers(record),
  }));
  const byHash = shards.toSorted((a, b) => (a.record.startHash < b.record.startHash ? -1 : 1));
  const starts = byHash.map(({ record }) => record.startHash);
  return {
    shards,
    route(hashKey) {
      let low = 0;
      let high = starts.length;
      while (high - low > 1) {
        const middle = (low + high) >>> 1;
        if ((starts[middle] ?? "") <= hashKey) low = middle;
        else high = middle;
      }
      const shard = byHash[low];
      if (shard === undefined) throw new Error("a stream without shards");
      return shard;
    },
  };
}

/** Shard maps of the streams in use. A stream record names the version of its list, so that none is ever stale. */
export class ShardMaps {
  readonly #maps = new LruMap<string, ShardMap>(SHARD_LIST_COUNT_MAX);
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async of(stream: StreamRecord): Promise<ShardMap> {
    const id = `${stream.streamId}:${stream.shardsVersion}`;
    const known = this.#maps.get(id);
    if (known !== undefined) return known;
    const list = await this.#reader.get(shardLists, [stream.streamId]);
    if (list === null) throw new Error("a stream without a list of shards");
    const map = shardMap(stream.streamId, list.shards);
    // Read between two commits, the list may already be newer: then it serves this request and is not kept.
    if (list.version === stream.shardsVersion) this.#maps.set(id, map);
    return map;
  }
}

/** The hash key of a record, 32 hexadecimal digits: its explicit one, or the MD5 of its partition key. */
export function hashKeyOf(record: {
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string | undefined;
}): string {
  if (record.ExplicitHashKey === undefined) return hash("md5", record.PartitionKey);
  const explicit = BigInt(record.ExplicitHashKey);
  if (explicit < HASH_KEYS) return hex(explicit);
  // AWS repeats the value here; the audit trail keeps messages, and hash keys do not belong there.
  throw invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1].");
}

export const describeShard = ({ record, shardId }: LiveShard): Shard => ({
  ShardId: shardId,
  HashKeyRange: {
    StartingHashKey: BigInt(`0x${record.startHash}`).toString(),
    EndingHashKey: BigInt(`0x${record.endHash}`).toString(),
  },
  SequenceNumberRange: { StartingSequenceNumber: startingSequenceNumber(record) },
});
