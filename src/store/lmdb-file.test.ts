import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OperatorError } from "../base/operator-error.ts";
import { requireWhole } from "./lmdb-file.ts";
import { openLmdbMetadataStore } from "./lmdb-metadata-store.ts";
import type { MetadataBytes, StoreKey } from "./metadata-store.ts";

let directory = "";
let path = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "waxseal-test-"));
  path = join(directory, "store.mdb");
  const store = await openLmdbMetadataStore(path);
  for (let at = 0; at < 20; at += 1) {
    const value = new Uint8Array(20_000) as MetadataBytes;
    await store.commit({ expect: [], writes: [{ key: `key-${at % 7}` as StoreKey, value }] });
  }
  await store.close();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test("a whole file opens, after any number of commits", async () => {
  await requireWhole(path);
  const store = await openLmdbMetadataStore(path);
  expect(await store.get("key-3" as StoreKey)).toHaveLength(20_000);
  await store.close();
});

test.each([1, 4_096, 100_000])(
  "a file that lost its last %i bytes is refused, and nothing of it is mapped",
  async (lost) => {
    const { size } = await stat(path);
    await truncate(path, size - lost);
    const opening = openLmdbMetadataStore(path);
    await expect(opening).rejects.toThrow(OperatorError);
    await expect(opening).rejects.toThrow(`${path} is cut off: it has ${size - lost} bytes and should have ${size}.`);
  },
);

test("what is no such file is left to LMDB: nothing yet, a head alone, another kind", async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(100, 1), Buffer.alloc(65_536, "text ")]) {
    await writeFile(path, bytes);
    await expect(requireWhole(path)).resolves.toBeUndefined();
  }
});
