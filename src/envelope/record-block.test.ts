import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemRandom } from "../base/random.ts";
import { commitmentOf } from "./data-keys.ts";
import type { BlockOrigin, ParsedBlock, PlainRecord, SealingKey } from "./record-block.ts";
import {
  clearBlock,
  extractRecord,
  openRecords,
  parseBlock,
  replaceRecord,
  sealBlock,
  sealingKey,
} from "./record-block.ts";
import type { RecordKey } from "./suite.ts";
import { SUITE_XAES_256_GCM, SUITE_XCHACHA20_POLY1305 } from "./suite.ts";
import { XaesKey } from "./xaes.ts";
import { XChaChaKey } from "./xchacha.ts";

const random = systemRandom();
const origin: BlockOrigin = { streamId: "abcdefghij0123456789-xyz", shardIndex: 3 };
const ARRIVAL_MS = 1_700_000_000_123;
const FIRST = 41;

type MakeKey = (plaintext: Uint8Array) => RecordKey;
const aes: MakeKey = (plaintext) => new XaesKey(plaintext);
const xchacha: MakeKey = (plaintext) => new XChaChaKey(plaintext);
const SUITES: readonly [string, MakeKey][] = [
  ["AES", aes],
  ["XChaCha", xchacha],
];

function dataKey(make: MakeKey, plaintext: Uint8Array = randomBytes(32)): SealingKey {
  return sealingKey(make(plaintext), {
    commitment: commitmentOf(plaintext),
    keyArn: "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-4111-8111-111111111111",
    wrapped: randomBytes(184),
  });
}

const records: readonly PlainRecord[] = ["one", "two", "three"].map((text) => ({
  partitionKey: `user-${text}`,
  data: Buffer.from(`payload ${text}`),
}));
function parsed(bytes: Uint8Array, firstIndex = FIRST, lastIndex = FIRST + 2): ParsedBlock {
  const block = parseBlock(bytes, firstIndex, lastIndex);
  if (block === null) throw new Error("the block does not parse");
  return block;
}

function openTexts(key: RecordKey | null, bytes: Uint8Array, at = origin, firstIndex = FIRST): readonly string[] {
  const block = parseBlock(bytes, firstIndex, firstIndex + 2);
  if (block === null) return [];
  return openRecords(block, key, at, 0, block.count).map(({ data }) => Buffer.from(data).toString());
}

const texts = ["payload one", "payload two", "payload three"];

describe.each(SUITES)("a block sealed with %s", (_, make) => {
  const key = dataKey(make);
  const sealed = sealBlock(key, random, origin, FIRST, ARRIVAL_MS, records);
  const openAll = (bytes: Uint8Array, at?: BlockOrigin, firstIndex?: number): readonly string[] =>
    openTexts(key.key, bytes, at, firstIndex);

  test("opens to what was put, with index and arrival time", () => {
    const opened = openRecords(parsed(sealed), key.key, origin, 0, 3);
    expect(opened.map(({ index, arrivalMs, partitionKey }) => ({ index, arrivalMs, partitionKey }))).toEqual([
      { index: 41, arrivalMs: ARRIVAL_MS, partitionKey: "user-one" },
      { index: 42, arrivalMs: ARRIVAL_MS, partitionKey: "user-two" },
      { index: 43, arrivalMs: ARRIVAL_MS, partitionKey: "user-three" },
    ]);
    expect(openAll(sealed)).toEqual(texts);
  });

  test("opens any part of itself", () => {
    expect(openRecords(parsed(sealed), key.key, origin, 1, 2).map(({ index }) => index)).toEqual([42]);
  });

  test("holds neither payload nor partition key nor data key", () => {
    const plaintext = Buffer.alloc(32, 7);
    const bytes = Buffer.from(sealBlock(dataKey(make, plaintext), random, origin, 1, 0, records));
    for (const secret of [plaintext, Buffer.from("payload"), Buffer.from("user-")])
      expect(bytes.includes(secret)).toBe(false);
  });

  test("never gives wrong plaintext, whichever byte is flipped", () => {
    for (let at = 0; at < sealed.length; at++) {
      for (const mask of [1, 0x80]) {
        const flipped = new Uint8Array(sealed);
        flipped[at] = (flipped[at] ?? 0) ^ mask;
        const opened = openAll(flipped);
        expect(opened, `byte ${at}`).toEqual(texts.slice(0, opened.length));
        expect(opened.length, `byte ${at}`).toBeLessThan(3);
      }
    }
  });

  test("gives the records in front of a flipped byte, when it lies in a record", () => {
    const block = parsed(sealed);
    for (let position = 0; position < 3; position++) {
      const flipped = new Uint8Array(sealed);
      const at = (block.offsets[position] ?? 0) + 30;
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      expect(openAll(flipped)).toEqual(texts.slice(0, position));
    }
  });

  test("never gives wrong plaintext, wherever it is cut off", () => {
    for (let length = 0; length < sealed.length; length++) {
      const opened = openAll(sealed.slice(0, length));
      expect(opened).toEqual(texts.slice(0, opened.length));
      expect(opened.length).toBeLessThan(3);
    }
  });

  test("opens nowhere but in its own stream, shard and place", () => {
    expect(openAll(sealed, { ...origin, streamId: "abcdefghij0123456789-xyy" })).toEqual([]);
    expect(openAll(sealed, { ...origin, shardIndex: 2 })).toEqual([]);
    expect(openAll(sealed, origin, FIRST + 1)).toEqual([]);
  });

  test("does not open under another data key", () => {
    expect(openRecords(parsed(sealed), dataKey(make).key, origin, 0, 3)).toEqual([]);
  });

  test("binds the arrival time, even with a table that checks out", () => {
    const block = parsed(sealed);
    const moved: ParsedBlock = { ...block, arrivalsMs: block.arrivalsMs.map((ms) => ms + 1) };
    expect(openRecords(moved, key.key, origin, 0, 3)).toEqual([]);
  });

  test("draws a fresh nonce for each record and block", () => {
    const nonces = [sealed, sealBlock(key, random, origin, FIRST, ARRIVAL_MS, records)].flatMap((bytes) =>
      [0, 1, 2].map((at) => Buffer.from(extractRecord(parsed(bytes), at) ?? []).toString("hex", 0, 24)),
    );
    expect(new Set(nonces).size).toBe(6);
  });

  test("round-trips whatever is put", () => {
    const record = fc.record({
      partitionKey: fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
      data: fc.uint8Array({ maxLength: 400 }),
    });
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 12 }), fc.nat(2 ** 40), (put, index) => {
        for (const bytes of [
          sealBlock(key, random, origin, index + 1, ARRIVAL_MS, put),
          clearBlock(index + 1, ARRIVAL_MS, put),
        ]) {
          const block = parsed(bytes, index + 1, index + put.length);
          const opened = openRecords(block, block.dataKey === null ? null : key.key, origin, 0, put.length);
          expect(opened.map(({ partitionKey, data }) => ({ partitionKey, data: [...data] }))).toEqual(
            put.map(({ partitionKey, data }) => ({ partitionKey, data: [...data] })),
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  test("is refused, not misread, when it is arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(parseBlock(bytes, 1, 1)).toBeNull();
        const block = new Uint8Array([...sealed.slice(0, 22), ...bytes]);
        expect(parseBlock(block, FIRST, FIRST + 2)).toBeNull();
      }),
    );
  });
});

describe("a block in clear", () => {
  const openAll = (bytes: Uint8Array): readonly string[] => openTexts(null, bytes);
  const clear = clearBlock(FIRST, ARRIVAL_MS, records);

  test("tells of a flipped byte", () => {
    for (let at = 0; at < clear.length; at++) {
      const flipped = new Uint8Array(clear);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      const opened = openAll(flipped);
      expect(opened, `byte ${at}`).toEqual(texts.slice(0, opened.length));
      expect(opened.length).toBeLessThan(3);
    }
  });
});

describe.each(SUITES)("one record's stored bytes, with %s,", (_, make) => {
  const key = dataKey(make);
  const sealed = sealBlock(key, random, origin, FIRST, ARRIVAL_MS, records);
  test("come out, and put back leave the block as it was", () => {
    const block = parsed(sealed);
    const bytes = extractRecord(block, 1);
    expect(bytes?.length).toBe(24 + 2 + 8 + 4 + 11 + 16);
    expect(Buffer.from(replaceRecord(block, 1, bytes ?? new Uint8Array())).equals(Buffer.from(sealed))).toBe(true);
  });

  test.each([0, 1, 23, 24, 40, 64, 2 * 1024 * 1024])(
    "replaced by %i others, leave their neighbours readable",
    (length) => {
      const bytes = replaceRecord(parsed(sealed), 1, randomBytes(length));
      const block = parsed(bytes);
      expect(openRecords(block, key.key, origin, 0, 3).map(({ index }) => index)).toEqual([41]);
      expect(openRecords(block, key.key, origin, 1, 3)).toEqual([]);
      expect(openRecords(block, key.key, origin, 2, 3).map(({ data }) => Buffer.from(data).toString())).toEqual([
        "payload three",
      ]);
    },
  );

  test("swapped with a neighbour's, open in neither place", () => {
    const block = parsed(sealed);
    const [first, second] = [extractRecord(block, 0), extractRecord(block, 1)];
    const once = parsed(replaceRecord(block, 0, second ?? new Uint8Array()));
    const swapped = parsed(replaceRecord(once, 1, first ?? new Uint8Array()));
    expect(openRecords(swapped, key.key, origin, 0, 1)).toEqual([]);
    expect(openRecords(swapped, key.key, origin, 1, 2)).toEqual([]);
    expect(openRecords(swapped, key.key, origin, 2, 3)).toHaveLength(1);
  });
});

describe("the suites", () => {
  const plaintext = randomBytes(32);
  const keys = { aes: dataKey(aes, plaintext), xchacha: dataKey(xchacha, plaintext) };
  const head = { keyArn: keys.aes.keyArn, wrapped: keys.aes.wrapped, commitment: keys.aes.commitment };
  const blockOf = (make: MakeKey): ParsedBlock =>
    parsed(sealBlock(sealingKey(make(plaintext), head), random, origin, FIRST, ARRIVAL_MS, records));

  test("are named by their blocks", () => {
    expect(blockOf(aes).dataKey?.suite).toBe(SUITE_XAES_256_GCM);
    expect(blockOf(xchacha).dataKey?.suite).toBe(SUITE_XCHACHA20_POLY1305);
  });

  test("do not open each other's blocks, whatever a head with a checksum that fits says", () => {
    for (const [make, other] of [
      [aes, xchacha],
      [xchacha, aes],
    ] as const) {
      const block = blockOf(make);
      const suite = other(plaintext).suite;
      const bytes = Buffer.from(block.bytes);
      bytes[5] = suite;
      bytes.writeUInt32BE(crc32(bytes.subarray(0, (block.offsets[0] ?? 0) - 4)), (block.offsets[0] ?? 0) - 4);
      const relabelled = parsed(bytes);
      expect(relabelled.dataKey?.suite).toBe(suite);
      for (const any of [make, other])
        expect(openRecords(relabelled, any(plaintext), origin, 0, 3), `${make.name} as ${other.name}`).toEqual([]);
      expect(openRecords(block, other(plaintext), origin, 0, 3)).toEqual([]);
      expect(openRecords(block, make(plaintext), origin, 0, 3)).toHaveLength(3);
    }
  });

  test("take no record from a block of the other one", () => {
    const [mine, theirs] = [blockOf(aes), blockOf(xchacha)];
    const mixed = parsed(replaceRecord(mine, 1, extractRecord(theirs, 1) ?? new Uint8Array()));
    expect(openRecords(mixed, aes(plaintext), origin, 0, 3)).toHaveLength(1);
    const mixedBack = parsed(replaceRecord(theirs, 1, extractRecord(mine, 1) ?? new Uint8Array()));
    expect(openRecords(mixedBack, xchacha(plaintext), origin, 0, 3)).toHaveLength(1);
  });

  test("open nothing of a block whose head is that of another data key", () => {
    for (const make of [aes, xchacha]) {
      const [mine, other] = [dataKey(make), dataKey(make)];
      const block = parsed(sealBlock(mine, random, origin, FIRST, ARRIVAL_MS, records));
      // The head of one block in front of the records of another.
      const theirs = parsed(sealBlock(other, random, origin, FIRST, ARRIVAL_MS, records));
      const swapped = Buffer.concat([
        block.bytes.subarray(0, block.offsets[0]),
        theirs.bytes.subarray(theirs.offsets[0] ?? 0),
      ]);
      expect(openTexts(mine.key, swapped)).toEqual([]);
      expect(openTexts(other.key, swapped)).toEqual([]);
    }
  });
});

describe("the examples of docs/formats/record-block.md", () => {
  const page = readFileSync(new URL("../../docs/formats/record-block.md", import.meta.url), "utf8");
  const example = (label: string): Buffer => {
    const block = new RegExp("```hex " + label + "\\n([^`]+)```").exec(page)?.[1] ?? "";
    return Buffer.from(block.replaceAll(/[^0-9a-f]/g, ""), "hex");
  };
  const at = { streamId: "abcdefghij0123456789-xyz", shardIndex: 0 };
  const put = [
    ["user-1", "hello"],
    ["user-2", "world!"],
  ] as const;
  const contents = (block: ParsedBlock, key: RecordKey | null): readonly (readonly string[])[] =>
    openRecords(block, key, at, 0, block.count).map(({ partitionKey, data }) => [
      partitionKey,
      Buffer.from(data).toString(),
    ]);
  const examples: readonly [string, MakeKey][] = [
    ["sealed", aes],
    ["sealed-xchacha", xchacha],
  ];

  test.each(examples)("parse and open: %s", (label, make) => {
    const plaintext = example("data-key");
    const block = parsed(example(label), 7, 8);
    expect(Buffer.from(block.dataKey?.commitment ?? []).equals(commitmentOf(plaintext))).toBe(true);
    expect(block.dataKey?.keyArn).toBe(
      "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    );
    expect(contents(block, make(plaintext))).toEqual(put);
  });

  test.each(examples)("are what is written, with their nonces: %s", (label, make) => {
    const plaintext = example("data-key");
    const block = parsed(example(label), 7, 8);
    if (block.dataKey === null) throw new Error("the example is in clear");
    const nonces = Buffer.alloc(64 * 24);
    Buffer.from(Array.from({ length: 48 }, (_, index) => 0xa0 + index)).copy(nonces);
    const counting = { ...random, bytes: (count: number) => new Uint8Array(nonces.subarray(0, count)) };
    const written = sealBlock(
      sealingKey(make(plaintext), block.dataKey),
      counting,
      at,
      7,
      1_700_000_000_123,
      put.map(([partitionKey, data]) => ({ partitionKey, data: Buffer.from(data) })),
    );
    expect(Buffer.from(written).toString("hex")).toBe(example(label).toString("hex"));
  });

  test("open in clear", () => {
    expect(contents(parsed(example("clear"), 7, 7), null)).toEqual([put[0]]);
  });
});
