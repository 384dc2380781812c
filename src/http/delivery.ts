import type { Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";

/** A body leaves in pieces of this size, each of which shows that the client still reads. */
const PIECE_BYTES = 64 * 1024;

export interface DeliveryBounds {
  readonly clock: Clock;
  readonly stallMsMax: number;
  readonly stalled: () => void;
}

/**
 * Ends `to` with `body`, a piece at a time. `stalled` is called once when `stallMsMax` pass in which no piece was flushed;
 * it must destroy `to`.
 */
export function deliver(to: Writable, body: Uint8Array, bounds: DeliveryBounds): void {
  let cancel = (): void => {};
  const arm = (): void => {
    cancel();
    cancel = bounds.clock.after(bounds.stallMsMax, bounds.stalled);
  };
  const stop = (): void => cancel();
  to.once("finish", stop);
  to.once("close", stop);
  const next = (at: number): void => {
    if (to.destroyed) return;
    arm();
    const end = at + PIECE_BYTES;
    if (end >= body.length) to.end(body.subarray(at));
    else
      to.write(body.subarray(at, end), (error) => {
        if (error === null || error === undefined) next(end);
      });
  };
  next(0);
}

/**
 * Sends what comes from `stream` as it comes, and then ends `to`. The next part is asked for when the one before is flushed, so
 * that a slow reader slows its source down. `stalled` is called as above; waiting for the source is no stall. It is called, too,
 * when the source fails: the client must not take what it has for the whole.
 */
export function deliverStream(to: Writable, stream: AsyncIterable<Uint8Array>, bounds: DeliveryBounds): void {
  const source = stream[Symbol.asyncIterator]();
  let cancel = (): void => {};
  const disarm = (): void => cancel();
  const arm = (): void => {
    cancel();
    cancel = bounds.clock.after(bounds.stallMsMax, bounds.stalled);
  };
  to.once("finish", disarm);
  to.once("close", disarm);
  const write = (piece: Uint8Array): Promise<boolean> =>
    new Promise((flushed) => {
      arm();
      to.write(piece, (error) => flushed(error === null || error === undefined));
    });
  const send = async (part: Uint8Array): Promise<boolean> => {
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      if (!(await write(part.subarray(at, at + PIECE_BYTES)))) return false;
    }
    disarm();
    part.fill(0);
    return true;
  };
  const run = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await source.next();
      if (to.destroyed) return;
      if (done === true) {
        arm();
        to.end();
        return;
      }
      if (!(await send(value)) || to.destroyed) return;
    }
  };
  run().catch(() => {
    if (!to.destroyed) bounds.stalled();
  });
}
