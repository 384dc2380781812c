import { beforeEach, describe, expect, test } from "vitest";
import { parseSequenceNumber } from "../sequence.ts";
import { ACCOUNT, KEY_ARN, refusal, TestKinesis } from "../testing/harness.ts";

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream("orders", 2);
});

const record = (PartitionKey: string, size = 1): { PartitionKey: string; Data: Uint8Array } => ({
  PartitionKey,
  Data: Buffer.alloc(size),
});

describe("PutRecord", () => {
  test("answers with shard, sequence number and encryption type", async () => {
    // MD5("a") = 0cc1…, in the lower half; MD5("b") = 92eb…, in the upper.
    const a = await kinesis.run("PutRecord", { StreamName: "orders", ...record("a") });
    const b = await kinesis.run("PutRecord", { StreamName: "orders", ...record("b") });
    expect([a.ShardId, b.ShardId]).toEqual(["shardId-000000000000", "shardId-000000000001"]);
    expect(parseSequenceNumber(b.SequenceNumber)).toMatchObject({ shardIndex: 1, index: 1 });
    expect(a.EncryptionType).toBe("NONE");
  });

  test("goes where the explicit hash key says", async () => {
    const ExplicitHashKey = (2n ** 128n - 1n).toString();
    const put = await kinesis.run("PutRecord", { StreamName: "orders", ...record("a"), ExplicitHashKey });
    expect(put.ShardId).toBe("shardId-000000000001");
    const beyond = kinesis.run("PutRecord", { StreamName: "orders", ...record("a"), ExplicitHashKey: `${2n ** 128n}` });
    expect((await refusal(beyond)).code).toBe("InvalidArgumentException");
  });

  test("numbers grow with each put, also through SequenceNumberForOrdering", async () => {
    let last: string | undefined;
    for (let turn = 0; turn < 20; turn++) {
      const SequenceNumberForOrdering = last;
      const put = await kinesis.run("PutRecord", { StreamName: "orders", ...record("a"), SequenceNumberForOrdering });
      expect(BigInt(put.SequenceNumber) > BigInt(last ?? "0")).toBe(true);
      last = put.SequenceNumber;
      kinesis.clock.advance(400);
    }
    const wrong = kinesis.run("PutRecord", { StreamName: "orders", ...record("a"), SequenceNumberForOrdering: "123" });
    expect((await refusal(wrong)).message).toContain(
      "ExclusiveMinimumSequenceNumber 123 used in PutRecord on stream orders",
    );
  });

  test("takes 1 MiB of data and partition key together, no more", async () => {
    const mebibyte = 1024 * 1024;
    await kinesis.run("PutRecord", { StreamName: "orders", ...record("abcd", mebibyte - 4) });
    const withKey = await refusal(kinesis.run("PutRecord", { StreamName: "orders", ...record("abcd", mebibyte - 3) }));
    expect(withKey.code).toBe("InvalidArgumentException");
    const data = await refusal(kinesis.run("PutRecord", { StreamName: "orders", ...record("a", mebibyte + 1) }));
    expect([data.code, data.message]).toEqual([
      "ValidationException",
      "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576",
    ]);
  });

  test("to a stream that is not there, or not yet, or no longer, finds none", async () => {
    await kinesis.run("CreateStream", { StreamName: "young", ShardCount: 1 });
    await kinesis.run("DeleteStream", { StreamName: "orders" });
    for (const name of ["nowhere", "young", "orders"]) {
      const error = await refusal(kinesis.put("a", name));
      expect([error.code, error.message]).toEqual([
        "ResourceNotFoundException",
        `Stream ${name} under account ${ACCOUNT} not found.`,
      ]);
    }
  });

  test("with DryRun stores nothing", async () => {
    const error = await refusal(kinesis.run("PutRecord", { StreamName: "orders", ...record("a"), DryRun: true }));
    expect(error.code).toBe("DryRunOperationException");
    expect(await kinesis.texts()).toEqual([]);
  });

  test("neither partition key nor payload is in the audit trail's description", () => {
    const input = {
      StreamName: "orders",
      PartitionKey: "secret key",
      Data: Buffer.from("secret"),
      ExplicitHashKey: "77",
    };
    const described = kinesis.service.operations["PutRecord"]?.describe?.(input);
    expect(described).toEqual({ requestParameters: { streamName: "orders" } });
    const many = { StreamName: "orders", Records: [input] };
    expect(JSON.stringify(kinesis.service.operations["PutRecords"]?.describe?.(many))).not.toMatch(/secret|77/);
  });
});

describe("PutRecords", () => {
  test("answers in the order of the request, and keeps that order within each shard", async () => {
    const Records = Array.from({ length: 300 }, (_, at) => ({ PartitionKey: `key ${at}`, Data: Buffer.from(`${at}`) }));
    const put = await kinesis.run("PutRecords", { StreamName: "orders", Records });
    expect([put.FailedRecordCount, put.Records.length, put.EncryptionType]).toEqual([0, 300, "NONE"]);
    for (const shardId of ["shardId-000000000000", "shardId-000000000001"]) {
      const expected = Records.filter((_, at) => put.Records[at]?.ShardId === shardId).map(({ Data }) =>
        Data.toString(),
      );
      const { ShardIterator = "" } = await kinesis.run("GetShardIterator", {
        StreamName: "orders",
        ShardId: shardId,
        ShardIteratorType: "TRIM_HORIZON",
      });
      const read = await kinesis.run("GetRecords", { ShardIterator });
      expect(read.Records.map(({ Data }) => Buffer.from(Data).toString())).toEqual(expected);
    }
  });

  test("refuses more than 10 MiB, and says which record alone is too large", async () => {
    const Records = Array.from({ length: 11 }, () => record("a", 1_000_000));
    const error = await refusal(kinesis.run("PutRecords", { StreamName: "orders", Records }));
    expect([error.code, error.message]).toEqual(["InvalidArgumentException", "Records size exceeds 10 MB limit"]);
    const one = kinesis.run("PutRecords", { StreamName: "orders", Records: [record("a"), record("b", 2_000_000)] });
    expect((await refusal(one)).message).toContain("'records.2.member.data'");
    expect(await kinesis.texts()).toEqual([]);
  });

  test("a shard whose append fails fails its records, and the others are stored", async () => {
    const append = kinesis.records.append.bind(kinesis.records);
    kinesis.records.append = async (ref, block) => {
      if (ref.shardIndex === 1) throw new Error("disk full");
      await append(ref, block);
    };
    const put = await kinesis.run("PutRecords", {
      StreamName: "orders",
      Records: ["b", "a", "b"].map((key) => record(key)),
    });
    expect(put.FailedRecordCount).toBe(2);
    expect(put.Records.map(({ ErrorCode, SequenceNumber }) => ErrorCode ?? typeof SequenceNumber)).toEqual([
      "InternalFailure",
      "string",
      "InternalFailure",
    ]);
    const error = await refusal(kinesis.run("PutRecord", { StreamName: "orders", ...record("b") }));
    expect([error.code, error.status]).toEqual(["InternalFailureException", 500]);
  });

  test("is refused as a whole when KMS refuses", async () => {
    await kinesis.encrypt();
    const Records = [record("a"), record("b")];
    const cases = [
      ["AccessDeniedException", "KMSAccessDeniedException"],
      ["DisabledException", "KMSDisabledException"],
      ["KMSInvalidStateException", "KMSInvalidStateException"],
      ["NotFoundException", "KMSNotFoundException"],
      ["ThrottlingException", "KMSThrottlingException"],
    ] as const;
    for (const [from, to] of cases) {
      kinesis.kms.refuse("*", from, "because");
      const error = await refusal(kinesis.run("PutRecords", { StreamName: "orders", Records }));
      expect([error.code, error.message, error.status]).toEqual([to, "because", 400]);
    }
    kinesis.kms.refuse("*", "KMSInternalException", "secret detail");
    const error = await refusal(kinesis.run("PutRecords", { StreamName: "orders", Records }));
    expect([error.code, error.status, error.message.includes("secret")]).toEqual([
      "InternalFailureException",
      500,
      false,
    ]);
    kinesis.kms.refusals.clear();
    expect(await kinesis.texts()).toEqual([]);
  });

  test("takes a new data key when the old one's time ends while records wait", async () => {
    await kinesis.encrypt();
    await kinesis.put("a");
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const append = kinesis.records.append.bind(kinesis.records);
    kinesis.records.append = async (ref, block) => {
      await gate;
      await append(ref, block);
    };
    const first = kinesis.put("first");
    const second = kinesis.put("second");
    // Lets both get their key and reach the queue.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    kinesis.clock.advance(300_000);
    release();
    expect([await first, await second]).toMatchObject([{ EncryptionType: "KMS" }, { EncryptionType: "KMS" }]);
    expect(kinesis.kms.generated).toBeLessThanOrEqual(3);
  });

  test("of many callers at once leaves each record in the store sealed", async () => {
    await kinesis.encrypt("orders", KEY_ARN);
    await Promise.all(Array.from({ length: 64 }, (_, at) => kinesis.put(`canary ${at}`)));
    for (const shardIndex of [0, 1]) {
      const page = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
      const ref = { streamId: page.StreamDescriptionSummary.StreamId ?? "", shardIndex };
      for (const { bytes } of await kinesis.records.read(ref, 1, { blocksMax: 1000, bytesMax: 1e9 })) {
        expect(Buffer.from(bytes).includes("canary")).toBe(false);
        expect(Buffer.from(bytes).includes("key of")).toBe(false);
      }
    }
  });
});
