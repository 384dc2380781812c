import type { Clock } from "../../base/clock.ts";
import type { MetadataStore, Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import { accessKeys, accessKeyUses } from "./records.ts";
import type { AccessKeyUseRecord } from "./records.ts";

/** One use of an access key that was authenticated. */
export interface KeyUse {
  readonly accessKeyId: string;
  readonly service: string;
  readonly region: string;
  readonly nowMs: number;
}

/** Remembers when and for what each access key was used last. */
export interface AccessKeyUse {
  /** Costs no commit: what is noted is written within a minute, and lost if the process dies before. AWS lags as well. */
  note(use: KeyUse): void;
  /** Null: never, as far as is known. */
  lastUse(read: Reader, accessKeyId: string): Promise<AccessKeyUseRecord | null>;
  /** Writes what was noted and stops. */
  stop(): Promise<void>;
}

const FLUSH_INTERVAL_MS = 60_000;
const BATCH_COUNT = 200;

export function createAccessKeyUse(deps: {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Told when uses could not be written; they are tried again a minute later. */
  readonly onError: (cause: unknown) => void;
}): AccessKeyUse {
  const noted = new Map<string, AccessKeyUseRecord>();
  let cancelTimer: (() => void) | null = null;
  let flushed: Promise<void> = Promise.resolve();

  const disarm = (): void => {
    cancelTimer?.();
    cancelTimer = null;
  };
  const arm = (): void => {
    cancelTimer ??= deps.clock.after(FLUSH_INTERVAL_MS, () => {
      cancelTimer = null;
      void flush();
    });
  };

  const writeBatch = async (batch: readonly (readonly [string, AccessKeyUseRecord])[]): Promise<void> => {
    const writes: Write[] = [];
    for (const [accessKeyId, use] of batch) {
      // A key deleted meanwhile gets no record. One deleted between this look and the commit leaves an unreachable one.
      const exists = (await deps.store.get(accessKeys.key([accessKeyId]))) !== null;
      if (exists) writes.push(accessKeyUses.put([accessKeyId], use));
    }
    if (writes.length > 0) await deps.store.commit({ expect: [], writes });
    // What was noted while this was written stays for the next time.
    for (const [accessKeyId, use] of batch) if (noted.get(accessKeyId) === use) noted.delete(accessKeyId);
  };

  const writeAll = async (): Promise<void> => {
    const due = [...noted];
    try {
      for (let from = 0; from < due.length; from += BATCH_COUNT) await writeBatch(due.slice(from, from + BATCH_COUNT));
    } catch (cause) {
      deps.onError(cause);
    }
    if (noted.size > 0) arm();
  };

  const flush = (): Promise<void> => {
    flushed = flushed.then(writeAll);
    return flushed;
  };

  return {
    note({ accessKeyId, service, region, nowMs }) {
      noted.set(accessKeyId, { lastUsedMs: nowMs, serviceName: service, region });
      arm();
    },
    lastUse: async (read, accessKeyId) => noted.get(accessKeyId) ?? read.get(accessKeyUses, [accessKeyId]),
    async stop() {
      disarm();
      await flush();
      disarm();
    },
  };
}
