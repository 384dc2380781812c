import { beforeEach, describe, expect, test } from "vitest";
import { DAY_MS, TRANSITION_MS } from "../model.ts";
import type { Operations, StreamDescriptionSummary } from "../shapes.generated.ts";
import { ACCOUNT, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

const arnOf = (name: string): string => `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/${name}`;
const ARN = arnOf("orders");
const ON_DEMAND = { StreamMode: "ON_DEMAND" } as const;

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream();
});

/** A call, and the end of the UPDATING that it brings. */
async function run<Name extends keyof Operations>(
  name: Name,
  input: Operations[Name]["input"],
): Promise<Operations[Name]["output"]> {
  const output = await kinesis.run(name, input);
  kinesis.clock.advance(TRANSITION_MS);
  return output;
}

async function summary(name = "orders"): Promise<StreamDescriptionSummary> {
  return (await kinesis.run("DescribeStreamSummary", { StreamName: name })).StreamDescriptionSummary;
}

async function onDemand(name: string, more: Partial<Operations["CreateStream"]["input"]> = {}): Promise<void> {
  await run("CreateStream", { StreamName: name, StreamModeDetails: ON_DEMAND, ...more });
}

describe("UpdateMaxRecordSize", () => {
  test("lets larger records in, and keeps out those above it", async () => {
    const put = (kib: number) =>
      kinesis.run("PutRecord", { StreamARN: ARN, PartitionKey: "a", Data: new Uint8Array(kib * 1024 - 1) });
    expect((await refusal(put(1025))).code).toBe("ValidationException");
    await run("UpdateMaxRecordSize", { StreamARN: ARN, MaxRecordSizeInKiB: 2048 });
    await put(2048);
    expect((await refusal(put(2049))).code).toBe("ValidationException");
    expect((await summary()).MaxRecordSizeInKiB).toBe(2048);
  });

  test("is for an ACTIVE stream, which it takes through UPDATING", async () => {
    await kinesis.run("UpdateMaxRecordSize", { StreamARN: ARN, MaxRecordSizeInKiB: 2048 });
    expect((await summary()).StreamStatus).toBe("UPDATING");
    const again = kinesis.run("UpdateMaxRecordSize", { StreamARN: ARN, MaxRecordSizeInKiB: 4096 });
    expect((await refusal(again)).code).toBe("ResourceInUseException");
    expect((await refusal(kinesis.run("UpdateMaxRecordSize", { MaxRecordSizeInKiB: 4096 }))).code).toBe(
      "InvalidArgumentException",
    );
  });
});

test("enhanced monitoring: levels are added and taken away, ALL stands for each of them", async () => {
  const first = await run("EnableEnhancedMonitoring", { StreamName: "orders", ShardLevelMetrics: ["OutgoingBytes"] });
  expect(first).toEqual({
    StreamName: "orders",
    StreamARN: ARN,
    CurrentShardLevelMetrics: [],
    DesiredShardLevelMetrics: ["OutgoingBytes"],
  });
  const all = await run("EnableEnhancedMonitoring", { StreamARN: ARN, ShardLevelMetrics: ["ALL"] });
  expect(all.CurrentShardLevelMetrics).toEqual(["OutgoingBytes"]);
  expect(all.DesiredShardLevelMetrics).toHaveLength(7);
  const fewer = await run("DisableEnhancedMonitoring", {
    StreamARN: ARN,
    ShardLevelMetrics: ["IncomingBytes", "OutgoingBytes"],
  });
  expect(fewer.DesiredShardLevelMetrics).toHaveLength(5);
  expect((await summary()).EnhancedMonitoring).toEqual([{ ShardLevelMetrics: fewer.DesiredShardLevelMetrics }]);
  await run("DisableEnhancedMonitoring", { StreamARN: ARN, ShardLevelMetrics: ["ALL"] });
  expect((await summary()).EnhancedMonitoring).toEqual([{ ShardLevelMetrics: [] }]);
});

describe("an account's commitment", () => {
  const set = async (Status: "ENABLED" | "DISABLED") =>
    (await kinesis.run("UpdateAccountSettings", { MinimumThroughputBillingCommitment: { Status } }))
      .MinimumThroughputBillingCommitment;
  const described = async (who = principal("ann")) =>
    (await kinesis.run("DescribeAccountSettings", {}, who)).MinimumThroughputBillingCommitment;

  test("lasts 24 hours at least, and may be taken up again before it ends", async () => {
    expect(await described()).toEqual({ Status: "DISABLED" });
    const StartedAt = kinesis.clock.wallMs();
    const on = { Status: "ENABLED", StartedAt, EarliestAllowedEndAt: StartedAt + DAY_MS };
    expect(await set("ENABLED")).toEqual(on);
    expect(await described(principal("eve", "999988887777"))).toEqual({ Status: "DISABLED" });
    kinesis.clock.advance(1_000);
    expect(await set("DISABLED")).toEqual({ ...on, Status: "ENABLED_UNTIL_EARLIEST_ALLOWED_END" });
    expect(await set("ENABLED")).toEqual(on);
    await set("DISABLED");
    kinesis.clock.advance(DAY_MS);
    expect(await described()).toEqual({ Status: "DISABLED", StartedAt, EndedAt: StartedAt + DAY_MS });
  });

  test("is what warm throughput needs, on on-demand streams", async () => {
    const warm = (StreamName: string, WarmThroughputMiBps: number) =>
      run("UpdateStreamWarmThroughput", { StreamName, WarmThroughputMiBps });
    await onDemand("warm");
    expect((await refusal(warm("warm", 3))).message).toContain("MinimumThroughputBillingCommitment");
    await set("ENABLED");
    expect((await refusal(warm("orders", 3))).code).toBe("ValidationException");
    expect((await refusal(warm("warm", 10_241))).code).toBe("LimitExceededException");
    expect((await warm("warm", 3)).WarmThroughput).toEqual({ TargetMiBps: 3, CurrentMiBps: 4 });
    await onDemand("ready", { WarmThroughputMiBps: 6 });
    expect((await summary("ready")).WarmThroughput).toEqual({ TargetMiBps: 6, CurrentMiBps: 6 });
  });
});

describe("streams that distribute records by themselves", () => {
  const records = (count: number) => Array.from({ length: count }, () => ({ Data: Buffer.from("x") }));

  test("take records without partition keys, as many into each shard", async () => {
    await onDemand("spread", { RecordDistributionStrategy: "AUTO" });
    expect((await summary("spread")).RecordDistributionStrategy).toBe("AUTO");
    const answer = await kinesis.run("PutRecords", { StreamName: "spread", Records: records(40) });
    const shardIds = answer.Records.map(({ ShardId }) => ShardId ?? "");
    const counts = [...new Set(shardIds)].map((id) => shardIds.filter((each) => each === id).length);
    expect(counts).toEqual([10, 10, 10, 10]);
    const { ShardIterator = "" } = await kinesis.run("GetShardIterator", {
      StreamName: "spread",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    });
    const { Records } = await kinesis.run("GetRecords", { ShardIterator });
    expect(Records).toHaveLength(10);
    expect(Records[0]?.PartitionKey).toBeUndefined();
  });

  test("give a partition key back although they do not go by it, and go by it again when told so", async () => {
    await onDemand("spread", { RecordDistributionStrategy: "AUTO" });
    const same = Array.from({ length: 8 }, () => ({ Data: Buffer.from("x"), PartitionKey: "same" }));
    const shards = async () => {
      const { Records } = await kinesis.run("PutRecords", { StreamName: "spread", Records: same });
      return new Set(Records.map(({ ShardId }) => ShardId)).size;
    };
    expect(await shards()).toBe(4);
    expect(await kinesis.texts("spread")).toEqual(["x", "x"]);
    await kinesis.run("UpdateStreamRecordDistributionStrategy", {
      StreamARN: arnOf("spread"),
      RecordDistributionStrategy: "USER_PARTITION_KEY",
    });
    expect(await shards()).toBe(1);
    const error = await refusal(kinesis.run("PutRecords", { StreamName: "spread", Records: records(1) }));
    expect([error.code, error.message]).toEqual([
      "ValidationException",
      "1 validation error detected: Value null at 'records.1.member.partitionKey' failed to satisfy constraint: " +
        "Member must not be null",
    ]);
  });

  test("are on-demand streams", async () => {
    const auto = { StreamARN: ARN, RecordDistributionStrategy: "AUTO" } as const;
    const error = await refusal(kinesis.run("UpdateStreamRecordDistributionStrategy", auto));
    expect(error.code).toBe("InvalidArgumentException");
    const made = kinesis.run("CreateStream", {
      StreamName: "x",
      ShardCount: 1,
      RecordDistributionStrategy: "AUTO",
    });
    expect((await refusal(made)).code).toBe("InvalidArgumentException");
  });
});

describe("StreamId", () => {
  test("names a stream by itself, or agrees with its name", async () => {
    const { StreamId = "" } = await summary();
    await kinesis.run("PutRecord", { StreamId, PartitionKey: "a", Data: Buffer.from("by id") });
    expect(await kinesis.texts()).toEqual(["by id"]);
    await run("UpdateMaxRecordSize", { StreamId, MaxRecordSizeInKiB: 2048 });
    await kinesis.run("DescribeStream", { StreamId, StreamName: "orders" });
    await kinesis.run("ListTagsForResource", { StreamId, ResourceARN: ARN });
    await kinesis.stream("others");
    for (const other of [{ StreamName: "others" }, { StreamARN: arnOf("others") }]) {
      const error = await refusal(kinesis.run("DescribeStream", { StreamId, ...other }));
      expect(error.code).toBe("InvalidArgumentException");
    }
  });

  test("is nobody's when it was never given, is another account's, or its stream is gone", async () => {
    const { StreamId = "" } = await summary();
    const describeIt = (id: string, who = principal("ann")) =>
      refusal(kinesis.run("DescribeStream", { StreamId: id }, who));
    expect((await describeIt("abcdefghijklmnopqrst-abc")).code).toBe("ResourceNotFoundException");
    expect((await describeIt(StreamId, principal("eve", "999988887777"))).code).toBe("ResourceNotFoundException");
    await kinesis.run("DeleteStream", { StreamId });
    expect((await describeIt(StreamId)).code).toBe("ResourceNotFoundException");
  });
});
