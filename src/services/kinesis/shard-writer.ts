/**
 * Gives records of a shard their places and appends them. The log commits one group of appends at a time, so shards take
 * turns in waves: what arrives during a wave, from whichever callers and for whichever shards, goes together into the next
 * one. A busy server pays for few commits, and a record waits for one commit before its own at most.
 */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { PlainRecord, SealingKey } from "../../envelope/record-block.ts";
import { clearBlock, contentBytes, sealBlock } from "../../envelope/record-block.ts";
import type { Block, RecordLog, ShardRef } from "../../store/record-log.ts";
import { CLEAR_WAIT_MS_MAX } from "./model.ts";

/** A block is read as a whole: large enough to share its head among many records, small enough to read for one. */
const BLOCK_CONTENT_BYTES_MAX = 1024 * 1024;
const BLOCK_RECORDS_MAX = 1_000;
/** Sealed in one go: 2 MiB hold the event loop for about 10 ms. */
const FLUSH_BYTES_MAX = 2 * 1024 * 1024;
/** A shard with this much waiting does not wait for the wave to end: sealing it takes as long as a commit does. */
const EARLY_FLUSH_BYTES = 256 * 1024;
/** Waiting content, per shard and over all: beyond it, puts are throttled. */
const SHARD_QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const TOTAL_QUEUE_BYTES_MAX = 256 * 1024 * 1024;
/** What a waiting record takes besides its content. */
const RECORD_OVERHEAD_BYTES = 128;
/** Idle shards whose place is remembered; a forgotten one is read from the log again. */
const WRITER_COUNT_MAX = 10_000;

export type Append =
  /** The first `placedCount` records are durable, at consecutive indices from `firstIndex`. The others are not stored. */
  | { readonly kind: "placed"; readonly firstIndex: number; readonly arrivalMs: number; readonly placedCount: number }
  /** Too much is waiting already. Nothing was stored. */
  | { readonly kind: "throttled" }
  /** The data key's time ended while the records waited. Nothing was stored: ask for a new key. */
  | { readonly kind: "key expired" }
  /** The shard was closed. Nothing was stored: read the stream again, and route anew. */
  | { readonly kind: "moved" };

interface Entry {
  readonly records: readonly PlainRecord[];
  /** Null: the stream is not encrypted. */
  readonly key: SealingKey | null;
  readonly bytes: number;
  /** For records in clear: no earlier arrival time, and no later one than this many milliseconds of waiting allow. */
  readonly notBeforeMs: number;
  readonly queuedMs: number;
  readonly resolve: (append: Append) => void;
}

/** Records for one block, and how many of them each entry has in it. */
interface BlockPlan {
  readonly key: SealingKey | null;
  readonly firstIndex: number;
  readonly records: PlainRecord[];
  bytes: number;
}

/** The frame of the newest record, or null while it has to be asked of the log: at start and after a failure. */
type Place = { lastIndex: number; lastArrivalMs: number } | null;

interface ShardQueue {
  readonly ref: ShardRef;
  entries: Entry[];
  bytes: number;
  place: Place;
  /** Resolves when nothing is under way; null then. */
  flushing: Promise<void> | null;
  /** Entries wait until it is known whether the shard closes. */
  held: boolean;
}

const queueId = ({ streamId, shardIndex }: ShardRef): string => `${streamId}/${shardIndex}`;

const isIdle = ({ flushing, entries, held }: ShardQueue): boolean => flushing === null && entries.length === 0 && !held;

/** Shards to which nothing is appended at present. Exactly one of its functions has to be called, once. */
export interface Hold {
  /** They are closed: what waits for them is moved, and so is whatever else was routed by an older list than this one. */
  moved(listVersion: number): void;
  /** They stay open: what waits goes on. */
  resume(): void;
}

export interface ShardWriterDeps {
  readonly records: RecordLog;
  readonly clock: Clock;
  readonly random: Random;
}

export class ShardWriters {
  readonly #deps: ShardWriterDeps;
  readonly #queues = new Map<string, ShardQueue>();
  /** Shards with entries that wait for the wave to end. */
  readonly #waiting = new Set<ShardQueue>();
  /**
   * By stream: what was routed by an older list of shards than this may be for a shard that is closed by now, whose end is
   * written down; nothing may come behind it. Only of streams that were resharded since the start.
   */
  readonly #listVersions = new Map<string, number>();
  #flushesUnderWay = 0;
  #bytes = 0;

  constructor(deps: ShardWriterDeps) {
    this.#deps = deps;
  }

  /**
   * Puts records (at least one) at the end of a shard, in order, dated `notBeforeMs` at the earliest. `listVersion` is that
   * of the list of shards by which they were routed. Never rejects.
   */
  append(
    ref: ShardRef,
    records: readonly PlainRecord[],
    key: SealingKey | null,
    notBeforeMs = 0,
    listVersion: number = Number.POSITIVE_INFINITY,
  ): Promise<Append> {
    if (listVersion < (this.#listVersions.get(ref.streamId) ?? 0)) return Promise.resolve({ kind: "moved" });
    const queue = this.#queue(ref);
    const bytes = records.reduce((total, record) => total + contentBytes(record) + RECORD_OVERHEAD_BYTES, 0);
    const full = queue.bytes > 0 && queue.bytes + bytes > SHARD_QUEUE_BYTES_MAX;
    if (full || this.#bytes + bytes > TOTAL_QUEUE_BYTES_MAX) return Promise.resolve({ kind: "throttled" });
    return new Promise((resolve) => {
      queue.entries.push({ records, key, bytes, notBeforeMs, queuedMs: this.#deps.clock.monotonicMs(), resolve });
      queue.bytes += bytes;
      this.#bytes += bytes;
      this.#startOrWait(queue);
    });
  }

  /** Resolves when nothing is under way for these shards; from then on, what comes for them waits. */
  async hold(refs: readonly ShardRef[]): Promise<Hold> {
    const queues = refs.map((ref) => {
      const queue = this.#queue(ref);
      // At once: an idle one may be forgotten when the next one is looked up.
      queue.held = true;
      this.#waiting.delete(queue);
      return queue;
    });
    for (const queue of queues) await queue.flushing;
    return {
      moved: (listVersion) => {
        for (const { streamId } of refs) this.#listVersions.set(streamId, listVersion);
        for (const queue of queues) this.#giveBack(queue);
      },
      resume: () => {
        for (const queue of queues) {
          queue.held = false;
          if (queue.entries.length > 0) this.#startOrWait(queue);
        }
      },
    };
  }

  /** The stream is gone. */
  forget(streamId: string): void {
    this.#listVersions.delete(streamId);
  }

  /** Of a closed shard. */
  #giveBack(queue: ShardQueue): void {
    queue.held = false;
    this.#queues.delete(queueId(queue.ref));
    for (const { bytes, resolve } of queue.entries.splice(0)) {
      queue.bytes -= bytes;
      this.#bytes -= bytes;
      resolve({ kind: "moved" });
    }
  }

  /** Resolves when all that was put before is stored or has failed; nothing may be held. */
  async drain(): Promise<void> {
    for (;;) {
      // Whatever waits, waits for one that is under way.
      const busy = [...this.#queues.values()].find(({ flushing }) => flushing !== null);
      if (busy === undefined) return;
      await busy.flushing;
    }
  }

  #startOrWait(queue: ShardQueue): void {
    if (queue.flushing !== null || queue.held) return;
    if (this.#flushesUnderWay > 0 && queue.bytes < EARLY_FLUSH_BYTES) this.#waiting.add(queue);
    else this.#start(queue);
  }

  #start(queue: ShardQueue): void {
    this.#waiting.delete(queue);
    this.#flushesUnderWay++;
    queue.flushing = this.#flushBatch(queue).then(() => this.#ended(queue));
  }

  #ended(queue: ShardQueue): void {
    queue.flushing = null;
    this.#flushesUnderWay--;
    if (queue.entries.length > 0 && !queue.held) this.#waiting.add(queue);
    // The wave is over: all that waits makes the next one.
    const wave = this.#flushesUnderWay === 0 ? Array.from(this.#waiting) : [];
    for (const waiting of wave) this.#start(waiting);
    if (wave.length === 0 && this.#waiting.has(queue) && queue.bytes >= EARLY_FLUSH_BYTES) this.#start(queue);
  }

  #queue(ref: ShardRef): ShardQueue {
    const id = queueId(ref);
    const known = this.#queues.get(id);
    if (known !== undefined) return known;
    if (this.#queues.size >= WRITER_COUNT_MAX) {
      // Only idle ones: two writers of one shard would give one place twice.
      for (const [other, queue] of this.#queues) if (isIdle(queue)) this.#queues.delete(other);
    }
    const queue: ShardQueue = { ref, entries: [], bytes: 0, place: null, flushing: null, held: false };
    this.#queues.set(id, queue);
    return queue;
  }

  /** Never rejects. */
  async #flushBatch(queue: ShardQueue): Promise<void> {
    const batch = this.#takeBatch(queue);
    try {
      await this.#flush(queue, batch);
    } catch {
      // The log did not say where the shard ends, or sealing failed: nothing of this batch was appended.
      queue.place = null;
      for (const entry of batch) entry.resolve({ kind: "placed", firstIndex: 0, arrivalMs: 0, placedCount: 0 });
    }
    for (const { bytes } of batch) {
      queue.bytes -= bytes;
      this.#bytes -= bytes;
    }
  }

  #takeBatch(queue: ShardQueue): readonly Entry[] {
    let count = 0;
    for (let bytes = 0; count < queue.entries.length && (count === 0 || bytes < FLUSH_BYTES_MAX); count++) {
      bytes += queue.entries[count]?.bytes ?? 0;
    }
    return queue.entries.splice(0, count);
  }

  async #flush(queue: ShardQueue, batch: readonly Entry[]): Promise<void> {
    const place = (queue.place ??= (await this.#deps.records.last(queue.ref)) ?? { lastIndex: 0, lastArrivalMs: 0 });
    const live: Entry[] = [];
    for (const entry of batch) {
      if (entry.key?.key.destroyed === true) entry.resolve({ kind: "key expired" });
      else if (entry.key === null && this.#deps.clock.monotonicMs() - entry.queuedMs > CLEAR_WAIT_MS_MAX)
        entry.resolve({ kind: "throttled" });
      else live.push(entry);
    }
    // Arrival times never fall, whatever the wall clock does: firstIndexAt and retention rely on it.
    const wallMs = Math.floor(this.#deps.clock.wallMs());
    const arrivalMs = live.reduce(
      (latest, { notBeforeMs }) => Math.max(latest, notBeforeMs),
      Math.max(place.lastArrivalMs, wallMs),
    );
    const plans = planBlocks(live, place.lastIndex + 1);
    const blocks = plans.map((plan) => this.#block(queue.ref, plan, arrivalMs));
    const appended = await Promise.allSettled(blocks.map((block) => this.#deps.records.append(queue.ref, block)));

    // The log keeps the order and fails what is behind a failure, so what is stored is a prefix.
    const failedAt = appended.findIndex(({ status }) => status === "rejected");
    const lastDurable = failedAt < 0 ? Number.POSITIVE_INFINITY : (blocks[failedAt]?.firstIndex ?? 0) - 1;
    queue.place =
      failedAt < 0 ? { lastIndex: blocks.at(-1)?.lastIndex ?? place.lastIndex, lastArrivalMs: arrivalMs } : null;
    let firstIndex = place.lastIndex + 1;
    for (const { records, resolve } of live) {
      const placedCount = Math.min(records.length, Math.max(0, lastDurable - firstIndex + 1));
      resolve({ kind: "placed", firstIndex, arrivalMs, placedCount });
      firstIndex += records.length;
    }
  }

  #block(ref: ShardRef, plan: BlockPlan, arrivalMs: number): Block {
    const { key, firstIndex, records } = plan;
    const bytes =
      key === null
        ? clearBlock(firstIndex, arrivalMs, records)
        : sealBlock(key, this.#deps.random, ref, firstIndex, arrivalMs, records);
    return { firstIndex, lastIndex: firstIndex + records.length - 1, lastArrivalMs: arrivalMs, bytes };
  }
}

/** Consecutive records under one data key share blocks, up to a size. */
function planBlocks(entries: readonly Entry[], firstIndex: number): readonly BlockPlan[] {
  const plans: BlockPlan[] = [];
  let index = firstIndex;
  for (const { records, key } of entries) {
    for (const record of records) {
      const bytes = contentBytes(record);
      let plan = plans.at(-1);
      const fits =
        plan !== undefined &&
        plan.key === key &&
        plan.records.length < BLOCK_RECORDS_MAX &&
        plan.bytes + bytes <= BLOCK_CONTENT_BYTES_MAX;
      if (plan === undefined || !fits) {
        plan = { key, firstIndex: index, records: [], bytes: 0 };
        plans.push(plan);
      }
      plan.records.push(record);
      plan.bytes += bytes;
      index++;
    }
  }
  return plans;
}
