import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { GuardedKey } from "./guarded.ts";

const bytesOf = (key: GuardedKey): Buffer => key.use((bytes) => Buffer.from(bytes));

/** The process's memory mappings, as Linux tells them. */
const mappings = (): { start: bigint; end: bigint; access: string }[] =>
  readFileSync("/proc/self/maps", "latin1")
    .trim()
    .split("\n")
    .map((line) => {
      const [range = "", access = ""] = line.split(" ");
      const [start = "", end = ""] = range.split("-");
      return { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), access };
    });

/** Addresses of readable, unwritable mappings between two that nobody may touch: what a lent key looks like. */
const readOnlyIslands = (): bigint[] => {
  const all = mappings();
  return all.flatMap((mapping, index) =>
    mapping.access === "r--p" && [all[index - 1], all[index + 1]].every((neighbour) => neighbour?.access === "---p")
      ? [mapping.start]
      : [],
  );
};

describe("GuardedKey", () => {
  test("lends what it took and overwrites the source", () => {
    const source = Buffer.alloc(32, 7);
    const key = GuardedKey.take(source);
    expect(source).toEqual(Buffer.alloc(32));
    expect(bytesOf(key)).toEqual(Buffer.alloc(32, 7));
    expect(key.byteLength).toBe(32);
    key.destroy();
  });

  test("random keys differ", () => {
    const [a, b] = [GuardedKey.random(32), GuardedKey.random(32)];
    expect(bytesOf(a).equals(bytesOf(b))).toBe(false);
    a.destroy();
    b.destroy();
  });

  test("node:crypto computes with the guarded memory itself", () => {
    const key = GuardedKey.take(Buffer.alloc(32, 9));
    const mac = key.use((bytes) => createHmac("sha256", bytes).update("x").digest("hex"));
    expect(mac).toBe(createHmac("sha256", Buffer.alloc(32, 9)).update("x").digest("hex"));
    key.destroy();
  });

  test("a destroyed key is refused, and the lent view has lost its memory", () => {
    const key = GuardedKey.random(32);
    let lent: Uint8Array | undefined;
    key.use((bytes) => {
      lent = bytes;
      key.destroy();
      // Still usable until the loan ends.
      expect(bytes.byteLength).toBe(32);
    });
    expect(key.destroyed).toBe(true);
    expect(lent?.byteLength).toBe(0);
    expect(() => key.use(() => 0)).toThrow(/destroyed/);
    expect(() => key.destroy()).not.toThrow();
  });

  test("nested loans keep the memory readable until the outer one ends", () => {
    const key = GuardedKey.random(32);
    key.use((outer) => {
      key.use((inner) => expect(inner[0]).toBe(outer[0]));
      expect(outer.byteLength).toBe(32);
      expect(typeof outer[0]).toBe("number");
    });
    key.destroy();
  });

  test("a copy outlives its original", () => {
    const original = GuardedKey.take(Buffer.alloc(32, 5));
    const copy = original.copy();
    original.destroy();
    expect(bytesOf(copy)).toEqual(Buffer.alloc(32, 5));
    copy.destroy();
  });

  test("an empty key is refused", () => {
    expect(() => GuardedKey.random(0)).toThrow(RangeError);
  });

  test.runIf(process.platform === "linux")("the memory is read-only while lent and beyond reach while idle", () => {
    const key = GuardedKey.random(32);
    const idleBefore = new Set(readOnlyIslands());
    const lent = key.use(() => readOnlyIslands().filter((address) => !idleBefore.has(address)));
    expect(lent.length).toBeGreaterThan(0);
    const idle = mappings().filter((mapping) => mapping.access === "---p");
    expect(lent.some((address) => idle.some(({ start, end }) => start <= address && address < end))).toBe(true);
    key.destroy();
  });

  test.runIf(process.platform === "linux")("a key at hand stays readable between uses, and no longer", () => {
    const key = GuardedKey.take(Buffer.alloc(32, 3));
    const before = new Set(readOnlyIslands());
    const own = (): readonly bigint[] => readOnlyIslands().filter((address) => !before.has(address));
    const end = key.keepAtHand();
    expect(key.isAtHand).toBe(true);
    expect(bytesOf(key)).toEqual(Buffer.alloc(32, 3));
    expect(own()).toHaveLength(1);
    end();
    expect(key.isAtHand).toBe(false);
    expect(own()).toHaveLength(0);
    end();
    expect(bytesOf(key)).toEqual(Buffer.alloc(32, 3));
    key.destroy();
  });

  test("a key at hand is destroyed at once, and the end of its time changes nothing", () => {
    const key = GuardedKey.random(32);
    const end = key.keepAtHand();
    key.destroy();
    expect(key.destroyed).toBe(true);
    expect(() => end()).not.toThrow();
    expect(() => key.keepAtHand()).toThrow(/destroyed/);
  });

  test("a key that stops being at hand while it is lent is readable to the end of the loan", () => {
    const key = GuardedKey.take(Buffer.alloc(32, 4));
    const end = key.keepAtHand();
    key.use((bytes) => {
      end();
      expect(bytes[31]).toBe(4);
    });
    expect(bytesOf(key)).toEqual(Buffer.alloc(32, 4));
    key.destroy();
  });
});
