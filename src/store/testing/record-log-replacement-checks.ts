import { expect } from "vitest";
import type { Block, RecordLog } from "../record-log.ts";
import type { Check } from "./conformance.ts";
import { appendAll, block, blocksOf, EVERYTHING, plain, SHARD, stored } from "./record-log-samples.ts";

/** What RecordLog promises of blocks that are given other bytes. */
export const replacing: readonly Check<RecordLog>[] = [
  {
    name: "gives blocks other bytes where they lie, several in one step, and moves nothing",
    async run(log, subject) {
      await appendAll(log, blocksOf([3, 3, 3, 3]));
      const changed = [block(1, 3, { seed: 99, length: 5000 }), block(7, 9, { seed: 98, length: 0 })];
      expect(await log.replace(SHARD, changed)).toBe(2);
      const expected = [changed[0] as Block, block(4, 6), changed[1] as Block, block(10, 12)];
      expect(await stored(log)).toEqual(expected.map(plain));
      expect(await log.last(SHARD)).toEqual({ lastIndex: 12, lastArrivalMs: 120 });
      const after = subject.reopen === null ? log : await subject.reopen();
      if (subject.reopen !== null) expect(await stored(after)).toEqual(expected.map(plain));
      await after.append(SHARD, block(13, 14));
      expect(await after.firstIndexAt(SHARD, 90)).toBe(7);
    },
  },
  {
    name: "replaces the newest block without moving the end",
    async run(log) {
      await appendAll(log, blocksOf([3, 3]));
      const both = [log.replace(SHARD, [block(4, 6, { seed: 99 })]), log.append(SHARD, block(7, 9))] as const;
      expect(await both[0]).toBe(1);
      await both[1];
      expect(await stored(log)).toEqual([block(1, 3), block(4, 6, { seed: 99 }), block(7, 9)].map(plain));
    },
  },
  {
    name: "replaces no block of another frame, and brings back none that was trimmed",
    async run(log) {
      await appendAll(log, blocksOf([3, 3, 3]));
      await log.trim(SHARD, 31, 1);
      const strangers = [block(1, 3), block(4, 5), block(5, 6), block(4, 6, { ms: 61 }), block(10, 12), block(1, 9)];
      expect(await log.replace(SHARD, strangers)).toBe(0);
      expect(await log.replace(SHARD, [...strangers, block(4, 6, { seed: 99 })])).toBe(1);
      expect(await log.replace(SHARD, [])).toBe(0);
      expect(await log.replace({ ...SHARD, shardIndex: 1 }, [block(4, 6)])).toBe(0);
      expect(await stored(log)).toEqual([block(4, 6, { seed: 99 }), block(7, 9)].map(plain));
      await log.trim(SHARD, 1e12, 10);
      expect(await log.replace(SHARD, [block(7, 9)])).toBe(0);
      expect([await stored(log), await log.last(SHARD)]).toEqual([[], { lastIndex: 9, lastArrivalMs: 90 }]);
      await log.drop(SHARD.streamId);
      expect(await log.replace(SHARD, [block(7, 9)])).toBe(0);
      expect(await log.last(SHARD)).toBeNull();
      await expect(log.replace(SHARD, [block(3, 1)])).rejects.toThrow(RangeError);
    },
  },
  {
    name: "shows a block's old bytes or its new ones while it is replaced and others are appended",
    async run(log) {
      const blocks = blocksOf(Array.from({ length: 60 }, () => 2));
      await appendAll(log, blocks);
      const renewed = blocks.map(({ firstIndex, lastIndex }) => block(firstIndex, lastIndex, { seed: 7, length: 30 }));
      const appended = Array.from({ length: 40 }, (_, i) => block(121 + i, 121 + i));
      const replaced = Promise.all(renewed.map((each) => log.replace(SHARD, [each])));
      const appends = appendAll(log, appended);
      for (let i = 0; i < 20; i++) {
        const seen = await log.read(SHARD, 0, EVERYTHING);
        seen
          .slice(0, 60)
          .forEach((each, at) =>
            expect([plain(blocks[at] as Block), plain(renewed[at] as Block)]).toContainEqual(plain(each)),
          );
      }
      await Promise.all([replaced, appends]);
      expect(await stored(log)).toEqual([...renewed, ...appended].map(plain));
    },
  },
];
