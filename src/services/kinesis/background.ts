/**
 * What happens without a request: expired records are trimmed, and what deleted streams leave behind is dropped. No answer
 * depends on when it runs: reading never goes past the retention period, and a deleted stream is gone by its record.
 */
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import type { StreamRecord } from "./model.ts";
import { horizonMs, TRANSITION_MS } from "./model.ts";
import type { DeletionRecord } from "./records.ts";
import { deletions, shardLists, streamKey, streams } from "./records.ts";
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

export function createBackground(deps: BackgroundDeps): Background {
  const { records, metadata, reader, shardMaps, clock } = deps;
  let sweeping: Promise<void> = Promise.resolve();
  let running = false;
  let stopped = false;
  let cancels = new Set<() => void>();

  const trim = async (stream: StreamRecord): Promise<void> => {
    const beforeMs = horizonMs(stream, clock.wallMs());
    for (const { ref } of (await shardMaps.of(stream)).shards) {
      while ((await records.trim(ref, beforeMs, TRIM_BLOCKS_MAX)) === TRIM_BLOCKS_MAX) if (stopped) return;
    }
  };

  /** Bytes first, then what names them: a crash in between leaves the deletion record, and the next start goes on. */
  const drop = async (streamId: string, deletion: DeletionRecord): Promise<void> => {
    await records.drop(streamId);
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
