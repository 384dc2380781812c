import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { badRequest, bodyTooLarge, healthAnswer, internalError, overloaded, tooManyHeaders } from "./answers.ts";
import type { Connection } from "./connections.ts";
import { SHORT_ANSWER_BYTES_MAX, type HttpLimits } from "./limits.ts";
import { heldStream, type HeldStream } from "./held-stream.ts";

/** What is asked of the server without credentials. */
const HEALTH_PATH = "/-/health";

/** A request whose headers are in, of either HTTP version. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Null when the request does not say. */
  readonly contentLength: number | null;
}

export interface ExchangeOptions {
  readonly handle: (request: WireRequest) => Promise<WireResponse>;
  readonly health: () => { readonly status: number; readonly body: object };
  readonly onError: (error: unknown) => void;
  readonly limits: HttpLimits;
}

/**
 * What the server holds for one request: its place among the requests, its body as it arrives, and its answer until that
 * is flushed.
 */
export interface Intake {
  /** Null when the chunk was taken, else the answer that ends the request. */
  take(chunk: Uint8Array): WireResponse | null;
  /** The body is whole: has the request answered. To be called once. Never rejects. */
  complete(): Promise<WireResponse>;
  /**
   * The answer is flushed, or the client went away: gives back all that is held, once a handler that still runs has
   * ended. Does no harm when repeated.
   */
  release(): void;
}

/** What both versions of HTTP do with a request: refuse early, gather its body within bounds, have it answered. */
export interface Exchange {
  /** An answer that needs no body, or null when the body shall be gathered. */
  answerAtOnce(connection: Connection, head: RequestHead): WireResponse | null;
  /** Counts the request until its `release`, which has to come. */
  intake(connection: Connection, head: RequestHead): Intake;
  /** Resolves when no handler runs and every answer is flushed or given up. */
  idle(): Promise<void>;
  /** Answers that go on come to their end now, and no new one begins. */
  endStreams(): void;
}

/** What all connections hold together. */
interface Totals {
  runningCount: number;
  bodyBytes: number;
  answerBytes: number;
  idleWaiters: (() => void)[];
  /** Answers that go on. */
  readonly streams: Set<HeldStream>;
  isEnding: boolean;
}

const NO_BODY = new Uint8Array(0);

export function createExchange(options: ExchangeOptions): Exchange {
  const { limits } = options;
  const totals: Totals = {
    runningCount: 0,
    bodyBytes: 0,
    answerBytes: 0,
    idleWaiters: [],
    streams: new Set(),
    isEnding: false,
  };
  return {
    answerAtOnce(connection, head) {
      if (head.headers.length > limits.headerCountMax) return tooManyHeaders(limits.headerCountMax);
      if (!head.target.startsWith("/")) return badRequest("The request target is not a path.");
      const isHealth = head.target === HEALTH_PATH || head.target.startsWith(`${HEALTH_PATH}?`);
      if (isHealth && (head.method === "GET" || head.method === "HEAD")) return healthAnswer(options.health());
      if (head.contentLength !== null && head.contentLength > limits.bodyBytesMax)
        return bodyTooLarge(limits.bodyBytesMax);
      const isOverloaded =
        connection.requestCount >= limits.connectionRequestCountMax ||
        connection.answerBytes >= limits.connectionAnswerBytesMax ||
        isFull(totals, limits);
      return isOverloaded ? overloaded() : null;
    },
    intake: (connection, head) => createIntake(connection, head, totals, options),
    idle: () => (totals.runningCount === 0 ? Promise.resolve() : new Promise((wake) => totals.idleWaiters.push(wake))),
    endStreams() {
      totals.isEnding = true;
      for (const stream of totals.streams) stream.end();
    },
  };
}

const isFull = (totals: Totals, limits: HttpLimits): boolean =>
  totals.runningCount >= limits.requestCountMax || totals.answerBytes >= limits.totalAnswerBytesMax;

function createIntake(connection: Connection, head: RequestHead, totals: Totals, options: ExchangeOptions): Intake {
  const { limits } = options;
  const body = createBody(connection, totals, limits);
  let answerBytes = 0;
  let stream: HeldStream | null = null;
  let isRunning = false;
  let isHandled = true;
  let isReleased = false;
  connection.requestCount += 1;

  const giveBack = (): void => {
    body.drop();
    if (stream !== null) totals.streams.delete(stream);
    connection.requestCount -= 1;
    connection.answerBytes -= answerBytes;
    totals.answerBytes -= answerBytes;
    if (!isRunning) return;
    totals.runningCount -= 1;
    if (totals.runningCount === 0) for (const wake of totals.idleWaiters.splice(0)) wake();
  };
  /** Many requests may have been let in before the first answer was there: what finds no room now is not kept. */
  const take = (bytes: number): boolean => {
    const isTooMuch = (heldBytes: number, bytesMax: number): boolean => heldBytes > 0 && heldBytes + bytes > bytesMax;
    if (
      bytes > SHORT_ANSWER_BYTES_MAX &&
      (isTooMuch(connection.answerBytes, limits.connectionAnswerBytesMax) ||
        isTooMuch(totals.answerBytes, limits.totalAnswerBytesMax))
    ) {
      return false;
    }
    answerBytes += bytes;
    connection.answerBytes += bytes;
    totals.answerBytes += bytes;
    return true;
  };
  /** A part of a stream is flushed. */
  const drop = (bytes: number): void => {
    answerBytes -= bytes;
    connection.answerBytes -= bytes;
    totals.answerBytes -= bytes;
  };
  const hold = (answer: WireResponse): WireResponse => {
    if (answer.stream === undefined) return take(answer.body.length) ? answer : overloaded();
    const held = heldStream(answer.stream, { take, drop });
    if (totals.isEnding || totals.streams.size >= limits.streamCountMax) {
      held.end();
      return overloaded();
    }
    stream = held;
    totals.streams.add(held);
    return { ...answer, stream: held.parts };
  };

  return {
    take: (chunk) => body.take(chunk),
    async complete() {
      // The place of a request that is refused here is given back like that of any other.
      if (isFull(totals, limits)) {
        body.drop();
        return overloaded();
      }
      totals.runningCount += 1;
      isRunning = true;
      isHandled = false;
      const answer = await handle(connection, head, body.whole(), options);
      isHandled = true;
      body.drop();
      if (!isReleased) return hold(answer);
      if (answer.stream !== undefined) heldStream(answer.stream, { take, drop }).end();
      giveBack();
      return answer;
    },
    release() {
      if (isReleased) return;
      isReleased = true;
      stream?.end();
      if (isHandled) giveBack();
    },
  };
}

async function handle(
  connection: Connection,
  head: RequestHead,
  body: Uint8Array,
  options: ExchangeOptions,
): Promise<WireResponse> {
  try {
    return await options.handle({
      method: head.method,
      target: head.target,
      headers: head.headers,
      body,
      sourceIp: connection.sourceIp,
      secureTransport: connection.tls !== undefined,
      ...(connection.tls === undefined ? {} : { tls: connection.tls }),
    });
  } catch (error) {
    options.onError(error);
    return internalError();
  }
}

/** The body of one request as it arrives, counted for its connection and in total until it is dropped. */
interface Body {
  take(chunk: Uint8Array): WireResponse | null;
  whole(): Uint8Array;
  drop(): void;
}

function createBody(connection: Connection, totals: Totals, limits: HttpLimits): Body {
  const chunks: Uint8Array[] = [];
  let heldBytes = 0;
  return {
    take(chunk) {
      const bytes = chunk.length;
      if (heldBytes + bytes > limits.bodyBytesMax) return bodyTooLarge(limits.bodyBytesMax);
      // What has arrived counts, not what was announced: an announcement costs its sender nothing.
      if (
        connection.bodyBytes + bytes > limits.connectionBodyBytesMax ||
        totals.bodyBytes + bytes > limits.totalBodyBytesMax
      ) {
        return overloaded();
      }
      heldBytes += bytes;
      connection.bodyBytes += bytes;
      totals.bodyBytes += bytes;
      chunks.push(chunk);
      return null;
    },
    whole: () => (chunks.length > 1 ? Buffer.concat(chunks, heldBytes) : (chunks[0] ?? NO_BODY)),
    drop() {
      connection.bodyBytes -= heldBytes;
      totals.bodyBytes -= heldBytes;
      heldBytes = 0;
      chunks.length = 0;
    },
  };
}
