import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ShardRecord } from "./model.ts";
import { belongsTo, parseSequenceNumber, sequenceNumbers, startingSequenceNumber } from "./sequence.ts";

const shard = (index = 0, createdAtMs = 1_700_000_000_000): ShardRecord => ({
  index,
  createdAtMs,
  startHash: "",
  endHash: "",
});

describe("sequence numbers", () => {
  test("have AWS's layout: 56 digits that begin with 49", () => {
    const number = sequenceNumbers(shard(19))(5, 1_700_000_001_999);
    expect(number).toMatch(/^49[0-9]{54}$/);
    const digits = ["2", "06553f100", "3", "0000000000000005", "00", "06553f101", "00000013", "2"];
    expect(BigInt(number).toString(16)).toBe(digits.join(""));
  });

  test("of a real stream are understood", () => {
    expect(parseSequenceNumber("49594189147623985939251953501666965394405037144469929986")).toMatchObject({
      shardIndex: 0,
    });
  });

  test("round-trip, and order as the records do, whatever their times", () => {
    const index = fc.integer({ min: 0, max: 2 ** 53 - 2 });
    const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
    fc.assert(
      fc.property(fc.nat(0x7fff_ffff), time, index, time, time, (shardIndex, created, at, firstMs, nextMs) => {
        const number = sequenceNumbers(shard(shardIndex, created));
        const parts = parseSequenceNumber(number(at, firstMs));
        expect(parts).toEqual({
          shardCreatedSeconds: Math.floor(created / 1000),
          shardIndex,
          index: at,
          arrivalSeconds: Math.floor(firstMs / 1000),
        });
        expect(BigInt(number(at, firstMs)) < BigInt(number(at + 1, nextMs))).toBe(true);
      }),
    );
  });

  test("begin in front of a shard's first record", () => {
    expect(BigInt(startingSequenceNumber(shard())) < BigInt(sequenceNumbers(shard())(1, 0))).toBe(true);
    expect(parseSequenceNumber(startingSequenceNumber(shard()))?.index).toBe(0);
  });

  test.each([
    "",
    "0",
    "1",
    "abc",
    "-5",
    "9".repeat(56),
    "1".repeat(129),
    "49590338271490256608559692538361571095921575989136588899",
  ])("%j is none", (text) => expect(parseSequenceNumber(text)).toBeNull());

  test("tell another shard and another stream", () => {
    const parts = parseSequenceNumber(sequenceNumbers(shard(2))(1, 0));
    if (parts === null) throw new Error("no parts");
    expect([belongsTo(parts, shard(2)), belongsTo(parts, shard(3)), belongsTo(parts, shard(2, 0))]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
