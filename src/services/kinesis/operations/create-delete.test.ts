import { beforeEach, describe, expect, test } from "vitest";
import { TRANSITION_MS } from "../model.ts";
import { deletions, shardLists, streamKey, streams } from "../records.ts";
import { ACCOUNT, REGION, refusal, TestKinesis } from "../testing/harness.ts";

let kinesis: TestKinesis;
beforeEach(() => {
  kinesis = new TestKinesis();
});

const statusOf = async (StreamName = "orders"): Promise<string> =>
  (await kinesis.run("DescribeStreamSummary", { StreamName })).StreamDescriptionSummary.StreamStatus;

describe("CreateStream", () => {
  test("makes a stream that is CREATING, then ACTIVE, without anything happening in between", async () => {
    await kinesis.run("CreateStream", { StreamName: "orders", ShardCount: 2 });
    expect(await statusOf()).toBe("CREATING");
    kinesis.clock.advance(TRANSITION_MS - 1);
    expect(await statusOf()).toBe("CREATING");
    kinesis.clock.advance(1);
    expect(await statusOf()).toBe("ACTIVE");
  });

  test("shows AWS's shapes and defaults", async () => {
    await kinesis.stream("orders", 2);
    const { StreamDescription } = await kinesis.run("DescribeStream", { StreamName: "orders" });
    expect(StreamDescription).toMatchObject({
      StreamName: "orders",
      StreamARN: `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`,
      StreamModeDetails: { StreamMode: "PROVISIONED" },
      RetentionPeriodHours: 24,
      EnhancedMonitoring: [{ ShardLevelMetrics: [] }],
      EncryptionType: "NONE",
      HasMoreShards: false,
    });
    expect(StreamDescription.Shards.map(({ ShardId }) => ShardId)).toEqual([
      "shardId-000000000000",
      "shardId-000000000001",
    ]);
    expect(StreamDescription).not.toHaveProperty("KeyId");
    const summary = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    expect(summary.StreamDescriptionSummary).toMatchObject({
      OpenShardCount: 2,
      ConsumerCount: 0,
      MaxRecordSizeInKiB: 1024,
    });
    expect(summary.StreamDescriptionSummary.StreamId).toMatch(/^[a-z0-9]{20}-[a-z0-9]{3}$/);
  });

  test("on demand starts with 4 shards", async () => {
    await kinesis.run("CreateStream", { StreamName: "orders", StreamModeDetails: { StreamMode: "ON_DEMAND" } });
    kinesis.clock.advance(TRANSITION_MS);
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    expect(StreamDescriptionSummary).toMatchObject({
      OpenShardCount: 4,
      StreamModeDetails: { StreamMode: "ON_DEMAND" },
    });
  });

  test("refuses a name that is in use", async () => {
    await kinesis.stream();
    const error = await refusal(kinesis.run("CreateStream", { StreamName: "orders", ShardCount: 1 }));
    expect([error.code, error.message]).toEqual([
      "ResourceInUseException",
      `Stream orders under account ${ACCOUNT} already exists.`,
    ]);
  });

  test("refuses more shards than the account may have", async () => {
    const error = await refusal(kinesis.run("CreateStream", { StreamName: "orders", ShardCount: 5001 }));
    expect(error.code).toBe("LimitExceededException");
  });

  test("of two creations at once, one wins", async () => {
    const both = await Promise.allSettled(
      [1, 2].map((ShardCount) => kinesis.run("CreateStream", { StreamName: "orders", ShardCount })),
    );
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test("with tags also needs the permission to tag", async () => {
    kinesis.denied.add("kinesis:AddTagsToStream");
    const error = await refusal(
      kinesis.run("CreateStream", { StreamName: "orders", ShardCount: 1, Tags: { team: "a" } }),
    );
    expect(error.code).toBe("AccessDeniedException");
    expect(await kinesis.reader.get(streams, [ACCOUNT, REGION, "orders"])).toBeNull();
  });
});

describe("DeleteStream", () => {
  test("takes the stream through DELETING, then it does not exist", async () => {
    await kinesis.stream();
    await kinesis.run("DeleteStream", { StreamName: "orders" });
    expect(await statusOf()).toBe("DELETING");
    kinesis.clock.advance(TRANSITION_MS);
    const error = await refusal(kinesis.run("DescribeStream", { StreamName: "orders" }));
    expect([error.code, error.message]).toEqual([
      "ResourceNotFoundException",
      `Stream orders under account ${ACCOUNT} not found.`,
    ]);
  });

  test("drops records and metadata in the background, and only after DELETING", async () => {
    await kinesis.stream();
    await kinesis.put("a");
    const stream = await kinesis.reader.get(streams, [ACCOUNT, REGION, "orders"]);
    const ref = { streamId: stream?.streamId ?? "", shardIndex: 0 };
    await kinesis.run("DeleteStream", { StreamName: "orders" });
    const stop = kinesis.service.start?.();
    await stop?.();
    expect(await kinesis.records.last(ref)).not.toBeNull();
    kinesis.clock.advance(TRANSITION_MS);
    await kinesis.restarted().start?.()();
    expect(await kinesis.records.last(ref)).toBeNull();
    expect(await kinesis.reader.get(streams, [ACCOUNT, REGION, "orders"])).toBeNull();
    expect(await kinesis.reader.get(shardLists, [ref.streamId])).toBeNull();
    expect(await kinesis.reader.list(deletions, { prefix: [], limit: 10 })).toEqual([]);
  });

  test("the name can be given again at once; the new stream keeps its records when the old one is dropped", async () => {
    await kinesis.stream();
    await kinesis.put("old");
    const iterator = await kinesis.iterator();
    await kinesis.run("DeleteStream", { StreamName: "orders" });
    kinesis.clock.advance(TRANSITION_MS);
    await kinesis.stream();
    await kinesis.put("new");
    await kinesis.service.start?.()();
    expect(await kinesis.texts()).toEqual(["new"]);
    const error = await refusal(kinesis.run("GetRecords", { ShardIterator: iterator }));
    expect(error.code).toBe("ResourceNotFoundException");
    expect(
      await kinesis.reader.get(streams, streamKey({ accountId: ACCOUNT, region: REGION, name: "orders" })),
    ).not.toBeNull();
  });
});

describe("a stream is named", () => {
  const StreamARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;

  test("by name, by ARN, or by both where they agree", async () => {
    await kinesis.stream();
    for (const input of [{ StreamName: "orders" }, { StreamARN }, { StreamName: "orders", StreamARN }]) {
      expect((await kinesis.run("DescribeStream", input)).StreamDescription.StreamARN).toBe(StreamARN);
    }
  });

  test.each([
    {},
    { StreamName: "others", StreamARN },
    { StreamARN: `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/a/b` },
    { StreamARN: `arn:aws:kinesis:us-east-1:${ACCOUNT}:stream/orders` },
    { StreamARN: `arn:aws:kms:${REGION}:${ACCOUNT}:stream/orders` },
    { StreamName: "orders", StreamId: "abcdefghij0123456789-xyz" },
  ])("not by %j", async (input) => {
    expect((await refusal(kinesis.run("DescribeStream", input))).code).toBe("InvalidArgumentException");
  });

  test("and permission comes before existence", async () => {
    kinesis.denied.add("kinesis:PutRecord");
    expect((await refusal(kinesis.put("a", "nowhere"))).code).toBe("AccessDeniedException");
  });
});
