import { getPriority, setPriority } from "node:os";
import { Worker } from "node:worker_threads";
import { LruMap } from "../../base/lru.ts";
import { wipe } from "../wipe.ts";
import {
  bytesIn,
  type Job,
  type JobKey,
  type Outcome,
  type Reply,
  type Request,
  SHARED_NUMBERS,
  SharedNumber,
  type ThreadData,
  type ThreadRole,
} from "./jobs.ts";
import { KeyWorkersError } from "./key-workers-error.ts";
import type { LentPrivateKey } from "./key-workers.ts";

/** A job, with those who wait for it. */
export interface Ticket {
  readonly job: Job;
  readonly privateKey: LentPrivateKey | null;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
}

/** Private keys that a thread keeps parsed. */
const HELD_KEYS_MAX = 256;

/**
 * Built code has the entry beside this file. Run from TypeScript sources, as unit tests do, it goes through a loader for them:
 * never through an earlier build, which could be another version.
 */
const entryBeside = (url: string): URL =>
  new URL(url.endsWith(".ts") ? "./testing/worker-from-source.mjs" : "./worker-main.js", url);

/** One life of one thread. It keeps the process alive only while a job is under way. */
export class KeyThread {
  readonly #worker: Worker;
  readonly #role: ThreadRole;
  readonly #shared: Int32Array<SharedArrayBuffer> = new Int32Array(
    new SharedArrayBuffer(SHARED_NUMBERS * Int32Array.BYTES_PER_ELEMENT),
  );
  readonly #underWay = new Map<number, Ticket>();
  /** Which keys the thread has: the order in which they leave is decided here, and the thread does as it is told. */
  readonly #held = new LruMap<string, true>(HELD_KEYS_MAX, (id) => this.#send({ type: "drop", ids: [id] }));
  readonly #exit: Promise<void>;
  readonly #onJobEnd: () => void;
  #lastNumber = 0;

  /** `onJobEnd` is called after each reply, `onDeath` when the thread has ended without having been told to. */
  constructor(role: ThreadRole, onJobEnd: () => void, onDeath: () => void) {
    this.#role = role;
    const workerData: ThreadData = { role, shared: this.#shared };
    // Options of the main thread's Node, and its environment, are none of a key thread's business.
    this.#worker = new Worker(entryBeside(import.meta.url), {
      workerData,
      execArgv: [],
      env: {},
      name: `keys: ${role}`,
    });
    this.#worker.unref();
    this.#onJobEnd = onJobEnd;
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    this.#worker.on("error", (cause) => this.#fail("died", "a key thread died", cause));
    this.#exit = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail("died", "a key thread died");
        resolve();
        if (this.#shared[SharedNumber.ending] === 0) onDeath();
      });
    });
  }

  /** Jobs whose reply has not come. */
  get underWayCount(): number {
    return this.#underWay.size;
  }

  holds(keyId: string): boolean {
    return this.#held.get(keyId) !== undefined;
  }

  /** Hands a job over, and its private key unless the thread has it. Throws what lending the key throws. */
  post(ticket: Ticket): void {
    const { job, privateKey } = ticket;
    const key = privateKey === null ? null : this.#keyFor(privateKey);
    this.#lastNumber += 1;
    this.#underWay.set(this.#lastNumber, ticket);
    if (this.#underWay.size === 1) this.#worker.ref();
    this.#send({ type: "job", number: this.#lastNumber, job, key }, [...bytesIn(job), ...bytesIn(key)]);
  }

  forget(idPrefix: string): void {
    const ids = [...this.#held.entries()].map(([id]) => id).filter((id) => id.startsWith(idPrefix));
    for (const id of ids) this.#held.delete(id);
    if (ids.length > 0) this.#send({ type: "drop", ids });
  }

  /**
   * Jobs under way fail; the thread overwrites what it holds, and ends. Resolves then; but if it is making RSA keys, which
   * cannot be cut short, at once: nobody was told of what it makes, and it is overwritten when it comes out.
   */
  async end(): Promise<void> {
    const isMaking = this.#role === "generation" && this.#underWay.size > 0;
    Atomics.store(this.#shared, SharedNumber.ending, 1);
    this.#send({ type: "end" });
    this.#fail("ended", "the key threads were ended");
    // Even who exits waits for its threads, in process.exit().
    if (isMaking) this.#raisePriority();
    this.#worker.ref();
    if (!isMaking) await this.#exit;
  }

  /** What is left to do is waited for now, and no longer gives way to other load. */
  #raisePriority(): void {
    const threadId = Atomics.load(this.#shared, SharedNumber.threadId);
    if (threadId === 0) return;
    try {
      setPriority(threadId, getPriority());
    } catch {
      // Only root may: it goes on as it did.
    }
  }

  #keyFor({ id, copy }: LentPrivateKey): JobKey {
    if (this.#held.get(id) !== undefined) return { id, pkcs8: null };
    const pkcs8 = copy();
    this.#held.set(id, true);
    return { id, pkcs8 };
  }

  #settle(reply: Reply): void {
    const ticket = this.#underWay.get(reply.number);
    if (ticket === undefined) {
      // The answer to a job that failed meanwhile, as the thread was told to end.
      if (reply.type === "done") wipe(...bytesIn(reply.outcome));
      return;
    }
    this.#underWay.delete(reply.number);
    if (this.#underWay.size === 0) this.#worker.unref();
    if (reply.type === "done") ticket.resolve(reply.outcome);
    else {
      // Perhaps its key could not be parsed, so that the thread does not have it.
      if (ticket.privateKey !== null) this.forget(ticket.privateKey.id);
      const cause = new Error(reply.where);
      ticket.reject(new KeyWorkersError("failed", `${ticket.job.do} failed in a key thread`, { cause }));
    }
    this.#onJobEnd();
  }

  #fail(reason: KeyWorkersError["reason"], message: string, cause?: unknown): void {
    const tickets = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const ticket of tickets) ticket.reject(new KeyWorkersError(reason, message, { cause }));
  }

  #send(request: Request, bytes: readonly Uint8Array<ArrayBuffer>[] = []): void {
    this.#worker.postMessage(
      request,
      bytes.map(({ buffer }) => buffer),
    );
  }
}
