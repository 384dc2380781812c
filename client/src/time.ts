/** Time, handed in so that tests can move it. */
export interface Time {
  /** Milliseconds that only ever grow. */
  monotonicMs(): number;
  wallMs(): number;
  /** Resolves after that time, or as soon as the signal is aborted. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export function systemTime(): Time {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep: (ms, signal) =>
      new Promise((done) => {
        if (signal?.aborted === true) {
          done();
          return;
        }
        const end = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", end);
          done();
        };
        const timer = setTimeout(end, Math.max(0, ms));
        signal?.addEventListener("abort", end, { once: true });
      }),
  };
}
