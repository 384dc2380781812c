import { validateHeaderValue } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Clock } from "../base/clock.ts";
import type { WireResponse } from "../protocol/wire.ts";
import { badRequest, internalError } from "./answers.ts";
import type { Connection } from "./connections.ts";
import { deliver, deliverStream } from "./delivery.ts";
import type { Exchange, RequestHead } from "./exchange.ts";
import { STREAM_RESET_WINDOW_MS, type HttpLimits } from "./limits.ts";

/** END_STREAM of a HEADERS frame (RFC 9113, section 6.2): no body follows. */
const FLAG_END_STREAM = constants.NGHTTP2_FLAG_END_STREAM;

/** How much one connection may send before the server has read it: whole PutRecords bodies without a pause. */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;

export interface Http2Options {
  readonly exchange: Exchange;
  readonly connectionOf: (socket: Connection["socket"]) => Connection;
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Serves one session: its own bounds, and its streams. */
export function http2SessionListener(
  options: Http2Options,
): (session: ServerHttp2Session, socket: Connection["socket"]) => void {
  return (session, socket) => {
    const connection = options.connectionOf(socket);
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    destroyWhenIdle(session, socket, options);
    // A broken connection; its streams are told by their own events.
    session.on("error", () => {});
    const countReset = resetGuard(session, options);
    session.on(
      "stream",
      (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, rawHeaders: readonly string[]) => {
        stream.on("error", () => {});
        // When the reset came in one packet with the headers, it has happened by now.
        if (stream.aborted || stream.destroyed) {
          countReset();
          return;
        }
        stream.on("aborted", countReset);
        serveStream(stream, { flags, rawHeaders }, connection, options);
      },
    );
  };
}

/** How often within the idle time a session is looked at. */
const IDLE_LOOKS = 4;

/**
 * Node's own timer of a session outlives it (`destroy` no longer stops it, because the session counts as destroyed by then): each
 * connection that was closed would be held for the whole idle time.
 */
function destroyWhenIdle(session: ServerHttp2Session, socket: Connection["socket"], options: Http2Options): void {
  const { clock, limits } = options;
  let bytes = 0;
  let idleLooks = 0;
  let cancel = (): void => {};
  const look = (): void => {
    const seen = socket.bytesRead + socket.bytesWritten;
    idleLooks = seen === bytes ? idleLooks + 1 : 0;
    bytes = seen;
    // To close it in good order would mean to wait for streams that nobody may ever read.
    if (idleLooks >= IDLE_LOOKS) session.destroy();
    else cancel = clock.after(limits.idleMsMax / IDLE_LOOKS, look);
  };
  look();
  session.once("close", () => cancel());
}

/** Whoever opens streams only to reset them makes work that nobody wants: such a session ends. */
function resetGuard(session: ServerHttp2Session, { clock, limits }: Http2Options): () => void {
  let windowStartMs = clock.monotonicMs();
  let count = 0;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - windowStartMs >= STREAM_RESET_WINDOW_MS) {
      windowStartMs = nowMs;
      count = 0;
    }
    count += 1;
    if (count > limits.streamResetCountMax && !session.destroyed)
      session.destroy(new Error("too many streams were reset"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
}

function serveStream(
  stream: ServerHttp2Stream,
  received: { readonly flags: number; readonly rawHeaders: readonly string[] },
  connection: Connection,
  options: Http2Options,
): void {
  const { head, conflict } = headOf(received.rawHeaders);
  const reply = (answer: WireResponse): void => {
    if (stream.destroyed || stream.headersSent) return;
    try {
      try {
        send(stream, head.method, answer, options);
      } catch (error) {
        options.onError(error);
        if (stream.headersSent) stream.destroy();
        else send(stream, head.method, internalError(), options);
      }
    } catch (error) {
      options.onError(error);
      stream.destroy();
    }
  };
  /** Answers before the body has ended, then tells the client to stop sending (RFC 9113, section 8.1). */
  const replyAndStop = (answer: WireResponse): void => {
    stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
    reply(answer);
    stream.resume();
  };

  const early = conflict ? badRequest(":authority and host differ.") : options.exchange.answerAtOnce(connection, head);
  if (early !== null) {
    if ((received.flags & FLAG_END_STREAM) === 0) replyAndStop(early);
    else reply(early);
    return;
  }
  const intake = options.exchange.intake(connection, head);
  stream.once("finish", () => intake.release());
  stream.once("close", () => intake.release());
  if ((received.flags & FLAG_END_STREAM) !== 0) {
    void intake.complete().then(reply);
    return;
  }
  if (head.headers.some(([name, value]) => name === "expect" && value.toLowerCase() === "100-continue")) {
    stream.additionalHeaders({ ":status": 100 });
  }
  let isOver = false;
  const cancelDeadline = options.clock.after(options.limits.requestMsMax, () => {
    if (!isOver) stream.close(constants.NGHTTP2_CANCEL);
  });
  stream.on("data", (chunk: Buffer) => {
    if (isOver) return;
    const refusal = intake.take(chunk);
    if (refusal === null) return;
    isOver = true;
    cancelDeadline();
    intake.release();
    replyAndStop(refusal);
  });
  stream.on("end", () => {
    // A reset ends the readable side too, but its body is not whole.
    if (isOver || stream.aborted) return;
    isOver = true;
    cancelDeadline();
    void intake.complete().then(reply);
  });
  stream.on("close", () => {
    if (isOver) return;
    isOver = true;
    cancelDeadline();
  });
}

/** Pseudo-headers become method, target and `host`; two different hosts are a malformed request (RFC 9113, 8.3.1). */
function headOf(raw: readonly string[]): { readonly head: RequestHead; readonly conflict: boolean } {
  const headers: (readonly [string, string])[] = [];
  let method = "";
  let target = "";
  let host: string | null = null;
  let conflict = false;
  let contentLength: number | null = null;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (name === ":method") method = value;
    else if (name === ":path") target = value;
    else if (name === ":authority" || name === "host") {
      if (host === null) headers.push(["host", value]);
      else conflict ||= host !== value;
      host = value;
    } else if (!name.startsWith(":")) {
      if (name === "content-length") contentLength = Number(value);
      headers.push([name, value]);
    }
  }
  return { head: { method, target, headers, contentLength }, conflict };
}

function send(
  stream: ServerHttp2Stream,
  method: string,
  { status, headers, body, stream: parts }: WireResponse,
  { clock, limits }: Http2Options,
): void {
  // HTTP/2 would carry a line break in a value as it is, for the next HTTP/1.1 proxy to stumble over.
  for (const name in headers) validateHeaderValue(name, headers[name] ?? "");
  const stalled = (): void => {
    stream.close(constants.NGHTTP2_CANCEL);
    // The reset itself may never leave when the client does not read the connection at all.
    stream.destroy();
  };
  const bounds = { clock, stallMsMax: limits.answerStallMsMax, stalled };
  if (parts !== undefined) {
    stream.respond({ ":status": status, ...headers });
    deliverStream(stream, parts, bounds);
    return;
  }
  const noBody = method === "HEAD" || body.length === 0;
  stream.respond({ ":status": status, ...headers, "content-length": body.length }, { endStream: noBody });
  if (!noBody) deliver(stream, body, bounds);
}
