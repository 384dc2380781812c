import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import { model as kinesis } from "../services/kinesis/shapes.generated.ts";
import { encodeCborError } from "./cbor.ts";
import { CborTime, readCbor } from "./cbor-reader.ts";
import { CborWriter } from "./cbor-writer.ts";
import {
  CLEAN_OUTCOMES,
  allProtocols,
  REQUEST_ID,
  serviceErrorOf,
  targetRequest,
  outcomeOf,
} from "./testing/requests.ts";
import type { DecodedInput } from "./model.ts";

const protocols = allProtocols();
const CBOR = "application/x-amz-cbor-1.1";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

function decode(target: string, body: Uint8Array): DecodedInput {
  const request = targetRequest(target, body, CBOR);
  return protocols.route(request).codec.decode(request.body);
}

function written(write: (writer: CborWriter) => void): Uint8Array {
  const writer = new CborWriter();
  write(writer);
  return writer.finish();
}

describe("reading", () => {
  // RFC 8949, appendix A.
  test.each([
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["1903e8", 1000],
    ["1a000f4240", 1_000_000],
    ["1b000000e8d4a51000", 1_000_000_000_000],
    ["20", -1],
    ["3903e7", -1000],
    ["f93c00", 1],
    ["f97bff", 65_504],
    ["f90001", 5.960464477539063e-8],
    ["fa47c35000", 100_000],
    ["fb3ff199999999999a", 1.1],
    ["f97c00", Number.POSITIVE_INFINITY],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["f7", null],
    ["62c3bc", "ü"],
    ["83010203", [1, 2, 3]],
    ["9f0102ff", [1, 2]],
    ["a26161016162820203", { a: 1, b: [2, 3] }],
    ["bf61610161629f0203ffff", { a: 1, b: [2, 3] }],
    ["7f657374726561646d696e67ff", "streaming"],
    ["d9d9f701", 1],
  ])("%s", (bytes, value) => {
    expect(readCbor(hex(bytes))).toEqual(value);
  });

  test("byte strings are views into the body, in one piece or in chunks", () => {
    const body = hex("4401020304");
    const bytes = readCbor(body) as Uint8Array;
    expect(Array.from(bytes)).toEqual([1, 2, 3, 4]);
    expect(bytes.buffer).toBe(body.buffer);
    expect(Array.from(readCbor(hex("5f42010243030405ff")) as Uint8Array)).toEqual([1, 2, 3, 4, 5]);
  });

  test("times: whole numbers are milliseconds, fractions are seconds", () => {
    expect(readCbor(hex("c1 1b0000018bcfe5687b"))).toEqual(new CborTime(1_700_000_000_123));
    expect((readCbor(hex("c1 fb41d954fc4007df3b")) as CborTime).ms).toBe(1_700_000_000_123);
  });

  test.each([
    ["", "nothing"],
    ["0000", "more than one value"],
    ["9a00ffffff", "an array that claims sixteen million elements"],
    ["9bffffffffffffffff", "an array that claims 2^64 elements"],
    ["ba00ffffff", "a map that claims sixteen million entries"],
    ["5affffffff", "a byte string longer than the body"],
    ["7b7fffffffffffffff00", "a text longer than the body"],
    ["9f", "an array without an end"],
    ["a10102", "a map whose key is a number"],
    ["ff", "a break outside of anything"],
    ["1c", "a reserved length"],
    ["7f4161ff", "a text with a chunk of bytes"],
    ["c16161", "a time that is text"],
    ["f8ff", "an unassigned simple value"],
    ["fb0000", "half a number"],
  ])("%s is refused: %s", (bytes) => {
    const before = process.memoryUsage().heapUsed;
    const error = serviceErrorOf(() => readCbor(hex(bytes)));
    expect(error.code).toBe("SerializationException");
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 << 20);
  });

  test("nesting and the number of values are bounded", () => {
    expect(serviceErrorOf(() => readCbor(Buffer.alloc(200_000, 0x81))).code).toBe("SerializationException");
    expect(serviceErrorOf(() => readCbor(Buffer.alloc(200_000, 0xc0))).code).toBe("SerializationException");
    expect(serviceErrorOf(() => readCbor(Buffer.alloc(200_000, 0x9f))).code).toBe("SerializationException");
    const wide = (count: number): Buffer => {
      const head = Buffer.from(hex("9a00000000"));
      head.writeUInt32BE(count, 1);
      return Buffer.concat([head, Buffer.alloc(count)]);
    };
    expect(readCbor(wide(49_999))).toHaveLength(49_999);
    expect(serviceErrorOf(() => readCbor(wide(50_000))).code).toBe("SerializationException");
  });

  test("a key named __proto__ stays a key", () => {
    const map = readCbor(hex("a1 69 5f5f70726f746f5f5f a1 6161 01")) as Record<string, unknown>;
    expect(Object.keys(map)).toEqual(["__proto__"]);
    expect(map["a"]).toBeUndefined();
  });

  test("any bytes are read or refused with a ServiceError", () => {
    const valid = protocols.encodeShape(
      kinesis,
      "PutRecordsInput",
      { StreamName: "s", Records: [{ Data: new Uint8Array(3), PartitionKey: "k" }] },
      "cbor",
    );
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => {
      const bytes = Uint8Array.from(valid);
      bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 64 })), (body) => {
        expect(CLEAN_OUTCOMES).toContain(outcomeOf(() => decode("Kinesis_20131202.PutRecords", body)));
      }),
      { numRuns: 5000 },
    );
  });
});

describe("writing", () => {
  test("whatever is written is read back", () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true })), (number) => {
        expect(readCbor(written((writer) => writer.number(number)))).toBe(Object.is(number, -0) ? 0 : number);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 400 })), (texts) => {
        const bytes = written((writer) => {
          writer.array(texts.length);
          for (const text of texts) writer.text(text);
        });
        expect(readCbor(bytes)).toEqual(texts);
      }),
    );
  });

  test("times are tag 1 with whole milliseconds, which is what the Java SDK reads", () => {
    expect(Buffer.from(written((writer) => writer.time(1_700_000_000_123.4))).toString("hex")).toBe(
      "c11b0000018bcfe5687b",
    );
  });
});

describe("the codec", () => {
  const input = {
    StreamName: "s",
    Records: [
      { Data: new Uint8Array([1, 2]), PartitionKey: "a" },
      { Data: new Uint8Array(0), PartitionKey: "b", ExplicitHashKey: "7" },
    ],
  };

  test("an input comes through as it was", () => {
    const body = protocols.encodeShape(kinesis, "PutRecordsInput", input, "cbor");
    const decoded = decode("Kinesis_20131202.PutRecords", body);
    expect(decoded["Records"]).toEqual([
      { Data: Buffer.from([1, 2]), PartitionKey: "a" },
      { Data: Buffer.alloc(0), PartitionKey: "b", ExplicitHashKey: "7" },
    ]);
    expect(decoded["StreamName"]).toBe("s");
  });

  test("types are as strict as in JSON: a blob is a byte string, a string is text", () => {
    const refuse = (value: (writer: CborWriter) => void, member = "Data"): string => {
      const body = written((writer) => {
        writer.map(1);
        writer.text(member);
        value(writer);
      });
      return serviceErrorOf(() => decode("Kinesis_20131202.PutRecord", body)).message;
    };
    expect(refuse((writer) => writer.text("aGk="))).toBe("STRING_VALUE can not be converted to a Blob");
    expect(refuse((writer) => writer.number(1))).toBe("NUMBER_VALUE can not be converted to a Blob");
    expect(refuse((writer) => writer.blob(new Uint8Array(1)), "PartitionKey")).toBe(
      "BYTE_STRING can not be converted to a String",
    );
    expect(refuse((writer) => writer.time(1), "PartitionKey")).toBe("TIMESTAMP can not be converted to a String");
    expect(refuse((writer) => writer.array(0), "PartitionKey")).toBe("Start of list found where not expected");
  });

  test("constraints are the same as in JSON", () => {
    const body = protocols.encodeShape(kinesis, "PutRecordInput", { StreamName: "s", PartitionKey: "p" }, "cbor");
    expect(serviceErrorOf(() => decode("Kinesis_20131202.PutRecord", body)).message).toBe(
      "1 validation error detected: Value null at 'data' failed to satisfy constraint: Member must not be null",
    );
  });

  test("answers and errors are CBOR too", () => {
    const { codec } = protocols.route(targetRequest("Kinesis_20131202.GetRecords", "", CBOR));
    const answer = codec.encode(
      {
        Records: [
          {
            SequenceNumber: "1",
            ApproximateArrivalTimestamp: 1_700_000_000_123,
            Data: new Uint8Array([9]),
            PartitionKey: "p",
          },
        ],
        MillisBehindLatest: 5,
      },
      REQUEST_ID,
    );
    expect(answer.headers["content-type"]).toBe(CBOR);
    const decoded = readCbor(answer.body) as { Records: Record<string, unknown>[]; MillisBehindLatest: number };
    expect(decoded.MillisBehindLatest).toBe(5);
    expect(decoded.Records[0]?.["ApproximateArrivalTimestamp"]).toEqual(new CborTime(1_700_000_000_123));
    const error = codec.encodeError(new ServiceError("ResourceNotFoundException", "Stream s not found."), REQUEST_ID);
    expect(error.status).toBe(400);
    expect(error.headers["content-type"]).toBe(CBOR);
    expect(readCbor(error.body)).toEqual({ __type: "ResourceNotFoundException", message: "Stream s not found." });
  });
});

test("an error has the members that it has in JSON", () => {
  const error = new ServiceError("ConstraintViolationException", "No.", { members: { Reason: "TOO_MANY" } });
  const { body } = encodeCborError(error, REQUEST_ID);
  expect(readCbor(body)).toEqual({ __type: "ConstraintViolationException", message: "No.", Reason: "TOO_MANY" });
});
