import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Clock } from "../base/clock.ts";
import type { HandedOver, Health, PortName } from "../http/front-end-settings.ts";
import { FrontEndLink, type FrontEndLinkOptions } from "./front-end-link.ts";

const SCRIPT = fileURLToPath(new URL("../http/front-end-main.js", import.meta.url));

/** Bodies and answers lie outside this heap, and have limits of their own. */
const HEAP_MIB_MAX = 256;
/** The young generation: it grows to three times that, and each MiB of it is resident. */
const SEMI_SPACE_MIB_MAX = 8;

/** Connections on their way to one front-end; node hands over one at a time. */
const HANDING_COUNT_MAX = 512;

/** Ids are four bytes in a frame. */
const ID_COUNT = 2 ** 32;

/** What a process said last, for the log when it ends by itself. */
const LAST_WORDS_LENGTH_MAX = 4096;

/** Beyond the drain that a front-end was given, before it is killed. */
const DRAIN_GRACE_MS = 500;

export interface FrontEndProcessOptions extends Omit<FrontEndLinkOptions, "pipe" | "ready" | "taken" | "broken"> {
  readonly clock: Clock;
}

/** How a front-end ended. */
export interface FrontEndEnd {
  readonly how: string;
  readonly lastWords: string;
}

/** One front-end, running. */
export interface FrontEndProcess {
  readonly number: number;
  readonly pid: number;
  /** Rejects when the process ends before it takes connections. */
  readonly ready: Promise<void>;
  /** Requests that it waits for answers to. */
  runningCount(): number;
  /** False when it has no room; the connection is then still the caller's. */
  hand(socket: Socket, port: PortName): boolean;
  tellHealth(health: Health): void;
  /** Lets it finish what is in flight for so long; resolves when it has ended. */
  drain(msMax: number): Promise<void>;
  readonly ended: Promise<FrontEndEnd>;
}

/**
 * Starts a front-end process. Throws when the operating system has no room for one. It gets nothing of this one's environment
 * and no secret among its arguments; what it has to know comes over the pipe.
 */
export function startFrontEndProcess(options: FrontEndProcessOptions): FrontEndProcess {
  const { settings, clock, onError } = options;
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MIB_MAX}`, `--max-semi-space-size=${SEMI_SPACE_MIB_MAX}`, SCRIPT],
    { stdio: ["ignore", "ignore", "pipe", "pipe", "ipc"], env: {}, serialization: "json" },
  );
  const ended = endOf(child);
  // Out of file descriptors: node makes a child without any pipes then, whatever its type says.
  const pipe = (child.stdio as ChildProcess["stdio"] | undefined)?.[3] as Duplex | null | undefined;
  if (pipe === undefined || pipe === null) throw new Error("there are no file descriptors for a front end");
  /** Connections on their way. Kept open here until they are there: node forgets those of a process that dies meanwhile. */
  const handing = new Map<number, Socket>();
  let lastId = 0;
  const letGo = (id: number): void => {
    handing.get(id)?.destroy();
    handing.delete(id);
  };
  const cleanUp = async (): Promise<void> => {
    await ended;
    for (const id of handing.keys()) letGo(id);
    link.close();
  };
  void cleanUp();
  let becomeReady = (): void => {};
  const ready = Promise.race([
    new Promise<void>((resolve) => (becomeReady = resolve)),
    ended.then(({ how, lastWords }) => {
      throw new Error(`a front end ended at its start (${how}): ${lastWords}`);
    }),
  ]);
  // Only who starts the server waits for it.
  ready.catch(() => {});
  const link = new FrontEndLink({
    ...options,
    pipe,
    ready: () => becomeReady(),
    taken: letGo,
    broken(error) {
      onError(error);
      child.kill("SIGKILL");
    },
  });
  return {
    number: settings.number,
    pid: child.pid ?? 0,
    ready,
    ended,
    runningCount: () => link.runningCount,
    hand(socket, port) {
      if (handing.size >= HANDING_COUNT_MAX || !child.connected) return false;
      lastId = (lastId + 1) % ID_COUNT;
      const message: HandedOver = { id: lastId, port };
      handing.set(message.id, socket);
      child.send(message, socket, { keepOpen: true }, (error) => {
        if (error !== null) letGo(message.id);
      });
      return true;
    },
    tellHealth: (health) => link.tellHealth(health),
    async drain(msMax) {
      link.drain(msMax);
      const cancel = clock.after(msMax + DRAIN_GRACE_MS, () => child.kill("SIGKILL"));
      await ended;
      cancel();
    },
  };
}

function endOf(child: ChildProcess): Promise<FrontEndEnd> {
  let lastWords = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS_LENGTH_MAX);
  });
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ how: error.message, lastWords }));
    child.once("exit", (code, signal) => resolve({ how: signal ?? `code ${code}`, lastWords }));
  });
}
