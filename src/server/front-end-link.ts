import type { Duplex } from "node:stream";
import { internalError, overloaded, badRequest } from "../http/answers.ts";
import { type FrontEndSettings, type Health, requestPayloadBytesMax } from "../http/front-end-settings.ts";
import {
  type Frame,
  FRAME_HEAD_BYTES,
  FRAME_KIND,
  FrameError,
  FrameReader,
  FrameWriter,
  jsonFrame,
  openFrame,
} from "../http/frames.ts";
import { type HttpLimits, SHORT_ANSWER_BYTES_MAX } from "../http/limits.ts";
import { answerFrame, readRequest } from "../http/wire-frames.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";

export interface FrontEndLinkOptions {
  /** To the front-end. */
  readonly pipe: Duplex;
  readonly settings: FrontEndSettings;
  readonly handle: (request: WireRequest) => Promise<WireResponse>;
  /** What went wrong inside, here or there. */
  readonly onError: (error: unknown) => void;
  /** The front-end takes connections. */
  readonly ready: () => void;
  /** It has the connection that was handed over under this id. */
  readonly taken: (id: number) => void;
  /** The front-end does not keep to what was agreed: it has to be ended. */
  readonly broken: (error: unknown) => void;
}

/** What a front-end reports goes to the log. */
const REPORT_LENGTH_MAX = 4096;

/** A front-end serves HTTP and HTTPS, each within the limits. */
const PORT_COUNT = 2;

/** More answers than that cannot wait for a front-end that keeps the limits: a request counts until its client has the answer. */
const unreadBytesMax = (limits: HttpLimits): number =>
  PORT_COUNT * (limits.totalAnswerBytesMax + limits.requestCountMax * SHORT_ANSWER_BYTES_MAX);

/**
 * The engine's end of a front-end's pipe: requests come in, answers go out. A front-end reads what strangers send, so that
 * nothing it says is believed: it is held to the same limits as if the strangers had it in their hands.
 */
export class FrontEndLink {
  readonly #options: FrontEndLinkOptions;
  readonly #writer: FrameWriter;
  /** Answers that go on. A part is being made for those in #pulling. */
  readonly #streams = new Map<number, AsyncIterator<Uint8Array>>();
  readonly #pulling = new Set<number>();
  /** Requests that have no answer yet. */
  readonly #running = new Set<number>();
  #bodyBytes = 0;
  #isClosed = false;

  constructor(options: FrontEndLinkOptions) {
    const { pipe, settings, broken } = options;
    this.#options = options;
    // The answers of one commit are there at the same time, and go together at once. To wait for the turn's end would be to
    // wait for the next commit's work, too.
    this.#writer = new FrameWriter(pipe, (run) => process.nextTick(run));
    const reader = new FrameReader(requestPayloadBytesMax(settings.limits), (frame) => this.#take(frame));
    pipe.on("data", (chunk: Buffer) => {
      if (this.#isClosed) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.close();
        broken(error);
      }
    });
    // Who started the process learns from its end.
    pipe.on("error", () => {});
    pipe.on("close", () => this.close());
    this.#writer.send([jsonFrame(FRAME_KIND.configure, settings)], true);
  }

  get runningCount(): number {
    return this.#running.size + this.#streams.size;
  }

  tellHealth(health: Health): void {
    this.#writer.send([jsonFrame(FRAME_KIND.health, health)]);
  }

  /** Has the front-end finish what is in flight, and end. */
  drain(msMax: number): void {
    this.#writer.send([jsonFrame(FRAME_KIND.drain, { msMax })]);
  }

  /** Nobody waits for answers any more. Does no harm when repeated. */
  close(): void {
    this.#isClosed = true;
    for (const id of this.#streams.keys()) this.#cancel(id);
  }

  #take({ kind, id, payload }: Frame): void {
    if (kind === FRAME_KIND.request) this.#ask(id, payload);
    else if (kind === FRAME_KIND.pull) this.#pull(id);
    else if (kind === FRAME_KIND.cancel) this.#cancel(id);
    else if (kind === FRAME_KIND.ready) this.#options.ready();
    else if (kind === FRAME_KIND.taken) this.#options.taken(id);
    else if (kind === FRAME_KIND.report) this.#report(payload);
    else throw new FrameError(`kind ${kind} is not for the engine`);
  }

  #ask(id: number, payload: Buffer): void {
    const { limits } = this.#options.settings;
    if (this.#running.has(id) || this.#streams.has(id)) throw new FrameError("two requests with one id");
    if (this.runningCount >= PORT_COUNT * limits.requestCountMax) throw new FrameError("more requests than allowed");
    if (this.#writer.unreadBytes > unreadBytesMax(limits))
      throw new FrameError("it asks, and does not read the answers");
    const request = readRequest(payload);
    const bytes = request?.body.length ?? 0;
    if (this.#bodyBytes + bytes > PORT_COUNT * limits.totalBodyBytesMax)
      throw new FrameError("longer bodies than allowed");
    this.#running.add(id);
    this.#bodyBytes += bytes;
    void this.#handle(request).then((answer) => {
      this.#running.delete(id);
      this.#bodyBytes -= bytes;
      return this.#answer(id, answer);
    });
  }

  async #handle(request: WireRequest | null): Promise<WireResponse> {
    if (request === null) return badRequest("The request has a line break in a header.");
    try {
      return await this.#options.handle(request);
    } catch (error) {
      this.#options.onError(error);
      return internalError();
    }
  }

  #answer(id: number, answer: WireResponse): void {
    const source = answer.stream?.[Symbol.asyncIterator]();
    if (this.#isClosed) {
      source?.return?.().catch(() => {});
      return;
    }
    if (source !== undefined) this.#streams.set(id, source);
    try {
      this.#writer.send(answerFrame(id, this.#hasRoomFor(answer.body.length) ? answer : overloaded()));
    } catch (error) {
      this.#cancel(id);
      this.#options.onError(error);
      this.#writer.send(answerFrame(id, internalError()));
    }
  }

  /** As in src/http/exchange.ts: long answers, which only read, are not kept when too many wait already. */
  #hasRoomFor(bytes: number): boolean {
    if (bytes <= SHORT_ANSWER_BYTES_MAX) return true;
    const unreadBytes = this.#writer.unreadBytes;
    return unreadBytes === 0 || unreadBytes + bytes <= this.#options.settings.limits.totalAnswerBytesMax;
  }

  #pull(id: number): void {
    const source = this.#streams.get(id);
    // It may have been cancelled here while it was asked for there.
    if (source === undefined) return;
    if (this.#pulling.has(id)) throw new FrameError("a part was asked for twice");
    this.#pulling.add(id);
    void this.#sendNext(id, source);
  }

  async #sendNext(id: number, source: AsyncIterator<Uint8Array>): Promise<void> {
    const isWanted = (): boolean => this.#streams.get(id) === source;
    try {
      const { done, value } = await source.next();
      this.#pulling.delete(id);
      if (!isWanted()) return;
      if (done === true) this.#over(id, FRAME_KIND.end);
      else this.#part(id, value);
    } catch {
      // As where one process does everything: the client sees the answer break off, and asks again.
      this.#pulling.delete(id);
      if (isWanted()) this.#over(id, FRAME_KIND.broken);
    }
  }

  /** The part's own bytes are its maker's until they are flushed, and overwritten then. */
  #part(id: number, part: Uint8Array): void {
    const frame = openFrame(FRAME_KIND.part, id, part.length);
    frame.set(part, FRAME_HEAD_BYTES);
    part.fill(0);
    this.#writer.send([frame], true);
  }

  #over(id: number, kind: number): void {
    this.#streams.delete(id);
    this.#writer.send([openFrame(kind, id, 0)]);
  }

  #cancel(id: number): void {
    const source = this.#streams.get(id);
    this.#streams.delete(id);
    // What a source has to say about its end matters to nobody any more.
    source?.return?.().catch(() => {});
  }

  #report(payload: Buffer): void {
    const { stack } = JSON.parse(payload.toString("utf8")) as { readonly stack: unknown };
    const told = String(stack).slice(0, REPORT_LENGTH_MAX);
    this.#options.onError(new Error(`in front end ${this.#options.settings.number}: ${told}`));
  }
}
