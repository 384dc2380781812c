/** What deleted streams leave behind: nobody can reach it, because it lies under their ids, and it goes in the background. */
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { applications, leases, streamIndex } from "./records.ts";
import type { StreamLookup } from "./row.ts";

/** Soon after the start, so that a server that is restarted often cleans up too, and from then on every hour. */
const FIRST_SWEEP_MS = 60_000;
const SWEEP_INTERVAL_MS = 3_600_000;
const PAGE_COUNT = 500;

interface CleaningDeps {
  readonly streamId: StreamLookup;
  readonly store: MetadataStore;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** One whole round. */
export async function sweep(deps: CleaningDeps, isStopped: () => boolean = () => false): Promise<void> {
  const { reader, clock } = deps;
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await reader.list(streamIndex, { prefix: [], after, limit: PAGE_COUNT });
    for (const { id, value } of page) {
      if (isStopped()) return;
      const [streamId = ""] = id;
      if ((await deps.streamId(reader, value, clock.wallMs())) !== streamId) await drop(deps, streamId);
    }
    if (page.length < PAGE_COUNT) return;
    after = page.at(-1)?.id;
  }
}

/** The index last: a crash in between leaves it for the next round. */
async function drop({ reader, store }: CleaningDeps, streamId: string): Promise<void> {
  for (const table of [leases, applications]) {
    for (;;) {
      const page = await reader.list<unknown>(table, { prefix: [streamId], limit: PAGE_COUNT });
      if (page.length > 0) await store.commit({ expect: [], writes: page.map(({ id }) => table.remove(id)) });
      if (page.length < PAGE_COUNT) break;
    }
  }
  await store.commit({ expect: [], writes: [streamIndex.remove([streamId])] });
}

export function createCleaning(deps: CleaningDeps): () => () => Promise<void> {
  return () => {
    let stopped = false;
    let cancel: () => void = () => undefined;
    let running: Promise<void> = Promise.resolve();
    const round = async (): Promise<void> => {
      try {
        await sweep(deps, () => stopped);
      } catch (error) {
        deps.onError(error);
      }
      if (!stopped) next(SWEEP_INTERVAL_MS);
    };
    const next = (delayMs: number): void => {
      cancel = deps.clock.after(delayMs, () => {
        running = round();
      });
    };
    next(FIRST_SWEEP_MS);
    return async () => {
      stopped = true;
      cancel();
      await running;
    };
  };
}
