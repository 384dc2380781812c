/** Blocks for the conformance suite of RecordLog, and ways to look at what is stored. */
import type { SealedBytes } from "../../base/brand.ts";
import type { Block, RecordLog, ShardRef } from "../record-log.ts";
import { patternBytes } from "./conformance-bytes.ts";

export const SHARD: ShardRef = { streamId: "stream-1", shardIndex: 0 };
export const EVERYTHING: { readonly blocksMax: number; readonly bytesMax: number } = {
  blocksMax: 10_000,
  bytesMax: Number.MAX_SAFE_INTEGER,
};

/** A block of records `first` to `last`; its time is its last index times ten unless given. */
export function block(
  first: number,
  last: number,
  options: { readonly ms?: number; readonly length?: number; readonly seed?: number } = {},
): Block {
  const bytes = patternBytes(options.length ?? 10, options.seed ?? last) as SealedBytes;
  return { firstIndex: first, lastIndex: last, lastArrivalMs: options.ms ?? last * 10, bytes };
}

/** Blocks of these many records each, from the first record on. */
export function blocksOf(counts: readonly number[], firstIndex = 1): Block[] {
  let first = firstIndex;
  return counts.map((count) => {
    const next = block(first, first + count - 1);
    first += count;
    return next;
  });
}

export const plain = ({ firstIndex, lastIndex, lastArrivalMs, bytes }: Block): unknown[] => [
  firstIndex,
  lastIndex,
  lastArrivalMs,
  Buffer.from(bytes).toString("hex"),
];

export async function stored(
  log: RecordLog,
  shard: ShardRef = SHARD,
  fromIndex = 0,
  limits = EVERYTHING,
): Promise<unknown[][]> {
  return (await log.read(shard, fromIndex, limits)).map(plain);
}

export async function appendAll(log: RecordLog, blocks: readonly Block[], shard: ShardRef = SHARD): Promise<void> {
  await Promise.all(blocks.map((each) => log.append(shard, each)));
}
