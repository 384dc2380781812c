/** Which shard a record goes to, and how shards are named and described. */
import { hash } from "node:crypto";
import { LruMap } from "../../base/lru.ts";
import type { ShardRef } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { invalidArgument } from "./errors.ts";
import type { ShardRecord, StreamRecord } from "./model.ts";
import { isOpen } from "./model.ts";
import type { ShardsRecord } from "./records.ts";
import { shardLists } from "./records.ts";
import { endingSequenceNumber, sequenceNumbers, startingSequenceNumber } from "./sequence.ts";
import type { ChildShard, HashKeyRange, Shard } from "./shapes.generated.ts";

const HASH_KEYS = 1n << 128n;
const HASH_DIGITS = 32;
const SHARD_INDEX_MAX = 0x7fff_ffff;
/** Decoded shard lists kept, each of a stream that was in use lately. */
const SHARD_LIST_COUNT_MAX = 1_000;

/** A hash key as records hold it: 32 hexadecimal digits. */
export const hashKeyHex = (hashKey: bigint): string => hashKey.toString(16).padStart(HASH_DIGITS, "0");

export const shardIdOf = (index: number): string => `shardId-${String(index).padStart(12, "0")}`;

/** The index that a shard id names; AWS takes any prefix and no leading zeros too. Null when it names none. */
export function shardIndexOf(shardId: string): number | null {
  const digits = /^(?:[^-]*-)?([0-9]{1,20})$/.exec(shardId)?.[1];
  const index = digits === undefined ? Number.NaN : Number(digits);
  return index <= SHARD_INDEX_MAX ? index : null;
}

/** Where `count` equal ranges begin; the last one takes what division leaves over. */
export function uniformStarts(count: number): readonly string[] {
  const width = HASH_KEYS / BigInt(count);
  return Array.from({ length: count }, (_, index) => hashKeyHex(width * BigInt(index)));
}

export function uniformShards(count: number, createdAtMs: number): readonly ShardRecord[] {
  const width = HASH_KEYS / BigInt(count);
  return Array.from({ length: count }, (_, index) => {
    const start = width * BigInt(index);
    const end = index === count - 1 ? HASH_KEYS - 1n : start + width - 1n;
    return { index, startHash: hashKeyHex(start), endHash: hashKeyHex(end), createdAtMs };
  });
}

/** A stream's shards, ready to route and to number. */
export interface ShardMap {
  /** Of the list that it was made of. */
  readonly version: number;
  /** In order of index, closed ones too. Expired ones leave the list: an index is not a position in it. */
  readonly shards: readonly LiveShard[];
  at(index: number): LiveShard | undefined;
  /** The shards that a closed one was split or merged into; none of an open one. */
  childrenOf(index: number): readonly LiveShard[];
  /** The open shard for a hash key: 32 hexadecimal digits. */
  route(hashKey: string): LiveShard;
}

export interface LiveShard {
  readonly record: ShardRecord;
  readonly ref: ShardRef;
  readonly shardId: string;
  readonly sequenceNumber: (index: number, arrivalMs: number) => string;
}

function shardMap(streamId: string, { version, shards: records }: ShardsRecord): ShardMap {
  const shards = records.map((record) => ({
    record,
    ref: { streamId, shardIndex: record.index },
    shardId: shardIdOf(record.index),
    sequenceNumber: sequenceNumbers(record),
  }));
  const byIndex = new Map(shards.map((shard) => [shard.record.index, shard]));
  const children = new Map<number, LiveShard[]>();
  for (const shard of shards) {
    for (const parent of shard.record.parents ?? []) {
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [shard]);
      else known.push(shard);
    }
  }
  const open = shards.filter(({ record }) => isOpen(record));
  const byHash = open.toSorted((a, b) => (a.record.startHash < b.record.startHash ? -1 : 1));
  const starts = byHash.map(({ record }) => record.startHash);
  return {
    version,
    shards,
    at: (index) => byIndex.get(index),
    childrenOf: (index) => children.get(index) ?? [],
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

/**
 * Shard maps of the streams in use, the newest of each. A stream record names the version of its list, so that none is ever
 * stale.
 */
export class ShardMaps {
  readonly #maps = new LruMap<string, ShardMap>(SHARD_LIST_COUNT_MAX);
  readonly #reader: Reader;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async of(stream: StreamRecord): Promise<ShardMap> {
    const known = this.#maps.get(stream.streamId);
    if (known?.version === stream.shardsVersion) return known;
    const list = await this.#reader.get(shardLists, [stream.streamId]);
    if (list === null) throw new Error("a stream without a list of shards");
    // Read between two commits, the list may already be newer than the stream: it serves this request all the same.
    const newest = this.#maps.get(stream.streamId);
    if (newest?.version === list.version) return newest;
    const map = shardMap(stream.streamId, list);
    if (newest === undefined || newest.version < list.version) this.#maps.set(stream.streamId, map);
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
  if (explicit < HASH_KEYS) return hashKeyHex(explicit);
  // AWS repeats the value here; the audit trail keeps messages, and hash keys do not belong there.
  throw invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1].");
}

const hashKeyRange = ({ startHash, endHash }: ShardRecord): HashKeyRange => ({
  StartingHashKey: BigInt(`0x${startHash}`).toString(),
  EndingHashKey: BigInt(`0x${endHash}`).toString(),
});

export function describeShard({ record, shardId }: LiveShard): Shard {
  const [parent, adjacent] = record.parents ?? [];
  const closed = record.closed ?? null;
  return {
    ShardId: shardId,
    ...(parent === undefined ? {} : { ParentShardId: shardIdOf(parent) }),
    ...(adjacent === undefined ? {} : { AdjacentParentShardId: shardIdOf(adjacent) }),
    HashKeyRange: hashKeyRange(record),
    SequenceNumberRange: {
      StartingSequenceNumber: startingSequenceNumber(record),
      ...(closed === null ? {} : { EndingSequenceNumber: endingSequenceNumber(record, closed.atMs) }),
    },
  };
}

/** What a reader at the end of a closed shard is told: where its hash keys go on. */
export const childShardsOf = (map: ShardMap, index: number): readonly ChildShard[] =>
  map.childrenOf(index).map(({ shardId, record }) => ({
    ShardId: shardId,
    ParentShards: (record.parents ?? []).map(shardIdOf),
    HashKeyRange: hashKeyRange(record),
  }));
