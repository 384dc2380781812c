import { beforeEach, describe, expect, test } from "vitest";
import type { Operations } from "./shapes.generated.ts";
import { ACCOUNT, refusal, TestKinesis } from "./testing/harness.ts";

const KIB = 1024;
const SHARD = "shardId-000000000000";
const TOO_FAST = `Rate exceeded for shard ${SHARD} in stream orders under account ${ACCOUNT}.`;

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  kinesis.streamLimits = "aws";
  kinesis.restarted();
  await kinesis.stream();
  kinesis.clock.advance(1_000);
});

const putMany = (count: number, bytes: number): Promise<Operations["PutRecords"]["output"]> =>
  kinesis.run("PutRecords", {
    StreamName: "orders",
    Records: Array.from({ length: count }, () => ({ PartitionKey: "k", Data: new Uint8Array(bytes - 1) })),
  });

/** How many of a burst of calls are let through, and the first refusal. */
async function burst(count: number, run: () => Promise<unknown>): Promise<readonly [number, string]> {
  for (let made = 0; made < count; made++) {
    const refused = await run().then(
      () => null,
      (error: Error & { readonly code: string }) => error,
    );
    if (refused !== null) return [made, refused.code];
  }
  return [count, "none"];
}

describe("a shard", () => {
  test("takes 1000 records a second, and refuses each one beyond by itself", async () => {
    expect((await putMany(500, 10)).FailedRecordCount).toBe(0);
    expect((await putMany(499, 10)).FailedRecordCount).toBe(0);
    const { FailedRecordCount, Records } = await putMany(3, 10);
    expect(FailedRecordCount).toBe(2);
    expect(Records.map(({ SequenceNumber }) => SequenceNumber !== undefined)).toEqual([true, false, false]);
    expect(Records[1]).toEqual({ ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: TOO_FAST });
    const one = await refusal(kinesis.put("text"));
    expect([one.code, one.message]).toEqual(["ProvisionedThroughputExceededException", TOO_FAST]);
    kinesis.clock.advance(10);
    expect((await putMany(20, 10)).FailedRecordCount).toBe(10);
    expect(await stored()).toBe(1010);
  });

  test("takes 1 MiB a second, a record that is larger after a second of silence", async () => {
    expect((await putMany(5, 256 * KIB)).FailedRecordCount).toBe(1);
    kinesis.clock.advance(500);
    expect((await putMany(3, 256 * KIB)).FailedRecordCount).toBe(1);
    kinesis.clock.advance(1_000);
    await kinesis.run("UpdateMaxRecordSize", { StreamARN: await arn(), MaxRecordSizeInKiB: 4096 });
    expect((await putMany(1, 3 * KIB * KIB)).FailedRecordCount).toBe(0);
    kinesis.clock.advance(2_000);
    expect((await putMany(1, KIB)).FailedRecordCount).toBe(1);
    kinesis.clock.advance(10);
    expect((await putMany(1, KIB)).FailedRecordCount).toBe(0);
  });

  test("is read 5 times a second", async () => {
    const ShardIterator = await kinesis.iterator();
    const read = () => kinesis.run("GetRecords", { ShardIterator });
    expect(await burst(10, read)).toEqual([5, "ProvisionedThroughputExceededException"]);
    kinesis.clock.advance(400);
    expect(await burst(10, read)).toEqual([2, "ProvisionedThroughputExceededException"]);
  });

  test("gives 2 MiB a second: a large answer holds the next ones up", async () => {
    for (let round = 0; round < 6; round++) {
      expect((await putMany(1, KIB * KIB)).FailedRecordCount).toBe(0);
      kinesis.clock.advance(1_000);
    }
    const ShardIterator = await kinesis.iterator();
    const read = () => kinesis.run("GetRecords", { ShardIterator });
    expect((await read()).Records).toHaveLength(6);
    kinesis.clock.advance(1_900);
    const error = await refusal(read());
    expect([error.code, error.message]).toEqual(["ProvisionedThroughputExceededException", TOO_FAST]);
    kinesis.clock.advance(200);
    expect((await read()).Records).toHaveLength(6);
  });

  test("gives 5 iterators a second", async () => {
    expect(await burst(10, () => kinesis.iterator())).toEqual([5, "ProvisionedThroughputExceededException"]);
  });
});

test("requests are limited for each account and operation", async () => {
  const limits = () => kinesis.run("DescribeLimits", {});
  expect(await burst(3, limits)).toEqual([1, "LimitExceededException"]);
  expect((await refusal(limits())).message).toBe(`Rate exceeded for account ${ACCOUNT}.`);
  const described = () => kinesis.run("DescribeStream", { StreamName: "orders" });
  expect(await burst(20, described)).toEqual([10, "LimitExceededException"]);
  expect((await refusal(described())).message).toBe(`Rate exceeded for stream orders under account ${ACCOUNT}.`);
  kinesis.clock.advance(1_000);
  expect(await burst(3, limits)).toEqual([1, "LimitExceededException"]);
});

test("by default nothing is limited", async () => {
  kinesis.streamLimits = "none";
  kinesis.restarted();
  expect(await burst(50, () => kinesis.run("DescribeLimits", {}))).toEqual([50, "none"]);
  for (let calls = 0; calls < 3; calls++) expect((await putMany(500, 10)).FailedRecordCount).toBe(0);
});

async function arn(): Promise<string> {
  const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
  return StreamDescriptionSummary.StreamARN;
}

async function stored(): Promise<number> {
  const { Records } = await kinesis.run("GetRecords", { ShardIterator: await kinesis.iterator() });
  return Records.length;
}
