import * as fc from "fast-check";
import { expect } from "vitest";
import type { SealedBytes } from "../../base/brand.ts";
import type { Block, RecordLog, ShardRef } from "../record-log.ts";
import { type Check, type OpenSubject, registerChecks } from "./conformance.ts";
import { patternBytes } from "./conformance-bytes.ts";
import { replacing } from "./record-log-replacement-checks.ts";
import { appendAll, block, blocksOf, EVERYTHING, plain, SHARD, stored } from "./record-log-samples.ts";

const appending: readonly Check<RecordLog>[] = [
  {
    name: "reads what was appended, in order, whatever shares the commit",
    async run(log) {
      const blocks = blocksOf(Array.from({ length: 300 }, (_, i) => 1 + (i % 7)));
      await appendAll(log, blocks);
      expect(await stored(log)).toEqual(blocks.map(plain));
      expect(await log.last(SHARD)).toEqual({
        lastIndex: blocks.at(-1)?.lastIndex,
        lastArrivalMs: blocks.at(-1)?.lastArrivalMs,
      });
    },
  },
  {
    name: "shows no block before the ones that were appended earlier",
    async run(log) {
      const blocks = blocksOf(Array.from({ length: 200 }, () => 2));
      const appends = blocks.map(async (each, i) => {
        await log.append(SHARD, each);
        expect((await log.read(SHARD, 0, EVERYTHING)).length).toBeGreaterThan(i);
      });
      for (let i = 0; i < 20; i++) {
        const seen = await stored(log);
        expect(seen).toEqual(blocks.slice(0, seen.length).map(plain));
      }
      await Promise.all(appends);
    },
  },
  {
    name: "keeps shards and streams apart, also those whose names begin alike",
    async run(log) {
      const shards = ["a", "a-b", "ab", "A"].flatMap((streamId) =>
        [0, 1, 255, 256, 0xffff_ffff].map((shardIndex) => ({ streamId, shardIndex })),
      );
      await Promise.all(shards.map((shard, i) => log.append(shard, block(1, 1, { seed: i }))));
      for (const [i, shard] of shards.entries())
        expect(await stored(log, shard)).toEqual([plain(block(1, 1, { seed: i }))]);
      expect(await stored(log, { streamId: "a", shardIndex: 2 })).toEqual([]);
    },
  },
  {
    name: "replaces a block with the same last index, and nothing else",
    async run(log) {
      await appendAll(log, blocksOf([3, 3, 3]));
      await log.append(SHARD, block(4, 6, { seed: 99, length: 50 }));
      await log.append(SHARD, block(4, 6, { seed: 98, length: 5, ms: 61 }));
      const expected = [block(1, 3), block(4, 6, { seed: 98, length: 5, ms: 61 }), block(7, 9)];
      expect(await stored(log)).toEqual(expected.map(plain));
      await log.append(SHARD, block(7, 9, { ms: 95 }));
      expect(await log.last(SHARD)).toEqual({ lastIndex: 9, lastArrivalMs: 95 });
      await log.append(SHARD, block(10, 12));
      expect(await stored(log, SHARD, 7)).toEqual([block(7, 9, { ms: 95 }), block(10, 12)].map(plain));
    },
  },
  {
    name: "refuses a block that would leave a gap or overlap, and those that continue it",
    async run(log) {
      await appendAll(log, blocksOf([3, 3]));
      const misplaced = [block(8, 9), block(5, 8), block(2, 5), block(1, 1), block(0, 7), block(7, 6), block(7.5, 8)];
      for (const each of misplaced) await expect(log.append(SHARD, each)).rejects.toThrow(RangeError);
      const queued = [block(7, 8), block(10, 11), block(12, 13)];
      const settled = await Promise.allSettled(queued.map((each) => log.append(SHARD, each)));
      expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
      await log.append(SHARD, block(9, 9));
      expect(await stored(log)).toEqual([block(1, 3), block(4, 6), block(7, 8), block(9, 9)].map(plain));
      await expect(log.append({ streamId: "other", shardIndex: 0 }, block(2, 2))).rejects.toThrow(RangeError);
    },
  },
  {
    name: "keeps blocks of 0 bytes and of 10 MiB, and returns private copies",
    async run(log) {
      const sizes = [0, 1, 4000, 70_000, 10 * 1024 * 1024];
      const given = sizes.map((length, i) => block(i + 1, i + 1, { length }));
      await appendAll(log, given);
      const first = await log.read(SHARD, 1, EVERYTHING);
      expect(first.map(({ bytes }) => [bytes.length, bytes.byteLength])).toEqual(sizes.map((size) => [size, size]));
      for (const { bytes } of given) bytes.fill(0);
      await appendAll(log, [block(6, 6, { length: 70_000 })]);
      await log.read(SHARD, 6, EVERYTHING);
      for (const [i, { bytes }] of first.entries()) {
        expect(Buffer.compare(bytes, patternBytes(sizes[i] as number, i + 1))).toBe(0);
        bytes.fill(0);
      }
      const second = await log.read(SHARD, 1, EVERYTHING);
      for (const [i, size] of sizes.entries())
        expect(Buffer.compare((second[i] as Block).bytes, patternBytes(size, i + 1))).toBe(0);
    },
  },
  {
    name: "refuses names and limits that it cannot keep",
    async run(log) {
      for (const streamId of ["", "a/b", "a\u0000", "ä", "s".repeat(129)]) {
        await expect(log.append({ streamId, shardIndex: 0 }, block(1, 1))).rejects.toThrow(RangeError);
        await expect(log.drop(streamId)).rejects.toThrow(RangeError);
      }
      for (const shardIndex of [-1, 0.5, 2 ** 32]) {
        await expect(log.append({ streamId: "a", shardIndex }, block(1, 1))).rejects.toThrow(RangeError);
      }
      await expect(log.read(SHARD, 1, { blocksMax: 0, bytesMax: 1 })).rejects.toThrow(RangeError);
    },
  },
];

const reading: readonly Check<RecordLog>[] = [
  {
    name: "reads from the block that holds an index, up to either limit, but one block at least",
    async run(log) {
      const blocks = blocksOf([3, 3, 3, 3]);
      await appendAll(log, blocks);
      const from = (index: number): Promise<unknown[][]> => stored(log, SHARD, index);
      expect(await from(3)).toEqual(blocks.map(plain));
      expect(await from(4)).toEqual(blocks.slice(1).map(plain));
      expect(await from(12)).toEqual(blocks.slice(3).map(plain));
      expect(await from(13)).toEqual([]);
      const counts = [];
      for (const bytesMax of [0, 1, 10, 11, 20, 21, 1000])
        counts.push((await stored(log, SHARD, 1, { blocksMax: 3, bytesMax })).length);
      expect(counts).toEqual([1, 1, 1, 2, 2, 3, 3]);
    },
  },
  {
    name: "finds the first block at or after a time, over runs of equal times",
    async run(log) {
      expect(await log.firstIndexAt(SHARD, 0)).toBeNull();
      const times = [10, 10, 20, 20, 20, 35, 35];
      await appendAll(
        log,
        times.map((ms, i) => block(1 + i * 3, 3 + i * 3, { ms })),
      );
      const found = [];
      for (const ms of [0, 10, 11, 20, 21, 35, 36]) found.push(await log.firstIndexAt(SHARD, ms));
      expect(found).toEqual([1, 1, 7, 7, 16, 16, null]);
    },
  },
];

const trimming: readonly Check<RecordLog>[] = [
  {
    name: "trims the oldest blocks up to a time or a count, and nothing else",
    async run(log) {
      const blocks = blocksOf([2, 2, 2, 2, 2]);
      await appendAll(log, blocks);
      await appendAll(log, blocks, { ...SHARD, shardIndex: 1 });
      expect(await log.trim(SHARD, 60, 1)).toBe(1);
      expect(await log.trim(SHARD, 60, 100)).toBe(1);
      expect(await log.trim(SHARD, 60, 100)).toBe(0);
      expect(await stored(log)).toEqual(blocks.slice(2).map(plain));
      expect(await log.firstIndexAt(SHARD, 0)).toBe(5);
      expect(await stored(log, { ...SHARD, shardIndex: 1 })).toEqual(blocks.map(plain));
      expect(await log.trim({ streamId: "unknown", shardIndex: 0 }, 1e12, 5)).toBe(0);
    },
  },
  {
    name: "remembers the last frame of a shard that was trimmed empty, and goes on behind it",
    async run(log, subject) {
      await appendAll(log, blocksOf(Array.from({ length: 150 }, () => 2)));
      expect(await log.trim(SHARD, 1e12, 1000)).toBe(150);
      expect(await log.last(SHARD)).toEqual({ lastIndex: 300, lastArrivalMs: 3000 });
      const after = subject.reopen === null ? log : await subject.reopen();
      expect(await after.last(SHARD)).toEqual({ lastIndex: 300, lastArrivalMs: 3000 });
      expect([await stored(after), await after.firstIndexAt(SHARD, 0)]).toEqual([[], null]);
      await expect(after.append(SHARD, block(1, 1))).rejects.toThrow(RangeError);
      await after.append(SHARD, block(301, 302));
      expect(await after.last(SHARD)).toEqual({ lastIndex: 302, lastArrivalMs: 3020 });
      expect(await after.trim(SHARD, 1e12, 1000)).toBe(1);
      expect(await after.last(SHARD)).toEqual({ lastIndex: 302, lastArrivalMs: 3020 });
    },
  },
  {
    name: "keeps order and loses nothing when appends, reads and trims run together",
    async run(log) {
      const blocks = blocksOf(Array.from({ length: 400 }, () => 1));
      let trimmed = 0;
      const trims = async (): Promise<void> => {
        for (let i = 0; i < 20; i++) trimmed += await log.trim(SHARD, 2000, 30);
      };
      const appends = async (): Promise<void> => {
        for (let i = 0; i < blocks.length; i += 40) await appendAll(log, blocks.slice(i, i + 40));
      };
      await Promise.all([trims(), appends()]);
      trimmed += await log.trim(SHARD, 2000, 1000);
      expect(trimmed).toBe(199);
      expect(await stored(log)).toEqual(blocks.slice(199).map(plain));
    },
  },
  {
    name: "drops all shards of a stream with their ends, and no other stream",
    async run(log) {
      const trimmed = { ...SHARD, shardIndex: 7 };
      const neighbour = { streamId: "stream-10", shardIndex: 0 };
      await appendAll(log, blocksOf(Array.from({ length: 130 }, () => 1)));
      await appendAll(log, blocksOf([1]), trimmed);
      await appendAll(log, blocksOf([5]), neighbour);
      await log.trim(trimmed, 1e12, 10);
      await log.drop(SHARD.streamId);
      await log.drop("never-there");
      for (const shard of [SHARD, trimmed]) {
        expect([await stored(log, shard), await log.last(shard), await log.firstIndexAt(shard, 0)]).toEqual([
          [],
          null,
          null,
        ]);
        await log.append(shard, block(1, 1));
      }
      expect(await stored(log, neighbour)).toEqual(blocksOf([5]).map(plain));
    },
  },
  {
    name: "finishes what it had taken when it is closed, and keeps it",
    persistent: true,
    async run(log, subject) {
      const blocks = blocksOf(Array.from({ length: 100 }, (_, i) => 1 + (i % 3)));
      const appended = appendAll(log, blocks);
      const reopened = await (subject.reopen as () => Promise<RecordLog>)();
      await appended;
      expect(await stored(reopened)).toEqual(blocks.map(plain));
      await expect(log.append(SHARD, block(1000, 1000))).rejects.toThrow("closed");
      await expect(stored(log)).rejects.toThrow("closed");
    },
  },
];

type Step =
  | { readonly kind: "append"; readonly shard: number; readonly counts: readonly number[]; readonly waitMs: number }
  | { readonly kind: "replace" | "reseal"; readonly shard: number; readonly pick: number; readonly seed: number }
  | { readonly kind: "trim"; readonly shard: number; readonly ageMs: number; readonly blocksMax: number }
  | {
      readonly kind: "read";
      readonly shard: number;
      readonly pick: number;
      readonly blocksMax: number;
      readonly bytesMax: number;
    }
  | { readonly kind: "find"; readonly shard: number; readonly ageMs: number };

const shard = fc.nat({ max: 1 });
const ageMs = fc.nat({ max: 30 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      shard,
      counts: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 }),
      waitMs: fc.nat({ max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("replace" as const), shard, pick: fc.nat(), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reseal" as const), shard, pick: fc.nat(), seed: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("trim" as const),
      shard,
      ageMs,
      blocksMax: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      shard,
      pick: fc.nat(),
      blocksMax: fc.integer({ min: 1, max: 5 }),
      bytesMax: fc.nat({ max: 60 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("find" as const), shard, ageMs }) },
);

/** One shard as the contract describes it. */
class ShardModel {
  blocks: Block[] = [];
  end: { lastIndex: number; lastArrivalMs: number } | null = null;

  get nowMs(): number {
    return this.end?.lastArrivalMs ?? 0;
  }

  read(fromIndex: number, blocksMax: number, bytesMax: number): Block[] {
    const found: Block[] = [];
    let bytes = 0;
    for (const each of this.blocks.filter(({ lastIndex }) => lastIndex >= fromIndex)) {
      if (found.length === blocksMax || (found.length > 0 && bytes >= bytesMax)) break;
      found.push(each);
      bytes += each.bytes.length;
    }
    return found;
  }
}

async function follow(log: RecordLog, ref: ShardRef, model: ShardModel, step: Step): Promise<void> {
  const timeMs = "ageMs" in step ? model.nowMs - step.ageMs : 0;
  if (step.kind === "append") {
    const first = (model.end?.lastIndex ?? 0) + 1;
    const blocks = blocksOf(step.counts, first).map((each) => ({ ...each, lastArrivalMs: model.nowMs + step.waitMs }));
    await appendAll(log, blocks, ref);
    const newest = blocks.at(-1);
    if (newest !== undefined) model.end = { lastIndex: newest.lastIndex, lastArrivalMs: newest.lastArrivalMs };
    model.blocks.push(...blocks);
  } else if (step.kind === "reseal") {
    const from = step.pick % Math.max(1, model.blocks.length);
    const renewed = model.blocks
      .slice(from, from + 3)
      .map((old) => ({ ...old, bytes: patternBytes(step.seed % 40, step.seed) as SealedBytes }));
    expect(await log.replace(ref, renewed)).toBe(renewed.length);
    model.blocks.splice(from, renewed.length, ...renewed);
  } else if (step.kind === "replace") {
    const position = step.pick % Math.max(1, model.blocks.length);
    const old = model.blocks[position];
    if (old === undefined) return;
    const replacement = { ...old, bytes: patternBytes(step.seed % 40, step.seed) as SealedBytes };
    await log.append(ref, replacement);
    model.blocks[position] = replacement;
  } else if (step.kind === "trim") {
    const old = model.blocks.filter(({ lastArrivalMs }) => lastArrivalMs < timeMs).slice(0, step.blocksMax);
    expect(await log.trim(ref, timeMs, step.blocksMax)).toBe(old.length);
    model.blocks = model.blocks.slice(old.length);
  } else if (step.kind === "read") {
    const fromIndex = step.pick % ((model.end?.lastIndex ?? 0) + 3);
    const found = await stored(log, ref, fromIndex, step);
    expect(found).toEqual(model.read(fromIndex, step.blocksMax, step.bytesMax).map(plain));
  } else {
    const expected = model.blocks.find(({ lastArrivalMs }) => lastArrivalMs >= timeMs)?.firstIndex ?? null;
    expect(await log.firstIndexAt(ref, timeMs)).toBe(expected);
  }
  expect(await log.last(ref)).toEqual(model.end);
}

const modelled: Check<RecordLog> = {
  name: "agrees with a simple model on random appends, replacements, trims and reads",
  async run(log) {
    let run = 0;
    const property = fc.asyncProperty(fc.array(anyStep, { maxLength: 30 }), async (steps) => {
      const streamId = `run-${run++}`;
      const models = [new ShardModel(), new ShardModel()];
      for (const step of steps) {
        await follow(log, { streamId, shardIndex: step.shard }, models[step.shard] as ShardModel, step);
      }
    });
    await fc.assert(property, { numRuns: 30 });
  },
};

export const recordLogChecks: readonly Check<RecordLog>[] = [
  ...appending,
  ...reading,
  ...replacing,
  ...trimming,
  modelled,
];

/** Every adapter of RecordLog passes this. */
export function recordLogConformance(adapter: string, open: OpenSubject<RecordLog>): void {
  registerChecks(`RecordLog contract: ${adapter}`, recordLogChecks, open);
}
