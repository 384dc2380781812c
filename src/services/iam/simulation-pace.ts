/**
 * Simulations are the one thing that a caller can make large by itself: any documents, for any number of actions. They run in
 * slices, and other requests go first between them.
 */
import { afterThisTurn } from "../../base/clock.ts";

/** Some 5 ms, by authz/evaluation.ts. A single question of the evaluator may take four times as long, and is not divided. */
const SLICE_STEPS = 500_000;

/** One call's. */
export interface Pace {
  /** To be called after work, with its steps: waits when the slice is used up. */
  readonly spend: (steps: number) => Promise<void>;
  /** Steps so far. */
  readonly used: () => number;
}

/** Waits for a turn of the event loop. Of all that wait, one goes on in each turn: together they take no more than one does. */
export function turnByTurn(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => new Promise((resolve) => afterThisTurn(resolve)));
    return last;
  };
}

export function pacedBy(nextTurn: () => Promise<void>): Pace {
  let used = 0;
  let sliceEnd = SLICE_STEPS;
  return {
    used: () => used,
    async spend(steps) {
      used += steps;
      if (used < sliceEnd) return;
      await nextTurn();
      sliceEnd = used + SLICE_STEPS;
    },
  };
}
