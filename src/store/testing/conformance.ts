import { afterAll, describe, it } from "vitest";

/** A store opened for one check. */
export interface Subject<Store> {
  readonly store: Store;
  /** Closes the store and opens what it left on disk; null for a store that keeps nothing. */
  readonly reopen: (() => Promise<Store>) | null;
  /** Closes the store, if it is still open, and removes what it left. */
  dispose(): Promise<void>;
}

export type OpenSubject<Store> = () => Promise<Subject<Store>>;

/** One statement of a port's contract. `run` rejects when the store breaks it. */
export interface Check<Store> {
  readonly name: string;
  /** Only for stores that keep something. */
  readonly persistent?: boolean;
  run(store: Store, subject: Subject<Store>): Promise<void>;
}

/** Registers one test per check. */
export function registerChecks<Store>(title: string, checks: readonly Check<Store>[], open: OpenSubject<Store>): void {
  // oxlint-disable-next-line vitest/valid-title -- the adapter's name is part of it
  describe(title, () => {
    const opened: Subject<Store>[] = [];
    afterAll(async () => {
      for (const subject of opened) await subject.dispose();
    });
    for (const check of checks) {
      // oxlint-disable-next-line vitest/valid-title -- one test per check
      it(check.name, async (context) => {
        const subject = await open();
        opened.push(subject);
        if (check.persistent === true && subject.reopen === null) context.skip();
        await check.run(subject.store, subject);
      });
    }
  });
}

/** The names of the checks that a store does not pass: shows that a suite can fail. */
export async function failedChecks<Store>(
  checks: readonly Check<Store>[],
  open: OpenSubject<Store>,
): Promise<string[]> {
  const failed: string[] = [];
  for (const check of checks) {
    const subject = await open();
    if (check.persistent !== true || subject.reopen !== null) {
      await check.run(subject.store, subject).catch(() => failed.push(check.name));
    }
    await subject.dispose();
  }
  return failed;
}
