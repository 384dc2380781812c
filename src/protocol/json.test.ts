import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServiceError, serializationError } from "../base/errors.ts";
import { JSON_DEPTH_MAX, JSON_MARKS_MAX, jsonWithinBounds } from "./json-bounds.ts";
import {
  CLEAN_OUTCOMES,
  allProtocols,
  REQUEST_ID,
  serviceErrorOf,
  targetRequest,
  textOf,
  outcomeOf,
} from "./testing/requests.ts";
import type { DecodedInput } from "./model.ts";

const protocols = allProtocols();

function decode(target: string, body: string): DecodedInput {
  const request = targetRequest(target, body);
  return protocols.route(request).codec.decode(request.body);
}

const refusal = (target: string, body: string): ServiceError => serviceErrorOf(() => decode(target, body));

describe("decoding", () => {
  test("structures, blobs, timestamps, lists, maps and numbers arrive typed; unknown and null members do not arrive", () => {
    const input = decode(
      "TrentService.Encrypt",
      '{"KeyId":"alias/a","Plaintext":"aGk=","EncryptionContext":{"a":"1"},"GrantTokens":["t"],"DryRun":false,"Nonsense":{"x":[1]},"EncryptionAlgorithm":null}',
    );
    expect(input).toEqual({
      KeyId: "alias/a",
      Plaintext: new Uint8Array([104, 105]),
      EncryptionContext: { a: "1" },
      GrantTokens: ["t"],
      DryRun: false,
    });
    const iterator = decode(
      "Kinesis_20131202.GetShardIterator",
      '{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1700000000.123}',
    );
    expect(iterator["Timestamp"]).toBe(1_700_000_000_123);
  });

  test("keys of maps and members cannot reach a prototype", () => {
    const input = decode(
      "TrentService.Encrypt",
      '{"__proto__":{"KeyId":"stolen"},"constructor":{"x":1},"KeyId":"k","Plaintext":"aGk=","EncryptionContext":{"__proto__":"p","constructor":"c"}}',
    );
    const context = input["EncryptionContext"] as Record<string, unknown>;
    expect(Object.getPrototypeOf(context)).toBeNull();
    expect(Object.keys(context)).toEqual(["__proto__", "constructor"]);
    expect(Object.keys(input).toSorted()).toEqual(["EncryptionContext", "KeyId", "Plaintext"]);
    expect(refusal("TrentService.DescribeKey", '{"__proto__":{"KeyId":"stolen"}}').message).toContain(
      "Value null at 'keyId'",
    );
    expect(({} as Record<string, unknown>)["KeyId"]).toBeUndefined();
  });

  test.each([
    ["TrentService.DescribeKey", '{"KeyId":5}', "NUMBER_VALUE can not be converted to a String"],
    ["TrentService.DescribeKey", '{"KeyId":true}', "TRUE_VALUE can not be converted to a String"],
    ["TrentService.DescribeKey", '{"KeyId":["secret"]}', "Start of list found where not expected"],
    ["TrentService.DescribeKey", '{"KeyId":{"a":"secret"}}', "Start of structure or map found where not expected."],
    ["TrentService.DescribeKey", '["secret"]', "Start of list found where not expected"],
    ["TrentService.DescribeKey", '"secret"', "Expected null"],
    ["TrentService.GenerateRandom", '{"NumberOfBytes":"secret"}', "STRING_VALUE can not be converted to an Integer"],
    ["TrentService.GenerateRandom", '{"NumberOfBytes":4294967296}', "NUMBER_VALUE can not be converted to an Integer"],
    ["TrentService.DescribeKey", '{"KeyId":"k","GrantTokens":"secret"}', "Expected list or null"],
    ["TrentService.Encrypt", '{"EncryptionContext":"secret"}', "Expected map or null"],
    ["TrentService.Encrypt", '{"EncryptionContext":["secret"]}', "Start of list found where not expected"],
    ["TrentService.Encrypt", '{"Plaintext":7}', "NUMBER_VALUE can not be converted to a Blob"],
    [
      "TrentService.Encrypt",
      '{"Plaintext":"secret!!"}',
      "STRING_VALUE can not be converted to a Blob: it is not valid Base64",
    ],
    ["TrentService.Encrypt", '{"DryRun":"true"}', "STRING_VALUE can not be converted to a Boolean"],
    [
      "Kinesis_20131202.ListShards",
      '{"StreamCreationTimestamp":"secret"}',
      "STRING_VALUE can not be converted to milliseconds since epoch",
    ],
    ["Kinesis_20131202.ListShards", '{"StreamCreationTimestamp":1e300}', "Timestamp out of range"],
  ])("%s %s is refused without echoing the value", (target, body, message) => {
    const error = refusal(target, body);
    expect(error.code).toBe("SerializationException");
    expect(error.status).toBe(400);
    expect(error.message).toBe(message);
  });

  test("a wrong type is reported before a violated constraint, wherever it stands", () => {
    expect(refusal("TrentService.GenerateRandom", '{"NumberOfBytes":0,"CustomKeyStoreId":1}').code).toBe(
      "SerializationException",
    );
  });

  test.each(["", "hello", '{"KeyId":"secret', "null", "{}x", "\ufeff{}"])(
    "%j does not parse and says nothing about itself",
    (body) => {
      const error = refusal("TrentService.DescribeKey", body);
      expect(error.code).toBe("SerializationException");
      expect(error.message).toBe("");
      expect(error.cause).toBeUndefined();
    },
  );

  test("whole numbers lose their fraction, as AWS does", () => {
    expect(decode("TrentService.GenerateRandom", '{"NumberOfBytes":32.9}')["NumberOfBytes"]).toBe(32);
  });
});

describe("limits on the body's structure", () => {
  test("nesting is bounded, inside of strings it does not count", () => {
    const nested = (depth: number): Buffer => Buffer.from(`{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`);
    expect(jsonWithinBounds(nested(JSON_DEPTH_MAX - 1))).toBe(true);
    expect(jsonWithinBounds(nested(JSON_DEPTH_MAX))).toBe(false);
    expect(jsonWithinBounds(Buffer.from(JSON.stringify({ a: '[\\"{'.repeat(200_000) })))).toBe(true);
    expect(refusal("TrentService.DescribeKey", "[".repeat(1_000_000)).code).toBe("SerializationException");
  });

  test.each([
    ["elements", "0,", 1],
    ["members", '"a":0,', 2],
    ["objects", "{},", 2],
    ["arrays in arrays", "[[[]]],", 4],
  ])("so is the number of %s, flat or not", (_, text, marks) => {
    const open = text.startsWith('"') ? "{" : "[";
    const wide = (count: number): Buffer => Buffer.from(`${open}${text.repeat(count)}`);
    const most = Math.floor((JSON_MARKS_MAX - 1) / marks);
    expect(jsonWithinBounds(wide(most))).toBe(true);
    expect(jsonWithinBounds(wide(most + 1))).toBe(false);
  });

  test("a body of too many values is refused before it is parsed; inside of strings commas and colons do not count", () => {
    const tags = `{"Tags":[${'{"a":1},'.repeat(500_000)}{}]}`;
    expect(refusal("TrentService.CreateKey", tags).code).toBe("SerializationException");
    expect(jsonWithinBounds(Buffer.from(JSON.stringify({ a: ",:".repeat(200_000), b: [1] })))).toBe(true);
  });

  test("the largest batch of records is far from the limits", () => {
    const records = Array.from({ length: 500 }, () => ({ Data: "aGk=", PartitionKey: "p", ExplicitHashKey: "1" }));
    const input = decode("Kinesis_20131202.PutRecords", JSON.stringify({ StreamName: "s", Records: records }));
    expect(input["Records"]).toHaveLength(500);
  });
});

describe("half of a surrogate pair", () => {
  test.each([
    ["TrentService.DescribeKey", '{"KeyId":"\\ud800"}'],
    ["TrentService.CreateKey", '{"Tags":[{"TagKey":"a","TagValue":"\\udc00\\ud800"}]}'],
    ["TrentService.Encrypt", '{"KeyId":"k","Plaintext":"aGk=","EncryptionContext":{"\\ud800":"v"}}'],
    ["TrentService.Encrypt", '{"KeyId":"k","Plaintext":"aGk=","EncryptionContext":{"k":"\\udfff"}}'],
    ["TrentService.DescribeKey", '{"KeyId":"k","GrantTokens":["\\ud83d"]}'],
    ["Kinesis_20131202.PutRecord", '{"StreamName":"s","Data":"aGk=","PartitionKey":"\\ud800"}'],
  ])("is refused by %s in %s", (target, body) => {
    const error = refusal(target, body);
    expect([error.code, error.message]).toEqual([
      "SerializationException",
      "STRING_VALUE can not be converted to a String",
    ]);
  });

  test("a whole pair arrives", () => {
    const body = '{"StreamName":"s","Data":"aGk=","PartitionKey":"\\ud83d\\ude00"}';
    expect(decode("Kinesis_20131202.PutRecord", body)["PartitionKey"]).toBe("😀");
  });
});

describe("encoding", () => {
  test("writes what JSON.parse reads back, with seconds for timestamps and Base64 for blobs, unknown members dropped", () => {
    const request = targetRequest("Kinesis_20131202.GetRecords");
    const { codec } = protocols.route(request);
    const record = {
      SequenceNumber: "49",
      ApproximateArrivalTimestamp: 1_700_000_000_123,
      Data: new Uint8Array([0, 255]),
      PartitionKey: 'quote " é \u2028 \ud800',
      Secret: "dropped",
    };
    const response = codec.encode(
      { Records: [record, { ...record, EncryptionType: "KMS" }], MillisBehindLatest: 0, NextShardIterator: undefined },
      REQUEST_ID,
    );
    expect(response.status).toBe(200);
    const plain = {
      SequenceNumber: "49",
      ApproximateArrivalTimestamp: 1_700_000_000.123,
      Data: "AP8=",
      PartitionKey: 'quote " é \u2028 \ud800',
    };
    expect(JSON.parse(textOf(response))).toEqual({
      Records: [plain, { ...plain, EncryptionType: "KMS" }],
      MillisBehindLatest: 0,
    });
  });

  test("headers: request id everywhere, the second identifier from Kinesis only", () => {
    const kinesis = protocols
      .route(targetRequest("Kinesis_20131202.ListStreams"))
      .codec.encode({ StreamNames: [], HasMoreStreams: false }, REQUEST_ID);
    expect(kinesis.headers["content-type"]).toBe("application/x-amz-json-1.1");
    expect(kinesis.headers["x-amzn-RequestId"]).toBe(REQUEST_ID);
    expect(Buffer.from(kinesis.headers["x-amz-id-2"] ?? "", "base64").length).toBe(72);
    const kms = protocols.route(targetRequest("TrentService.ListKeys")).codec.encode({}, REQUEST_ID);
    expect(textOf(kms)).toBe("{}");
    expect(kms.headers).not.toHaveProperty("x-amz-id-2");
  });

  test("an operation without output answers with an empty body", () => {
    expect(textOf(protocols.route(targetRequest("TrentService.EnableKey")).codec.encode({}, REQUEST_ID))).toBe("");
  });

  test("errors carry their name twice, no message when there is none, and Message for SerializationException", () => {
    const { codec } = protocols.route(targetRequest("TrentService.DescribeKey"));
    const response = codec.encodeError(new ServiceError("NotFoundException", "Invalid keyId 'x'"), REQUEST_ID);
    expect(response.status).toBe(400);
    expect(response.headers["x-amzn-errortype"]).toBe("NotFoundException");
    expect(textOf(response)).toBe('{"__type":"NotFoundException","message":"Invalid keyId \'x\'"}');
    expect(textOf(codec.encodeError(new ServiceError("KMSInvalidMacException", ""), REQUEST_ID))).toBe(
      '{"__type":"KMSInvalidMacException"}',
    );
    expect(textOf(codec.encodeError(serializationError("m"), REQUEST_ID))).toBe(
      '{"__type":"SerializationException","Message":"m"}',
    );
  });
});

test("whatever the body, decoding returns or throws a ServiceError", () => {
  const valid = JSON.stringify({
    StreamName: "s",
    Records: [{ Data: "aGk=", PartitionKey: "k", ExplicitHashKey: "1" }],
  });
  const mutated = fc
    .tuple(
      fc.nat(valid.length),
      fc.nat(6),
      fc.constantFrom("", '"', "{", "}", "[", "]", ":", "1", "null", "\\", "\u0000", "=", "é"),
    )
    .map(([at, cut, insert]) => valid.slice(0, at) + insert + valid.slice(at + cut));
  fc.assert(
    fc.property(fc.oneof(mutated, fc.json()), (body) => {
      expect(CLEAN_OUTCOMES).toContain(outcomeOf(() => decode("Kinesis_20131202.PutRecords", body)));
    }),
    { numRuns: 3000 },
  );
});
