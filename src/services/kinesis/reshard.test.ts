import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Reshard, ShardRecord } from "./model.ts";
import { isOpen } from "./model.ts";
import { afterRound, middleOf, nextRound, openByHash } from "./reshard.ts";
import { endingSequenceNumber, parseSequenceNumber, startingSequenceNumber } from "./sequence.ts";
import { uniformShards, uniformStarts } from "./shards.ts";

const NOW_MS = 1_700_000_000_000;
const noRecords = (): { lastIndex: number; lastArrivalMs: number } => ({ lastIndex: 0, lastArrivalMs: 0 });

function carriedOut(plan: Reshard, shards: readonly ShardRecord[], nowMs = NOW_MS): readonly ShardRecord[] {
  let now = shards;
  for (let rounds = 0; rounds < 30; rounds++) {
    const changes = nextRound(plan, now);
    if (changes.length === 0) return now;
    const touched = changes.flatMap((change) => (change.kind === "split" ? [change.index] : change.indices));
    expect(new Set(touched).size).toBe(touched.length);
    now = afterRound(now, changes, noRecords, nowMs);
    checkCover(now);
  }
  throw new Error("it never ends");
}

/** Every hash key belongs to exactly one open shard. */
function checkCover(shards: readonly ShardRecord[]): void {
  let next = 0n;
  for (const { startHash, endHash } of openByHash(shards)) {
    expect(BigInt(`0x${startHash}`)).toBe(next);
    next = BigInt(`0x${endHash}`) + 1n;
  }
  expect(next).toBe(2n ** 128n);
}

describe("resharding", () => {
  test("reaches equal ranges from any count within the limits, all hash keys covered after every round", () => {
    const counts = fc
      .integer({ min: 1, max: 60 })
      .chain((from) =>
        fc.record({ from: fc.constant(from), to: fc.integer({ min: Math.ceil(from / 2), max: from * 2 }) }),
      );
    fc.assert(
      fc.property(counts, ({ from, to }) => {
        const shards = carriedOut({ kind: "uniform", shardCount: to }, uniformShards(from, 0));
        expect(openByHash(shards).map(({ startHash }) => startHash)).toEqual(uniformStarts(to));
      }),
      { numRuns: 60 },
    );
  });

  test("reaches equal ranges from unequal ones too", () => {
    const cut = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(fc.array(cut, { maxLength: 12 }), fc.integer({ min: 1, max: 20 }), (cuts, to) => {
        let shards = uniformShards(1, 0);
        for (const at of cuts) {
          const open = openByHash(shards);
          const shard = open[at % open.length] as ShardRecord;
          shards = afterRound(shards, [{ kind: "split", index: shard.index, at: middleOf(shard) }], noRecords, 0);
        }
        const after = carriedOut({ kind: "uniform", shardCount: to }, shards);
        expect(openByHash(after).map(({ startHash }) => startHash)).toEqual(uniformStarts(to));
      }),
      { numRuns: 60 },
    );
  });

  test("doubling splits each shard once, halving merges each pair once", () => {
    const doubled = carriedOut({ kind: "uniform", shardCount: 8 }, uniformShards(4, 0));
    expect([doubled.length, doubled.filter(isOpen).length]).toEqual([12, 8]);
    const halved = carriedOut({ kind: "uniform", shardCount: 4 }, doubled);
    expect([halved.length, halved.filter(isOpen).length]).toEqual([16, 4]);
    expect(halved.slice(12).map(({ parents }) => parents)).toEqual([
      [4, 5],
      [6, 7],
      [8, 9],
      [10, 11],
    ]);
  });

  test("a child's numbers are larger than all of its parents', also when they close within the second", () => {
    const shards = carriedOut({ kind: "uniform", shardCount: 3 }, uniformShards(2, NOW_MS));
    for (const child of shards) {
      for (const index of child.parents ?? []) {
        const parent = shards[index] as ShardRecord;
        const end = endingSequenceNumber(parent, parent.closed?.atMs ?? 0);
        expect(BigInt(startingSequenceNumber(child))).toBeGreaterThan(BigInt(end));
        expect(parseSequenceNumber(end)).toMatchObject({ shardIndex: index, index: Number.MAX_SAFE_INTEGER });
      }
    }
  });

  test("a shard closes no earlier than its last record arrived, whatever the wall clock says", () => {
    const ends = (): { lastIndex: number; lastArrivalMs: number } => ({ lastIndex: 7, lastArrivalMs: NOW_MS + 5_000 });
    const [parent, child] = afterRound(
      uniformShards(1, 0),
      [{ kind: "split", index: 0, at: "8".padEnd(32, "0") }],
      ends,
      NOW_MS,
    );
    expect(parent?.closed).toEqual({ atMs: NOW_MS + 5_000, lastIndex: 7 });
    expect(child).toMatchObject({ createdAtMs: NOW_MS + 6_000, openedAtMs: NOW_MS + 5_000, parents: [0] });
  });

  test("a plan of one round that was carried out asks for nothing more", () => {
    const plan = {
      kind: "round",
      shardCount: 2,
      changes: [{ kind: "split", index: 0, at: "8".padEnd(32, "0") }],
    } as const;
    expect(carriedOut(plan, uniformShards(1, 0))).toHaveLength(3);
  });
});
