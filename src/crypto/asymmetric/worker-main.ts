/** What a key thread runs: jobs, one after the other, with private keys that it keeps parsed until it is told to drop them. */
import { readlinkSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { wipe } from "../wipe.ts";
import { execute } from "./execute.ts";
import { overwriteFreedMemory } from "./freed-memory.ts";
import { bytesIn, type Job, type JobKey, type Reply, type Request, SharedNumber, type ThreadData } from "./jobs.ts";
import { destroyPrivateKey, parsePrivateKey, type PrivateKey } from "./private-keys.ts";

/**
 * Between a long key generation and the threads that answer requests, the operating system is to prefer the latter: it gives
 * them ten times as much of a core that both want. With less, other load on the machine would starve the generation, and a
 * stop of the server with it, which has to wait for the end of the one that runs.
 */
const NICER_BY = 10;

class KeyThreadMain {
  readonly #port: MessagePort;
  readonly #shared: Int32Array;
  readonly #keys = new Map<string, PrivateKey>();

  constructor(port: MessagePort, { shared }: ThreadData) {
    this.#port = port;
    this.#shared = shared;
  }

  get #isEnding(): boolean {
    return Atomics.load(this.#shared, SharedNumber.ending) !== 0;
  }

  answer(request: Request): void {
    if (request.type === "end") this.#end();
    else if (request.type === "drop") for (const id of request.ids) this.#drop(id);
    else {
      const { number, job, key } = request;
      try {
        if (!this.#isEnding) this.#run(number, job, key);
      } finally {
        wipe(key?.pkcs8, ...bytesIn(job));
      }
    }
  }

  #run(number: number, job: Job, key: JobKey | null): void {
    try {
      const outcome = execute(job, () => this.#privateKey(job, key));
      // Nobody waits for it any more.
      if (this.#isEnding) wipe(...bytesIn(outcome));
      else this.#reply({ type: "done", number, outcome }, bytesIn(outcome));
    } catch (error) {
      this.#reply({ type: "failed", number, where: placeOf(error) });
    }
  }

  #privateKey(job: Job, key: JobKey | null): PrivateKey {
    if (key === null) throw new Error("the job came without a key");
    const known = this.#keys.get(key.id);
    if (known !== undefined) return known;
    if (key.pkcs8 === null) throw new Error("the key is not here");
    // Jobs without a spec are for RSA keys of any length.
    const parsed = parsePrivateKey("spec" in job ? job.spec : "RSA_2048", key.pkcs8);
    this.#keys.set(key.id, parsed);
    return parsed;
  }

  #drop(id: string): void {
    const key = this.#keys.get(id);
    if (key !== undefined) destroyPrivateKey(key);
    this.#keys.delete(id);
  }

  #reply(reply: Reply, bytes: readonly Uint8Array<ArrayBuffer>[] = []): void {
    this.#port.postMessage(
      reply,
      bytes.map(({ buffer }) => buffer),
    );
  }

  #end(): void {
    for (const key of this.#keys.values()) destroyPrivateKey(key);
    this.#keys.clear();
    overwriteFreedMemory();
    this.#port.close();
  }
}

/** Name, code and stack of an error without its message. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return "not an error";
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  const code = "code" in error && typeof error.code === "string" ? ` ${error.code}` : "";
  return [`${error.name}${code}`, ...frames].join("\n");
}

/**
 * Linux gives each thread a priority of its own; elsewhere this would lower the whole process, so it is left. The main thread
 * learns the thread's number, so as to take that back when the thread is to end.
 */
function lowerOwnPriority({ shared }: ThreadData): void {
  try {
    const threadId = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    if (!(threadId > 0)) return;
    setPriority(threadId, Math.min(constants.priority.PRIORITY_LOW, getPriority(threadId) + NICER_BY));
    Atomics.store(shared, SharedNumber.threadId, threadId);
  } catch {
    // No /proc, or not allowed: generation then runs like everything else.
  }
}

if (parentPort === null) throw new Error("this file is run as a worker thread");
const data = workerData as ThreadData;
const main = new KeyThreadMain(parentPort, data);
if (data.role === "generation") lowerOwnPriority(data);
parentPort.on("message", (request: Request) => main.answer(request));
