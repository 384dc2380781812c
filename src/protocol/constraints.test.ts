import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { linearArnPattern, wholeStringPattern } from "./constraints.ts";
import { allProtocols, formRequest, serviceErrorOf, targetRequest } from "./testing/requests.ts";

const protocols = allProtocols();

/** Code and message that a JSON request is refused with. */
function refusal(target: string, input: unknown): { code: string; message: string } {
  const request = targetRequest(target, JSON.stringify(input));
  const { codec } = protocols.route(request);
  const { code, message } = serviceErrorOf(() => codec.decode(request.body));
  return { code, message };
}

const blob = (sizeBytes: number): string => Buffer.alloc(sizeBytes).toString("base64");

describe("validation messages recorded from AWS KMS", () => {
  const recorded: readonly (readonly [operation: string, input: unknown, message: string])[] = [
    [
      "GenerateRandom",
      { NumberOfBytes: 0 },
      "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: " +
        "Member must have value greater than or equal to 1",
    ],
    [
      "GenerateRandom",
      { NumberOfBytes: 1025 },
      "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: " +
        "Member must have value less than or equal to 1024",
    ],
    [
      "DeriveSharedSecret",
      { KeyId: "k", KeyAgreementAlgorithm: "INVALID", PublicKey: blob(1) },
      "1 validation error detected: Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy constraint: " +
        "Member must satisfy enum value set: [ECDH]",
    ],
    [
      "Encrypt",
      { KeyId: "k", Plaintext: blob(4097) },
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ],
    [
      "CreateKey",
      { Tags: [{ TagKey: "a".repeat(129), TagValue: "v" }] },
      `1 validation error detected: Value '${"a".repeat(129)}' at 'tags.1.member.tagKey' failed to satisfy constraint: ` +
        "Member must have length less than or equal to 128",
    ],
    [
      "CreateKey",
      { Tags: [{ TagKey: "a", TagValue: "v".repeat(257) }] },
      `1 validation error detected: Value '${"v".repeat(257)}' at 'tags.1.member.tagValue' failed to satisfy constraint: ` +
        "Member must have length less than or equal to 256",
    ],
  ];

  test.each(recorded)("%s %o", (operation, input, message) => {
    expect(refusal(`TrentService.${operation}`, input)).toEqual({ code: "ValidationException", message });
  });

  // AWS lists the values of an enum in no order that we could find; ours come in the model's.
  test.each([
    [
      "GenerateMac",
      { KeyId: "k", Message: blob(1), MacAlgorithm: "INVALID" },
      "INVALID",
      "macAlgorithm",
      "HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512",
    ],
    ["CreateKey", { KeyUsage: "RANDOM" }, "RANDOM", "keyUsage", "ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC"],
    [
      "CreateKey",
      { KeySpec: "HMAC_random" },
      "HMAC_random",
      "keySpec",
      "RSA_3072, ECC_SECG_P256K1, RSA_4096, SYMMETRIC_DEFAULT, HMAC_256, HMAC_224, HMAC_512",
    ],
  ])(
    "%s with an unknown enum value lists at least the values that were recorded",
    (operation, input, value, at, listed) => {
      const { message } = refusal(`TrentService.${operation}`, input);
      const head =
        `1 validation error detected: Value '${value}' at '${at}' failed to satisfy constraint: ` +
        "Member must satisfy enum value set: [";
      expect(message.startsWith(head)).toBe(true);
      expect(message.endsWith("]")).toBe(true);
      expect(message.slice(head.length, -1).split(", ")).toEqual(expect.arrayContaining(listed.split(", ")));
    },
  );
});

describe("what the messages say", () => {
  test("a missing member is null, in the members' order, all in one message", () => {
    expect(refusal("TrentService.Encrypt", {}).message).toBe(
      "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
        "Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
    );
  });

  test("pattern before length, both reported", () => {
    expect(refusal("Kinesis_20131202.DescribeStreamSummary", { StreamName: "" }).message).toBe(
      "2 validation errors detected: Value '' at 'streamName' failed to satisfy constraint: " +
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
        "Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  });

  test("a pattern must match the whole string", () => {
    const { message } = refusal("Kinesis_20131202.DescribeStreamSummary", { StreamName: "good\nbad name" });
    expect(message).toContain("Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
  });

  test("the second record of a batch is named by its index, and its partition key is not echoed", () => {
    const records = [
      { Data: blob(1), PartitionKey: "a" },
      { Data: blob(1), PartitionKey: "secret".repeat(50) },
    ];
    expect(refusal("Kinesis_20131202.PutRecords", { StreamName: "s", Records: records }).message).toBe(
      "1 validation error detected: Value at 'records.2.member.partitionKey' failed to satisfy constraint: " +
        "Member must have length less than or equal to 256",
    );
  });

  test("elements of lists and entries of maps are refused as a whole", () => {
    expect(refusal("Kinesis_20131202.RemoveTagsFromStream", { StreamName: "s", TagKeys: ["ok", ""] }).message).toBe(
      "1 validation error detected: Value '[ok, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
        "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
    );
    expect(
      refusal("Kinesis_20131202.AddTagsToStream", { StreamName: "s", Tags: { k: "v".repeat(257) } }).message,
    ).toContain(
      "at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256",
    );
    expect(refusal("Kinesis_20131202.AddTagsToStream", { StreamName: "s", Tags: { "": "v" } }).message).toContain(
      "Value '{=v}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [",
    );
  });

  test("null elements are refused", () => {
    expect(refusal("TrentService.CreateKey", { Tags: [null] }).message).toBe(
      "1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null",
    );
    expect(
      refusal("TrentService.Encrypt", { KeyId: "k", Plaintext: blob(1), EncryptionContext: { a: null } }).message,
    ).toBe(
      "1 validation error detected: Value null at 'encryptionContext.a.member' failed to satisfy constraint: Member must not be null",
    );
  });

  test("ten violations are the most, and a long value is cut", () => {
    const records = Array.from({ length: 100 }, () => ({}));
    const { message } = refusal("Kinesis_20131202.PutRecords", { StreamName: "s", Records: records });
    expect(message.startsWith("10 validation errors detected: ")).toBe(true);
    const long = refusal("TrentService.DescribeKey", { KeyId: "x".repeat(1_000_000) }).message;
    expect(long.length).toBeLessThan(2300);
  });

  test("of a list or map that is too long, nothing but the length is reported, and 2 KiB of it are shown", () => {
    const keys = Array.from({ length: 20_000 }, () => "");
    const list = refusal("Kinesis_20131202.RemoveTagsFromStream", { StreamName: "s", TagKeys: keys }).message;
    expect(list).toMatch(/^1 validation error detected: Value '\[(, ){1023},\.\.\.' at 'tagKeys' failed to satisfy/);
    expect(list).toMatch(/: Member must have length less than or equal to 50$/);
    const tags = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, "v".repeat(300)]));
    const map = refusal("Kinesis_20131202.AddTagsToStream", { StreamName: "s", Tags: tags }).message;
    expect(map).toMatch(/^1 validation error detected: Value '\{k0=v{300}, k1=v{300}, .{1000,1500}\.\.\.' at 'tags'/);
    expect(map.length).toBeLessThan(2300);
  });

  test("lengths count code points", () => {
    const key = (text: string): unknown => ({ StreamName: "s", Data: blob(1), PartitionKey: text });
    const request = targetRequest("Kinesis_20131202.PutRecord", JSON.stringify(key("😀".repeat(256))));
    expect(protocols.route(request).codec.decode(request.body)["PartitionKey"]).toBe("😀".repeat(256));
    expect(refusal("Kinesis_20131202.PutRecord", key("😀".repeat(257))).message).toContain("'partitionKey'");
  });

  test("the query protocol says ValidationError", () => {
    const request = formRequest("Action=CreateUser&Version=2010-05-08&UserName=");
    const error = serviceErrorOf(() => protocols.route(request).codec.decode(request.body));
    expect(error.code).toBe("ValidationError");
    expect(error.status).toBe(400);
    expect(error.message).toContain(
      "at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  });
});

describe("patterns of ARNs", () => {
  const PATTERNS = [
    "arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+",
    "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
    "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+",
  ];
  const STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s";

  test("hold and fail for what AWS's hold and fail for", () => {
    const consumer = `${STREAM}/consumer/c:1700000000`;
    const values = [
      STREAM,
      consumer,
      STREAM.replace("aws", "aws-us-gov"),
      `x${STREAM}`,
      `${STREAM} `,
      `${consumer}\n`,
      STREAM.replace("kinesis", "kms"),
      STREAM.replace("123456789012", "12345678901"),
      STREAM.replace("/s", "/"),
      "",
    ];
    for (const pattern of PATTERNS) {
      const linear = wholeStringPattern(linearArnPattern(pattern));
      const original = wholeStringPattern(pattern);
      expect(values.map((value) => linear.test(value))).toEqual(values.map((value) => original.test(value)));
    }
  });

  test("other patterns are left alone", () => {
    expect(linearArnPattern("a.*b.*c")).toBe("a.*b.*c");
  });

  test("cost no more than milliseconds on hostile values, and are shown as AWS has them", () => {
    const clock = systemClock();
    const parts = [":kinesis:", "123456789012:", ":123456789012:", "stream/", "a", "/consumer/a:1"];
    const heads = ["", "arn:aws", "arn:aws:kinesis:", "arn:aws:kinesis::123456789012:", `${STREAM}/consumer/`];
    const hostile = heads.flatMap((head) => [
      ...parts.map((part) => `${`${head}${part.repeat(2048)}`.slice(0, 2046)} !`),
      ...parts.map((part) => `${`${head}${part.repeat(2048)}`.slice(0, 2047)}!`),
      `${head}${":kinesis:".repeat(100)}${":123456789012:".repeat(50)}${"stream/".repeat(64)} `,
    ]);
    for (const pattern of PATTERNS) {
      const expression = wholeStringPattern(linearArnPattern(pattern));
      for (const value of hostile) {
        const costs = [0, 1, 2].map(() => {
          const startMs = clock.monotonicMs();
          expression.test(value);
          return clock.monotonicMs() - startMs;
        });
        expect(Math.min(...costs)).toBeLessThan(5);
      }
    }
    const arn = `arn:aws${":kinesis:".repeat(200)}`;
    expect(refusal("Kinesis_20131202.ListTagsForResource", { ResourceARN: arn }).message).toBe(
      `1 validation error detected: Value '${arn}' at 'resourceARN' failed to satisfy constraint: ` +
        `Member must satisfy regular expression pattern: ${PATTERNS[0]}`,
    );
  });
});
