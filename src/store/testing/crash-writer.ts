/**
 * Writes to both stores as fast as they take it, and tells on stdout, one line each, what was acknowledged. Run by
 * lmdb-crash.test.ts, which kills it. Argument: the directory of the stores.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import type { SealedBytes } from "../../base/brand.ts";
import { openLmdbMetadataStore } from "../lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "../lmdb-record-log.ts";
import type { MetadataBytes, MetadataStore, StoreKey } from "../metadata-store.ts";
import type { RecordLog } from "../record-log.ts";
import { blockBytes, patternBytes } from "./conformance-bytes.ts";

const SHARDS = 8;
const COMMITTERS = 8;

// Synchronous, so that a line says what had been acknowledged when the process was killed.
const acknowledge = (line: string): void => void writeSync(1, `${line}\n`);

async function appendBlocks(log: RecordLog, shardIndex: number): Promise<void> {
  const shard = { streamId: "crash", shardIndex };
  for (;;) {
    const first = ((await log.last(shard))?.lastIndex ?? 0) + 1;
    const count = 1 + (first % 5);
    const last = first + count - 1;
    const bytes = patternBytes(blockBytes(first), last) as SealedBytes;
    await log.append(shard, { firstIndex: first, lastIndex: last, lastArrivalMs: last, bytes });
    acknowledge(`block ${shardIndex} ${last}`);
    if (first % 50 === 0) await log.trim(shard, last - 100, 1000);
  }
}

/** Each commit writes its number under two keys: both or neither must be there. */
async function commitPairs(store: MetadataStore, committer: number): Promise<void> {
  const key = `pair/${committer}` as StoreKey;
  for (;;) {
    const before = await store.get(key);
    const number = Number(Buffer.from(before ?? []).toString()) + 1;
    const value = new Uint8Array(Buffer.from(`${number}`)) as MetadataBytes;
    const writes = [
      { key, value },
      { key: `${key}/twin` as StoreKey, value },
    ];
    const outcome = await store.commit({ expect: [{ key, value: before }], writes });
    if (outcome === "conflict") throw new Error("nobody else writes this key");
    acknowledge(`commit ${committer} ${number}`);
  }
}

const directory = process.argv[2] ?? "";
const log = await openLmdbRecordLog(join(directory, "records.mdb"));
const store = await openLmdbMetadataStore(join(directory, "metadata.mdb"));
await Promise.all([
  ...Array.from({ length: SHARDS }, (_, shardIndex) => appendBlocks(log, shardIndex)),
  ...Array.from({ length: COMMITTERS }, (_, committer) => commitPairs(store, committer)),
]);
