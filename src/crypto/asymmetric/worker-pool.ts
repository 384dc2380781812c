import { availableParallelism } from "node:os";
import { wipe } from "../wipe.ts";
import { join } from "./der.ts";
import { bytesIn, type Job, type Outcome, type ThreadRole } from "./jobs.ts";
import { KeyThread, type Ticket } from "./key-thread.ts";
import { KeyWorkersError } from "./key-workers-error.ts";
import type { KeyWorkers, LentPrivateKey } from "./key-workers.ts";
import { isRsaSpec } from "./rsa.ts";

export interface KeyWorkersOptions {
  /** Threads for everything but the generation of RSA keys, which has one of its own. */
  readonly operationThreadCount?: number;
  /** Jobs that wait for a thread, for each of the two kinds of work; what comes on top is refused as busy. */
  readonly waitingJobsMax?: number;
}

const WAITING_JOBS_MAX = 1000;
/** An RSA-4096 key takes a second or so: who came on top of these would wait for minutes, and hold up all others. */
const WAITING_GENERATIONS_MAX = 64;
/** The main thread keeps a core for itself. More threads than this gain little before the main thread is busy. */
const OPERATION_THREADS_MAX = 8;
/** Jobs posted to one thread ahead, so that it never waits for the main thread between two. */
const POSTED_JOBS_MAX = 4;

const endedError = (): KeyWorkersError => new KeyWorkersError("ended", "the key threads were ended");

/** Threads for one kind of work, and the jobs that wait for one of them, first come first served. */
class Lane {
  readonly #role: ThreadRole;
  readonly #threadsMax: number;
  readonly #waitingJobsMax: number;
  #threads: KeyThread[] = [];
  #waiting: Ticket[] = [];
  #isRefusing = false;
  /** Resolves when the threads that were told to end have done so. */
  #ended: Promise<void> = Promise.resolve();

  constructor(role: ThreadRole, threadsMax: number, waitingJobsMax: number) {
    this.#role = role;
    this.#threadsMax = threadsMax;
    this.#waitingJobsMax = waitingJobsMax;
  }

  do(job: Job, privateKey: LentPrivateKey | null): Promise<Outcome> {
    const refusal = this.#refusal();
    if (refusal !== null) {
      wipe(...bytesIn(job));
      return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, privateKey, resolve, reject });
      this.#advance();
    });
  }

  forget(idPrefix: string): void {
    const isForgotten = ({ privateKey }: Ticket): boolean => privateKey?.id.startsWith(idPrefix) === true;
    const forgotten = this.#waiting.filter(isForgotten);
    if (forgotten.length > 0) this.#waiting = this.#waiting.filter((ticket) => !isForgotten(ticket));
    for (const ticket of forgotten) {
      wipe(...bytesIn(ticket.job));
      ticket.reject(new KeyWorkersError("forgotten", "the key was forgotten while the job waited"));
    }
    for (const thread of this.#threads) thread.forget(idPrefix);
  }

  #refusal(): KeyWorkersError | null {
    if (this.#isRefusing) return endedError();
    if (this.#waiting.length < this.#waitingJobsMax) return null;
    return new KeyWorkersError("busy", "too many jobs wait for a key thread");
  }

  refuse(): void {
    this.#isRefusing = true;
    this.#end();
  }

  accept(): void {
    this.#isRefusing = false;
  }

  async clear(): Promise<void> {
    this.#end();
    await this.#ended;
  }

  #end(): void {
    const [threads, waiting] = [this.#threads, this.#waiting];
    this.#threads = [];
    this.#waiting = [];
    for (const { job, reject } of waiting) {
      // A private key from outside, or a plaintext, may be among its arguments.
      wipe(...bytesIn(job));
      reject(endedError());
    }
    this.#ended = Promise.all([this.#ended, ...threads.map((thread) => thread.end())]).then(() => undefined);
  }

  #advance(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const thread = this.#threadFor(next.privateKey?.id);
      if (thread === null) return;
      this.#waiting.shift();
      try {
        thread.post(next);
      } catch (error) {
        wipe(...bytesIn(next.job));
        next.reject(error instanceof Error ? error : new Error("the key could not be lent", { cause: error }));
      }
    }
  }

  /** The thread with the least to do, and among such ones that holds the key; null when all have enough. */
  #threadFor(keyId: string | undefined): KeyThread | null {
    const least = Math.min(...this.#threads.map(({ underWayCount }) => underWayCount));
    if (least > 0 && this.#threads.length < this.#threadsMax) return this.#start();
    if (least >= POSTED_JOBS_MAX) return null;
    const idle = this.#threads.filter(({ underWayCount }) => underWayCount === least);
    return idle.find((thread) => keyId !== undefined && thread.holds(keyId)) ?? idle[0] ?? null;
  }

  #start(): KeyThread {
    const advance = (): void => this.#advance();
    const thread = new KeyThread(this.#role, advance, () => {
      this.#threads = this.#threads.filter((other) => other !== thread);
      this.#advance();
    });
    this.#threads.push(thread);
    return thread;
  }
}

/** Threads start with the first job that needs them. Failures are KeyWorkersErrors, or what lending a key throws. */
export function createKeyWorkers(options: KeyWorkersOptions = {}): KeyWorkers {
  const waitingJobsMax = options.waitingJobsMax ?? WAITING_JOBS_MAX;
  const operationThreads =
    options.operationThreadCount ?? Math.min(OPERATION_THREADS_MAX, Math.max(1, availableParallelism() - 1));
  const operations = new Lane("operations", operationThreads, waitingJobsMax);
  const generation = new Lane("generation", 1, Math.min(waitingJobsMax, WAITING_GENERATIONS_MAX));
  const work = (job: Job, key: LentPrivateKey | null = null): Promise<Outcome> => operations.do(job, key);

  return {
    async generate(spec) {
      const lane = isRsaSpec(spec) ? generation : operations;
      const [privateKey, publicKey] = two(await lane.do({ do: "generate", spec }, null));
      return { privateKey, publicKey };
    },
    publicKeyOf: async (spec, key) => bytesOrNull(await work({ do: "publicKeyOf", spec, privateKey: key.copy() })),
    sign: async (spec, key, algorithm, kind, message) =>
      bytes(await work({ do: "sign", spec, algorithm, kind, message: join(message) }, key)),
    async verify(spec, publicKey, algorithm, kind, message, signature) {
      const [keyCopy, messageCopy, signatureCopy] = [join(publicKey), join(message), join(signature)];
      return (
        (await work({
          do: "verify",
          spec,
          publicKey: keyCopy,
          algorithm,
          kind,
          message: messageCopy,
          signature: signatureCopy,
        })) === true
      );
    },
    encrypt: async (publicKey, algorithm, plaintext) =>
      bytes(await work({ do: "encrypt", publicKey: join(publicKey), algorithm, plaintext: join(plaintext) })),
    decrypt: async (key, algorithm, ciphertext) =>
      bytesOrNull(await work({ do: "decrypt", algorithm, ciphertext: join(ciphertext) }, key)),
    agree: async (spec, key, peer) => bytesOrNull(await work({ do: "agree", spec, peer: join(peer) }, key)),
    async encapsulate(spec, publicKey) {
      const [ciphertext, sharedSecret] = two(await work({ do: "encapsulate", spec, publicKey: join(publicKey) }));
      return { ciphertext, sharedSecret };
    },
    decapsulate: async (spec, key, ciphertext) =>
      bytesOrNull(await work({ do: "decapsulate", spec, ciphertext: join(ciphertext) }, key)),
    unwrapImport: async (key, wrapping, wrapped) =>
      bytesOrNull(await work({ do: "unwrapImport", wrapping, wrapped: join(wrapped) }, key)),
    forget(idPrefix) {
      operations.forget(idPrefix);
    },
    refuse(what) {
      generation.refuse();
      if (what === "everything") operations.refuse();
    },
    accept() {
      for (const lane of [operations, generation]) lane.accept();
    },
    async clear() {
      await Promise.all([operations.clear(), generation.clear()]);
    },
  };
}

const unlike = (): Error => new Error("a key thread gave an answer of another kind");

function bytes(outcome: Outcome): Uint8Array {
  if (!(outcome instanceof Uint8Array)) throw unlike();
  return outcome;
}

const bytesOrNull = (outcome: Outcome): Uint8Array | null => (outcome === null ? null : bytes(outcome));

function two(outcome: Outcome): readonly [Uint8Array, Uint8Array] {
  if (outcome === null || typeof outcome === "boolean" || outcome instanceof Uint8Array) throw unlike();
  return outcome;
}
