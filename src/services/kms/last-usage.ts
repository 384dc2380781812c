import { parseArn } from "../../base/arn.ts";
import type { Clock } from "../../base/clock.ts";
import type { AnyOperation } from "../../gateway/contract.ts";
import type { MetadataStore, Write } from "../../store/metadata-store.ts";
import { type Reader, type Table, table } from "../../store/table.ts";
import { keyArnOf } from "./model.ts";
import { type KeyRecord, idOfKey, keyTable } from "./records.ts";
import type { KeyLastUsageTrackingOperation } from "./shapes.generated.ts";

/** The last successful cryptographic operation on a key. */
export interface KeyUsage {
  readonly operation: KeyLastUsageTrackingOperation;
  readonly usedMs: number;
  readonly eventId: string;
  readonly requestId: string;
}

/** [account, Region, key id] */
export const lastUsageTable: Table<KeyUsage> = table<KeyUsage>("kms.last-usage");
/** [] When this deployment began to take note: for keys that are older than that, nothing is known from before. */
const trackingTable: Table<{ readonly startMs: number }> = table("kms.last-usage-tracking");

/** What is noted is written this much later: that much may be lost when the process dies. */
const FLUSH_AFTER_MS = 1_000;
const RETRY_AFTER_MS = 10_000;

/** Model: KeyLastUsageTrackingOperation. */
const TRACKED: readonly KeyLastUsageTrackingOperation[] = [
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "Encapsulate",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "ReEncrypt",
  "Sign",
  "Verify",
  "VerifyMac",
];

export interface LastUsageDeps {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Told when uses could not be written; they are tried again. */
  readonly onError: (error: unknown) => void;
}

/** When each key was used last, for what, and under which audit event: held in memory, written behind. */
export class LastUsage {
  readonly #deps: LastUsageDeps;
  /** By key ARN: what is not in the store yet. One entry for each key used within a second. */
  readonly #noted = new Map<string, KeyUsage>();
  #cancelTimer: (() => void) | null = null;
  #flushed: Promise<void> = Promise.resolve();

  constructor(deps: LastUsageDeps) {
    this.#deps = deps;
  }

  /** Writes nothing yet: a cryptographic operation costs no commit of its own. */
  note(keyArn: string, usage: KeyUsage): void {
    const known = this.#noted.get(keyArn);
    if (known !== undefined && known.usedMs > usage.usedMs) return;
    this.#noted.set(keyArn, usage);
    this.#arm(FLUSH_AFTER_MS);
  }

  /** Null: not since tracking began. */
  async of(read: Reader, key: KeyRecord): Promise<KeyUsage | null> {
    return this.#noted.get(keyArnOf(key)) ?? (await read.get(lastUsageTable, idOfKey(key)));
  }

  /** Since when a key's uses are known: at the earliest since it was made. */
  async trackedSinceMs(read: Reader, key: KeyRecord): Promise<number> {
    const tracking = await read.get(trackingTable, []);
    return Math.max(key.createdMs, tracking?.startMs ?? key.createdMs);
  }

  /** Remembers when tracking began, the first time. */
  async start(): Promise<void> {
    const key = trackingTable.key([]);
    if ((await this.#deps.store.get(key)) !== null) return;
    const startMs = this.#deps.clock.wallMs();
    await this.#deps.store.commit({ expect: [{ key, value: null }], writes: [trackingTable.put([], { startMs })] });
  }

  /** Writes all that is noted, in one commit. */
  flush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#write());
    return this.#flushed;
  }

  /** Writes what is left. May be used again afterwards. */
  async stop(): Promise<void> {
    this.#disarm();
    await this.flush();
    this.#disarm();
  }

  async #write(): Promise<void> {
    const due = [...this.#noted];
    if (due.length === 0) return;
    try {
      const writes: Write[] = [];
      for (const [arn, usage] of due) {
        const id = idOfArn(arn);
        // A key that is gone leaves no record behind.
        if (id !== null && (await this.#deps.store.get(keyTable.key(id))) !== null) {
          writes.push(lastUsageTable.put(id, usage));
        }
      }
      if (writes.length > 0) await this.#deps.store.commit({ expect: [], writes });
      // What was noted while this was written stays for the next time.
      for (const [arn, usage] of due) if (this.#noted.get(arn) === usage) this.#noted.delete(arn);
    } catch (error) {
      this.#deps.onError(error);
      this.#arm(RETRY_AFTER_MS);
    }
  }

  #arm(delayMs: number): void {
    this.#cancelTimer ??= this.#deps.clock.after(delayMs, () => {
      this.#cancelTimer = null;
      void this.flush();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

function idOfArn(text: string): readonly string[] | null {
  const arn = parseArn(text);
  return arn === null ? null : [arn.accountId, arn.region, arn.resource.slice("key/".length)];
}

/**
 * The operations with those among them that count as a use of a key taking note of it, under the id of their audit event,
 * once that is durable. The keys are those that the event names: of ReEncrypt both.
 */
export function withLastUsage(
  operations: Readonly<Record<string, AnyOperation>>,
  usage: LastUsage,
): Readonly<Record<string, AnyOperation>> {
  const tracked = TRACKED.flatMap((name) => {
    const operation = operations[name];
    return operation === undefined ? [] : [[name, trackedOperation(name, operation, usage)] as const];
  });
  return { ...operations, ...Object.fromEntries(tracked) };
}

const trackedOperation = (
  name: KeyLastUsageTrackingOperation,
  operation: AnyOperation,
  usage: LastUsage,
): AnyOperation => ({
  ...operation,
  async handle(context, input, target) {
    const outcome = await operation.handle(context, input, target);
    const { call } = context;
    const committed = (eventId: string | null): void => {
      outcome.committed?.(eventId);
      if (eventId === null) return;
      const use: KeyUsage = { operation: name, usedMs: call.nowMs, eventId, requestId: call.requestId };
      for (const { arn } of outcome.audit?.resources ?? []) usage.note(arn, use);
    };
    return {
      output: outcome.output,
      writes: outcome.writes,
      audit: outcome.audit,
      furtherEvents: outcome.furtherEvents,
      committed,
    };
  },
});
