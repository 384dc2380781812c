/**
 * How often KMS was called for each stream, by month, key and operation: what AWS would bill for. Counted are calls, refused
 * ones too (but for DescribeKey, which resolves the key); a data key from the cache, whose use is only authorized anew, is none.
 */
import type { Clock } from "../../base/clock.ts";
import type { DataKeyScope, KeyService } from "../../envelope/key-service.ts";
import type { Expectation, MetadataStore, Write } from "../../store/metadata-store.ts";
import type { Reader, Table } from "../../store/table.ts";
import { table } from "../../store/table.ts";

/**
 * Per 10,000 requests with symmetric keys in all commercial Regions but a few (https://aws.amazon.com/kms/pricing/, "Requests").
 * The 20,000 requests a month that are free belong to the whole account, so they are not taken off any stream here.
 */
export const USD_PER_10_000_REQUESTS = 0.03;

export const usdOf = (calls: number): number => Math.round((calls / 10_000) * USD_PER_10_000_REQUESTS * 1e6) / 1e6;

export type MeteredOperation = "DescribeKey" | "GenerateDataKey" | "Decrypt";

export interface KmsUseRecord {
  readonly calls: Readonly<Partial<Record<MeteredOperation, number>>>;
}

/** By month (`2026-11`, UTC), stream ARN and key ARN. Outlives the stream: what was used has been used. */
export const kmsUses: Table<KmsUseRecord> = table<KmsUseRecord>("kinesis.kms-use");

export interface KmsCall {
  readonly operation: MeteredOperation;
  readonly streamArn: string;
  /** As it was asked for: an ARN. */
  readonly keyArn: string;
}

export interface KmsUse {
  /** Costs no commit: what is noted is written within a minute, and lost if the process dies before. */
  note(call: KmsCall): void;
  /** In order of month, stream and key, from behind `after`; what was noted up to now is written first. */
  page(
    read: Reader,
    after: readonly string[] | undefined,
    limit: number,
  ): Promise<readonly { readonly id: readonly string[]; readonly value: KmsUseRecord }[]>;
  /** Writes what was noted and stops. */
  stop(): Promise<void>;
}

const FLUSH_INTERVAL_MS = 60_000;
const BATCH_COUNT = 100;
const CONFLICTS_MAX = 20;
/** Counters that wait to be written. Names of keys come out of stored blocks: no store may fill the memory with them. */
const PENDING_COUNT_MAX = 10_000;
const OTHER_KEY = "(other keys)";
const PRINTABLE = /^[\u0020-\u007e]{1,300}$/;

interface Pending {
  readonly id: readonly string[];
  readonly calls: Partial<Record<MeteredOperation, number>>;
}

const monthOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 7);

function add(to: Pending["calls"], calls: KmsUseRecord["calls"]): void {
  for (const [operation, count] of Object.entries(calls) as [MeteredOperation, number][]) {
    to[operation] = (to[operation] ?? 0) + count;
  }
}

export function createKmsUse(deps: {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Told when counters could not be written; they are tried again a minute later. */
  readonly onError: (cause: unknown) => void;
}): KmsUse {
  const { store, clock } = deps;
  let pending = new Map<string, Pending>();
  let cancelTimer: (() => void) | null = null;
  let flushed: Promise<void> = Promise.resolve();

  const disarm = (): void => {
    cancelTimer?.();
    cancelTimer = null;
  };
  const arm = (): void => {
    cancelTimer ??= clock.after(FLUSH_INTERVAL_MS, () => {
      cancelTimer = null;
      void flush();
    });
  };

  const entryOf = (id: readonly string[]): Pending => {
    const name = id.join("\n");
    let entry = pending.get(name);
    if (entry === undefined) pending.set(name, (entry = { id, calls: {} }));
    return entry;
  };

  const writeBatch = async (batch: readonly Pending[]): Promise<void> => {
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const expect: Expectation[] = [];
      const writes: Write[] = [];
      for (const { id, calls } of batch) {
        const key = kmsUses.key(id);
        const value = await store.get(key);
        const sum: Pending["calls"] = value === null ? {} : { ...kmsUses.decode(value).calls };
        add(sum, calls);
        expect.push({ key, value });
        writes.push(kmsUses.put(id, { calls: sum }));
      }
      if ((await store.commit({ expect, writes })) === "committed") return;
    }
    throw new Error("counters of KMS calls were changed by others again and again");
  };

  const writeAll = async (): Promise<void> => {
    const due = [...pending.values()];
    pending = new Map();
    let written = 0;
    try {
      while (written < due.length) {
        const batch = due.slice(written, written + BATCH_COUNT);
        await writeBatch(batch);
        written += batch.length;
      }
    } catch (cause) {
      for (const { id, calls } of due.slice(written)) add(entryOf(id).calls, calls);
      deps.onError(cause);
      arm();
    }
  };

  const flush = (): Promise<void> => {
    flushed = flushed.then(writeAll);
    return flushed;
  };

  return {
    note({ operation, streamArn, keyArn }) {
      const known = PRINTABLE.test(keyArn) && pending.size < PENDING_COUNT_MAX;
      const { calls } = entryOf([monthOf(clock.wallMs()), streamArn, known ? keyArn : OTHER_KEY]);
      calls[operation] = (calls[operation] ?? 0) + 1;
      arm();
    },
    async page(read, after, limit) {
      await flush();
      return await read.list(kmsUses, { prefix: [], after, limit });
    },
    async stop() {
      disarm();
      await flush();
      disarm();
    },
  };
}

/** The key service, with its calls for streams counted. */
export function metered(keyService: KeyService, use: KmsUse): KeyService {
  const counted = async <T>(operation: MeteredOperation, scope: DataKeyScope, run: () => Promise<T>): Promise<T> => {
    const streamArn = scope.encryptionContext["aws:kinesis:arn"];
    try {
      return await run();
    } finally {
      if (streamArn !== undefined) use.note({ operation, streamArn, keyArn: scope.keyId });
    }
  };
  return {
    generateDataKey: (call, scope) => counted("GenerateDataKey", scope, () => keyService.generateDataKey(call, scope)),
    decrypt: (call, ciphertext, scope) => counted("Decrypt", scope, () => keyService.decrypt(call, ciphertext, scope)),
    authorizeGenerate: (call, scope, remembered) => keyService.authorizeGenerate(call, scope, remembered),
    isStillAuthorized: (call, remembered) => keyService.isStillAuthorized(call, remembered),
    authorizeDecrypt: (call, ciphertext, scope, remembered) =>
      keyService.authorizeDecrypt(call, ciphertext, scope, remembered),
  };
}
