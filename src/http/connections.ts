import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** One client connection, of either HTTP version. */
export interface Connection {
  readonly socket: Socket;
  readonly sourceIp: string;
  readonly tls: { readonly version: string; readonly cipherSuite: string } | undefined;
  /** Bytes of request bodies that are held for it. */
  bodyBytes: number;
  /** Requests that have not been answered to the last byte. */
  requestCount: number;
  /** Bytes of answers that are not flushed yet. */
  answerBytes: number;
}

/** An IPv4 client of a dual-stack listener shows as `::ffff:192.0.2.1`. */
const IPV4_IN_IPV6 = "::ffff:";

export function connectionOf(socket: Socket): Connection {
  const address = socket.remoteAddress ?? "";
  return {
    socket,
    sourceIp: address.startsWith(IPV4_IN_IPV6) && address.includes(".") ? address.slice(IPV4_IN_IPV6.length) : address,
    tls:
      socket instanceof TLSSocket
        ? { version: socket.getProtocol() ?? "unknown", cipherSuite: socket.getCipher().standardName }
        : undefined,
    bodyBytes: 0,
    requestCount: 0,
    answerBytes: 0,
  };
}
