import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ShardIterator } from "./iterator.ts";
import { decodeIterator, encodeIterator, openIterator, sealIterator } from "./iterator.ts";
import { testSecretBox } from "./testing/harness.ts";

const iterator: ShardIterator = {
  accountId: "111122223333",
  region: "eu-central-1",
  streamId: "abcdefghij0123456789-xyz",
  name: "orders",
  shardIndex: 2,
  position: 41,
  createdMs: 1_700_000_000_123,
};
const box = testSecretBox();

describe("shard iterators", () => {
  test("open to what was sealed, in double quotes too", () => {
    const token = sealIterator(box, iterator);
    expect(openIterator(box, token)).toEqual(iterator);
    expect(openIterator(box, `"${token}"`)).toEqual(iterator);
  });

  test("stay within 512 characters for the longest names", () => {
    const long = {
      ...iterator,
      name: "n".repeat(128),
      region: "ap-southeast-12",
      position: 2 ** 53 - 1,
      shardIndex: 2 ** 31 - 1,
    };
    expect(sealIterator(box, long).length).toBeLessThanOrEqual(512 - 60);
    expect(decodeIterator(encodeIterator(long))).toEqual(long);
  });

  test("can not be forged: a changed character, another server's, and anything else are refused", () => {
    const token = sealIterator(box, iterator);
    for (let at = 0; at < token.length; at++) {
      const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      expect(() => openIterator(box, changed)).toThrow("Invalid ShardIterator.");
    }
    expect(() => openIterator(testSecretBox(), token)).toThrow("Invalid ShardIterator.");
    const refused = fc.property(fc.string({ maxLength: 512 }), (text) => {
      expect(() => openIterator(box, text)).toThrow("Invalid");
    });
    fc.assert(refused);
  });

  test("are decoded from whole encodings only", () => {
    const encoded = encodeIterator(iterator);
    for (let length = 0; length < encoded.length; length++) expect(decodeIterator(encoded.slice(0, length))).toBeNull();
  });

  test("the example of docs/formats/shard-iterator.md is what is sealed", () => {
    const page = readFileSync(new URL("../../../docs/formats/shard-iterator.md", import.meta.url), "utf8");
    const hex = /```hex iterator\n([^`]+)```/.exec(page)?.[1]?.replaceAll(/[^0-9a-f]/g, "") ?? "";
    expect(Buffer.from(encodeIterator(iterator)).toString("hex")).toBe(hex);
    expect(decodeIterator(Buffer.from(hex, "hex"))).toEqual(iterator);
  });
});
