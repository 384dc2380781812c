import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { systemClock } from "../../base/clock.ts";
import type { WireRequest, WireResponse } from "../../protocol/wire.ts";
import type { HttpLimits } from "../limits.ts";
import { createHttpServer, type HttpServer } from "../server.ts";

export interface TestServer {
  readonly server: HttpServer;
  readonly port: number;
  /** Every request that reached the handler. */
  readonly received: WireRequest[];
  readonly errors: unknown[];
}

/** Answers with what it got. */
export const echo = async (request: WireRequest): Promise<WireResponse> => ({
  status: 200,
  headers: { "content-type": "text/plain" },
  body: Buffer.from(`${request.method} ${request.target} ${Buffer.from(request.body).toString("latin1")}`, "latin1"),
});

export async function startServer(
  options: {
    readonly handle?: (request: WireRequest) => Promise<WireResponse>;
    readonly limits?: Partial<HttpLimits>;
    readonly tls?: { readonly key: string; readonly cert: string };
  } = {},
): Promise<TestServer> {
  const received: WireRequest[] = [];
  const errors: unknown[] = [];
  const server = createHttpServer({
    handle: (request) => {
      received.push(request);
      return (options.handle ?? echo)(request);
    },
    health: () => ({ status: 200, body: { status: "ok" } }),
    onError: (error) => errors.push(error),
    clock: systemClock(),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  });
  const { port } = await server.listen(0, "127.0.0.1");
  return { server, port, received, errors };
}

/** A raw connection, and all that came back on it so far. */
export interface RawConnection {
  readonly socket: Socket;
  readonly text: () => string;
  /** Resolves with all text once it matches; rejects when the connection closes before. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with all text when the server has closed. */
  readonly closed: Promise<string>;
}

export function rawConnection(port: number, firstBytes?: string | Uint8Array): RawConnection {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  let look = (): void => {};
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    look();
  });
  // A reset is one way of being closed.
  socket.on("error", () => {});
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(text)));
  if (firstBytes !== undefined) socket.write(firstBytes);
  return {
    socket,
    text: () => text,
    closed,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (pattern.test(text)) resolve(text);
        };
        void closed.then(() => reject(new Error(`closed after: ${text}`)));
        look();
      }),
  };
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export function http2Session(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  return session;
}

export function http2Request(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Uint8Array,
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let answered: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on("response", (head) => {
      answered = head;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () =>
      answered[":status"] === undefined
        ? reject(new Error("closed without an answer"))
        : resolve({
            status: Number(answered[":status"]),
            headers: answered,
            body: Buffer.concat(chunks).toString("latin1"),
          }),
    );
    if (body !== undefined) stream.end(body);
  });
}

/** One HTTP/2 frame (RFC 9113, section 4.1). */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export const FRAME = { data: 0, headers: 1, rstStream: 3, settings: 4, goaway: 7 } as const;
export const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** What a client without a library of its own begins with. */
export const http2Opening = (): Buffer =>
  Buffer.concat([Buffer.from(HTTP2_PREFACE), frame(FRAME.settings, 0, 0, Buffer.alloc(0))]);

/** HEADERS of `POST /` for the host `h`, from HPACK's static table, with a body to follow. */
export const postHeaders = (streamId: number): Buffer =>
  frame(FRAME.headers, 0x4, streamId, Buffer.from([0x83, 0x86, 0x84, 0x01, 0x01, 0x68]));

/** RST_STREAM with CANCEL. */
export const resetStream = (streamId: number): Buffer => frame(FRAME.rstStream, 0, streamId, Buffer.from([0, 0, 0, 8]));

/** A server that is closed when the test is over. */
export async function start(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const started = await startServer(options);
  onTestFinished(() => started.server.close(0));
  return started;
}

export const post = (body: string): string =>
  `POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** A handler that waits until it is let go. */
export function gate(): {
  readonly handle: () => Promise<WireResponse>;
  readonly open: () => void;
  readonly entered: Promise<void>;
} {
  let open = (): void => {};
  let enter = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const handle = async (): Promise<WireResponse> => {
    enter();
    await opened;
    return { status: 200, headers: {}, body: Buffer.from("late") };
  };
  return { handle, open: () => open(), entered };
}
