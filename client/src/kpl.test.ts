import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deaggregated } from "./kpl.ts";

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
};
const bytesField = (number: number, bytes: Buffer): Buffer =>
  Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
const numberField = (number: number, value: number): Buffer => Buffer.concat([varint(number * 8), varint(value)]);

const record = (key: number, data: string, hashKey?: number, ...more: readonly Buffer[]): Buffer =>
  bytesField(
    3,
    Buffer.concat([
      numberField(1, key),
      ...(hashKey === undefined ? [] : [numberField(2, hashKey)]),
      bytesField(3, Buffer.from(data)),
      ...more,
    ]),
  );

const MAGIC = Buffer.from("f3899ac2", "hex");
const sealed = (message: Buffer): Buffer => Buffer.concat([MAGIC, message, createHash("md5").update(message).digest()]);

const MESSAGE = Buffer.concat([
  bytesField(1, Buffer.from("ann")),
  bytesField(1, Buffer.from("bøb")),
  bytesField(2, Buffer.from("170141183460469231731687303715884105728")),
  record(0, "first"),
  record(1, "", 0, bytesField(4, bytesField(1, Buffer.from("a tag")))),
  record(0, "third"),
]);

describe("records of the Kinesis Producer Library", () => {
  it("are taken apart in order, with their own partition and hash keys", () => {
    const records = deaggregated(sealed(MESSAGE))?.map(({ data, ...rest }) => ({ ...rest, data: data.toString() }));
    expect(records).toEqual([
      { partitionKey: "ann", explicitHashKey: null, data: "first" },
      { partitionKey: "bøb", explicitHashKey: "170141183460469231731687303715884105728", data: "" },
      { partitionKey: "ann", explicitHashKey: null, data: "third" },
    ]);
  });

  it("written by hand, byte for byte, as the format says", () => {
    const bytes = Buffer.from("f3899ac20a01611a0708001a0378797a", "hex");
    const message = bytes.subarray(4);
    const digest = createHash("md5").update(message).digest();
    const [only] = deaggregated(Buffer.concat([bytes, digest])) ?? [];
    expect(only?.partitionKey).toBe("a");
    expect(only?.data.toString()).toBe("xyz");
  });

  it("fields that nobody knows are passed over", () => {
    const unknown = Buffer.concat([
      numberField(9, 2 ** 40),
      Buffer.concat([varint(10 * 8 + 1), Buffer.alloc(8)]),
      Buffer.concat([varint(11 * 8 + 5), Buffer.alloc(4)]),
      bytesField(12, Buffer.from("later")),
    ]);
    expect(deaggregated(sealed(Buffer.concat([unknown, MESSAGE])))).toHaveLength(3);
  });

  it.each([
    ["no magic", MESSAGE],
    ["nothing but magic", MAGIC],
    ["another digest", Buffer.concat([MAGIC, MESSAGE, Buffer.alloc(16)])],
    ["an empty message", sealed(Buffer.alloc(0))],
    ["no records", sealed(bytesField(1, Buffer.from("ann")))],
    ["an index beyond the table of keys", sealed(Buffer.concat([bytesField(1, Buffer.from("ann")), record(1, "x")]))],
    [
      "an index beyond the table of hash keys",
      sealed(Buffer.concat([bytesField(1, Buffer.from("a")), record(0, "x", 0)])),
    ],
    [
      "a record without data",
      sealed(Buffer.concat([bytesField(1, Buffer.from("a")), bytesField(3, numberField(1, 0))])),
    ],
    ["a length beyond the end", sealed(Buffer.concat([MESSAGE, varint(3 * 8 + 2), varint(2 ** 33)]))],
    ["a number that does not end", sealed(Buffer.concat([MESSAGE, Buffer.alloc(12, 0xff)]))],
    ["a group", sealed(Buffer.concat([MESSAGE, varint(5 * 8 + 3)]))],
    ["a key that is not text", sealed(Buffer.concat([bytesField(1, Buffer.from([0xff])), record(0, "x")]))],
    ["a key that is a number", sealed(Buffer.concat([numberField(1, 3), MESSAGE]))],
  ])("%s: an ordinary record, handed on as it is", (_what, bytes) => {
    expect(deaggregated(bytes)).toBeNull();
  });

  it("never throw, and never reach beyond the message, whatever stands in it", () => {
    fc.assert(
      fc.property(fc.nat(MESSAGE.length - 1), fc.uint8Array({ maxLength: 12 }), fc.nat(12), (at, bytes, dropped) => {
        const hostile = Buffer.concat([MESSAGE.subarray(0, at), bytes, MESSAGE.subarray(at + dropped)]);
        const whole = sealed(hostile);
        for (const { data } of deaggregated(whole) ?? [])
          expect(data.byteOffset + data.length).toBeLessThanOrEqual(whole.byteOffset + whole.length - 16);
      }),
      { numRuns: 2_000 },
    );
  });
});
