import { createServer as createHttp1Server, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";
import { connectionOf, type Connection } from "./connections.ts";
import { createExchange } from "./exchange.ts";
import { whenVersionKnown, type HttpVersion } from "./first-bytes.ts";
import { http1Listener } from "./http1.ts";
import { http2SessionListener } from "./http2.ts";
import { DEFAULT_HTTP_LIMITS, REQUEST_CHECK_INTERVAL_MS, type HttpLimits } from "./limits.ts";

const HTTP2_STREAM_WINDOW_BYTES = 1024 * 1024;
const HTTP2_SESSION_MEMORY_MIB = 32;

/** How often a closing server looks for connections that have become idle. */
const IDLE_SWEEP_MS = 50;

export interface HttpServerOptions {
  /** Answers one whole request. A rejection becomes a 500 that says nothing, and goes to `onError`. */
  readonly handle: (request: WireRequest) => Promise<WireResponse>;
  /** Answers `GET /-/health`, which needs no credentials. */
  readonly health: () => { readonly status: number; readonly body: object };
  /** What went wrong inside; never what a client did. */
  readonly onError: (error: unknown) => void;
  /** Real time: bounds of waiting are never moved by test hooks. */
  readonly clock: Clock;
  readonly limits?: Partial<HttpLimits>;
  /** PEM. Absent: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface HttpServer {
  /** Port 0 takes a free one. Rejects when the address cannot be had. */
  listen(port: number, host: string): Promise<{ readonly port: number; readonly host: string }>;
  /** Serves a connection that somebody else accepted and nobody has read from; instead of `listen`. */
  accept(socket: Socket): void;
  /**
   * Stops accepting, closes idle connections at once, lets requests in flight finish (HTTP/2 clients are told by GOAWAY),
   * and destroys what is left after `drainMsMax`. Resolves when every connection is closed.
   */
  close(drainMsMax: number): Promise<void>;
}

/**
 * One port for both versions of HTTP. In the clear, a connection's first bytes tell them apart; over TLS, ALPN does.
 * node:http owns the listening socket, so that its time limits and its way to close idle connections apply; HTTP/2
 * connections are handed on to a server of node:http2 that does not listen itself.
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const { clock, onError } = options;
  const exchange = createExchange({ handle: options.handle, health: options.health, onError, limits });
  const connections = new Map<Socket, Connection>();
  /** Connections that have not said anything yet, or not enough. Closed at once when the server closes. */
  const undecided = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  let isClosing = false;
  const connectionFor = (socket: Socket): Connection => connections.get(socket) ?? connectionOf(socket);

  const serve = http1Listener({
    exchange,
    connectionOf: connectionFor,
    isClosing: () => isClosing,
    limits,
    clock,
    onError,
  });
  const http1 = createVersion1Server(options.tls, limits);
  http1.on("request", (request: IncomingMessage, response: ServerResponse) => serve(request, response));
  http1.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => serve(request, response, true));

  const http2 = createVersion2Server(limits);
  const openSession = http2SessionListener({ exchange, connectionOf: connectionFor, limits, clock, onError });
  let handedOver: Socket | null = null;
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    if (handedOver !== null) openSession(session, handedOver);
  });

  const handOver = takeConnections(http1, options.tls === undefined ? "connection" : "secureConnection");
  const start = (socket: Socket, version: HttpVersion): void => {
    undecided.delete(socket);
    if (version === "http1") {
      handOver(socket);
      return;
    }
    // node:http leaves the far end's half-close to the application; an HTTP/2 session would never see the end of it.
    socket.allowHalfOpen = false;
    // The "session" event comes within this call.
    handedOver = socket;
    http2.emit("connection", socket);
    handedOver = null;
  };
  const acceptor = createAcceptor(http1, limits.connectionCountMax);
  if (options.tls !== undefined) trackHandshakes(http1, undecided);
  http1.on(options.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    if (isClosing) {
      socket.destroy();
      return;
    }
    connections.set(socket, connectionOf(socket));
    undecided.add(socket);
    socket.once("close", () => {
      connections.delete(socket);
      undecided.delete(socket);
    });
    if (socket instanceof TLSSocket) start(socket, socket.alpnProtocol === "h2" ? "http2" : "http1");
    else whenVersionKnown(socket, clock, limits.firstByteMsMax, (version) => start(socket, version));
  });

  return {
    listen: (port, host) => listen(http1, port, host, onError),
    accept: (socket) => acceptor.accept(socket),
    async close(drainMsMax) {
      isClosing = true;
      for (const socket of undecided) socket.destroy();
      for (const session of sessions) session.close();
      exchange.endStreams();
      const idle = Promise.all([exchange.idle(), acceptor.empty()]);
      await drain(http1, idle, drainMsMax, clock, () => {
        acceptor.destroyAll();
        for (const socket of [...undecided, ...connections.keys()]) socket.destroy();
      });
    },
  };
}

function createVersion1Server(tls: HttpServerOptions["tls"], limits: HttpLimits): Server {
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: Math.min(limits.headersMsMax, limits.requestMsMax),
    requestTimeout: limits.requestMsMax,
    keepAliveTimeout: limits.keepAliveMsMax,
    connectionsCheckingInterval: REQUEST_CHECK_INTERVAL_MS,
    noDelay: true,
  };
  const server =
    tls === undefined
      ? createHttp1Server(options)
      : createHttpsServer({
          ...options,
          key: tls.key,
          cert: tls.cert,
          minVersion: "TLSv1.2",
          ALPNProtocols: ["h2", "http/1.1"],
          handshakeTimeout: limits.firstByteMsMax,
        });
  server.maxConnections = limits.connectionCountMax;
  // One more than allowed: node drops what is beyond without a word, and the excess has to be seen to be refused.
  server.maxHeadersCount = limits.headerCountMax + 1;
  server.timeout = limits.idleMsMax;
  return server;
}

function createVersion2Server(limits: HttpLimits): Http2Server {
  return createHttp2Server({
    maxSessionMemory: HTTP2_SESSION_MEMORY_MIB,
    maxHeaderListPairs: limits.headerCountMax,
    settings: {
      enablePush: false,
      initialWindowSize: HTTP2_STREAM_WINDOW_BYTES,
      maxConcurrentStreams: limits.connectionRequestCountMax,
      maxHeaderListSize: limits.headerBytesMax,
    },
  });
}

/** The connections of a server that were accepted elsewhere: node counts only those that it accepted itself. */
interface Acceptor {
  accept(socket: Socket): void;
  destroyAll(): void;
  /** Resolves when none is left, once no more come. */
  empty(): Promise<void>;
}

function createAcceptor(server: Server, countMax: number): Acceptor {
  const sockets = new Set<Socket>();
  let wake = (): void => {};
  let hasBegun = false;
  return {
    accept(socket) {
      if (sockets.size >= countMax) {
        socket.destroy();
        return;
      }
      // From here on node watches over the time that requests take (`setupConnectionsTracking` of node's _http_server.js).
      if (!hasBegun) server.emit("listening");
      hasBegun = true;
      // As node:http has it for connections that it accepts itself.
      socket.allowHalfOpen = true;
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        if (sockets.size === 0) wake();
      });
      server.emit("connection", socket);
    },
    destroyAll() {
      for (const socket of sockets) socket.destroy();
    },
    empty: () => (sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => (wake = resolve))),
  };
}

/** Takes over the event by which node's server gets its connections; what is returned gives it one. */
function takeConnections(server: Server, event: "connection" | "secureConnection"): (socket: Socket) => void {
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) => {
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  };
}

/** Resolves when the server has no connections left and `idle` has resolved; calls `destroyRest` when that takes too long. */
async function drain(
  server: Server,
  idle: Promise<unknown>,
  msMax: number,
  clock: Clock,
  destroyRest: () => void,
): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()));
  let cancelSweep = (): void => {};
  // An answer that was on its way when the server began to close leaves its connection idle.
  const sweep = (): void => {
    server.closeIdleConnections();
    cancelSweep = clock.after(IDLE_SWEEP_MS, sweep);
  };
  sweep();
  const deadline = new Promise<void>((done) => clock.after(msMax, done));
  await Promise.race([Promise.all([closed, idle]), deadline]);
  cancelSweep();
  destroyRest();
  await closed;
}

/** Keeps the sockets whose TLS handshake is under way in `handshaking`. */
function trackHandshakes(server: Server, handshaking: Set<Socket>): void {
  const byPeer = new Map<string, Socket>();
  const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    byPeer.set(peer, socket);
    handshaking.add(socket);
    socket.once("close", () => {
      if (byPeer.get(peer) === socket) byPeer.delete(peer);
      handshaking.delete(socket);
    });
  });
  server.on("secureConnection", (secured: Socket) => {
    const socket = byPeer.get(peerOf(secured));
    if (socket === undefined) return;
    byPeer.delete(peerOf(secured));
    handshaking.delete(socket);
  });
}

function listen(
  server: Server,
  port: number,
  host: string,
  onError: (error: unknown) => void,
): Promise<{ readonly port: number; readonly host: string }> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      server.on("error", onError);
      const address = server.address() as AddressInfo;
      resolve({ port: address.port, host: address.address });
    });
  });
}
