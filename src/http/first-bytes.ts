import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";

/** How a client with prior knowledge of HTTP/2 begins (RFC 9113, section 3.4); no method of HTTP/1.1 is called PRI. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export type HttpVersion = "http1" | "http2";

/**
 * Waits for the first bytes of a connection, tells which HTTP it speaks, and puts the bytes back: whoever takes the socket
 * then reads it from its start. A connection that sends nothing in time is closed. From then on nothing stands between
 * node's parser and the socket.
 */
export function whenVersionKnown(
  socket: Socket,
  clock: Clock,
  waitMsMax: number,
  decided: (version: HttpVersion) => void,
): void {
  let seen: Buffer | null = null;
  const cancel = clock.after(waitMsMax, () => socket.destroy());
  const ignoreError = (): void => {};

  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    // Null at the end of a connection that never said enough; "close" cleans up.
    if (chunk === null) return;
    seen = seen === null ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, PREFACE.length);
    const isPrefix = seen.compare(PREFACE, 0, compared, 0, compared) === 0;
    if (isPrefix && seen.length < PREFACE.length) return;
    stop();
    socket.unshift(seen);
    decided(isPrefix ? "http2" : "http1");
  };
  const stop = (): void => {
    cancel();
    socket.off("readable", onReadable);
    socket.off("end", onEnd);
    socket.off("close", stop);
    socket.off("error", ignoreError);
  };
  const onEnd = (): void => {
    socket.destroy();
  };
  socket.on("error", ignoreError);
  socket.on("close", stop);
  socket.on("end", onEnd);
  socket.on("readable", onReadable);
}
