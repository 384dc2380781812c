import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenSubject } from "./conformance.ts";

/** A store in a file of a temporary directory of its own. */
export function inTemporaryFile<Store extends { close(): Promise<void> }>(
  open: (path: string) => Promise<Store>,
): OpenSubject<Store> {
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), "waxseal-store-"));
    const path = join(directory, "store.mdb");
    const store = await open(path);
    let current: Store | null = store;
    return {
      store,
      reopen: async () => {
        await current?.close();
        current = await open(path);
        return current;
      },
      dispose: async () => {
        // A check may have closed it already.
        await current?.close().catch(() => undefined);
        current = null;
        await rm(directory, { recursive: true });
      },
    };
  };
}
