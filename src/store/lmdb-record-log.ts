import type { SealedBytes } from "../base/brand.ts";
import { LruMap } from "../base/lru.ts";
import { type CommitGroup, CommitQueue } from "./commit-queue.ts";
import { type LmdbDatabase, type LmdbEnvironment, type LmdbOptions, openLmdbEnvironment } from "./lmdb-environment.ts";
import * as layout from "./lmdb-record-key.ts";
import {
  checkBlock,
  checkReadLimits,
  checkReplacement,
  checkShard,
  checkStreamId,
  isSameFrame,
  misplacedBlock,
} from "./record-checks.ts";
import type { Block, RecordLog, ShardRef } from "./record-log.ts";

interface Append {
  readonly shard: ShardRef;
  readonly block: Block;
}

/** What one transaction changes besides appends; looked up when its turn has come, with nothing else in flight. */
interface Change {
  readonly plan: () => { readonly apply: () => void; readonly count: number };
  /** It removes blocks, and may use the last free space for that. */
  readonly makesRoom: boolean;
}

/** How many blocks were changed, or why none was. */
type Result = number | Error;

/** One sync for this much at most, so that a caller's wait is bounded. */
const BLOCKS_PER_COMMIT_MAX = 1024;
const BYTES_PER_COMMIT_MAX = 16 * 1024 * 1024;

/** Trimming gives way to appends after this many blocks. */
const BLOCKS_PER_TRIM_MAX = 64;

/** Shards whose end is remembered, so that an append needs no look-up. */
const TAILS_COUNT_MAX = 50_000;

/** Of those tried (4096 to 16384), the one at which appending behind a steady trim costs least. */
const PAGE_BYTES = 16_384;
const MAP_BYTES = 1024 ** 4;

/**
 * The record log of a single machine, in one LMDB file (0600) of this path. One process at a time: the data directory's lock
 * sees to that. The bytes of a block must not change until its append has settled. Layout: docs/formats/record-log-lmdb.md.
 */
export async function openLmdbRecordLog(path: string, options: Partial<LmdbOptions> = {}): Promise<RecordLog> {
  const environment = await openLmdbEnvironment(path, { pageBytes: PAGE_BYTES, mapBytes: MAP_BYTES, ...options });
  return new LmdbRecordLog(environment);
}

class LmdbRecordLog implements RecordLog {
  readonly #environment: LmdbEnvironment;
  readonly #blocks: LmdbDatabase;
  /** `last` of the shards whose newest block was trimmed. */
  readonly #markers: LmdbDatabase;
  readonly #queue: CommitQueue<Append | Change, Result>;
  /** `lastIndex` of the newest block per shard, those of the running commit included. */
  readonly #tails = new LruMap<string, number>(TAILS_COUNT_MAX);

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#blocks = environment.database("blocks");
    this.#markers = environment.database("markers");
    this.#queue = new CommitQueue((queued) => this.#commitGroup(queued));
  }

  async append(shard: ShardRef, block: Block): Promise<void> {
    checkShard(shard);
    checkBlock(block);
    await this.#run({ shard, block });
  }

  async read(
    shard: ShardRef,
    fromIndex: number,
    limits: { readonly blocksMax: number; readonly bytesMax: number },
  ): Promise<readonly Block[]> {
    checkShard(shard);
    checkReadLimits(limits);
    const found: Block[] = [];
    let bytes = 0;
    const range = {
      start: layout.seekKey(shard, Math.max(0, fromIndex)),
      end: layout.shardEnd(shard),
      limit: limits.blocksMax,
    };
    for (const { key, value } of this.#blocks.getRange(range)) {
      found.push({ ...layout.frameOf(key), bytes: value as Uint8Array as SealedBytes });
      bytes += value.byteLength;
      if (bytes >= limits.bytesMax) break;
    }
    return found;
  }

  async last(shard: ShardRef): Promise<{ readonly lastIndex: number; readonly lastArrivalMs: number } | null> {
    checkShard(shard);
    return this.#last(shard);
  }

  async firstIndexAt(shard: ShardRef, timeMs: number): Promise<number | null> {
    checkShard(shard);
    const newest = this.#newest(shard);
    if (newest === null || newest.lastArrivalMs < timeMs) return null;
    // Arrival times never fall from block to block: the block that holds index `high` qualifies, those before `low` do not.
    let found: layout.Frame = newest;
    let low = 1;
    let high = newest.firstIndex;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const block = this.#firstFrom(shard, middle);
      if (block === null) break;
      if (block.lastArrivalMs < timeMs) {
        low = block.lastIndex + 1;
      } else {
        found = block;
        high = Math.max(low, Math.min(middle, block.firstIndex));
      }
    }
    return found.firstIndex;
  }

  async replace(shard: ShardRef, blocks: readonly Block[]): Promise<number> {
    checkReplacement(shard, blocks);
    return await this.#run({ plan: () => this.#planReplacements(shard, blocks), makesRoom: false });
  }

  async trim(shard: ShardRef, timeMs: number, blocksMax: number): Promise<number> {
    checkShard(shard);
    let removed = 0;
    while (removed < blocksMax) {
      const limit = Math.min(BLOCKS_PER_TRIM_MAX, blocksMax - removed);
      const count = await this.#run({ plan: () => this.#planTrim(shard, timeMs, limit), makesRoom: true });
      removed += count;
      if (count < limit) break;
    }
    return removed;
  }

  async drop(streamId: string): Promise<void> {
    checkStreamId(streamId);
    // The markers go last: a drop that was cut short leaves a trimmed stream behind, and is done by dropping again.
    for (const database of [this.#blocks, this.#markers]) {
      while ((await this.#run({ plan: () => this.#planDrop(database, streamId), makesRoom: true })) > 0);
    }
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#environment.close();
  }

  async #run(job: Append | Change): Promise<number> {
    const result = await this.#queue.push(job);
    if (result instanceof Error) throw result;
    return result;
  }

  #commitGroup(queued: readonly (Append | Change)[]): CommitGroup<Result> {
    const appends: Append[] = [];
    const results: Result[] = [];
    let bytes = 0;
    for (const job of queued) {
      if ("plan" in job) break;
      const tail = this.#tailOf(job.shard);
      if (job.block.lastIndex <= tail) break;
      if (job.block.firstIndex !== tail + 1) {
        results.push(misplacedBlock(job.block, tail));
        continue;
      }
      bytes += job.block.bytes.byteLength;
      if (results.length >= BLOCKS_PER_COMMIT_MAX || (appends.length > 0 && bytes > BYTES_PER_COMMIT_MAX)) break;
      this.#tails.set(tailKey(job.shard), job.block.lastIndex);
      appends.push(job);
      results.push(1);
    }
    if (results.length > 0) return { taken: results.length, results: this.#append(appends).then(() => results) };
    const job = queued[0] as Append | Change;
    const change = "plan" in job ? job : { plan: () => this.#planReplacement(job), makesRoom: false };
    return { taken: 1, results: this.#change(change).then((result) => [result]) };
  }

  async #append(appends: readonly Append[]): Promise<void> {
    if (appends.length === 0) return;
    try {
      await this.#environment.batch(() => {
        for (const { shard, block } of appends) {
          void this.#blocks.put(layout.blockKey(shard, block), block.bytes as Uint8Array as Buffer);
        }
      });
    } catch (error) {
      // What is queued behind a failed block must not leave a gap: the end is looked up anew, and they no longer continue it.
      for (const { shard } of appends) this.#tails.delete(tailKey(shard));
      throw error;
    }
  }

  async #change(change: Change): Promise<Result> {
    const { apply, count } = change.plan();
    if (count > 0) await this.#environment.batch(apply, change);
    return count;
  }

  #planTrim(shard: ShardRef, timeMs: number, limit: number): ReturnType<Change["plan"]> {
    const keys: Buffer[] = [];
    for (const key of this.#blocks.getKeys({ start: layout.shardKey(shard), end: layout.shardEnd(shard), limit })) {
      if (layout.frameOf(key).lastArrivalMs >= timeMs) break;
      keys.push(key);
    }
    const newest = this.#newest(shard);
    const removed = keys.at(-1);
    const emptied = newest !== null && removed !== undefined && layout.frameOf(removed).lastIndex === newest.lastIndex;
    const apply = (): void => {
      for (const key of keys) void this.#blocks.remove(key);
      if (emptied) void this.#markers.put(layout.shardKey(shard), layout.encodeMarker(newest));
    };
    return { apply, count: keys.length };
  }

  #planDrop(database: LmdbDatabase, streamId: string): ReturnType<Change["plan"]> {
    const start = layout.streamPrefix(streamId);
    const keys = [...database.getKeys({ start, end: layout.streamEnd(streamId), limit: BLOCKS_PER_TRIM_MAX })];
    if (keys.length === 0) this.#forgetTails(streamId);
    const apply = (): void => {
      for (const key of keys) void database.remove(key);
    };
    return { apply, count: keys.length };
  }

  #planReplacement({ shard, block }: Append): ReturnType<Change["plan"]> {
    const stored = this.#firstKeyFrom(shard, block.lastIndex);
    if (stored === null || layout.frameOf(stored).lastIndex !== block.lastIndex) {
      throw misplacedBlock(block, this.#tailOf(shard));
    }
    const apply = (): void => {
      // The frame is part of the key.
      void this.#blocks.remove(stored);
      void this.#blocks.put(layout.blockKey(shard, block), block.bytes as Uint8Array as Buffer);
    };
    return { apply, count: 1 };
  }

  #planReplacements(shard: ShardRef, blocks: readonly Block[]): ReturnType<Change["plan"]> {
    const stored = blocks.filter((block) => {
      const key = this.#firstKeyFrom(shard, block.lastIndex);
      return key !== null && isSameFrame(layout.frameOf(key), block);
    });
    const apply = (): void => {
      for (const block of stored) {
        void this.#blocks.put(layout.blockKey(shard, block), block.bytes as Uint8Array as Buffer);
      }
    };
    return { apply, count: stored.length };
  }

  #tailOf(shard: ShardRef): number {
    const key = tailKey(shard);
    const known = this.#tails.get(key);
    if (known !== undefined) return known;
    const tail = this.#last(shard)?.lastIndex ?? 0;
    this.#tails.set(key, tail);
    return tail;
  }

  #forgetTails(streamId: string): void {
    for (const [key] of this.#tails.entries()) {
      if (key.startsWith(`${streamId}/`)) this.#tails.delete(key);
    }
  }

  #last(shard: ShardRef): { readonly lastIndex: number; readonly lastArrivalMs: number } | null {
    const newest = this.#newest(shard);
    // A block is always newer than the marker, which was written when none was left.
    if (newest !== null) return { lastIndex: newest.lastIndex, lastArrivalMs: newest.lastArrivalMs };
    const marker = this.#markers.getBinary(layout.shardKey(shard));
    return marker === undefined ? null : layout.decodeMarker(marker);
  }

  #newest(shard: ShardRef): layout.Frame | null {
    const start = layout.shardEnd(shard);
    for (const key of this.#blocks.getKeys({ start, end: layout.shardKey(shard), reverse: true, limit: 1 })) {
      return layout.frameOf(key);
    }
    return null;
  }

  #firstFrom(shard: ShardRef, index: number): layout.Frame | null {
    const key = this.#firstKeyFrom(shard, index);
    return key === null ? null : layout.frameOf(key);
  }

  #firstKeyFrom(shard: ShardRef, index: number): Buffer | null {
    for (const key of this.#blocks.getKeys({
      start: layout.seekKey(shard, index),
      end: layout.shardEnd(shard),
      limit: 1,
    })) {
      return key;
    }
    return null;
  }
}

const tailKey = ({ streamId, shardIndex }: ShardRef): string => `${streamId}/${shardIndex}`;
