import type { MetadataStore } from "../metadata-store.ts";
import type { RecordLog } from "../record-log.ts";

/**
 * One run of a process over stores that outlive it. It dies in front of one call of a store or behind it; from then on no
 * call of it reaches the stores, and none that was under way is ever answered.
 */
export class Life {
  readonly died: Promise<void>;
  readonly #turn: () => Promise<void>;
  #isAlive = true;
  #callsLeft: number;
  readonly #lastCallHappens: boolean;
  #resolve: () => void = () => {};

  /** `turn` resolves when it pleases: others go first. */
  constructor(options: {
    readonly calls: number;
    readonly lastCallHappens: boolean;
    readonly turn: () => Promise<void>;
  }) {
    this.#callsLeft = options.calls;
    this.#lastCallHappens = options.lastCallHappens;
    this.#turn = options.turn;
    this.died = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  end(): void {
    this.#isAlive = false;
    this.#resolve();
  }

  async call<Result>(run: () => Promise<Result>): Promise<Result> {
    await this.#turn();
    if (!this.#isAlive) return await never();
    this.#callsLeft -= 1;
    const isLast = this.#callsLeft === 0;
    if (isLast && !this.#lastCallHappens) this.end();
    if (!this.#isAlive) return await never();
    const result = await run();
    if (isLast) this.end();
    await this.#turn();
    // It may have died during the waits.
    return this.isAlive ? result : await never();
  }
}

const never = <Result>(): Promise<Result> => new Promise<Result>(() => {});

export function mortalMetadataStore(store: MetadataStore, life: Life): MetadataStore {
  return {
    get: (key) => life.call(() => store.get(key)),
    range: (query) => life.call(() => store.range(query)),
    commit: (batch) => life.call(() => store.commit(batch)),
    generation: () => store.generation(),
    // The stores outlive the process.
    close: () => Promise.resolve(),
  };
}

export function mortalRecordLog(log: RecordLog, life: Life): RecordLog {
  return {
    append: (shard, block) => life.call(() => log.append(shard, block)),
    read: (shard, fromIndex, limits) => life.call(() => log.read(shard, fromIndex, limits)),
    last: (shard) => life.call(() => log.last(shard)),
    firstIndexAt: (shard, timeMs) => life.call(() => log.firstIndexAt(shard, timeMs)),
    replace: (shard, blocks) => life.call(() => log.replace(shard, blocks)),
    trim: (shard, timeMs, blocksMax) => life.call(() => log.trim(shard, timeMs, blocksMax)),
    drop: (streamId) => life.call(() => log.drop(streamId)),
    close: () => Promise.resolve(),
  };
}
