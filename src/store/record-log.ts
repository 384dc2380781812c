import type { ClearBytes, SealedBytes } from "../base/brand.ts";

/** A shard by identifiers that never change and are never used again. */
export interface ShardRef {
  /** The stream's immutable id (not its name: a name can be given again). Letters, digits and dashes. */
  readonly streamId: string;
  readonly shardIndex: number;
}

/**
 * Records that were appended together. A record's position is its index within the shard: a whole number that grows by
 * one from record to record, from 1, below 2^53. The store sees nothing of a block but this frame.
 */
export interface Block {
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Arrival time of the last record, wall-clock milliseconds. Never falls from block to block of one shard. */
  readonly lastArrivalMs: number;
  readonly bytes: SealedBytes | ClearBytes;
}

/**
 * Stream records, appended and read by shard. One conformance suite (store/testing/record-log-conformance.ts) states this
 * contract; every adapter passes it.
 */
export interface RecordLog {
  /**
   * When this resolves, the block is durable; its bytes must not change until then. Blocks of one shard become visible in
   * the order of the calls, and never with a gap: if an append fails, later appends of that shard that were already queued
   * fail too, and a block that does not begin at the index behind `last` is refused with RangeError. Appending a block with
   * the `lastIndex` of one that is stored replaces it, its frame too (only `waxseal debug record` does).
   */
  append(shard: ShardRef, block: Block): Promise<void>;
  /**
   * Blocks with `lastIndex >= fromIndex`, in order: at most `blocksMax`, and none after `bytesMax` bytes were reached (but at
   * least one if there is one).
   */
  read(
    shard: ShardRef,
    fromIndex: number,
    limits: { readonly blocksMax: number; readonly bytesMax: number },
  ): Promise<readonly Block[]>;
  /** The frame of the newest block ever appended, trimmed or not; null if there was none. The next append continues after it. */
  last(shard: ShardRef): Promise<{ readonly lastIndex: number; readonly lastArrivalMs: number } | null>;
  /** `firstIndex` of the oldest block with `lastArrivalMs >= timeMs`; null if there is none. */
  firstIndexAt(shard: ShardRef, timeMs: number): Promise<number | null>;
  /**
   * Gives stored blocks of one shard other bytes: all of them in one step, durable when this resolves. Frames stay as they are,
   * and with them positions, times and `last`; a read sees a block's old bytes or its new ones. A block whose frame is not
   * stored, because it was trimmed or dropped meanwhile, is passed over. Resolves with how many were replaced.
   */
  replace(shard: ShardRef, blocks: readonly Block[]): Promise<number>;
  /** Removes blocks with `lastArrivalMs < timeMs`, at most `blocksMax` of them; resolves with how many it removed. */
  trim(shard: ShardRef, timeMs: number, blocksMax: number): Promise<number>;
  /** Removes everything of a stream, `last` included. */
  drop(streamId: string): Promise<void>;
  close(): Promise<void>;
}
