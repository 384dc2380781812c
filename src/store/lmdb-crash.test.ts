import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLmdbMetadataStore } from "./lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "./lmdb-record-log.ts";
import type { StoreKey } from "./metadata-store.ts";
import { blockBytes, patternBytes } from "./testing/conformance-bytes.ts";
import { type CompiledScript, compileScript } from "./testing/spawn-typescript.ts";

const ROUNDS = 3;
const LINES_PER_ROUND = 2500;

/** The highest number acknowledged for each writer: `block 3` or `commit 5`. */
type Acknowledged = Map<string, number>;

let writer: CompiledScript;
let directory: string;

beforeAll(async () => {
  writer = await compileScript(new URL("./testing/crash-writer.ts", import.meta.url));
  directory = await mkdtemp(join(tmpdir(), "waxseal-crash-"));
});

afterAll(async () => {
  await writer.remove();
  await rm(directory, { recursive: true });
});

/** Notes what the child acknowledges until it has exited; calls `enough` after so many lines. */
async function follow(child: ChildProcess, acknowledged: Acknowledged, enough: () => void): Promise<void> {
  let lines = 0;
  const exited = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [kind, name, number] = line.split(" ");
    acknowledged.set(`${kind} ${name}`, Number(number));
    if (++lines === LINES_PER_ROUND) enough();
  }
  await exited;
}

async function expectAcknowledged(path: string, acknowledged: Acknowledged): Promise<void> {
  const log = await openLmdbRecordLog(join(path, "records.mdb"));
  const store = await openLmdbMetadataStore(join(path, "metadata.mdb"));
  for (const [name, number] of acknowledged) {
    const [kind, writerIndex] = name.split(" ");
    if (kind === "commit") {
      const pair = await Promise.all(["", "/twin"].map((twin) => store.get(`pair/${writerIndex}${twin}` as StoreKey)));
      const [value, twin] = pair.map((bytes) => Number(Buffer.from(bytes ?? []).toString()));
      expect(twin).toBe(value);
      expect(value).toBeGreaterThanOrEqual(number);
      // What was under way when the process was killed may have been committed, but no more than that.
      expect(value).toBeLessThanOrEqual(number + 1);
      continue;
    }
    const shard = { streamId: "crash", shardIndex: Number(writerIndex) };
    const blocks = await log.read(shard, 0, { blocksMax: 1_000_000, bytesMax: Number.MAX_SAFE_INTEGER });
    expect(blocks.at(-1)?.lastIndex).toBeGreaterThanOrEqual(number);
    let next = blocks[0]?.firstIndex;
    for (const block of blocks) {
      expect(block.firstIndex).toBe(next);
      const expected = patternBytes(blockBytes(block.firstIndex), block.lastIndex);
      expect(Buffer.compare(block.bytes, expected)).toBe(0);
      next = block.lastIndex + 1;
    }
  }
  await log.close();
  await store.close();
}

it("a process that is killed while it writes leaves every acknowledged write behind, whole, time after time", async () => {
  const acknowledged: Acknowledged = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    const child = writer.spawn([directory]);
    await follow(child, acknowledged, () => child.kill("SIGKILL"));
    expect([child.signalCode, acknowledged.size]).toEqual(["SIGKILL", 16]);
    await expectAcknowledged(directory, acknowledged);
  }
});
