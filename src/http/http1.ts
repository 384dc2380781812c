import { asBuffer } from "../base/bytes.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { WireResponse } from "../protocol/wire.ts";
import { badRequest, internalError } from "./answers.ts";
import type { Connection } from "./connections.ts";
import { deliver, deliverStream } from "./delivery.ts";
import type { Exchange, RequestHead } from "./exchange.ts";
import type { HttpLimits } from "./limits.ts";
import { createPipeline, type Pipeline } from "./pipeline.ts";

/** Bodies up to this size leave in one write with their headers: node joins strings, but not buffers. */
const JOINED_BODY_BYTES_MAX = 8192;

export interface Http1Options {
  readonly exchange: Exchange;
  readonly connectionOf: (socket: IncomingMessage["socket"]) => Connection;
  /** True once the server drains: answers then ask for the connection to be closed. */
  readonly isClosing: () => boolean;
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Serves requests of HTTP/1.1 as node:http parsed them; those of one connection one after the other. */
export function http1Listener(
  options: Http1Options,
): (request: IncomingMessage, response: ServerResponse, mustContinue?: boolean) => void {
  const pipelines = new WeakMap<IncomingMessage["socket"], Pipeline>();
  const pipelineOf = (socket: IncomingMessage["socket"]): Pipeline => {
    const known = pipelines.get(socket);
    if (known !== undefined) return known;
    const pipeline = createPipeline(socket);
    pipelines.set(socket, pipeline);
    return pipeline;
  };
  return (request, response, mustContinue = false) => {
    const head = headOf(request);
    const reply = replier(request, response, head.method, options);
    const hasBody =
      head.contentLength === null ? request.headers["transfer-encoding"] !== undefined : head.contentLength > 0;
    const early = options.exchange.answerAtOnce(options.connectionOf(request.socket), head);
    if (early !== null) {
      // A client that has not sent its body yet, or too much of it, is not listened to any longer.
      reply(early, !hasBody);
      request.resume();
      return;
    }
    if (mustContinue) response.writeContinue();
    serve(request, response, { head, hasBody, reply }, pipelineOf(request.socket), options);
  };
}

type Reply = (answer: WireResponse, keepConnection?: boolean) => void;

function replier(request: IncomingMessage, response: ServerResponse, method: string, options: Http1Options): Reply {
  const { socket } = request;
  return (answer, keepConnection = true) => {
    if (response.headersSent || response.destroyed) return;
    if (!keepConnection || options.isClosing()) response.shouldKeepAlive = false;
    try {
      try {
        send(response, socket, method, answer, options);
      } catch (error) {
        options.onError(error);
        send(response, socket, method, internalError(), options);
      }
    } catch (error) {
      options.onError(error);
      socket.destroy();
    }
  };
}

/** Gathers the body, has the request answered when its turn comes, and holds its place until the answer is flushed. */
function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { head, hasBody, reply }: { readonly head: RequestHead; readonly hasBody: boolean; readonly reply: Reply },
  pipeline: Pipeline,
  { exchange, connectionOf }: Http1Options,
): void {
  const intake = exchange.intake(connectionOf(request.socket), head);
  let isOver = false;
  const place = pipeline.enter(() => {
    isOver = true;
    intake.release();
  });
  const leave = (): void => {
    intake.release();
    place.leave();
  };
  response.once("finish", leave);
  response.once("close", leave);
  const complete = (): void => {
    isOver = true;
    place.whenFirst(() => void intake.complete().then((answer) => reply(answer)));
  };
  if (!hasBody) {
    complete();
    return;
  }
  request.on("data", (chunk: Buffer) => {
    if (isOver) return;
    const refusal = intake.take(chunk);
    if (refusal === null) return;
    isOver = true;
    intake.release();
    reply(refusal, false);
  });
  request.on("end", () => {
    if (!isOver) complete();
  });
  request.on("close", () => {
    if (isOver) return;
    isOver = true;
    intake.release();
    // Without an end the body is not whole; there is usually nobody left to tell.
    reply(badRequest("The request body ended early."), false);
  });
  // The "close" event that follows says all that matters.
  request.on("error", () => {});
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

function send(
  response: ServerResponse,
  socket: IncomingMessage["socket"],
  method: string,
  { status, headers, body, stream }: WireResponse,
  { clock, limits }: Http1Options,
): void {
  if (stream !== undefined) {
    response.writeHead(status, headers);
    deliverStream(response, stream, boundsOf(socket, clock, limits));
    return;
  }
  // Names and values in one list is the form that node walks fastest.
  const list: (string | number)[] = [];
  for (const name of Object.keys(headers)) list.push(name, headers[name] ?? "");
  if (status !== 204 && status !== 304) list.push("content-length", body.length);
  response.writeHead(status, list as string[]);
  if (method === "HEAD" || body.length === 0) response.end();
  else if (body.length <= JOINED_BODY_BYTES_MAX) response.end(latin1(body), "latin1");
  else deliver(response, body, boundsOf(socket, clock, limits));
}

const boundsOf = (
  socket: IncomingMessage["socket"],
  clock: Clock,
  limits: HttpLimits,
): { readonly clock: Clock; readonly stallMsMax: number; readonly stalled: () => void } => ({
  clock,
  stallMsMax: limits.answerStallMsMax,
  stalled: () => socket.destroy(),
});

/** Latin-1 keeps every byte as it is. */
const latin1 = (bytes: Uint8Array): string => asBuffer(bytes).toString("latin1");
