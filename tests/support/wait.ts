export const sleep = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is not null, and gives up after `timeoutMs`. */
export async function eventually<T>(ask: () => Promise<T | null>, timeoutMs = 20_000, pauseMs = 50): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain`);
    await sleep(pauseMs);
  }
}

/** Rejects if `work` takes longer than `timeoutMs`: a request that hangs is a failure of its own. */
export async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
