import { expect, it } from "vitest";
import type { SealedBytes } from "../base/brand.ts";
import { sealedBytes, sealedText, table } from "./table.ts";

const things = table<{ readonly n: number }>("test.thing");

it("takes a key apart into the identifier it was made of", () => {
  for (const id of [["a"], ["a", "b"], ["", "x", ""], ["é\u{10000}"], []])
    expect(things.idOf(things.key(id))).toEqual(id);
});

it("refuses identifiers that would break the order of keys, share a key with another, or be too long", () => {
  for (const part of ["a\u0001b", "\u0000", "\n", "\ud800", "a\udc00", "k".repeat(1900)]) {
    expect(() => things.key([part])).toThrow(RangeError);
  }
  expect(() => things.key(["\u{10000}", "\u007f", "k".repeat(1800)])).not.toThrow();
});

it("keeps a table's keys out of the range of another whose name begins alike", () => {
  const { start, end } = things.range([]);
  const other = table<null>("test.thing2").key(["a"]);
  expect(things.key([""]) >= start && things.key(["\u{10ffff}"]) < end).toBe(true);
  expect(other >= start && other < end).toBe(false);
});

it("decodes what it encoded, and refuses what is not UTF-8", () => {
  expect(things.decode(things.encode({ n: 1 }))).toEqual({ n: 1 });
  expect(() => things.decode(new Uint8Array([0x22, 0xff, 0x22]) as ReturnType<typeof things.encode>)).toThrow(
    TypeError,
  );
});

it("stores a value as the table's own way of writing it has it", () => {
  const rounded = table<{ readonly n: number }>("test.rounded", ({ n }) => JSON.stringify({ n: Math.round(n) }));
  expect(rounded.decode(rounded.encode({ n: 1.4 }))).toEqual({ n: 1 });
});

it("writes sealed bytes as text and back", () => {
  const sealed = new Uint8Array([0, 255, 1, 254]) as SealedBytes;
  expect(sealedBytes(sealedText(sealed))).toEqual(sealed);
});
