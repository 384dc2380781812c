/** A walk over all retained blocks of a stream, shard by shard, which may be left at any block and taken up again. */
import type { Block, RecordLog } from "../../store/record-log.ts";
import { horizonMs, type StreamRecord } from "./model.ts";
import type { LiveShard, ShardMaps } from "./shards.ts";

export interface WalkDeps {
  readonly records: RecordLog;
  readonly shardMaps: ShardMaps;
}

/** From where to go on. `untilIndex`: the shard's last record when counting reached it; null: not yet. */
export interface ShardCursor {
  readonly shardIndex: number;
  readonly index: number;
  readonly untilIndex: number | null;
}

export const AT_START: ShardCursor = { shardIndex: 0, index: 0, untilIndex: null };

/** Where a walk over a stream's retained blocks stands; null: at the end. */
export interface ShardPlace {
  readonly shard: LiveShard;
  readonly index: number;
  readonly untilIndex: number;
}

/**
 * The first place at or behind the cursor that holds a retained record. A walk ends where each shard ended when it was
 * reached: records that come meanwhile do not prolong it.
 */
export async function nextPlace(
  env: WalkDeps,
  stream: StreamRecord,
  cursor: ShardCursor,
  nowMs: number,
): Promise<ShardPlace | null> {
  const { shards } = await env.shardMaps.of(stream);
  const left = shards.filter(({ record }) => record.index >= cursor.shardIndex);
  for (const shard of left.toSorted((a, b) => a.record.index - b.record.index)) {
    const here = shard.record.index === cursor.shardIndex;
    const retained = await env.records.firstIndexAt(shard.ref, horizonMs(stream, nowMs));
    if (retained === null) continue;
    const index = Math.max(retained, here ? cursor.index : 0);
    const untilIndex =
      (here ? cursor.untilIndex : null) ?? (await env.records.last(shard.ref))?.lastIndex ?? Number.NEGATIVE_INFINITY;
    if (index <= untilIndex) return { shard, index, untilIndex };
  }
  return null;
}

/** Blocks from a place on, none beyond where its shard ended. Empty: the shard is done. */
export async function blocksAt(
  env: Pick<WalkDeps, "records">,
  { shard, index, untilIndex }: ShardPlace,
  limits: { readonly blocksMax: number; readonly bytesMax: number },
): Promise<readonly Block[]> {
  const blocks = await env.records.read(shard.ref, index, limits);
  return blocks.filter(({ firstIndex }) => firstIndex <= untilIndex);
}

export const cursorBehind = (place: ShardPlace, blocks: readonly Block[]): ShardCursor => {
  const last = blocks.at(-1);
  const { index: shardIndex } = place.shard.record;
  return last === undefined || last.lastIndex >= place.untilIndex
    ? { shardIndex: shardIndex + 1, index: 0, untilIndex: null }
    : { shardIndex, index: last.lastIndex + 1, untilIndex: place.untilIndex };
};

/** How many retained records there are at and behind a cursor, by the frames of their blocks alone. */
export async function recordsBehind(
  env: WalkDeps,
  stream: StreamRecord,
  cursor: ShardCursor,
  nowMs: number,
): Promise<number> {
  let count = 0;
  for (const { ref, record } of (await env.shardMaps.of(stream)).shards) {
    if (record.index < cursor.shardIndex) continue;
    const here = record.index === cursor.shardIndex;
    const retained = await env.records.firstIndexAt(ref, horizonMs(stream, nowMs));
    if (retained === null) continue;
    const from = Math.max(retained, here ? cursor.index : 0);
    const until = (here ? cursor.untilIndex : null) ?? (await env.records.last(ref))?.lastIndex ?? 0;
    count += Math.max(0, until - from + 1);
  }
  return count;
}
