import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { movableClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { commitmentOf } from "../../envelope/data-keys.ts";
import type { PlainRecord, SealingKey } from "../../envelope/record-block.ts";
import { openRecords, parseBlock, sealingKey } from "../../envelope/record-block.ts";
import { XaesKey } from "../../envelope/xaes.ts";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { Block, RecordLog, ShardRef } from "../../store/record-log.ts";
import type { Append } from "./shard-writer.ts";
import { ShardWriters } from "./shard-writer.ts";

const ref: ShardRef = { streamId: "abcdefghij0123456789-xyz", shardIndex: 0 };
const record = (text: string): PlainRecord => ({ partitionKey: "k", data: Buffer.from(text) });

function dataKey(): SealingKey {
  const plaintext = randomBytes(32);
  const wrapped = { commitment: commitmentOf(plaintext), keyArn: "arn", wrapped: randomBytes(20) };
  return sealingKey(new XaesKey(plaintext), wrapped);
}

function writersOn(records: RecordLog, clock = movableClock()): ShardWriters {
  return new ShardWriters({ records, clock, random: systemRandom() });
}

async function stored(records: RecordLog): Promise<readonly Block[]> {
  return await records.read(ref, 1, { blocksMax: 10_000, bytesMax: 1e9 });
}

async function texts(records: RecordLog, key: SealingKey | null = null): Promise<readonly string[]> {
  return (await stored(records)).flatMap((block) => {
    const parsed = parseBlock(block.bytes, block.firstIndex, block.lastIndex);
    if (parsed === null) throw new Error("damaged");
    return openRecords(parsed, key?.key ?? null, ref, 0, parsed.count).map(({ data }) => Buffer.from(data).toString());
  });
}

/** A record log whose appends wait, and fail on demand. */
function gated(
  inner: RecordLog,
): RecordLog & { failing: (block: Block) => boolean; open: () => void; appends: number } {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let broken = false;
  const log = {
    failing: (block: Block) => block.firstIndex < 0,
    open: () => open(),
    appends: 0,
    append: async (to: ShardRef, block: Block) => {
      log.appends++;
      // As the contract has it: what is queued behind a failure fails too.
      const fails = broken || log.failing(block);
      broken ||= fails;
      await gate;
      broken = false;
      if (fails) throw new Error("disk full");
      await inner.append(to, block);
    },
    read: inner.read.bind(inner),
    last: inner.last.bind(inner),
    firstIndexAt: inner.firstIndexAt.bind(inner),
    replace: inner.replace.bind(inner),
    trim: inner.trim.bind(inner),
    drop: inner.drop.bind(inner),
    close: inner.close.bind(inner),
  };
  return log;
}

describe("shards that are written at the same time", () => {
  test("gather in one wave what arrives during another, and a large batch does not wait for it", async () => {
    const gate = gated(memoryRecordLog());
    const writers = writersOn(gate);
    const other = (shardIndex: number): ShardRef => ({ ...ref, shardIndex });
    const first = writers.append(ref, [record("first")], null);
    await Promise.resolve();
    const later = [1, 2, 1, 2, 0].map((shard, at) => writers.append(other(shard), [record(`r${at}`)], null));
    const large = writers.append(other(3), [{ partitionKey: "k", data: Buffer.alloc(300_000) }], null);
    await new Promise((done) => setImmediate(done));
    expect(gate.appends).toBe(2);
    gate.open();
    await Promise.all([first, large, ...later]);
    // One block for each of the three shards that waited.
    expect(gate.appends).toBe(5);
    await writers.drain();
    expect(await texts(gate)).toEqual(["first", "r4"]);
  });

  test("are all written, whatever fails in between", async () => {
    const log = gated(memoryRecordLog());
    const writers = writersOn(log);
    log.failing = (block) => block.lastArrivalMs > 0 && block.firstIndex === 2;
    log.open();
    const puts = Array.from({ length: 60 }, (_, at) =>
      writers.append({ ...ref, shardIndex: at % 6 }, [record(`r${at}`)], null),
    );
    const outcomes = await Promise.all(puts);
    expect(outcomes).toHaveLength(60);
    await writers.drain();
  });
});

describe("the writer of a shard", () => {
  test("gives consecutive indices in the order of the calls", async () => {
    const records = memoryRecordLog();
    const writers = writersOn(records);
    const names = Array.from({ length: 200 }, (_, at) => `r${at}`);
    const appends = await Promise.all(names.map((name) => writers.append(ref, [record(name)], null)));
    expect(appends.map((append) => append.kind === "placed" && append.firstIndex)).toEqual(
      names.map((_, at) => at + 1),
    );
    expect(await texts(records)).toEqual(names);
  });

  test("gathers what arrives while an append is under way into one block", async () => {
    const records = gated(memoryRecordLog());
    const writers = writersOn(records);
    const key = dataKey();
    const pending = Array.from({ length: 100 }, (_, at) => writers.append(ref, [record(`r${at}`)], key));
    records.open();
    await Promise.all(pending);
    expect((await stored(records)).map(({ firstIndex, lastIndex }) => lastIndex - firstIndex + 1)).toEqual([1, 99]);
    expect(await texts(records, key)).toHaveLength(100);
  });

  test("never puts records of different data keys into one block", async () => {
    const records = gated(memoryRecordLog());
    const writers = writersOn(records);
    const [a, b] = [dataKey(), dataKey()];
    const pending = [a, a, b, b, a, null, null].map((key, at) => writers.append(ref, [record(`r${at}`)], key));
    records.open();
    await Promise.all(pending);
    expect((await stored(records)).map(({ firstIndex, lastIndex }) => lastIndex - firstIndex + 1)).toEqual([
      1, 1, 2, 1, 2,
    ]);
  });

  test("continues behind the newest record after a restart, whatever was trimmed", async () => {
    const records = memoryRecordLog();
    await writersOn(records).append(ref, [record("a"), record("b")], null);
    await records.trim(ref, Number.MAX_SAFE_INTEGER, 100);
    expect(await writersOn(records).append(ref, [record("c")], null)).toMatchObject({ firstIndex: 3, placedCount: 1 });
  });

  test("a failed append fails exactly its records, and the place goes to the next one", async () => {
    const inner = memoryRecordLog();
    const records = gated(inner);
    records.open();
    const writers = writersOn(records);
    await writers.append(ref, [record("first")], null);
    records.failing = () => true;
    expect(await writers.append(ref, [record("lost")], null)).toMatchObject({ placedCount: 0 });
    records.failing = () => false;
    expect(await writers.append(ref, [record("second")], null)).toMatchObject({ firstIndex: 2, placedCount: 1 });
    expect(await texts(inner)).toEqual(["first", "second"]);
  });

  test("of several blocks, those in front of the failed one count as stored", async () => {
    const inner = memoryRecordLog();
    const records = gated(inner);
    records.failing = (block) => block.firstIndex === 3;
    records.open();
    const writers = writersOn(records);
    const large = (text: string): PlainRecord => ({ partitionKey: text, data: Buffer.alloc(600 * 1024) });
    const append = await writers.append(ref, ["a", "b", "c", "d"].map(large), null);
    expect(append).toMatchObject({ firstIndex: 1, placedCount: 2 });
    records.failing = () => false;
    expect(await writers.append(ref, [record("e")], null)).toMatchObject({ firstIndex: 3, placedCount: 1 });
  });

  test("an append that failed but was stored all the same is not overwritten", async () => {
    const inner = memoryRecordLog();
    const records = gated(inner);
    records.open();
    const writers = writersOn(records);
    records.failing = (block) => {
      void inner.append(ref, block);
      return true;
    };
    await writers.append(ref, [record("unknown outcome")], null);
    records.failing = () => false;
    expect(await writers.append(ref, [record("next")], null)).toMatchObject({ firstIndex: 2 });
  });

  test("fails its records when the log can not say where the shard ends, and recovers", async () => {
    const inner = memoryRecordLog();
    let down = true;
    const records: RecordLog = {
      ...gated(inner),
      append: inner.append.bind(inner),
      last: async (of) => {
        if (down) throw new Error("down");
        return await inner.last(of);
      },
    };
    const writers = writersOn(records);
    expect(await writers.append(ref, [record("a")], null)).toMatchObject({ placedCount: 0 });
    down = false;
    expect(await writers.append(ref, [record("b")], null)).toMatchObject({ firstIndex: 1, placedCount: 1 });
  });

  test("throttles beyond 16 MiB of waiting records, and takes more when they are stored", async () => {
    const records = gated(memoryRecordLog());
    const writers = writersOn(records);
    const megabyte = (): PlainRecord[] => [{ partitionKey: "k", data: Buffer.alloc(1024 * 1024) }];
    const pending: Promise<Append>[] = Array.from({ length: 20 }, () => writers.append(ref, megabyte(), null));
    records.open();
    const kinds = (await Promise.all(pending)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "placed")).toHaveLength(15);
    expect(kinds.slice(15).every((kind) => kind === "throttled")).toBe(true);
    expect((await writers.append(ref, megabyte(), null)).kind).toBe("placed");
  });

  test("does not seal under a key whose time ended in the queue", async () => {
    const records = gated(memoryRecordLog());
    const writers = writersOn(records);
    const key = dataKey();
    const first = writers.append(ref, [record("a")], null);
    const second = writers.append(ref, [record("b")], key);
    key.key.destroy();
    records.open();
    expect([(await first).kind, (await second).kind]).toEqual(["placed", "key expired"]);
  });

  test("arrival times never fall when the wall clock is set back", async () => {
    const records = memoryRecordLog();
    await writersOn(records, movableClock(undefined, 5_000)).append(ref, [record("a")], null);
    const append = await writersOn(records, movableClock(undefined, 1_000)).append(ref, [record("b")], null);
    expect(append).toMatchObject({ arrivalMs: 5_000 });
  });
});

describe("a held shard", () => {
  test("lets what is under way end; what comes is moved, or goes on, as the holder says", async () => {
    for (const outcome of ["moved", "resume"] as const) {
      const records = gated(memoryRecordLog());
      const writers = writersOn(records);
      const first = writers.append(ref, [record("a")], null, 0, 1);
      const holding = writers.hold([ref]);
      const second = writers.append(ref, [record("b")], null, 0, 1);
      const other = writers.append({ ...ref, shardIndex: 1 }, [record("c")], null, 0, 1);
      records.open();
      const hold = await holding;
      expect([(await first).kind, (await other).kind]).toEqual(["placed", "placed"]);
      expect(await texts(records)).toEqual(["a"]);
      if (outcome === "moved") hold.moved(2);
      else hold.resume();
      expect((await second).kind).toBe(outcome === "moved" ? "moved" : "placed");
      expect(await texts(records)).toEqual(outcome === "moved" ? ["a"] : ["a", "b"]);
      // Routed by the list of before the change, it may be for a shard that is closed.
      const stale = await writers.append({ ...ref, shardIndex: 1 }, [record("d")], null, 0, 1);
      expect(stale.kind).toBe(outcome === "moved" ? "moved" : "placed");
      expect((await writers.append({ ...ref, shardIndex: 1 }, [record("e")], null, 0, 2)).kind).toBe("placed");
      await writers.drain();
    }
  });

  test("takes no more than any other: beyond its queue, puts are throttled", async () => {
    const writers = writersOn(memoryRecordLog());
    const hold = await writers.hold([ref]);
    const large = { partitionKey: "k", data: new Uint8Array(9 * 1024 * 1024) };
    const waiting = writers.append(ref, [large], null, 0, 1);
    expect((await writers.append(ref, [large], null, 0, 1)).kind).toBe("throttled");
    hold.moved(2);
    expect((await waiting).kind).toBe("moved");
    expect((await writers.append(ref, [large], null, 0, 2)).kind).toBe("placed");
  });
});
