/**
 * On-demand streams split and merge by themselves: what arrives in each shard is counted, and once a minute compared with what
 * a shard is for. Between the two thresholds nothing happens, and a merged pair is far from being split again.
 */
import type { Clock } from "../../base/clock.ts";
import type { PlainRecord } from "../../envelope/record-block.ts";
import { contentBytes } from "../../envelope/record-block.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import type { ShardChange, ShardRecord, StreamRecord } from "./model.ts";
import { ON_DEMAND_SHARD_COUNT, statusOf } from "./model.ts";
import { streamKey, streams } from "./records.ts";
import { middleOf, openByHash } from "./reshard.ts";
import type { Resharder } from "./resharder.ts";
import type { ShardMaps } from "./shards.ts";

/** How long arrivals are counted before they are judged. */
export const WINDOW_MS = 60_000;
/** What a shard takes in a second, on AWS. */
const SHARD_BYTES_PER_SECOND = 1024 * 1024;
const SHARD_RECORDS_PER_SECOND = 1_000;
/** Half full: it is split, so that its halves can take twice as much, as AWS promises. */
const SPLIT_LOAD = 0.5;
/** Two neighbours that were each below this for so long are merged; together they are at 0.2 at most. */
const MERGE_LOAD = 0.1;
export const MERGE_AFTER_WINDOWS = 60;
/** AWS's default of 200 MiB/s for an on-demand stream. */
const ON_DEMAND_SHARD_COUNT_MAX = 200;

const PAGE_COUNT = 100;

interface Arrivals {
  bytes: number;
  records: number;
}

/** Of one stream, by shard index. */
interface Measured {
  arrivals: Map<number, Arrivals>;
  /** Windows in a row in which the shard was almost idle. */
  calm: Map<number, number>;
}

export interface OnDemandDeps {
  readonly metadata: MetadataStore;
  readonly reader: Reader;
  readonly shardMaps: ShardMaps;
  readonly resharder: Resharder;
  readonly clock: Clock;
  readonly failed?: ((error: unknown) => void) | undefined;
}

export interface OnDemand {
  /** The first `count` of these records were placed in a shard. Costs nothing for provisioned streams. */
  count(stream: StreamRecord, shardIndex: number, records: readonly PlainRecord[], count: number): void;
  start(): () => Promise<void>;
}

/** How full a shard was, 1 being what AWS lets it take. */
const loadOf = (arrivals: Arrivals | undefined, seconds: number): number =>
  Math.max(
    (arrivals?.bytes ?? 0) / seconds / SHARD_BYTES_PER_SECOND,
    (arrivals?.records ?? 0) / seconds / SHARD_RECORDS_PER_SECOND,
  );

/** How many open shards the stream has at least and at most. What its owner warmed up stays. */
const boundsOf = ({
  warmThroughputMiBps = 0,
}: StreamRecord): { readonly countMin: number; readonly countMax: number } => ({
  countMin: Math.max(ON_DEMAND_SHARD_COUNT, warmThroughputMiBps),
  countMax: Math.max(ON_DEMAND_SHARD_COUNT_MAX, warmThroughputMiBps),
});

/** What should change, by how full each shard was and for how many windows it has been calm. */
function changesFor(
  shards: readonly ShardRecord[],
  { countMin, countMax }: ReturnType<typeof boundsOf>,
  loadOfShard: (index: number) => number,
  calmWindows: (index: number) => number,
): readonly ShardChange[] {
  const open = openByHash(shards);
  const changes: ShardChange[] = [];
  let roomForMore = countMax - open.length;
  let spare = open.length - countMin;
  for (let at = 0; at < open.length; at++) {
    const [shard, neighbour] = [open[at], open[at + 1]];
    if (shard === undefined) break;
    const { index } = shard;
    if (loadOfShard(index) >= SPLIT_LOAD) {
      if (roomForMore-- > 0 && shard.startHash < shard.endHash)
        changes.push({ kind: "split", index, at: middleOf(shard) });
    } else if (
      neighbour !== undefined &&
      spare > 0 &&
      [shard, neighbour].every((each) => calmWindows(each.index) >= MERGE_AFTER_WINDOWS)
    ) {
      changes.push({ kind: "merge", indices: [index, neighbour.index] });
      spare--;
      at++;
    }
  }
  return changes;
}

export function createOnDemand(deps: OnDemandDeps): OnDemand {
  const { metadata, reader, shardMaps, resharder, clock } = deps;
  let measured = new Map<string, Measured>();
  let running = false;
  let working: Promise<void> = Promise.resolve();
  let cancel = (): void => undefined;

  const measuredOf = (streamId: string): Measured => {
    let of = measured.get(streamId);
    if (of === undefined) measured.set(streamId, (of = { arrivals: new Map(), calm: new Map() }));
    return of;
  };

  /** Judges the window that has ended. */
  const judge = async (stream: StreamRecord, ended: Measured | undefined, seconds: number): Promise<void> => {
    const { arrivals, calm } = ended ?? { arrivals: new Map(), calm: new Map() };
    const shards = (await shardMaps.of(stream)).shards.map(({ record }) => record);
    const load = (index: number): number => loadOf(arrivals.get(index), seconds);
    const calmNow = new Map<number, number>();
    for (const { index } of openByHash(shards))
      if (load(index) < MERGE_LOAD) calmNow.set(index, (calm.get(index) ?? 0) + 1);
    const changes =
      statusOf(stream, clock.wallMs()) === "ACTIVE"
        ? changesFor(shards, boundsOf(stream), load, (index) => calmNow.get(index) ?? 0)
        : [];
    measuredOf(stream.streamId).calm = calmNow;
    if (changes.length > 0) await commit(stream, changes);
  };

  const commit = async (stream: StreamRecord, changes: readonly ShardChange[]): Promise<void> => {
    const difference = changes.reduce((total, { kind }) => total + (kind === "split" ? 1 : -1), 0);
    const shardCount = stream.openShardCount + difference;
    const key = streams.key(streamKey(stream));
    const value = await metadata.get(key);
    if (value === null) return;
    const now = streams.decode(value);
    // Changed since it was judged: the next window sees what it has become.
    if (now.streamId !== stream.streamId || now.shardsVersion !== stream.shardsVersion) return;
    if (now.mode !== "ON_DEMAND" || statusOf(now, clock.wallMs()) !== "ACTIVE") return;
    const changed: StreamRecord = { ...now, reshard: { kind: "round", shardCount, changes } };
    const writes = [streams.put(streamKey(stream), changed)];
    if ((await metadata.commit({ expect: [{ key, value }], writes })) === "committed") resharder.wake(stream);
  };

  const judgeAll = async (seconds: number): Promise<void> => {
    // What arrives from here on belongs to the next window, whatever becomes of this one: counted twice, it would split shards.
    const ended = measured;
    measured = new Map();
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await reader.list(streams, { prefix: [], after, limit: PAGE_COUNT });
      for (const { value } of page) {
        if (!running) return;
        if (value.mode !== "ON_DEMAND" || value.deletedAtMs !== null) continue;
        // One stream that cannot be judged keeps no other from it.
        await judge(value, ended.get(value.streamId), seconds).catch((error: unknown) => deps.failed?.(error));
      }
      after = page.at(-1)?.id;
      if (page.length < PAGE_COUNT) return;
    }
  };

  const tick = (beganMs: number): void => {
    const nowMs = clock.monotonicMs();
    working = judgeAll((nowMs - beganMs) / 1000).catch((error: unknown) => deps.failed?.(error));
    void working.then(() => wait(nowMs));
  };

  /** For the window that began then to be over: WINDOW_MS from now, so that one that took long does not make the next one short. */
  const wait = (beganMs: number): void => {
    if (running) cancel = clock.after(WINDOW_MS, () => tick(beganMs));
  };

  return {
    count(stream, shardIndex, records, count) {
      if (stream.mode !== "ON_DEMAND") return;
      const { arrivals: byShard } = measuredOf(stream.streamId);
      let arrivals = byShard.get(shardIndex);
      if (arrivals === undefined) byShard.set(shardIndex, (arrivals = { bytes: 0, records: 0 }));
      arrivals.records += count;
      for (let at = 0; at < count; at++) arrivals.bytes += contentBytes(records[at] as PlainRecord);
    },
    start() {
      running = true;
      wait(clock.monotonicMs());
      return async () => {
        running = false;
        cancel();
        await working;
      };
    },
  };
}
