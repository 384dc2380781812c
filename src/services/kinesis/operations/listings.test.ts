import { beforeEach, describe, expect, test } from "vitest";
import { HOUR_MS } from "../model.ts";
import { ACCOUNT, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

let kinesis: TestKinesis;
beforeEach(() => {
  kinesis = new TestKinesis();
});

describe("ListStreams", () => {
  test("pages by token and by name, and shows summaries", async () => {
    for (const name of ["b", "a", "c"]) await kinesis.stream(name);
    const first = await kinesis.run("ListStreams", { Limit: 2 });
    expect([first.StreamNames, first.HasMoreStreams]).toEqual([["a", "b"], true]);
    expect(first.StreamSummaries?.[0]).toMatchObject({ StreamName: "a", StreamStatus: "ACTIVE" });
    const second = await kinesis.run("ListStreams", { NextToken: first.NextToken });
    expect([second.StreamNames, second.HasMoreStreams, second.NextToken]).toEqual([["c"], false, undefined]);
    expect((await kinesis.run("ListStreams", { ExclusiveStartStreamName: "a" })).StreamNames).toEqual(["b", "c"]);
  });

  test("shows each account its own, and takes no token of another", async () => {
    for (const name of ["a", "b"]) await kinesis.stream(name);
    const { NextToken } = await kinesis.run("ListStreams", { Limit: 1 });
    const eve = principal("eve", "999999999999");
    expect((await kinesis.run("ListStreams", {}, eve)).StreamNames).toEqual([]);
    expect((await refusal(kinesis.run("ListStreams", { NextToken }, eve))).code).toBe("InvalidArgumentException");
  });

  test("its tokens expire after 300 seconds", async () => {
    for (const name of ["a", "b"]) await kinesis.stream(name);
    const { NextToken } = await kinesis.run("ListStreams", { Limit: 1 });
    kinesis.clock.advance(300_001);
    expect((await refusal(kinesis.run("ListStreams", { NextToken }))).code).toBe("ExpiredNextTokenException");
  });
});

describe("shards", () => {
  beforeEach(async () => {
    await kinesis.stream("orders", 5);
  });
  const ids = (shards: readonly { readonly ShardId: string }[] = []): number[] =>
    shards.map(({ ShardId }) => Number(ShardId.slice(8)));

  test("ListShards pages with a token that stands for the stream", async () => {
    const first = await kinesis.run("ListShards", { StreamName: "orders", MaxResults: 3 });
    expect(ids(first.Shards)).toEqual([0, 1, 2]);
    const second = await kinesis.run("ListShards", { NextToken: first.NextToken, MaxResults: 3 });
    expect([ids(second.Shards), second.NextToken]).toEqual([[3, 4], undefined]);
    const both = kinesis.run("ListShards", { NextToken: first.NextToken, StreamName: "orders" });
    expect((await refusal(both)).message).toBe("NextToken and StreamName cannot be provided together.");
    kinesis.clock.advance(300_001);
    expect((await refusal(kinesis.run("ListShards", { NextToken: first.NextToken }))).code).toBe(
      "ExpiredNextTokenException",
    );
    expect((await refusal(kinesis.run("ListShards", { NextToken: "AAAA" }))).code).toBe("InvalidArgumentException");
  });

  test("ListShards filters", async () => {
    const list = async (ShardFilter: object): Promise<number[]> =>
      ids((await kinesis.run("ListShards", { StreamName: "orders", ShardFilter: ShardFilter as never })).Shards);
    expect(await list({ Type: "AFTER_SHARD_ID", ShardId: "shardId-000000000002" })).toEqual([3, 4]);
    expect(await list({ Type: "AT_LATEST" })).toHaveLength(5);
    expect(await list({ Type: "AT_TIMESTAMP", Timestamp: 0 })).toEqual([]);
    expect((await refusal(list({ Type: "AT_TIMESTAMP" }))).code).toBe("InvalidArgumentException");
  });

  test("DescribeStream pages by shard id", async () => {
    const first = (await kinesis.run("DescribeStream", { StreamName: "orders", Limit: 2 })).StreamDescription;
    expect([ids(first.Shards), first.HasMoreShards]).toEqual([[0, 1], true]);
    const ExclusiveStartShardId = "shardId-000000000001";
    const rest = (await kinesis.run("DescribeStream", { StreamName: "orders", ExclusiveStartShardId }))
      .StreamDescription;
    expect([ids(rest.Shards), rest.HasMoreShards]).toEqual([[2, 3, 4], false]);
  });

  test("DescribeLimits counts them", async () => {
    expect(await kinesis.run("DescribeLimits", {})).toMatchObject({ OpenShardCount: 5, OnDemandStreamCount: 0 });
  });
});

describe("tags", () => {
  const ResourceARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;
  beforeEach(async () => {
    await kinesis.stream();
  });

  test("are added, replaced, listed page by page and removed, by either pair of operations", async () => {
    await kinesis.run("AddTagsToStream", { StreamName: "orders", Tags: { b: "1", a: "2", c: "3" } });
    await kinesis.run("TagResource", { ResourceARN, Tags: { a: "new" } });
    const page = await kinesis.run("ListTagsForStream", { StreamName: "orders", Limit: 2 });
    expect(page).toEqual({
      Tags: [
        { Key: "a", Value: "new" },
        { Key: "b", Value: "1" },
      ],
      HasMoreTags: true,
    });
    await kinesis.run("RemoveTagsFromStream", { StreamName: "orders", TagKeys: ["a", "none"] });
    await kinesis.run("UntagResource", { ResourceARN, TagKeys: ["b"] });
    expect(await kinesis.run("ListTagsForResource", { ResourceARN })).toEqual({ Tags: [{ Key: "c", Value: "3" }] });
  });

  test.each([
    ["characters that AWS does not take", { a: "<>" }],
    ["the reserved prefix", { "aws:x": "y" }],
    ["more than 50", Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`k${at}`, ""]))],
  ])("with %s are refused", async (_, Tags) => {
    expect((await refusal(kinesis.run("AddTagsToStream", { StreamName: "orders", Tags }))).code).toBe(
      "InvalidArgumentException",
    );
  });

  test("two changes at once both last", async () => {
    await Promise.all(
      ["a", "b"].map((key) => kinesis.run("AddTagsToStream", { StreamName: "orders", Tags: { [key]: "" } })),
    );
    expect((await kinesis.run("ListTagsForResource", { ResourceARN })).Tags).toHaveLength(2);
  });
});

describe("the retention period", () => {
  beforeEach(async () => {
    await kinesis.stream();
  });
  const increase = (RetentionPeriodHours: number): Promise<unknown> =>
    kinesis.run("IncreaseStreamRetentionPeriod", { StreamName: "orders", RetentionPeriodHours });
  const decrease = (RetentionPeriodHours: number): Promise<unknown> =>
    kinesis.run("DecreaseStreamRetentionPeriod", { StreamName: "orders", RetentionPeriodHours });

  test("goes from 24 to 8760 hours and back", async () => {
    await increase(8760);
    await decrease(24);
    for (const run of [increase(8761), decrease(23), decrease(48)]) {
      expect((await refusal(run)).code).toBe("InvalidArgumentException");
    }
    await increase(48);
    expect((await refusal(increase(24))).message).toContain(
      "can not be shorter than existing retention period (48 hours)",
    );
  });

  test("shortened hides older records at once, and lengthened again does not bring them back", async () => {
    await increase(48);
    await kinesis.put("old");
    kinesis.clock.advance(30 * HOUR_MS);
    await kinesis.put("young");
    expect(await kinesis.texts()).toEqual(["old", "young"]);
    await decrease(24);
    expect(await kinesis.texts()).toEqual(["young"]);
    await increase(48);
    expect(await kinesis.texts()).toEqual(["young"]);
  });

  test("trims the bytes of expired records in the background", async () => {
    await kinesis.put("old");
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    const ref = { streamId: StreamDescriptionSummary.StreamId ?? "", shardIndex: 0 };
    const stop = kinesis.service.start?.();
    kinesis.clock.advance(24 * HOUR_MS + 1);
    await stop?.();
    await kinesis.restarted().start?.()();
    expect(await kinesis.records.read(ref, 1, { blocksMax: 10, bytesMax: 1e6 })).toEqual([]);
    await kinesis.put("next");
    expect(await kinesis.texts()).toEqual(["next"]);
  });
});
