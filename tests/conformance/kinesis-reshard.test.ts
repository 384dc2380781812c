import {
  CreateStreamCommand,
  DescribeLimitsCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  type Shard,
  SplitShardCommand,
  UpdateShardCountCommand,
  UpdateStreamModeCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { allShards, checkOrder, follow } from "../support/follower.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, utf8, waitUntilActive } from "../support/streams.ts";
import { sleep } from "../support/wait.ts";

const WRITERS = 8;
const BATCH = 10;

const dataDir = temporaryDirectory();
let server: RunningServer;
let root: Clients;
let kinesis: KinesisClient;
beforeAll(async () => {
  server = await startServer({ dataDir });
  root = await rootClients(server);
  kinesis = root.kinesis;
});
afterAll(async () => {
  root.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

/** Puts without retries until told to stop; every put has to succeed. Answers with what was acknowledged. */
async function produce(StreamName: string, load: { goesOn: boolean }): Promise<readonly string[]> {
  const acknowledged: string[] = [];
  const writer = async (name: string, single: boolean): Promise<void> => {
    for (let count = 0; load.goesOn; count += single ? 1 : BATCH) {
      if (single) {
        const data = `${name}/${count}`;
        await kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: name, Data: utf8(data) }));
        acknowledged.push(data);
      } else {
        const all = Array.from({ length: BATCH }, (_, nth) => `${name}/${count + nth}`);
        const Records = all.map((data) => ({ PartitionKey: name, Data: utf8(data) }));
        const answer = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
        expect(answer.FailedRecordCount).toBe(0);
        acknowledged.push(...all);
      }
      await sleep(1);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, async (_, nth) => writer(`writer-${nth}`, nth % 2 === 0)));
  return acknowledged;
}

const openShards = async (StreamName: string): Promise<readonly Shard[]> =>
  (await allShards(kinesis, StreamName))
    .filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined)
    .toSorted((a, b) =>
      BigInt(a.HashKeyRange?.StartingHashKey ?? 0) < BigInt(b.HashKeyRange?.StartingHashKey ?? 0) ? -1 : 1,
    );

async function scale(StreamName: string, TargetShardCount: number): Promise<void> {
  await kinesis.send(new UpdateShardCountCommand({ StreamName, TargetShardCount, ScalingType: "UNIFORM_SCALING" }));
  await waitUntilActive(kinesis, StreamName);
  expect(await openShards(StreamName)).toHaveLength(TargetShardCount);
}

async function splitFirst(StreamName: string): Promise<void> {
  const [shard] = await openShards(StreamName);
  const { StartingHashKey = "0", EndingHashKey = "0" } = shard?.HashKeyRange ?? {};
  const NewStartingHashKey = ((BigInt(StartingHashKey) + BigInt(EndingHashKey)) / 2n).toString();
  await kinesis.send(new SplitShardCommand({ StreamName, ShardToSplit: shard?.ShardId, NewStartingHashKey }));
  await waitUntilActive(kinesis, StreamName);
}

async function mergeFirst(StreamName: string): Promise<void> {
  const [lower, upper] = await openShards(StreamName);
  const input = { StreamName, ShardToMerge: lower?.ShardId, AdjacentShardToMerge: upper?.ShardId };
  await kinesis.send(new MergeShardsCommand(input));
  await waitUntilActive(kinesis, StreamName);
}

describe("resharding under load", () => {
  test.each([
    ["in clear", false],
    ["encrypted", true],
  ])("loses, doubles and reorders nothing for a consumer that follows, %s", async (_, encrypted) => {
    const name = `followed-${encrypted ? "sealed" : "clear"}`;
    const keyId = encrypted ? (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId : undefined;
    await createStream(kinesis, name, { shards: 2, ...(keyId === undefined ? {} : { keyId }) });
    const load = { goesOn: true };
    const end = { isOver: false };
    const following = follow(kinesis, name, () => end.isOver);
    const producing = produce(name, load);
    await scale(name, 4);
    await scale(name, 3);
    await splitFirst(name);
    await mergeFirst(name);
    await scale(name, 6);
    await scale(name, 3);
    await scale(name, 2);
    await sleep(200);
    load.goesOn = false;
    const acknowledged = await producing;
    end.isOver = true;
    const records = await following;
    expect(acknowledged.length).toBeGreaterThan(1_000);
    checkOrder(records, acknowledged);
    expect(records).toHaveLength(acknowledged.length);
    const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: name }));
    expect(StreamDescriptionSummary?.OpenShardCount).toBe(2);
  });
});

describe("what shows of it", () => {
  const StreamName = "shown";
  beforeAll(async () => {
    await createStream(kinesis, StreamName, { shards: 1 });
    await splitFirst(StreamName);
    await mergeFirst(StreamName);
  });

  test("DescribeStream and ListShards name parents and ends", async () => {
    const { StreamDescription } = await kinesis.send(new DescribeStreamCommand({ StreamName }));
    const shards = await allShards(kinesis, StreamName);
    expect(StreamDescription?.Shards).toEqual(shards);
    expect(shards.map((shard) => [shard.ParentShardId, shard.AdjacentParentShardId])).toEqual([
      [undefined, undefined],
      ["shardId-000000000000", undefined],
      ["shardId-000000000000", undefined],
      ["shardId-000000000001", "shardId-000000000002"],
    ]);
    const [first, child] = shards;
    const end = BigInt(first?.SequenceNumberRange?.EndingSequenceNumber ?? 0);
    expect(BigInt(child?.SequenceNumberRange?.StartingSequenceNumber ?? 0)).toBeGreaterThan(end);
    const { OpenShardCount } = await kinesis.send(new DescribeLimitsCommand({}));
    expect(OpenShardCount).toBeGreaterThanOrEqual(1);
  });

  test("ListShards pages with tokens and filters", async () => {
    const list = async (input: object): Promise<(string | undefined)[]> =>
      ((await kinesis.send(new ListShardsCommand({ StreamName, ...input }))).Shards ?? []).map(
        ({ ShardId }) => ShardId,
      );
    const first = await kinesis.send(new ListShardsCommand({ StreamName, MaxResults: 3 }));
    const rest = await kinesis.send(new ListShardsCommand({ NextToken: first.NextToken, MaxResults: 3 }));
    expect([first.Shards?.length, rest.Shards?.length, rest.NextToken]).toEqual([3, 1, undefined]);
    expect(await list({ ShardFilter: { Type: "AT_LATEST" } })).toEqual(["shardId-000000000003"]);
    expect(await list({ ShardFilter: { Type: "AT_TRIM_HORIZON" } })).toEqual(["shardId-000000000000"]);
    expect(await list({ ExclusiveStartShardId: "shardId-000000000001" })).toHaveLength(2);
  });

  test("the errors are AWS's", async () => {
    const split = new SplitShardCommand({ StreamName, ShardToSplit: "shardId-000000000000", NewStartingHashKey: "9" });
    await expect(kinesis.send(split)).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining("has already been merged or split, and thus is not eligible"),
    });
    const scaling = new UpdateShardCountCommand({ StreamName, TargetShardCount: 3, ScalingType: "UNIFORM_SCALING" });
    await expect(kinesis.send(scaling)).rejects.toMatchObject({
      name: "LimitExceededException",
      message: expect.stringContaining("cannot scale up over double your current open shard count"),
    });
  });

  test("on-demand streams choose their own shards, and may become provisioned", async () => {
    const input = { StreamName: "on-demand", StreamModeDetails: { StreamMode: "ON_DEMAND" } } as const;
    await kinesis.send(new CreateStreamCommand(input));
    const { StreamARN } = await waitUntilActive(kinesis, "on-demand");
    const scaling = { StreamName: "on-demand", TargetShardCount: 8, ScalingType: "UNIFORM_SCALING" } as const;
    await expect(kinesis.send(new UpdateShardCountCommand(scaling))).rejects.toMatchObject({
      name: "ValidationException",
    });
    const mode = { StreamARN, StreamModeDetails: { StreamMode: "PROVISIONED" } } as const;
    await kinesis.send(new UpdateStreamModeCommand(mode));
    await waitUntilActive(kinesis, "on-demand");
    await scale("on-demand", 8);
  });
});
