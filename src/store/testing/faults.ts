import type { MetadataStore } from "../metadata-store.ts";
import type { RecordLog, ShardRef } from "../record-log.ts";

/**
 * What happens to one call: nothing, a failure before anything is done, or a failure after it is done (the caller cannot tell
 * them apart). `delayTurns` lets that many other steps of the program go first.
 */
export interface Fault {
  readonly kind: "none" | "fail" | "fail-after-write";
  readonly delayTurns: number;
}

/** Decides for each call in turn. */
export interface FaultPlan {
  next(operation: string): Fault;
}

/** How often per call, from 0 to 1. */
export interface FaultRates {
  readonly fail: number;
  readonly failAfterWrite: number;
  readonly delay: number;
  /** Operations that may fail: names of the port's methods. The others are only delayed. Default: all. */
  readonly operations?: readonly string[];
}

const DELAY_TURNS_MAX = 20;

/** What a faulty store throws, so that a test can tell a planned failure from a real one. */
export class InjectedFault extends Error {
  constructor(operation: string) {
    super(`injected fault in ${operation}`);
    this.name = "InjectedFault";
  }
}

/** The same seed makes the same plan (mulberry32, a generator with 32 bits of state). */
export function seededFaults(seed: number, rates: FaultRates): FaultPlan {
  let state = seed >>> 0;
  const draw = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next(operation) {
      // Three draws for every call, whatever the rates are: changing one rate leaves the other decisions as they were.
      const [outcome, delayed, turns] = [draw(), draw(), draw()];
      const mayFail = rates.operations?.includes(operation) ?? true;
      const delayTurns = delayed < rates.delay ? 1 + Math.floor(turns * DELAY_TURNS_MAX) : 0;
      if (mayFail && outcome < rates.fail) return { kind: "fail", delayTurns };
      if (mayFail && outcome < rates.fail + rates.failAfterWrite) return { kind: "fail-after-write", delayTurns };
      return { kind: "none", delayTurns };
    },
  };
}

/** The calls that have not settled yet, each under its fault. */
class FaultyCalls {
  readonly #plan: FaultPlan;
  readonly #running = new Set<Promise<unknown>>();

  constructor(plan: FaultPlan) {
    this.#plan = plan;
  }

  async run<Result>(operation: string, call: () => Promise<Result>): Promise<Result> {
    const running = this.#withFault(operation, call);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  async #withFault<Result>(operation: string, call: () => Promise<Result>): Promise<Result> {
    const { kind, delayTurns } = this.#plan.next(operation);
    for (let turn = 0; turn < delayTurns; turn++) await Promise.resolve();
    if (kind === "fail") throw new InjectedFault(operation);
    const result = await call();
    if (kind === "fail-after-write") throw new InjectedFault(operation);
    return result;
  }
}

/** A metadata store that fails by a plan. Closing waits for what was called before it, and never fails. */
export function faultyMetadataStore(store: MetadataStore, plan: FaultPlan): MetadataStore {
  const calls = new FaultyCalls(plan);
  return {
    get: (key) => calls.run("get", () => store.get(key)),
    range: (query) => calls.run("range", () => store.range(query)),
    commit: (batch) => calls.run("commit", () => store.commit(batch)),
    generation: () => store.generation(),
    close: () => calls.settled().then(() => store.close()),
  };
}

/**
 * A record log that fails by a plan, within the contract: appends of a shard keep their order, and when one fails, those
 * that were queued behind it fail too. Closing waits for what was called before it, and never fails.
 */
export function faultyRecordLog(log: RecordLog, plan: FaultPlan): RecordLog {
  const calls = new FaultyCalls(plan);
  const queues = new Map<string, Promise<void>>();
  const inOrder = async (shard: ShardRef, append: () => Promise<void>): Promise<void> => {
    const name = `${shard.streamId}/${shard.shardIndex}`;
    const before = queues.get(name);
    const own = before === undefined ? append() : before.then(append);
    queues.set(name, own);
    try {
      await own;
    } finally {
      if (queues.get(name) === own) queues.delete(name);
    }
  };
  return {
    append: (shard, block) => inOrder(shard, () => calls.run("append", () => log.append(shard, block))),
    read: (shard, fromIndex, limits) => calls.run("read", () => log.read(shard, fromIndex, limits)),
    last: (shard) => calls.run("last", () => log.last(shard)),
    firstIndexAt: (shard, timeMs) => calls.run("firstIndexAt", () => log.firstIndexAt(shard, timeMs)),
    replace: (shard, blocks) => calls.run("replace", () => log.replace(shard, blocks)),
    trim: (shard, timeMs, blocksMax) => calls.run("trim", () => log.trim(shard, timeMs, blocksMax)),
    drop: (streamId) => calls.run("drop", () => log.drop(streamId)),
    async close() {
      while (queues.size > 0) await Promise.allSettled(queues.values());
      await calls.settled();
      await log.close();
    },
  };
}
