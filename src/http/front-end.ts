import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterThisTurn, type Clock } from "../base/clock.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { ANSWER_PAYLOAD_BYTES_MAX, ENGINE_SILENCE_MS_MAX } from "./front-end-settings.ts";
import type { FrontEndSettings, HandedOver, Health, PortName } from "./front-end-settings.ts";
import { FRAME_KIND, FrameError, FrameReader, FrameWriter, jsonFrame, openFrame, type Frame } from "./frames.ts";
import { createHttpServer, type HttpServer } from "./server.ts";
import { readAnswer, requestFrame } from "./wire-frames.ts";

export interface FrontEndOptions {
  /** To the engine. */
  readonly pipe: Duplex;
  readonly clock: Clock;
  /** The settings have come. */
  readonly configured: (settings: FrontEndSettings) => void;
  /** There is nothing left to do: 0 when that was asked for, else 1. */
  readonly ended: (code: 0 | 1) => void;
}

/** A process's part of the server: everything that needs no key but that of the certificate. */
export interface FrontEnd {
  /** Takes a connection over that the engine accepted. Null: its client has closed it on the way. */
  accept(handedOver: HandedOver, socket: Socket | null): void;
}

interface Asked {
  readonly resolve: (answer: WireResponse) => void;
  readonly reject: (error: Error) => void;
}

const ID_COUNT = 2 ** 32;

/** Serves HTTP, and asks the engine at the other end of the pipe for every answer. Ends with the pipe. */
export function startFrontEnd({ pipe, clock, configured, ended }: FrontEndOptions): FrontEnd {
  const engine = new Engine(pipe);
  const servers = new Map<PortName, HttpServer>();
  let health: Health = { status: 503, body: { status: "starting" } };
  let heardMs = clock.monotonicMs();
  const serve = (settings: FrontEndSettings): void => {
    const options = {
      handle: (request: WireRequest) => engine.ask(request),
      health: () =>
        clock.monotonicMs() - heardMs > ENGINE_SILENCE_MS_MAX
          ? { status: 503, body: { status: "the engine does not answer" } }
          : health,
      onError: (error: unknown) => engine.report(error),
      clock,
      limits: settings.limits,
    };
    health = settings.health;
    servers.set("http", createHttpServer(options));
    if (settings.tls !== null) servers.set("https", createHttpServer({ ...options, tls: settings.tls }));
    configured(settings);
    engine.send(openFrame(FRAME_KIND.ready, 0, 0));
  };
  const finish = async (drainMsMax: number): Promise<void> => {
    await Promise.all([...servers.values()].map((server) => server.close(drainMsMax)));
    engine.flush();
    pipe.end(() => ended(0));
  };
  const take = (frame: Frame): void => {
    heardMs = clock.monotonicMs();
    if (engine.take(frame)) return;
    const value: unknown = JSON.parse(frame.payload.toString("utf8"));
    if (frame.kind === FRAME_KIND.configure) serve(value as FrontEndSettings);
    else if (frame.kind === FRAME_KIND.health) health = value as Health;
    else if (frame.kind === FRAME_KIND.drain) void finish((value as { readonly msMax: number }).msMax);
    else throw new FrameError(`kind ${frame.kind} is not for a front-end`);
  };
  const reader = new FrameReader(ANSWER_PAYLOAD_BYTES_MAX, take);
  // Whatever is wrong with the pipe, this process is of no use any more: the engine starts another.
  pipe.on("data", (chunk: Buffer) => reader.push(chunk));
  pipe.on("error", () => ended(1));
  pipe.on("close", () => ended(1));
  pipe.on("end", () => ended(1));
  return {
    accept({ id, port }, socket) {
      engine.send(openFrame(FRAME_KIND.taken, id, 0));
      const server = servers.get(port);
      if (server === undefined) socket?.destroy();
      else if (socket !== null) server.accept(socket);
    },
  };
}

/** The engine as a front-end sees it: asked over the pipe. */
class Engine {
  readonly #writer: FrameWriter;
  readonly #asked = new Map<number, Asked>();
  readonly #streams = new Map<number, RemoteStream>();
  #lastId = 0;

  constructor(pipe: Duplex) {
    // Requests of several connections arrive in one turn: they go together, when all have been read.
    this.#writer = new FrameWriter(pipe, afterThisTurn);
  }

  ask(request: WireRequest): Promise<WireResponse> {
    const id = this.#freeId();
    return new Promise((resolve, reject) => {
      this.#writer.send(requestFrame(id, request));
      this.#asked.set(id, { resolve, reject });
    });
  }

  send(frame: Buffer): void {
    this.#writer.send([frame]);
  }

  flush(): void {
    this.#writer.flush();
  }

  report(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.send(jsonFrame(FRAME_KIND.report, { stack }));
  }

  /** True when the frame belongs to a request. */
  take({ kind, id, payload }: Frame): boolean {
    if (kind === FRAME_KIND.answer) this.#answered(id, payload);
    else if (kind === FRAME_KIND.part) this.#streams.get(id)?.arrived(payload);
    else if (kind === FRAME_KIND.end) this.#streams.get(id)?.over(null);
    else if (kind === FRAME_KIND.broken) this.#streams.get(id)?.over(new Error("the answer broke off"));
    else return false;
    return true;
  }

  #answered(id: number, payload: Buffer): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) throw new FrameError("an answer that nobody asked for");
    this.#asked.delete(id);
    try {
      const { answer, goesOn } = readAnswer(payload);
      asked.resolve(goesOn ? { ...answer, stream: this.#streamOf(id) } : answer);
    } catch (error) {
      asked.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #streamOf(id: number): RemoteStream {
    const stream = new RemoteStream({
      pull: () => this.send(openFrame(FRAME_KIND.pull, id, 0)),
      cancel: () => this.send(openFrame(FRAME_KIND.cancel, id, 0)),
      forget: () => this.#streams.delete(id),
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #freeId(): number {
    do this.#lastId = (this.#lastId + 1) % ID_COUNT;
    while (this.#lastId === 0 || this.#asked.has(this.#lastId) || this.#streams.has(this.#lastId));
    return this.#lastId;
  }
}

/** An answer that goes on in the engine: each part is asked for when it can be sent. */
class RemoteStream implements AsyncIterableIterator<Uint8Array> {
  readonly #engine: { readonly pull: () => void; readonly cancel: () => void; readonly forget: () => void };
  #waiting: {
    readonly resolve: (part: IteratorResult<Uint8Array>) => void;
    readonly reject: (error: Error) => void;
  } | null = null;
  #isOver = false;

  constructor(engine: { readonly pull: () => void; readonly cancel: () => void; readonly forget: () => void }) {
    this.#engine = engine;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#engine.pull();
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#isOver) {
      this.#engine.cancel();
      this.over(null);
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  arrived(part: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve({ done: false, value: part });
  }

  over(error: Error | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#engine.forget();
    const waiting = this.#waiting;
    this.#waiting = null;
    if (error === null) waiting?.resolve({ done: true, value: undefined });
    else waiting?.reject(error);
  }
}
