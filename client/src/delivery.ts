/** Batches that drive something else: retries, bisection, and a place for what cannot be delivered. */
import type { StreamRecord } from "./records.ts";
import { backoffMs } from "./shards.ts";
import type { Time } from "./time.ts";

export interface Delivery {
  /** Throws where the batch was not taken. May be given the same records again. */
  readonly send: (records: readonly StreamRecord[], signal: AbortSignal) => Promise<void>;
  /** Repetitions of a batch, and then of a single record, before it is given up. */
  readonly retries: number;
  /** Halve a batch that fails, to find the record that does it. */
  readonly bisect: boolean;
  /** Keeps what was given up: durably, when it resolves. Null: nothing is given up. */
  readonly deadLetter: ((records: readonly StreamRecord[], error: unknown) => Promise<void>) | null;
  readonly time: Time;
  readonly onError: (error: unknown, records: readonly StreamRecord[]) => void;
}

/**
 * Resolves when every record was taken or lies with the dead letters, in order: none is sent while one before it is open.
 * Rejects when the signal is given, when nothing may be given up, or when the dead letters cannot be kept.
 */
export async function deliverBatch(
  delivery: Delivery,
  records: readonly StreamRecord[],
  signal: AbortSignal,
): Promise<void> {
  await deliverPart(delivery, records, delivery.retries, signal);
}

async function deliverPart(
  delivery: Delivery,
  records: readonly StreamRecord[],
  retries: number,
  signal: AbortSignal,
): Promise<void> {
  let error: unknown;
  for (let failures = 0; failures <= retries; failures++) {
    signal.throwIfAborted();
    if (failures > 0) await delivery.time.sleep(backoffMs(failures - 1), signal);
    signal.throwIfAborted();
    try {
      await delivery.send(records, signal);
      return;
    } catch (cause) {
      signal.throwIfAborted();
      error = cause;
      delivery.onError(cause, records);
    }
  }
  if (delivery.bisect && records.length > 1) {
    const middle = Math.ceil(records.length / 2);
    for (const half of [records.slice(0, middle), records.slice(middle)]) {
      // Only a record that stands alone is guilty, and only after as many tries as a batch gets.
      await deliverPart(delivery, half, half.length === 1 ? delivery.retries : 0, signal);
    }
    return;
  }
  if (delivery.deadLetter === null) throw error;
  await delivery.deadLetter(records, error);
}
