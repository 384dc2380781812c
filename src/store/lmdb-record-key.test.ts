import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  blockKey,
  decodeMarker,
  encodeMarker,
  frameOf,
  seekKey,
  shardEnd,
  shardKey,
  streamEnd,
  streamPrefix,
} from "./lmdb-record-key.ts";

const page = readFileSync(new URL("../../docs/formats/record-log-lmdb.md", import.meta.url), "utf8");

/** The bytes of an example of the page. */
function example(name: string): string {
  const found = page.match(new RegExp(`\`\`\`hex ${name}\\n([0-9a-f\\s]+)\`\`\``));
  if (found?.[1] === undefined) throw new Error(`the page has no example ${name}`);
  return found[1].replaceAll(/\s/g, "");
}

const shard = { streamId: "orders-7f3a", shardIndex: 2 };
const frame = { firstIndex: 1001, lastIndex: 1500, lastArrivalMs: Date.parse("2024-01-02T03:04:05.678Z") };

describe("the documented layout", () => {
  it("is what block keys are written and read in", () => {
    expect(blockKey(shard, frame).toString("hex")).toBe(example("block-key"));
    expect(frameOf(Buffer.from(example("block-key"), "hex"))).toEqual(frame);
  });

  it("is what markers are written and read in", () => {
    expect(shardKey(shard).toString("hex")).toBe(example("marker-key"));
    expect(encodeMarker(frame).toString("hex")).toBe(example("marker-value"));
    const { lastIndex, lastArrivalMs } = frame;
    expect(decodeMarker(Buffer.from(example("marker-value"), "hex"))).toEqual({ lastIndex, lastArrivalMs });
  });
});

const anyIndex = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const anyShard = fc.record({
  streamId: fc.string({ unit: fc.constantFrom("a", "Z", "0", "-"), minLength: 1, maxLength: 4 }),
  shardIndex: fc.oneof(fc.nat({ max: 2 }), fc.integer({ min: 0, max: 0xffff_ffff })),
});

describe("keys", () => {
  it("give back their frame, up to the largest numbers", () => {
    const property = fc.property(
      anyShard,
      anyIndex,
      anyIndex,
      anyIndex,
      (ref, firstIndex, lastIndex, lastArrivalMs) => {
        expect(frameOf(blockKey(ref, { firstIndex, lastIndex, lastArrivalMs }))).toEqual({
          firstIndex,
          lastIndex,
          lastArrivalMs,
        });
      },
    );
    fc.assert(property);
  });

  it("order by last index within a shard, and are bounded by its prefix and end", () => {
    const property = fc.property(anyShard, anyIndex, anyIndex, (ref, a, b) => {
      const key = (lastIndex: number): Buffer => blockKey(ref, { firstIndex: 1, lastIndex, lastArrivalMs: 0 });
      expect(Math.sign(Buffer.compare(key(a), key(b)))).toBe(Math.sign(a - b));
      expect(Buffer.compare(seekKey(ref, a), key(b)) <= 0).toBe(a <= b);
      const bounds = [streamPrefix(ref.streamId), shardKey(ref), key(a), shardEnd(ref), streamEnd(ref.streamId)];
      expect(bounds.toSorted((one, other) => Buffer.compare(one, other))).toEqual(bounds);
    });
    fc.assert(property);
  });

  it("of different shards never fall into each other's range", () => {
    const property = fc.property(anyShard, anyShard, anyIndex, (one, other, lastIndex) => {
      fc.pre(one.streamId !== other.streamId || one.shardIndex !== other.shardIndex);
      const key = blockKey(other, { firstIndex: 1, lastIndex, lastArrivalMs: 0 });
      expect(Buffer.compare(key, shardKey(one)) >= 0 && Buffer.compare(key, shardEnd(one)) < 0).toBe(false);
    });
    fc.assert(property);
  });
});
