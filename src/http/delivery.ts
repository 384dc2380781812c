import type { Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";

/** A body leaves in pieces of this size, each of which shows that the client still reads. */
const PIECE_BYTES = 64 * 1024;

/**
 * Ends `to` with `body`, a piece at a time. `stalled` is called once when `stallMsMax` pass in which no piece was flushed;
 * it must destroy `to`.
 */
export function deliver(
  to: Writable,
  body: Uint8Array,
  bounds: { readonly clock: Clock; readonly stallMsMax: number; readonly stalled: () => void },
): void {
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
