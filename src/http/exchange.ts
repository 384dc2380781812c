import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { badRequest, bodyTooLarge, healthAnswer, internalError, overloaded, tooManyHeaders } from "./answers.ts";
import type { Connection } from "./connections.ts";
import type { HttpLimits } from "./limits.ts";

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

/** Holds the body of one request as it arrives, within the bounds. */
export interface BodyIntake {
  /** Null when the chunk was taken, else the answer that ends the request. */
  take(chunk: Uint8Array): WireResponse | null;
  /** All of it, and the request's answer. Never rejects. */
  complete(): Promise<WireResponse>;
  /** The client went away, or the request was refused: gives the memory back. Does no harm after `complete`. */
  abandon(): void;
}

/** What both versions of HTTP do with a request: refuse early, gather its body within bounds, have it answered. */
export interface Exchange {
  /** An answer that needs no body, or null when the body shall be gathered. */
  answerAtOnce(connection: Connection, head: RequestHead): WireResponse | null;
  intake(connection: Connection, head: RequestHead): BodyIntake;
  /** Resolves when no handler runs. */
  idle(): Promise<void>;
}

const NO_BODY = new Uint8Array(0);

export function createExchange(options: ExchangeOptions): Exchange {
  const { limits } = options;
  let runningCount = 0;
  let bodyBytes = 0;
  let idleWaiters: (() => void)[] = [];

  const isOverloaded = (connection: Connection): boolean =>
    runningCount >= limits.requestCountMax || connection.requestCount >= limits.connectionRequestCountMax;

  const run = async (connection: Connection, request: WireRequest): Promise<WireResponse> => {
    if (isOverloaded(connection)) return overloaded();
    runningCount += 1;
    connection.requestCount += 1;
    try {
      return await options.handle(request);
    } catch (error) {
      options.onError(error);
      return internalError();
    } finally {
      connection.requestCount -= 1;
      runningCount -= 1;
      if (runningCount === 0) {
        for (const wake of idleWaiters) wake();
        idleWaiters = [];
      }
    }
  };

  return {
    answerAtOnce(connection, head) {
      if (head.headers.length > limits.headerCountMax) return tooManyHeaders(limits.headerCountMax);
      if (!head.target.startsWith("/")) return badRequest("The request target is not a path.");
      const isHealth = head.target === HEALTH_PATH || head.target.startsWith(`${HEALTH_PATH}?`);
      if (isHealth && (head.method === "GET" || head.method === "HEAD")) return healthAnswer(options.health());
      if (head.contentLength !== null && head.contentLength > limits.bodyBytesMax)
        return bodyTooLarge(limits.bodyBytesMax);
      return isOverloaded(connection) ? overloaded() : null;
    },
    intake(connection, head) {
      const chunks: Uint8Array[] = [];
      let heldBytes = 0;
      const abandon = (): void => {
        connection.bodyBytes -= heldBytes;
        bodyBytes -= heldBytes;
        heldBytes = 0;
        chunks.length = 0;
      };
      return {
        take(chunk) {
          const bytes = chunk.length;
          if (heldBytes + bytes > limits.bodyBytesMax) return bodyTooLarge(limits.bodyBytesMax);
          // What has arrived counts, not what was announced: an announcement costs its sender nothing.
          if (
            connection.bodyBytes + bytes > limits.connectionBodyBytesMax ||
            bodyBytes + bytes > limits.totalBodyBytesMax
          ) {
            return overloaded();
          }
          heldBytes += bytes;
          connection.bodyBytes += bytes;
          bodyBytes += bytes;
          chunks.push(chunk);
          return null;
        },
        async complete() {
          const body =
            chunks.length === 0
              ? NO_BODY
              : chunks.length === 1
                ? (chunks[0] ?? NO_BODY)
                : Buffer.concat(chunks, heldBytes);
          try {
            return await run(connection, {
              method: head.method,
              target: head.target,
              headers: head.headers,
              body,
              sourceIp: connection.sourceIp,
              secureTransport: connection.tls !== undefined,
              ...(connection.tls === undefined ? {} : { tls: connection.tls }),
            });
          } finally {
            abandon();
          }
        },
        abandon,
      };
    },
    idle: () => (runningCount === 0 ? Promise.resolve() : new Promise((wake) => idleWaiters.push(wake))),
  };
}
