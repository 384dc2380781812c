import type { SealedBytes } from "../base/brand.ts";
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

interface Shard {
  /** In order of `lastIndex`. */
  blocks: Block[];
  last: { readonly lastIndex: number; readonly lastArrivalMs: number } | null;
}

const copyOf = (block: Block): Block => ({ ...block, bytes: new Uint8Array(block.bytes) as SealedBytes });

/** A record log that forgets everything when it is closed: for tests and simulation. */
export function memoryRecordLog(): RecordLog {
  return new MemoryRecordLog();
}

class MemoryRecordLog implements RecordLog {
  readonly #streams = new Map<string, Map<number, Shard>>();
  #closed = false;

  async append(ref: ShardRef, block: Block): Promise<void> {
    this.#checkOpen();
    checkShard(ref);
    checkBlock(block);
    const shard = this.#shard(ref);
    const lastIndex = shard.last?.lastIndex ?? 0;
    if (block.firstIndex === lastIndex + 1) {
      shard.blocks.push(copyOf(block));
      shard.last = { lastIndex: block.lastIndex, lastArrivalMs: block.lastArrivalMs };
      return;
    }
    const position = shard.blocks.findIndex((stored) => stored.lastIndex === block.lastIndex);
    if (position < 0) throw misplacedBlock(block, lastIndex);
    shard.blocks[position] = copyOf(block);
    if (block.lastIndex === lastIndex) shard.last = { lastIndex, lastArrivalMs: block.lastArrivalMs };
  }

  async read(
    ref: ShardRef,
    fromIndex: number,
    limits: { readonly blocksMax: number; readonly bytesMax: number },
  ): Promise<readonly Block[]> {
    this.#checkOpen();
    checkShard(ref);
    checkReadLimits(limits);
    const found: Block[] = [];
    let bytes = 0;
    for (const block of this.#find(ref)?.blocks ?? []) {
      if (block.lastIndex < fromIndex) continue;
      if (found.length >= limits.blocksMax || (found.length > 0 && bytes >= limits.bytesMax)) break;
      found.push(copyOf(block));
      bytes += block.bytes.byteLength;
    }
    return found;
  }

  async last(ref: ShardRef): Promise<{ readonly lastIndex: number; readonly lastArrivalMs: number } | null> {
    this.#checkOpen();
    checkShard(ref);
    return this.#find(ref)?.last ?? null;
  }

  async firstIndexAt(ref: ShardRef, timeMs: number): Promise<number | null> {
    this.#checkOpen();
    checkShard(ref);
    return this.#find(ref)?.blocks.find((block) => block.lastArrivalMs >= timeMs)?.firstIndex ?? null;
  }

  async replace(ref: ShardRef, blocks: readonly Block[]): Promise<number> {
    this.#checkOpen();
    checkReplacement(ref, blocks);
    const shard = this.#find(ref);
    let count = 0;
    for (const block of blocks) {
      const position = shard?.blocks.findIndex((stored) => isSameFrame(stored, block)) ?? -1;
      if (shard === undefined || position < 0) continue;
      shard.blocks[position] = copyOf(block);
      count++;
    }
    return count;
  }

  async trim(ref: ShardRef, timeMs: number, blocksMax: number): Promise<number> {
    this.#checkOpen();
    checkShard(ref);
    const shard = this.#find(ref);
    if (shard === undefined) return 0;
    let count = 0;
    while (count < blocksMax && count < shard.blocks.length && (shard.blocks[count] as Block).lastArrivalMs < timeMs)
      count++;
    shard.blocks = shard.blocks.slice(count);
    return count;
  }

  async drop(streamId: string): Promise<void> {
    this.#checkOpen();
    checkStreamId(streamId);
    this.#streams.delete(streamId);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#streams.clear();
  }

  #find(ref: ShardRef): Shard | undefined {
    return this.#streams.get(ref.streamId)?.get(ref.shardIndex);
  }

  #shard(ref: ShardRef): Shard {
    const stream = this.#streams.get(ref.streamId) ?? new Map<number, Shard>();
    this.#streams.set(ref.streamId, stream);
    const shard = stream.get(ref.shardIndex) ?? { blocks: [], last: null };
    stream.set(ref.shardIndex, shard);
    return shard;
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error("the record log is closed");
  }
}
