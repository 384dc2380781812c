/** What one commit takes from the head of the queue, and the result of each of these jobs, in order. */
export interface CommitGroup<Result> {
  /** At least 1. */
  readonly taken: number;
  readonly results: Promise<readonly Result[]>;
}

interface Queued<Job, Result> {
  readonly job: Job;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Callers are bounded by what the server takes in at once; this is for the day when a disk stops answering. */
const QUEUED_COUNT_MAX = 100_000;

/**
 * Group commit: one commit runs at a time, and what is asked for meanwhile shares the next one and its sync. Jobs keep the
 * order of the calls. A group that fails rejects its own jobs only.
 */
export class CommitQueue<Job, Result> {
  readonly #commit: (queued: readonly Job[]) => CommitGroup<Result>;
  #queued: Queued<Job, Result>[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  /** `commit` decides how many jobs from the head of the queue go together, and commits them. */
  constructor(commit: (queued: readonly Job[]) => CommitGroup<Result>) {
    this.#commit = commit;
  }

  push(job: Job): Promise<Result> {
    if (this.#closed) return Promise.reject(new Error("the store is closed"));
    if (this.#queued.length >= QUEUED_COUNT_MAX)
      return Promise.reject(new Error("too many commits wait for the store"));
    return new Promise((resolve, reject) => {
      this.#queued.push({ job, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Takes no more jobs; resolves when those that were taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Everything that is asked for in the same turn of the event loop goes into the first group.
    await Promise.resolve();
    while (this.#queued.length > 0) await this.#runGroup();
    this.#running = null;
  }

  async #runGroup(): Promise<void> {
    let group: readonly Queued<Job, Result>[] = [];
    try {
      const { taken, results } = this.#commit(this.#queued.map(({ job }) => job));
      group = this.#queued.slice(0, taken);
      this.#queued = this.#queued.slice(taken);
      const values = await results;
      for (const [index, { resolve }] of group.entries()) resolve(values[index] as Result);
    } catch (error) {
      // A commit that could not even be planned must not be planned again: its first job fails.
      if (group.length === 0) group = this.#queued.splice(0, 1);
      for (const { reject } of group) reject(error);
    }
  }
}
