/**
 * The one clock. `main.ts` makes the real one and hands it to everything that depends on time, so that tests
 * (and `serve --test-hooks`) can move it. No other file reads `Date.now`, `performance.now` or sets timers.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch. May step in either direction. */
  wallMs(): number;
  /** Milliseconds that only ever grow. Lifetimes of keys are measured on this one. */
  monotonicMs(): number;
  /** Calls `run` once, `delayMs` from now by the monotonic clock. The returned function cancels. Does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void;
}

/** The largest delay that setTimeout takes without firing at once. */
const TIMER_DELAY_MS_MAX = 2_147_483_647;

/** The clock of a production server: the machine's own. */
export function systemClock(): Clock {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after(delayMs, run) {
      const timer = setTimeout(run, Math.min(Math.max(0, delayMs), TIMER_DELAY_MS_MAX));
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

/**
 * Calls `run` when everything that has arrived by now has been looked at: once for all of a turn of the event loop. No time of
 * any clock passes.
 */
export function afterThisTurn(run: () => void): void {
  setImmediate(run);
}

interface Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

/**
 * A clock that can be moved forward. With a `base` it runs along with it (test hooks of a live server); without one it
 * stands still until it is advanced (unit tests).
 */
export interface MovableClock extends Clock {
  /** Moves both times forward and fires what has become due, in order. */
  advance(ms: number): void;
}

export function movableClock(base?: Clock, startWallMs = 1_700_000_000_000): MovableClock {
  let offsetMs = 0;
  const timers = new Set<Timer>();
  const cancels = new Map<Timer, () => void>();
  const monotonicMs = (): number => (base ? base.monotonicMs() : 0) + offsetMs;

  const fire = (timer: Timer): void => {
    if (!timers.delete(timer)) return;
    cancels.get(timer)?.();
    cancels.delete(timer);
    timer.run();
  };
  const arm = (timer: Timer): void => {
    if (!base) return;
    cancels.get(timer)?.();
    cancels.set(
      timer,
      base.after(timer.dueMs - monotonicMs(), () => fire(timer)),
    );
  };

  return {
    wallMs: () => (base ? base.wallMs() : startWallMs) + offsetMs,
    monotonicMs,
    after(delayMs, run) {
      const timer: Timer = { dueMs: monotonicMs() + Math.max(0, delayMs), run };
      timers.add(timer);
      arm(timer);
      return () => {
        timers.delete(timer);
        cancels.get(timer)?.();
        cancels.delete(timer);
      };
    },
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError("a clock moves forward only");
      const targetMs = offsetMs + ms;
      for (;;) {
        const limitMs = monotonicMs() + (targetMs - offsetMs);
        const next = [...timers].sort((a, b) => a.dueMs - b.dueMs)[0];
        if (next === undefined || next.dueMs > limitMs) break;
        offsetMs += Math.max(0, next.dueMs - monotonicMs());
        fire(next);
      }
      offsetMs = Math.max(offsetMs, targetMs);
      for (const timer of timers) arm(timer);
    },
  };
}
