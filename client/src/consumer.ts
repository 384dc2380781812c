/**
 * Consumers of one application share a stream's shards: each holds leases, renews them, takes what is free and asks for its
 * fair share. At least once, in order per shard, parents before children.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type Api, ApiError, type ApiOptions, createApi } from "./api.ts";
import { createLeaseTable, type LeaseTable, type Start } from "./lease-table.ts";
import { type Lease, planLeases } from "./plan.ts";
import type { Position } from "./records.ts";
import { type Held, type ProcessRecords, workOnShard } from "./shard-work.ts";
import { listShards } from "./shards.ts";

export interface ConsumerOptions extends ApiOptions {
  /** Name or ARN. */
  readonly stream: string;
  /** Consumers of the same application share the work. */
  readonly application: string;
  /** When it returns, the batch is done. When it throws, the batch comes again, after a while, and nothing behind it before. */
  readonly process: ProcessRecords;
  /** Where an application begins that is new to the stream (default: TRIM_HORIZON). */
  readonly start?: Start;
  /** Records in one batch at most (default: 1000). */
  readonly batchSize?: number;
  /** How long a batch waits to become full (default: 0). */
  readonly batchWindowMs?: number;
  /** Between two reads of a shard that has nothing new (default: 1000; AWS allows 5 reads a second and shard). */
  readonly pollMs?: number;
  /** After this long without a word, a consumer's shards go to others (default: 10 s). */
  readonly leaseMs?: number;
  /** Unique among all consumers (default: host, process and a UUID). */
  readonly owner?: string;
  /** Told of every failure that is tried again. */
  readonly onError?: (error: unknown, shardId: string | null) => void;
  /** Told when a shard comes and goes. */
  readonly onShard?: (shardId: string, what: "taken" | "ended" | "released" | "lost") => void;
}

export interface Consumer {
  /** Registers the application and begins. Rejects where that is refused. */
  start(): Promise<void>;
  /** Ends after the batches that are under way, and hands the leases back. After `graceMs` it no longer waits for them. */
  stop(graceMs?: number): Promise<void>;
  /** Resolves when it has stopped. Rejects when it cannot go on, because the stream is gone. */
  readonly stopped: Promise<void>;
}

const DEFAULTS = { start: "TRIM_HORIZON", batchSize: 1000, batchWindowMs: 0, pollMs: 1000, leaseMs: 10_000 } as const;
const LEASE_MS_MIN = 1000;
const LEASE_MS_MAX = 300_000;
const GRACE_MS = 30_000;

const defaultOwner = (): string =>
  `${hostname()
    .replaceAll(/[^a-zA-Z0-9.-]/g, "-")
    .slice(0, 60)}:${process.pid}:${randomUUID()}`;

export function createConsumer(given: ConsumerOptions): Consumer {
  const options = { ...DEFAULTS, ...given };
  if (!(options.leaseMs >= LEASE_MS_MIN && options.leaseMs <= LEASE_MS_MAX))
    throw new RangeError(`leaseMs is a number from ${LEASE_MS_MIN} to ${LEASE_MS_MAX}`);
  if (!(options.batchSize >= 1)) throw new RangeError("batchSize is at least 1");
  const owner = given.owner ?? defaultOwner();
  return new RunningConsumer({ ...options, owner }, createApi(options));
}

type Settled = ConsumerOptions & Required<Pick<ConsumerOptions, keyof typeof DEFAULTS | "owner">>;

class RunningConsumer implements Consumer {
  readonly stopped: Promise<void>;
  readonly #options: Settled;
  readonly #api: Api;
  readonly #leases: LeaseTable;
  readonly #held = new Map<string, { readonly held: Held; readonly work: Promise<void> }>();
  readonly #stop = new AbortController();
  /** After the last batch, or when patience with it has ended. */
  readonly #over = new AbortController();
  /** Cuts the pause between two looks at the leases short. */
  #wake = new AbortController();
  #origin: Position = { type: "TRIM_HORIZON" };
  #loops: Promise<unknown> | null = null;
  #takingLoop: Promise<void> = Promise.resolve();
  #settle: { readonly done: () => void; readonly fail: (error: unknown) => void };

  constructor(options: Settled, api: Api) {
    this.#options = options;
    this.#api = api;
    this.#leases = createLeaseTable(api, options);
    let settle: { readonly done: () => void; readonly fail: (error: unknown) => void } | null = null;
    this.stopped = new Promise((done, fail) => (settle = { done, fail }));
    // Who never looks at it must not be brought down by it.
    this.stopped.catch(() => undefined);
    this.#settle = settle as unknown as { done: () => void; fail: (error: unknown) => void };
  }

  async start(): Promise<void> {
    if (this.#loops !== null) throw new Error("a consumer is started once");
    this.#origin = await this.#leases.register(this.#options.start);
    if (this.#stop.signal.aborted) return;
    this.#takingLoop = this.#taking();
    this.#loops = Promise.all([this.#renewing(), this.#takingLoop]);
    void this.#loops.catch((error: unknown) => {
      this.#settle.fail(error);
      void this.stop();
    });
  }

  async stop(graceMs: number = GRACE_MS): Promise<void> {
    const isFirst = !this.#stop.signal.aborted;
    this.#stop.abort();
    this.#wake.abort();
    for (const { held } of this.#held.values()) held.stop.abort();
    if (!isFirst) return await this.stopped.catch(() => undefined);
    // Leases are renewed until the last batch is done.
    const patience = new AbortController();
    await Promise.race([this.#workDone(), this.#api.time.sleep(graceMs, patience.signal)]);
    patience.abort();
    for (const { held } of this.#held.values()) held.lost.abort();
    this.#over.abort();
    await this.#loops?.catch(() => undefined);
    this.#api.close();
    this.#settle.done();
  }

  /** A lease that is being taken when the stop comes is handed back like the others. */
  async #workDone(): Promise<void> {
    await this.#takingLoop.catch(() => undefined);
    await Promise.all([...this.#held.values()].map(({ work }) => work));
  }

  #failed(error: unknown, shardId: string | null = null): void {
    if (error instanceof ApiError && error.code === "AbortError") return;
    this.#options.onError?.(error, shardId);
  }

  async #renewing(): Promise<void> {
    const { time } = this.#api;
    const everyMs = this.#options.leaseMs / 3;
    while (!this.#over.signal.aborted) {
      const held = [...this.#held.values()].map((one) => one.held).filter((one) => !one.lost.signal.aborted);
      const beganMs = time.monotonicMs();
      const leftMs = Math.min(everyMs, ...held.map(({ validUntilMs }) => validUntilMs - beganMs));
      let pauseMs = everyMs;
      try {
        if (held.length > 0) {
          const { kept, lost } = await this.#leases.renew(held, Math.max(1, leftMs));
          for (const lease of kept) this.#renewed(lease, beganMs);
          // Those that were asked about: a shard may have been given back and taken again meanwhile.
          for (const one of held.filter(({ shardId }) => lost.includes(shardId))) one.lost.abort();
        }
      } catch (error) {
        this.#failed(error);
        pauseMs = everyMs / 4;
      }
      const nowMs = time.monotonicMs();
      for (const one of held) if (nowMs >= one.validUntilMs) one.lost.abort();
      await time.sleep(Math.max(0, pauseMs - (nowMs - beganMs)), this.#over.signal);
    }
  }

  #renewed({ shardId, counter, requestedBy }: Lease, beganMs: number): void {
    const held = this.#held.get(shardId)?.held;
    if (held === undefined || held.counter !== counter) return;
    held.validUntilMs = beganMs + this.#options.leaseMs;
    // Somebody has less than a fair share. The batch under way is finished, and noted, before it is handed over.
    if (requestedBy !== null && requestedBy !== this.#options.owner) held.stop.abort();
  }

  async #taking(): Promise<void> {
    const { time } = this.#api;
    const everyMs = this.#options.leaseMs / 3;
    for (let failures = 0; !this.#stop.signal.aborted;) {
      this.#wake = new AbortController();
      try {
        await this.#takeShare();
        failures = 0;
      } catch (error) {
        // The stream is gone, or the application was deleted under us. Leases are of no use any more.
        if (error instanceof ApiError && error.code === "ResourceNotFoundException") throw error;
        this.#failed(error);
        failures += 1;
      }
      if (!this.#stop.signal.aborted) await time.sleep(everyMs * Math.min(4, failures + 1), this.#wake.signal);
    }
  }

  async #takeShare(): Promise<void> {
    const { stream, owner } = this.#options;
    // Leases first: a shard whose lease is there, and which is not listed afterwards, is gone.
    const leases = await this.#leases.list();
    const shards = await listShards(this.#api, stream, { signal: this.#stop.signal });
    const plan = planLeases(owner, shards, leases, new Set(this.#held.keys()));
    for (const { shardId, counter } of plan.take) {
      if (this.#stop.signal.aborted) return;
      // Work on it that was lost and has not noticed yet.
      if (this.#held.has(shardId)) continue;
      const beganMs = this.#api.time.monotonicMs();
      const lease = await this.#leases.take(shardId, counter);
      if (lease !== null) this.#begin(lease, beganMs);
    }
    for (const shardId of plan.request) await this.#leases.request(shardId);
    if (plan.remove.length > 0) await this.#leases.remove(plan.remove);
  }

  #begin(lease: Lease, beganMs: number): void {
    const { shardId, counter, checkpoint } = lease;
    const held: Held = {
      shardId,
      counter,
      validUntilMs: beganMs + this.#options.leaseMs,
      stop: new AbortController(),
      lost: new AbortController(),
    };
    held.lost.signal.addEventListener("abort", () => held.stop.abort(), { once: true });
    if (this.#stop.signal.aborted) held.stop.abort();
    this.#options.onShard?.(shardId, "taken");
    const from = checkpoint === null ? this.#origin : { type: "AFTER" as const, ...checkpoint };
    this.#held.set(shardId, { held, work: this.#work(held, from) });
  }

  /** Never rejects. */
  async #work(held: Held, from: Position): Promise<void> {
    const { shardId, counter } = held;
    let ended = false;
    try {
      ended = await workOnShard({
        ...this.#options,
        api: this.#api,
        leases: this.#leases,
        held,
        from,
        onError: (error) => this.#failed(error, shardId),
      });
      if (!ended && !held.lost.signal.aborted) await this.#leases.release(shardId, counter);
    } catch (error) {
      // The lease runs out by itself.
      this.#failed(error, shardId);
    }
    const isLost = held.lost.signal.aborted;
    this.#held.delete(shardId);
    this.#options.onShard?.(shardId, ended ? "ended" : isLost ? "lost" : "released");
    // Its children wait, or nobody has it.
    if (ended) this.#wake.abort();
  }
}
