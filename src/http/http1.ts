import type { IncomingMessage, ServerResponse } from "node:http";
import type { WireResponse } from "../protocol/wire.ts";
import { badRequest, internalError } from "./answers.ts";
import type { Connection } from "./connections.ts";
import type { Exchange, RequestHead } from "./exchange.ts";

/** Bodies up to this size leave in one write with their headers: node joins strings, but not buffers. */
const JOINED_BODY_BYTES_MAX = 8192;

export interface Http1Options {
  readonly exchange: Exchange;
  readonly connectionOf: (socket: IncomingMessage["socket"]) => Connection;
  /** True once the server drains: answers then ask for the connection to be closed. */
  readonly isClosing: () => boolean;
  readonly onError: (error: unknown) => void;
}

/** Serves requests of HTTP/1.1 as node:http parsed them. */
export function http1Listener(
  options: Http1Options,
): (request: IncomingMessage, response: ServerResponse, mustContinue?: boolean) => void {
  return (request, response, mustContinue = false) => {
    const connection = options.connectionOf(request.socket);
    const head = headOf(request);
    const reply = (answer: WireResponse, keepConnection = true): void => {
      if (response.headersSent || response.destroyed) return;
      if (!keepConnection || options.isClosing()) response.shouldKeepAlive = false;
      try {
        send(response, head.method, answer);
      } catch (error) {
        options.onError(error);
        send(response, head.method, internalError());
      }
    };

    const hasBody =
      head.contentLength === null ? request.headers["transfer-encoding"] !== undefined : head.contentLength > 0;
    const early = options.exchange.answerAtOnce(connection, head);
    if (early !== null) {
      // A client that has not sent its body yet, or too much of it, is not listened to any longer.
      reply(early, !hasBody);
      request.resume();
      return;
    }
    if (mustContinue) response.writeContinue();
    const intake = options.exchange.intake(connection, head);
    if (!hasBody) {
      void intake.complete().then(reply);
      return;
    }
    let isOver = false;
    request.on("data", (chunk: Buffer) => {
      if (isOver) return;
      const refusal = intake.take(chunk);
      if (refusal === null) return;
      isOver = true;
      intake.abandon();
      reply(refusal, false);
    });
    request.on("end", () => {
      if (isOver) return;
      isOver = true;
      void intake.complete().then(reply);
    });
    request.on("close", () => {
      if (isOver) return;
      isOver = true;
      intake.abandon();
      // Without an end the body is not whole; there is usually nobody left to tell.
      reply(badRequest("The request body ended early."), false);
    });
    // The "close" event that follows says all that matters.
    request.on("error", () => {});
  };
}

function headOf(request: IncomingMessage): RequestHead {
  const raw = request.rawHeaders;
  const headers: (readonly [string, string])[] = [];
  for (let at = 0; at < raw.length; at += 2) headers.push([raw[at] ?? "", raw[at + 1] ?? ""]);
  const contentLength = request.headers["content-length"];
  return {
    method: request.method ?? "",
    target: request.url ?? "",
    headers,
    contentLength: contentLength === undefined ? null : Number(contentLength),
  };
}

function send(response: ServerResponse, method: string, { status, headers, body }: WireResponse): void {
  response.writeHead(
    status,
    status === 204 || status === 304 ? headers : { ...headers, "content-length": body.length },
  );
  if (method === "HEAD" || body.length === 0) response.end();
  else if (body.length <= JOINED_BODY_BYTES_MAX) response.end(latin1(body), "latin1");
  else response.end(body);
}

/** Latin-1 keeps every byte as it is. */
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
