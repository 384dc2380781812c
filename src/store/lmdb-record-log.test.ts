import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { SealedBytes } from "../base/brand.ts";
import { openLmdbRecordLog } from "./lmdb-record-log.ts";
import { patternBytes } from "./testing/conformance-bytes.ts";
import { recordLogConformance } from "./testing/record-log-conformance.ts";
import { inTemporaryFile } from "./testing/temporary-file.ts";

recordLogConformance("LMDB", inTemporaryFile(openLmdbRecordLog));

it("outgrows the address space it began with while blocks are read, in files that others cannot open", async () => {
  const directory = await mkdtemp(join(tmpdir(), "waxseal-store-"));
  const path = join(directory, "records.mdb");
  const log = await openLmdbRecordLog(path, { mapBytes: 1024 * 1024 });
  const shard = { streamId: "grows", shardIndex: 0 };
  for (let index = 1; index <= 40; index++) {
    const bytes = patternBytes(500_000, index) as SealedBytes;
    await log.append(shard, { firstIndex: index, lastIndex: index, lastArrivalMs: index, bytes });
    const [block] = await log.read(shard, Math.ceil(index / 2), { blocksMax: 1, bytesMax: 1 });
    expect(Buffer.compare(block?.bytes as Uint8Array, patternBytes(500_000, Math.ceil(index / 2)))).toBe(0);
  }
  await log.close();
  const file = await stat(path);
  const lockFile = await stat(`${path}-lock`);
  expect(file.size).toBeGreaterThan(20_000_000);
  expect([file.mode & 0o777, lockFile.mode & 0o777]).toEqual([0o600, 0o600]);
  await rm(directory, { recursive: true });
});
