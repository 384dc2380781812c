import { beforeEach, describe, expect, test } from "vitest";
import { clearBlock } from "../../../envelope/record-block.ts";
import { HOUR_MS } from "../model.ts";
import type { DebugStores, RecordName } from "../debug-record.ts";
import { exportRecord, overwriteRecord } from "../debug-record.ts";
import { ACCOUNT, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream();
});

const get = (ShardIterator: string, Limit?: number): ReturnType<typeof kinesis.run<"GetRecords">> =>
  kinesis.run("GetRecords", { ShardIterator, Limit });
const text = (records: readonly { readonly Data: Uint8Array }[]): string[] =>
  records.map(({ Data }) => Buffer.from(Data).toString());
const putMany = async (count: number, prefix = "r"): Promise<string[]> => {
  const Records = Array.from({ length: count }, (_, at) => ({
    PartitionKey: `${at}`,
    Data: Buffer.from(`${prefix}${at}`),
  }));
  const { Records: put } = await kinesis.run("PutRecords", { StreamName: "orders", Records });
  return put.map(({ SequenceNumber }) => SequenceNumber ?? "");
};

describe("GetRecords", () => {
  test("returns everything in order, page by page, without loss or repetition", async () => {
    for (let batch = 0; batch < 5; batch++) await putMany(7, `b${batch}-`);
    for (const limit of [1, 3, 7, 10, 10_000]) {
      const seen: string[] = [];
      let iterator = await kinesis.iterator();
      for (let turn = 0; turn < 40; turn++) {
        const page = await get(iterator, limit);
        expect(page.Records.length).toBeLessThanOrEqual(limit);
        seen.push(...text(page.Records));
        iterator = page.NextShardIterator ?? "";
      }
      expect(seen).toEqual(Array.from({ length: 35 }, (_, at) => `b${Math.floor(at / 7)}-${at % 7}`));
    }
  });

  test("returns all members of a record", async () => {
    const put = await kinesis.put("a");
    const { Records } = await get(await kinesis.iterator());
    expect(Records).toEqual([
      {
        SequenceNumber: put.SequenceNumber,
        ApproximateArrivalTimestamp: kinesis.clock.wallMs(),
        Data: Buffer.from("a"),
        PartitionKey: "key of a",
        EncryptionType: "NONE",
      },
    ]);
  });

  test("says how far behind it is: 0 at the tip, also when the last page was full", async () => {
    await kinesis.put("a");
    kinesis.clock.advance(2_000);
    await kinesis.put("b");
    kinesis.clock.advance(1_000);
    const first = await get(await kinesis.iterator(), 1);
    expect(first.MillisBehindLatest).toBe(3_000);
    expect((await get(first.NextShardIterator ?? "", 1)).MillisBehindLatest).toBe(0);
    expect((await get(await kinesis.iterator("LATEST"))).MillisBehindLatest).toBe(0);
  });

  test("returns at most 10 MiB, and always one record", async () => {
    for (let at = 0; at < 12; at++) {
      await kinesis.run("PutRecord", { StreamName: "orders", PartitionKey: "a", Data: Buffer.alloc(1_000_000) });
    }
    const page = await get(await kinesis.iterator());
    expect(page.Records).toHaveLength(10);
    expect((await get(page.NextShardIterator ?? "")).Records).toHaveLength(2);
  });

  test("never returns what is past the retention period, trimmed or not", async () => {
    await kinesis.put("old");
    kinesis.clock.advance(23 * HOUR_MS);
    await kinesis.put("young");
    expect(await kinesis.texts()).toEqual(["old", "young"]);
    kinesis.clock.advance(HOUR_MS + 1);
    expect(await kinesis.texts()).toEqual(["young"]);
  });

  test("finds young records behind thousands of expired blocks", async () => {
    for (let at = 0; at < 1_200; at++) await kinesis.put(`${at}`);
    kinesis.clock.advance(25 * HOUR_MS);
    expect((await get(await kinesis.iterator())).MillisBehindLatest).toBe(0);
    await kinesis.put("young");
    expect(await kinesis.texts()).toEqual(["young"]);
  });

  test("an iterator lasts 300 seconds", async () => {
    const iterator = await kinesis.iterator();
    kinesis.clock.advance(300_000);
    await get(iterator);
    kinesis.clock.advance(1);
    const error = await refusal(get(iterator));
    expect(error.code).toBe("ExpiredIteratorException");
    expect(error.message).toBe(
      "Iterator expired. The iterator was created at time Tue Nov 14 22:13:20 UTC 2023 while right now it is " +
        "Tue Nov 14 22:18:20 UTC 2023 which is further in the future than the tolerated delay of 300000 milliseconds.",
    );
  });

  test("an iterator is nobody's permission to another account, and invalid with another stream's ARN", async () => {
    const iterator = await kinesis.iterator();
    const foreign = kinesis.run("GetRecords", { ShardIterator: iterator }, principal("eve", "999999999999"));
    expect((await refusal(foreign)).code).toBe("AccessDeniedException");
    const StreamARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/others`;
    const error = await refusal(kinesis.run("GetRecords", { ShardIterator: iterator, StreamARN }));
    expect([error.code, error.message]).toEqual(["InvalidArgumentException", "Invalid ShardIterator."]);
  });

  test("is refused as a whole when KMS refuses any block that it would return", async () => {
    await kinesis.put("clear");
    await kinesis.encrypt();
    await kinesis.put("sealed");
    kinesis.kms.refuse("bob", "AccessDeniedException", "bob may not");
    const error = await refusal(kinesis.texts("orders", principal("bob")));
    expect([error.code, error.message]).toEqual(["KMSAccessDeniedException", "bob may not"]);
    const first = await kinesis.run(
      "GetRecords",
      { ShardIterator: await kinesis.iterator(), Limit: 1 },
      principal("bob"),
    );
    expect(text(first.Records)).toEqual(["clear"]);
  });

  test("stops a reader whose permission is withdrawn while the data key is in memory", async () => {
    await kinesis.encrypt();
    await kinesis.put("a");
    expect(await kinesis.texts()).toEqual(["a"]);
    kinesis.kms.refuse("ann", "AccessDeniedException", "no longer");
    expect((await refusal(kinesis.texts())).code).toBe("KMSAccessDeniedException");
  });
});

describe("GetShardIterator", () => {
  test("starts at, after, at the oldest, behind the newest, and by time", async () => {
    const a = await kinesis.put("a");
    kinesis.clock.advance(1_000);
    const between = kinesis.clock.wallMs() - 500;
    await kinesis.put("b");
    const from = async (iterator: string): Promise<string[]> => text((await get(iterator)).Records);
    expect(await from(await kinesis.iterator("TRIM_HORIZON"))).toEqual(["a", "b"]);
    expect(await from(await kinesis.iterator("AT_SEQUENCE_NUMBER", a.SequenceNumber))).toEqual(["a", "b"]);
    expect(await from(await kinesis.iterator("AFTER_SEQUENCE_NUMBER", a.SequenceNumber))).toEqual(["b"]);
    const latest = await kinesis.iterator("LATEST");
    await kinesis.put("c");
    expect(await from(latest)).toEqual(["c"]);
    const at = async (Timestamp: number): Promise<string[]> => {
      const input = {
        StreamName: "orders",
        ShardId: "shardId-000000000000",
        ShardIteratorType: "AT_TIMESTAMP",
        Timestamp,
      } as const;
      return await from((await kinesis.run("GetShardIterator", input)).ShardIterator ?? "");
    };
    expect(await at(0)).toEqual(["a", "b", "c"]);
    expect(await at(between)).toEqual(["b", "c"]);
    kinesis.clock.advance(1);
    expect(await at(kinesis.clock.wallMs())).toEqual([]);
    expect((await refusal(at(kinesis.clock.wallMs() + 1))).message).toContain("timestampInMillis");
  });

  test("at a shard's starting number reads all of it", async () => {
    await kinesis.put("a");
    const { StreamDescription } = await kinesis.run("DescribeStream", { StreamName: "orders" });
    const start = StreamDescription.Shards[0]?.SequenceNumberRange.StartingSequenceNumber;
    for (const type of ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] as const) {
      expect(text((await get(await kinesis.iterator(type, start))).Records)).toEqual(["a"]);
    }
  });

  test("refuses numbers of other shards and streams, and combinations that make no sense", async () => {
    await kinesis.stream("wide", 2);
    const other = await kinesis.run("PutRecord", { StreamName: "wide", PartitionKey: "b", Data: Buffer.alloc(1) });
    const later = await kinesis.put("x", "wide");
    const codes: string[] = [];
    for (const [type, number] of [
      ["AT_SEQUENCE_NUMBER", other.SequenceNumber],
      ["AT_SEQUENCE_NUMBER", later.SequenceNumber],
      ["AT_SEQUENCE_NUMBER", "12345"],
      ["AT_SEQUENCE_NUMBER", undefined],
      ["TRIM_HORIZON", other.SequenceNumber],
    ] as const) {
      codes.push((await refusal(kinesis.iterator(type, number))).code);
    }
    expect(codes).toEqual(Array.from({ length: 5 }, () => "InvalidArgumentException"));
  });

  test("finds no shard that is not there", async () => {
    const input = { StreamName: "orders", ShardId: "shardId-000000000001", ShardIteratorType: "LATEST" } as const;
    const error = await refusal(kinesis.run("GetShardIterator", input));
    expect([error.code, error.message]).toEqual([
      "ResourceNotFoundException",
      `Shard shardId-000000000001 in stream orders under account ${ACCOUNT} does not exist`,
    ]);
  });
});

describe("a record that was changed in the store", () => {
  let stores: DebugStores;
  let numbers: string[];
  const named = (at: number, streamName = "orders"): RecordName => ({
    accountId: ACCOUNT,
    region: REGION,
    streamName,
    sequenceNumber: numbers[at] ?? "",
  });

  beforeEach(async () => {
    await kinesis.encrypt();
    numbers = await putMany(3);
    stores = { reader: kinesis.reader, records: kinesis.records };
  });

  /** What is left of the promise: records in front, an error that names it, and reading on behind it. */
  const expectDamaged = async (at: number): Promise<void> => {
    const all = ["r0", "r1", "r2"];
    if (at > 0) {
      const before = await get(await kinesis.iterator());
      expect(text(before.Records)).toEqual(all.slice(0, at));
      const error = await refusal(get(before.NextShardIterator ?? ""));
      expect(error.message).toContain(numbers[at]);
    }
    const error = await refusal(get(await kinesis.iterator("AT_SEQUENCE_NUMBER", numbers[at])));
    expect([error.code, error.status]).toEqual(["InternalFailureException", 500]);
    expect(error.message).toContain(numbers[at]);
    const behind = await get(await kinesis.iterator("AFTER_SEQUENCE_NUMBER", numbers[at]));
    expect(text(behind.Records)).toEqual(all.slice(at + 1));
  };

  test("in any single byte is never returned", async () => {
    const whole = await exportRecord(stores, named(1));
    for (let at = 0; at < whole.length; at++) {
      const flipped = new Uint8Array(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      await overwriteRecord(stores, named(1), flipped);
      await expectDamaged(1);
    }
    await overwriteRecord(stores, named(1), whole);
    expect(await kinesis.texts()).toEqual(["r0", "r1", "r2"]);
  });

  test.each([0, 1, 24, 39, 40, 41, 100, 2 * 1024 * 1024])("to %i other bytes is never returned", async (length) => {
    await overwriteRecord(stores, named(0), Buffer.alloc(length, 1));
    await expectDamaged(0);
  });

  test("by swapping it with its neighbour is never returned", async () => {
    const [first, second] = [await exportRecord(stores, named(0)), await exportRecord(stores, named(1))];
    await overwriteRecord(stores, named(0), second);
    await overwriteRecord(stores, named(1), first);
    for (const number of [numbers[0], numbers[1]]) {
      const error = await refusal(get(await kinesis.iterator("AT_SEQUENCE_NUMBER", number)));
      expect([error.code, error.message.includes(number ?? "?")]).toEqual(["InternalFailureException", true]);
    }
    expect(text((await get(await kinesis.iterator("AFTER_SEQUENCE_NUMBER", numbers[1]))).Records)).toEqual(["r2"]);
  });

  test("by moving it in from another stream is never returned", async () => {
    await kinesis.stream("others");
    await kinesis.encrypt("others");
    const { SequenceNumber } = await kinesis.put("r1", "others");
    const moved = await exportRecord(stores, { ...named(0, "others"), sequenceNumber: SequenceNumber });
    await overwriteRecord(stores, named(1), moved);
    await expectDamaged(1);
  });

  test("with its whole block is reported by the block's numbers, and reading goes on behind it", async () => {
    const [last] = await putMany(1, "behind");
    const page = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    const ref = { streamId: page.StreamDescriptionSummary.StreamId ?? "", shardIndex: 0 };
    const [block] = await kinesis.records.read(ref, 1, { blocksMax: 1, bytesMax: 1 });
    if (block === undefined) throw new Error("no block");
    for (let at = 0; at < 60; at++) {
      const bytes = new Uint8Array(block.bytes);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      await kinesis.records.append(ref, { ...block, bytes: bytes as typeof block.bytes });
      const error = await refusal(get(await kinesis.iterator()));
      expect(error.message).toContain(`${numbers[0]} to ${numbers[2]}`);
      const behind = await get(await kinesis.iterator("AFTER_SEQUENCE_NUMBER", numbers[2]));
      expect(text(behind.Records)).toEqual(["behind0"]);
      expect(behind.Records[0]?.SequenceNumber).toBe(last);
    }
  });

  test("by exchanging its block for one in clear is never returned", async () => {
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    const ref = { streamId: StreamDescriptionSummary.StreamId ?? "", shardIndex: 0 };
    const [block] = await kinesis.records.read(ref, 1, { blocksMax: 1, bytesMax: 1 });
    if (block === undefined) throw new Error("no block");
    kinesis.clock.advance(60_000);
    const later = kinesis.clock.wallMs();
    const forged = ["f0", "f1", "f2"].map((partitionKey) => ({ partitionKey, data: Buffer.from("forged") }));
    const bytes = clearBlock(block.firstIndex, later, forged);
    await kinesis.records.append(ref, { ...block, lastArrivalMs: later, bytes });
    const error = await refusal(get(await kinesis.iterator()));
    expect([error.code, error.status]).toEqual(["InternalFailureException", 500]);
  });

  test("in a block that was replaced by another stream's is never returned", async () => {
    await kinesis.stream("others");
    await kinesis.encrypt("others");
    await kinesis.run("PutRecords", {
      StreamName: "others",
      Records: ["x", "y", "z"].map((PartitionKey) => ({ PartitionKey, Data: Buffer.from("foreign") })),
    });
    const refOf = async (StreamName: string): Promise<{ streamId: string; shardIndex: number }> => {
      const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName });
      return { streamId: StreamDescriptionSummary.StreamId ?? "", shardIndex: 0 };
    };
    const [foreign] = await kinesis.records.read(await refOf("others"), 1, { blocksMax: 1, bytesMax: 1 });
    if (foreign === undefined) throw new Error("no block");
    await kinesis.records.append(await refOf("orders"), foreign);
    expect((await refusal(get(await kinesis.iterator()))).code).toBe("InternalFailureException");
  });

  test("can only be replaced by at most 2 MiB", async () => {
    await expect(overwriteRecord(stores, named(0), Buffer.alloc(2 * 1024 * 1024 + 1))).rejects.toThrow(RangeError);
  });
});
