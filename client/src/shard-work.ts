/** One shard, while its lease is held: batches in order, each as often as it takes, and a checkpoint behind each. */
import { type Api, ApiError } from "./api.ts";
import type { LeaseTable } from "./lease-table.ts";
import { after, type Position, type StreamRecord } from "./records.ts";
import { backoffMs, readShard } from "./shards.ts";

/** Notes that everything up to this record is done; without one, the whole batch. Rejects when the lease was lost. */
export type PutCheckpoint = (record?: StreamRecord) => Promise<void>;

export interface BatchContext {
  readonly shardId: string;
  /** Aborted when the lease was lost: another consumer may be at the same records now. */
  readonly signal: AbortSignal;
  /** How often this batch has failed before. */
  readonly failures: number;
}

export type ProcessRecords = (
  records: readonly StreamRecord[],
  checkpoint: PutCheckpoint,
  context: BatchContext,
) => Promise<void> | void;

export interface Held {
  readonly shardId: string;
  readonly counter: number;
  /** By the monotonic clock; counted from before the server was asked, so that it is over here first. */
  validUntilMs: number;
  /** Given: take no new work. */
  readonly stop: AbortController;
  /** Given: the lease is another's. */
  readonly lost: AbortController;
}

export interface ShardWork {
  readonly api: Api;
  readonly leases: LeaseTable;
  readonly stream: string;
  readonly held: Held;
  readonly from: Position;
  readonly process: ProcessRecords;
  readonly batchSize: number;
  readonly batchWindowMs: number;
  readonly pollMs: number;
  readonly onError: (error: unknown, shardId: string) => void;
}

/** What waits for a batch to become full, at most, and one read more: batches may be of 10,000 records of 10 MiB. */
const WAITING_BYTES_MAX: number = 16 * 1024 * 1024;

/** Resolves with true when the shard is done for good, else with false: stopped, or lost. */
export async function workOnShard(work: ShardWork): Promise<boolean> {
  const { api, held, batchSize, batchWindowMs } = work;
  const { shardId } = held;
  const pages = readShard({
    api,
    stream: work.stream,
    shardId,
    from: work.from,
    signal: held.stop.signal,
    pollMs: batchWindowMs > 0 ? Math.min(work.pollMs, batchWindowMs) : work.pollMs,
    onError(error) {
      work.onError(error, shardId);
      // It expired while nobody read it. The next look at the list of shards goes on with its children.
      if (!(error instanceof ApiError) || error.code !== "ResourceNotFoundException") return;
      held.stop.abort();
    },
  });
  let waiting: StreamRecord[] = [];
  let sinceMs = 0;
  for await (const { records, ended } of pages) {
    if (waiting.length === 0) sinceMs = api.time.monotonicMs();
    waiting = waiting.concat(records);
    const bytes = waiting.reduce((sum, { data }) => sum + data.length, 0);
    const isDue = (): boolean =>
      ended || bytes >= WAITING_BYTES_MAX || api.time.monotonicMs() - sinceMs >= batchWindowMs;
    let at = 0;
    while (waiting.length - at >= batchSize || (waiting.length > at && isDue())) {
      const batch = waiting.slice(at, at + batchSize);
      if (!(await deliver(work, batch))) return false;
      at += batch.length;
      if (held.stop.signal.aborted) return false;
    }
    waiting = waiting.slice(at);
    if (ended) return await putCheckpoint(work, "ended");
  }
  return false;
}

/** False: stopped or lost before it succeeded. */
async function deliver(work: ShardWork, batch: readonly StreamRecord[]): Promise<boolean> {
  const { api, held } = work;
  const last = batch.at(-1);
  if (last === undefined) return true;
  for (let failures = 0; ; failures++) {
    if (!isHeld(work)) return false;
    try {
      await work.process(
        batch,
        async (record = last) => {
          if (!(await putCheckpoint(work, after(record)))) throw new ApiError("LeaseLostException", "", null);
        },
        { shardId: held.shardId, signal: held.lost.signal, failures },
      );
      return await putCheckpoint(work, after(last));
    } catch (error) {
      if (held.lost.signal.aborted) return false;
      work.onError(error, held.shardId);
      if (held.stop.signal.aborted) return false;
      await api.time.sleep(backoffMs(failures), held.stop.signal);
      if (held.stop.signal.aborted) return false;
    }
  }
}

function isHeld({ api, held }: ShardWork): boolean {
  if (api.time.monotonicMs() >= held.validUntilMs) held.lost.abort();
  return !held.lost.signal.aborted;
}

/** As often as it takes, while the lease is held. False: it is not. */
async function putCheckpoint(
  work: ShardWork,
  done: { readonly sequenceNumber: string; readonly subSequenceNumber: number | null } | "ended",
): Promise<boolean> {
  const { api, held, leases } = work;
  for (let failures = 0; isHeld(work); failures++) {
    try {
      await leases.checkpoint(held.shardId, held.counter, done);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "LeaseLostException") {
        held.lost.abort();
        return false;
      }
      work.onError(error, held.shardId);
      await api.time.sleep(backoffMs(failures), held.lost.signal);
    }
  }
  return false;
}
