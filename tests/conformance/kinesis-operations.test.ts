/** Every operation of Kinesis that the newest SDK has is called and works; what is not served is named here. */
import * as sdk from "@aws-sdk/client-kinesis";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, refusal, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { createStream, text, utf8, waitUntilActive } from "../support/streams.ts";
import { eventually } from "../support/wait.ts";

const server = serverForAll();
let root: Clients;
let kinesis: sdk.KinesisClient;
const worked = new Set<string>();
beforeAll(async () => {
  root = await rootClients(server());
  ({ kinesis } = root);
  kinesis.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      worked.add(String(context["commandName"]).replace(/Command$/, ""));
      return result;
    },
    { step: "initialize", name: "noteWorked" },
  );
});
afterAll(() => root.destroy());

const SHARD = "shardId-000000000000";
const HALF = (1n << 127n).toString();

async function fresh(name: string, shards = 1): Promise<{ readonly StreamName: string; readonly StreamARN: string }> {
  const { StreamARN = "" } = await createStream(kinesis, name, { shards });
  return { StreamName: name, StreamARN };
}

test("streams: made, listed, described, tagged, deleted", async () => {
  const Tags = { team: "a" };
  await kinesis.send(
    new sdk.CreateStreamCommand({ StreamName: "life", ShardCount: 1, Tags, MaxRecordSizeInKiB: 2048 }),
  );
  const { StreamARN = "" } = await waitUntilActive(kinesis, "life");
  const { StreamDescriptionSummary } = await kinesis.send(new sdk.DescribeStreamSummaryCommand({ StreamARN }));
  expect(StreamDescriptionSummary).toMatchObject({ MaxRecordSizeInKiB: 2048, OpenShardCount: 1, ConsumerCount: 0 });
  const { StreamSummaries } = await kinesis.send(new sdk.ListStreamsCommand({}));
  expect(StreamSummaries).toEqual([
    {
      StreamName: "life",
      StreamARN,
      StreamStatus: "ACTIVE",
      StreamModeDetails: { StreamMode: "PROVISIONED" },
      StreamCreationTimestamp: StreamDescriptionSummary?.StreamCreationTimestamp,
    },
  ]);
  const { OpenShardCount } = await kinesis.send(new sdk.DescribeLimitsCommand({}));
  expect(OpenShardCount).toBe(1);
  await kinesis.send(new sdk.AddTagsToStreamCommand({ StreamARN, Tags: { b: "2" } }));
  await kinesis.send(new sdk.RemoveTagsFromStreamCommand({ StreamARN, TagKeys: ["team"] }));
  const listed = await kinesis.send(new sdk.ListTagsForStreamCommand({ StreamARN }));
  expect(listed.Tags).toEqual([{ Key: "b", Value: "2" }]);
  await kinesis.send(new sdk.TagResourceCommand({ ResourceARN: StreamARN, Tags: { c: "3" } }));
  await kinesis.send(new sdk.UntagResourceCommand({ ResourceARN: StreamARN, TagKeys: ["b"] }));
  const tags = await kinesis.send(new sdk.ListTagsForResourceCommand({ ResourceARN: StreamARN }));
  expect(tags.Tags).toEqual([{ Key: "c", Value: "3" }]);
  await kinesis.send(new sdk.DeleteStreamCommand({ StreamARN }));
});

test("records: put and read, and asked for with DryRun", async () => {
  const { StreamARN } = await fresh("records");
  const record = { PartitionKey: "a", Data: utf8("one") };
  await kinesis.send(new sdk.PutRecordCommand({ StreamARN, ...record }));
  await kinesis.send(new sdk.PutRecordsCommand({ StreamARN, Records: [record] }));
  const start = { StreamARN, ShardId: SHARD, ShardIteratorType: "TRIM_HORIZON" } as const;
  const { ShardIterator } = await kinesis.send(new sdk.GetShardIteratorCommand(start));
  const { Records = [] } = await kinesis.send(new sdk.GetRecordsCommand({ StreamARN, ShardIterator }));
  expect(Records.map(({ Data }) => text(Data))).toEqual(["one", "one"]);
  const DryRun = true;
  for (const asked of [
    kinesis.send(new sdk.PutRecordCommand({ StreamARN, ...record, DryRun })),
    kinesis.send(new sdk.PutRecordsCommand({ StreamARN, Records: [record], DryRun })),
    kinesis.send(new sdk.GetShardIteratorCommand({ ...start, DryRun })),
    kinesis.send(new sdk.GetRecordsCommand({ StreamARN, ShardIterator, DryRun })),
  ])
    expect(await refusal(asked)).toBe("DryRunOperationException");
});

test("settings of a stream: retention, encryption, metrics, record size, policy", async () => {
  const { StreamARN } = await fresh("settings");
  const settled = () => waitUntilActive(kinesis, "settings");
  await kinesis.send(new sdk.IncreaseStreamRetentionPeriodCommand({ StreamARN, RetentionPeriodHours: 48 }));
  await kinesis.send(new sdk.DecreaseStreamRetentionPeriodCommand({ StreamARN, RetentionPeriodHours: 24 }));
  await settled();
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const encryption = { StreamARN, EncryptionType: "KMS", KeyId: KeyMetadata?.Arn } as const;
  await kinesis.send(new sdk.StartStreamEncryptionCommand(encryption));
  await settled();
  await kinesis.send(new sdk.StopStreamEncryptionCommand(encryption));
  await settled();
  const metrics = await kinesis.send(
    new sdk.EnableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ["IncomingBytes", "OutgoingBytes"] }),
  );
  expect(metrics.DesiredShardLevelMetrics).toEqual(["IncomingBytes", "OutgoingBytes"]);
  await settled();
  await kinesis.send(new sdk.DisableEnhancedMonitoringCommand({ StreamARN, ShardLevelMetrics: ["IncomingBytes"] }));
  expect((await settled()).EnhancedMonitoring).toEqual([{ ShardLevelMetrics: ["OutgoingBytes"] }]);
  await kinesis.send(new sdk.UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 10240 }));
  await settled();
  const large = new Uint8Array(10240 * 1024 - 1).fill(7);
  await kinesis.send(new sdk.PutRecordCommand({ StreamARN, PartitionKey: "a", Data: large }));
  for (const MaxRecordSizeInKiB of [1023, 10241]) {
    const call = kinesis.send(new sdk.UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB }));
    expect(await refusal(call)).toBe("ValidationException");
  }
  const Statement = { Effect: "Allow", Principal: "*", Action: "kinesis:PutRecord", Resource: StreamARN };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await kinesis.send(new sdk.PutResourcePolicyCommand({ ResourceARN: StreamARN, Policy }));
  expect(await kinesis.send(new sdk.GetResourcePolicyCommand({ ResourceARN: StreamARN }))).toMatchObject({ Policy });
  await kinesis.send(new sdk.DeleteResourcePolicyCommand({ ResourceARN: StreamARN }));
});

test("shards: listed, split, merged, counted anew", async () => {
  const { StreamARN } = await fresh("shards");
  const settled = () => waitUntilActive(kinesis, "shards");
  await kinesis.send(new sdk.SplitShardCommand({ StreamARN, ShardToSplit: SHARD, NewStartingHashKey: HALF }));
  await settled();
  const [, ShardToMerge, AdjacentShardToMerge] = ["0", "1", "2"].map((last) => `${SHARD.slice(0, -1)}${last}`);
  await kinesis.send(new sdk.MergeShardsCommand({ StreamARN, ShardToMerge, AdjacentShardToMerge }));
  await settled();
  const count = { StreamARN, TargetShardCount: 2, ScalingType: "UNIFORM_SCALING" } as const;
  await kinesis.send(new sdk.UpdateShardCountCommand(count));
  await settled();
  const ShardFilter = { Type: "AT_LATEST" } as const;
  const { Shards } = await kinesis.send(new sdk.ListShardsCommand({ StreamARN, ShardFilter }));
  expect(Shards).toHaveLength(2);
});

test("on-demand streams: mode, distribution, warm throughput, the account's commitment", async () => {
  const { StreamARN } = await fresh("demand");
  const settled = () => waitUntilActive(kinesis, "demand");
  const warm = { StreamARN, WarmThroughputMiBps: 8 };
  await kinesis.send(new sdk.UpdateStreamModeCommand({ StreamARN, StreamModeDetails: { StreamMode: "ON_DEMAND" } }));
  await settled();
  const auto = { StreamARN, RecordDistributionStrategy: "AUTO" } as const;
  await kinesis.send(new sdk.UpdateStreamRecordDistributionStrategyCommand(auto));
  const { ShardId } = await kinesis.send(new sdk.PutRecordCommand({ StreamARN, Data: utf8("no key") }));
  const start = { StreamARN, ShardId, ShardIteratorType: "TRIM_HORIZON" } as const;
  const { ShardIterator } = await kinesis.send(new sdk.GetShardIteratorCommand(start));
  const { Records } = await kinesis.send(new sdk.GetRecordsCommand({ ShardIterator }));
  expect(Records).toHaveLength(1);
  expect(Records?.[0]?.PartitionKey).toBeUndefined();
  expect(await refusal(kinesis.send(new sdk.UpdateStreamWarmThroughputCommand(warm)))).toBe("ValidationException");
  const MinimumThroughputBillingCommitment = { Status: "ENABLED" } as const;
  await kinesis.send(new sdk.UpdateAccountSettingsCommand({ MinimumThroughputBillingCommitment }));
  const account = await kinesis.send(new sdk.DescribeAccountSettingsCommand({}));
  expect(account.MinimumThroughputBillingCommitment?.Status).toBe("ENABLED");
  expect(account.MinimumThroughputBillingCommitment?.StartedAt).toBeInstanceOf(Date);
  await kinesis.send(new sdk.UpdateStreamWarmThroughputCommand(warm));
  await settled();
  const { StreamDescriptionSummary } = await kinesis.send(new sdk.DescribeStreamSummaryCommand({ StreamARN }));
  expect(StreamDescriptionSummary).toMatchObject({
    OpenShardCount: 8,
    WarmThroughput: { TargetMiBps: 8, CurrentMiBps: 8 },
    RecordDistributionStrategy: "AUTO",
  });
});

test("consumers: registered, described, listed, subscribed, deregistered", async () => {
  const { StreamARN } = await fresh("fan-out");
  const { Consumer } = await kinesis.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "c" }));
  const ConsumerARN = Consumer?.ConsumerARN ?? "";
  await eventually(async () => {
    const { ConsumerDescription } = await kinesis.send(new sdk.DescribeStreamConsumerCommand({ ConsumerARN }));
    return ConsumerDescription?.ConsumerStatus === "ACTIVE" ? true : null;
  });
  const { Consumers } = await kinesis.send(new sdk.ListStreamConsumersCommand({ StreamARN }));
  expect(Consumers).toHaveLength(1);
  await kinesis.send(new sdk.PutRecordCommand({ StreamARN, PartitionKey: "a", Data: utf8("pushed") }));
  const StartingPosition = { Type: "TRIM_HORIZON" } as const;
  const { EventStream } = await kinesis.send(
    new sdk.SubscribeToShardCommand({ ConsumerARN, ShardId: SHARD, StartingPosition }),
  );
  for await (const { SubscribeToShardEvent } of EventStream ?? []) {
    if (SubscribeToShardEvent?.Records?.length !== 1) continue;
    expect(text(SubscribeToShardEvent.Records[0]?.Data)).toBe("pushed");
    break;
  }
  await kinesis.send(new sdk.DeregisterStreamConsumerCommand({ ConsumerARN }));
});

/** Channels deliver to S3 tables and buckets, which are not here. */
const NOT_SERVED = ["CreateChannel", "DeleteChannel", "DescribeChannel", "ListChannels", "UpdateChannel"];

test("nothing of the client's operations is left out but channels", () => {
  const all = Object.keys(sdk)
    .filter((name) => /^[A-Z].*Command$/.test(name))
    .map((name) => name.replace(/Command$/, ""));
  expect(all.filter((name) => !worked.has(name)).toSorted()).toEqual(NOT_SERVED);
});
