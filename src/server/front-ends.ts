import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { dividedLimits, type FrontEndSettings, HEALTH_INTERVAL_MS, type PortName } from "../http/front-end-settings.ts";
import { DEFAULT_HTTP_LIMITS } from "../http/limits.ts";
import type { HttpServerOptions } from "../http/server.ts";
import { type FrontEndProcess, startFrontEndProcess } from "./front-end-process.ts";
import type { Log } from "./log.ts";

export interface FrontEndsOptions extends Omit<HttpServerOptions, "tls" | "limits"> {
  readonly clock: Clock;
  readonly count: number;
  readonly tls: FrontEndSettings["tls"];
  readonly log: Log;
}

/** What `status` shows of a front-end. */
export interface FrontEndState {
  readonly number: number;
  readonly pid: number;
  /** Requests that are being answered. */
  readonly requestsInFlight: number;
}

/** The front-end processes of a server. */
export interface FrontEnds {
  /** Gives the connection to the next one. */
  hand(socket: Socket, port: PortName): void;
  /** The health check shall say something else from now on. */
  tellHealth(): void;
  describe(): readonly FrontEndState[];
  /** Lets requests in flight finish for so long, and ends all. */
  close(drainMsMax: number): Promise<void>;
}

/** Connections that wait while no front-end is there to take them, and for how long they do. */
const WAITING_COUNT_MAX = 1024;
const WAITING_MS_MAX = 10_000;

/** A front-end that did not live for so long is replaced only after a pause: what ended it may end the next one, too. */
const SHORT_LIFE_MS = 5_000;
const PAUSE_MS = 1_000;

/** Starts them. Resolves when all take connections; rejects, with none left, when one cannot be started. */
export async function startFrontEnds(options: FrontEndsOptions): Promise<FrontEnds> {
  const pool = new FrontEndPool(options);
  try {
    await pool.start();
    return pool;
  } catch (error) {
    await pool.close(0);
    throw error;
  }
}

interface Waiting {
  readonly socket: Socket;
  readonly port: PortName;
}

class FrontEndPool implements FrontEnds {
  readonly #options: FrontEndsOptions;
  readonly #running = new Map<number, FrontEndProcess>();
  /** Those that take connections, in the order of their turns. */
  #turns: FrontEndProcess[] = [];
  #waiting: Waiting[] = [];
  #isClosing = false;

  constructor(options: FrontEndsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const numbers = Array.from({ length: this.#options.count }, (_, index) => index + 1);
    await Promise.all(numbers.map((number) => this.#startOne(number).ready));
    this.#tellHealthAgain();
  }

  hand(socket: Socket, port: PortName): void {
    for (let tries = this.#turns.length; tries > 0; tries--) {
      const next = this.#turns.shift();
      if (next === undefined) break;
      this.#turns.push(next);
      if (next.hand(socket, port)) return;
    }
    if (this.#isClosing || this.#turns.length > 0 || this.#waiting.length >= WAITING_COUNT_MAX) socket.destroy();
    else this.#keep({ socket, port });
  }

  #keep(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#options.clock.after(WAITING_MS_MAX, () => {
      if (!this.#waiting.includes(waiting)) return;
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      waiting.socket.destroy();
    });
  }

  tellHealth(): void {
    const health = this.#options.health();
    for (const frontEnd of this.#running.values()) frontEnd.tellHealth(health);
  }

  describe(): readonly FrontEndState[] {
    return [...this.#running.values()].map((frontEnd) => ({
      number: frontEnd.number,
      pid: frontEnd.pid,
      requestsInFlight: frontEnd.runningCount(),
    }));
  }

  async close(drainMsMax: number): Promise<void> {
    this.#isClosing = true;
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
    await Promise.all([...this.#running.values()].map((frontEnd) => frontEnd.drain(drainMsMax)));
  }

  #startOne(number: number): FrontEndProcess {
    const { clock, log, count, tls, handle, health, onError } = this.#options;
    const startedMs = clock.monotonicMs();
    const limits = dividedLimits(DEFAULT_HTTP_LIMITS, count);
    const settings = { number, limits, tls, health: health() };
    const frontEnd = startFrontEndProcess({ settings, handle, onError, clock });
    this.#running.set(number, frontEnd);
    const serve = async (): Promise<void> => {
      await frontEnd.ready;
      this.#turns.push(frontEnd);
      for (const { socket, port } of this.#waiting.splice(0)) this.hand(socket, port);
    };
    const replace = async (): Promise<void> => {
      const { how, lastWords } = await frontEnd.ended;
      this.#running.delete(number);
      this.#turns = this.#turns.filter((other) => other !== frontEnd);
      if (this.#isClosing) return;
      log.warn(`front end ${number} ended (${how}): its connections are closed, and another one takes its place`, {
        lastWords,
      });
      this.#startLater(number, clock.monotonicMs() - startedMs < SHORT_LIFE_MS ? PAUSE_MS : 0);
    };
    // One that ends before it is ready is replaced like any other; who waits for the first ones is told by `ready`.
    serve().catch(() => {});
    void replace();
    return frontEnd;
  }

  /** Again and again: what is missing (file descriptors, memory) may be there after a while. */
  #startLater(number: number, pauseMs: number): void {
    const { clock, onError } = this.#options;
    clock.after(pauseMs, () => {
      if (this.#isClosing) return;
      try {
        this.#startOne(number);
      } catch (error) {
        onError(error);
        this.#startLater(number, PAUSE_MS);
      }
    });
  }

  /** Every so often, so that a front-end knows that the engine is there. */
  #tellHealthAgain(): void {
    this.#options.clock.after(HEALTH_INTERVAL_MS, () => {
      if (this.#isClosing) return;
      this.tellHealth();
      this.#tellHealthAgain();
    });
  }
}
