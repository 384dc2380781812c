/**
 * What happens without a request: expired records are trimmed, and what deleted streams leave behind is dropped. No answer
 * depends on when it runs: reading never goes past the retention period, and a deleted stream is gone by its record.
 */
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import type { StreamRecord } from "./model.ts";
import { horizonMs, ITERATOR_GRACE_MS, isExpired, TRANSITION_MS } from "./model.ts";
import type { DeletionRecord } from "./records.ts";
import { deletions, shardLists, streamKey, streams } from "./records.ts";
import type { ShardWriters } from "./shard-writer.ts";
import { resealJobs } from "./reseal-job.ts";
import type { ShardMaps } from "./shards.ts";

/** A client sees expired records vanish at once; this is only how long their bytes may stay. */
export const SWEEP_INTERVAL_MS = 60_000;
const PAGE_COUNT = 100;
/** Blocks removed in one transaction, so that puts never wait long behind it. */
const TRIM_BLOCKS_MAX = 500;

export interface BackgroundDeps {
  readonly records: RecordLog;
  readonly metadata: MetadataStore;
  readonly reader: Reader;
  readonly shardMaps: ShardMaps;
  readonly writers: ShardWriters;
  readonly clock: Clock;
  /** Told of what failed; the next sweep tries again. */
  readonly failed?: ((error: unknown) => void) | undefined;
}

export interface Background {
  /** Soon after a deletion. */
  wakeForDeletion(): void;
  /** One whole round. Tests call it; `start` calls it again and again. */
  sweep(): Promise<void>;
  start(): () => Promise<void>;
}

/**
 * Closed shards of which nothing is left leave the list. They stay a little longer than they are shown, for iterators that are
 * under way.
 */
async function removeExpiredShards(
  { metadata, clock }: BackgroundDeps,
  { streamId, ...place }: StreamRecord,
): Promise<void> {
  const key = streams.key(streamKey(place));
  const listKey = shardLists.key([streamId]);
  const [value, listValue] = [await metadata.get(key), await metadata.get(listKey)];
  if (value === null || listValue === null) return;
  const stream = streams.decode(value);
  const { version, shards } = shardLists.decode(listValue);
  // A plan that is being carried out expects the list as it is; the next sweep comes.
  if (stream.streamId !== streamId || (stream.reshard ?? null) !== null || version !== stream.shardsVersion) return;
  const kept = shards.filter((shard) => !isExpired(shard, stream, clock.wallMs() - ITERATOR_GRACE_MS));
  if (kept.length === shards.length) return;
  // A conflict: somebody changed the stream. The next sweep comes.
  await metadata.commit({
    expect: [
      { key, value },
      { key: listKey, value: listValue },
    ],
    writes: [
      streams.put(streamKey(place), { ...stream, shardsVersion: version + 1 }),
      shardLists.put([streamId], { version: version + 1, shards: kept }),
    ],
  });
}

export function createBackground(deps: BackgroundDeps): Background {
  const { records, metadata, reader, shardMaps, clock } = deps;
  let sweeping: Promise<void> = Promise.resolve();
  let running = false;
  let stopped = false;
  let cancels = new Set<() => void>();

  const trim = async (stream: StreamRecord): Promise<void> => {
    const beforeMs = horizonMs(stream, clock.wallMs());
    const { shards } = await shardMaps.of(stream);
    for (const { ref } of shards) {
      while ((await records.trim(ref, beforeMs, TRIM_BLOCKS_MAX)) === TRIM_BLOCKS_MAX) if (stopped) return;
    }
    const goneMs = clock.wallMs() - ITERATOR_GRACE_MS;
    if (shards.some(({ record }) => isExpired(record, stream, goneMs))) await removeExpiredShards(deps, stream);
  };

  /** Bytes first, then what names them: a crash in between leaves the deletion record, and the next start goes on. */
  const drop = async (streamId: string, deletion: DeletionRecord): Promise<void> => {
    await records.drop(streamId);
    deps.writers.forget(streamId);
    const key = streams.key(streamKey(deletion));
    const bytes = await metadata.get(key);
    const ours = bytes !== null && streams.decode(bytes).streamId === streamId;
    // A conflict means that the name was given again meanwhile: the next sweep sees that and leaves the new stream alone.
    await metadata.commit({
      expect: ours ? [{ key, value: bytes }] : [],
      writes: [
        ...(ours ? [streams.remove(streamKey(deletion))] : []),
        shardLists.remove([streamId]),
        deletions.remove([streamId]),
        resealJobs.remove([streamId]),
      ],
    });
  };

  const guarded = async (run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      deps.failed?.(error);
    }
  };

  const dropDeleted = async (): Promise<void> => {
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await reader.list(deletions, { prefix: [], after, limit: PAGE_COUNT });
      for (const { id, value } of page) {
        const age = clock.wallMs() - value.deletedAtMs;
        const inTransition = age >= 0 && age < TRANSITION_MS;
        if (!inTransition) await guarded(() => drop(id[0] ?? "", value));
      }
      after = page.at(-1)?.id;
      if (page.length < PAGE_COUNT) return;
    }
  };

  const trimAll = async (): Promise<void> => {
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await reader.list(streams, { prefix: [], after, limit: PAGE_COUNT });
      for (const { value } of page) if (value.deletedAtMs === null) await guarded(() => trim(value));
      after = page.at(-1)?.id;
      if (page.length < PAGE_COUNT) return;
    }
  };

  const sweep = (): Promise<void> => {
    sweeping = sweeping.then(() =>
      guarded(async () => {
        await dropDeleted();
        await trimAll();
      }),
    );
    return sweeping;
  };

  const later = (delayMs: number, run: () => void): void => {
    const cancel = clock.after(delayMs, () => {
      cancels.delete(cancel);
      if (running) run();
    });
    cancels.add(cancel);
  };

  const sweepForever = (): void => {
    void sweep().then(() => running && later(SWEEP_INTERVAL_MS, sweepForever));
  };

  return {
    wakeForDeletion() {
      if (running) later(TRANSITION_MS + 1, () => void sweep());
    },
    sweep,
    start() {
      running = true;
      stopped = false;
      sweepForever();
      return async () => {
        running = false;
        stopped = true;
        for (const cancel of cancels) cancel();
        cancels = new Set();
        await sweeping;
      };
    },
  };
}
