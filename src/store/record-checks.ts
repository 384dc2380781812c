import type { Block, ShardRef } from "./record-log.ts";

/** Records that arrive together are at most 10 MiB (PutRecords), plus nonces, tags and framing. Below the 16 MiB that lmdb-js copies. */
export const BLOCK_BYTES_MAX: number = 15 * 1024 * 1024;

const SHARD_INDEX_MAX = 0xffff_ffff;
const STREAM_ID = /^[A-Za-z0-9-]{1,128}$/;

export function checkStreamId(streamId: string): void {
  if (!STREAM_ID.test(streamId)) throw new RangeError("a stream id holds 1 to 128 letters, digits and dashes");
}

export function checkShard({ streamId, shardIndex }: ShardRef): void {
  checkStreamId(streamId);
  if (!Number.isSafeInteger(shardIndex) || shardIndex < 0 || shardIndex > SHARD_INDEX_MAX) {
    throw new RangeError(`shard index ${shardIndex}`);
  }
}

/** Throws RangeError for a frame that no later read could make sense of. */
export function checkBlock({ firstIndex, lastIndex, lastArrivalMs, bytes }: Block): void {
  const whole =
    Number.isSafeInteger(firstIndex) && Number.isSafeInteger(lastIndex) && Number.isSafeInteger(lastArrivalMs);
  if (!whole || firstIndex < 1 || lastIndex < firstIndex || lastArrivalMs < 0) {
    throw new RangeError(`a block from ${firstIndex} to ${lastIndex} at ${lastArrivalMs}`);
  }
  if (bytes.byteLength > BLOCK_BYTES_MAX) throw new RangeError(`a block of ${bytes.byteLength} bytes`);
}

/** What one commit replaces at most, so that appends never wait long behind it. Whoever has more asks again. */
const REPLACEMENT_BYTES_MAX = 2 * BLOCK_BYTES_MAX;

export function checkReplacement(shard: ShardRef, blocks: readonly Block[]): void {
  checkShard(shard);
  for (const block of blocks) checkBlock(block);
  const bytes = blocks.reduce((total, block) => total + block.bytes.byteLength, 0);
  if (bytes > REPLACEMENT_BYTES_MAX) throw new RangeError(`a replacement of ${bytes} bytes`);
}

type Frame = Omit<Block, "bytes">;

export const isSameFrame = (a: Frame, b: Frame): boolean =>
  a.firstIndex === b.firstIndex && a.lastIndex === b.lastIndex && a.lastArrivalMs === b.lastArrivalMs;

export function checkReadLimits(limits: { readonly blocksMax: number; readonly bytesMax: number }): void {
  if (!(limits.blocksMax >= 1) || !(limits.bytesMax >= 0))
    throw new RangeError("a read needs a limit of at least 1 block");
}

/** A new block continues behind everything that the shard ever held; only a stored block's own place can be taken again. */
export const misplacedBlock = (block: Block, lastIndex: number): RangeError =>
  new RangeError(`a block from ${block.firstIndex} to ${block.lastIndex} where the shard ends at ${lastIndex}`);
