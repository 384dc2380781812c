import {
  type KinesisClient,
  MergeShardsCommand,
  PutRecordsCommand,
  type Shard,
  SplitShardCommand,
  UpdateShardCountCommand,
} from "@aws-sdk/client-kinesis";
import { afterAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { allShards, checkOrder, follow } from "../support/follower.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, utf8, waitUntilActive } from "../support/streams.ts";
import { sleep } from "../support/wait.ts";

const ROUNDS = process.env["WAXSEAL_TORTURE"] === "1" ? 40 : 8;
const SEED = Number(process.env["WAXSEAL_CRASH_SEED"] ?? "7");
const STREAM = "resharded";
const WRITERS = 5;
const BATCH = 10;

const dataDir = temporaryDirectory();
afterAll(() => removeDirectory(dataDir));

/** Writers that put without retries until the server is gone. */
async function load(root: Clients, round: number, acknowledged: string[]): Promise<void> {
  const write = async (writer: string): Promise<void> => {
    try {
      for (let count = 0; ; count += BATCH) {
        const all = Array.from({ length: BATCH }, (_, nth) => `${writer}/${count + nth}`);
        const Records = all.map((data) => ({ PartitionKey: writer, Data: utf8(data) }));
        const answer = await root.kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records }));
        for (const [nth, entry] of (answer.Records ?? []).entries())
          if (entry.SequenceNumber !== undefined) acknowledged.push(all[nth] ?? "");
        await sleep(1);
      }
    } catch {
      // The server was killed: whatever was not answered may or may not have happened.
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, async (_, nth) => write(`round-${round}-writer-${nth}`)));
}

/** One change of the shards, to be sent: a small one, or one of several rounds while AWS's ten a day last. */
function change(kinesis: KinesisClient, open: readonly Shard[], random: Seeded, round: number): () => Promise<unknown> {
  if (round % 4 === 0 && round < 40) {
    const TargetShardCount = open.length > 6 ? Math.ceil(open.length / 2) : open.length * 2 - 1;
    const input = { StreamName: STREAM, TargetShardCount, ScalingType: "UNIFORM_SCALING" } as const;
    return async () => await kinesis.send(new UpdateShardCountCommand(input));
  }
  if (open.length > 4) {
    const at = random.below(open.length - 1);
    const input = { StreamName: STREAM, ShardToMerge: open[at]?.ShardId, AdjacentShardToMerge: open[at + 1]?.ShardId };
    return async () => await kinesis.send(new MergeShardsCommand(input));
  }
  const shard = random.pick(open);
  const NewStartingHashKey = ((start(shard) + BigInt(shard.HashKeyRange?.EndingHashKey ?? 0)) / 2n).toString();
  const input = { StreamName: STREAM, ShardToSplit: shard.ShardId, NewStartingHashKey };
  return async () => await kinesis.send(new SplitShardCommand(input));
}

const start = (shard: Shard): bigint => BigInt(shard.HashKeyRange?.StartingHashKey ?? 0);

/** The open shards, by hash key. Every hash key belongs to exactly one of them. */
async function openShards(kinesis: KinesisClient): Promise<readonly Shard[]> {
  const open = (await allShards(kinesis, STREAM))
    .filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined)
    .toSorted((a, b) => (start(a) < start(b) ? -1 : 1));
  let next = 0n;
  for (const shard of open) {
    expect(start(shard)).toBe(next);
    next = BigInt(shard.HashKeyRange?.EndingHashKey ?? 0) + 1n;
  }
  expect(next).toBe(2n ** 128n);
  return open;
}

test(`after kill -9 amid resharding, ${ROUNDS} times over, it is carried out and nothing is lost or out of order`, async () => {
  const random = seeded(SEED);
  const acknowledged: string[] = [];
  let server: RunningServer = await startServer({ dataDir });
  let root = await rootClients(server);
  await createStream(root.kinesis, STREAM, { shards: 3 });
  let changed = 0;

  for (let round = 0; round < ROUNDS; round += 1) {
    const before = acknowledged.length;
    const working = load(root, round, acknowledged);
    await sleep(100 + random.below(300));
    const open = await openShards(root.kinesis);
    const asked = change(root.kinesis, open, random, round)().then(
      () => true,
      () => false,
    );
    // From before the plan is committed to behind its last round; in every other round it is committed for certain.
    const answered = round % 2 === 0 && (await asked);
    await sleep(random.below(answered ? 6 : 20));
    await server.kill();
    await Promise.all([working, asked]);
    root.destroy();
    expect(acknowledged.length).toBeGreaterThan(before);

    server = await startServer({ dataDir });
    root = await rootClients(server);
    await waitUntilActive(root.kinesis, STREAM);
    const now = await openShards(root.kinesis);
    if (now.some(({ ShardId }) => open.every((shard) => shard.ShardId !== ShardId))) changed += 1;
    else expect(answered).toBe(false);
    checkOrder(await follow(root.kinesis, STREAM, () => true), acknowledged);
  }
  // Else nothing of the above has said much.
  expect(acknowledged.length).toBeGreaterThan(50 * ROUNDS);
  expect(changed).toBeGreaterThanOrEqual(ROUNDS / 2);
  root.destroy();
  expect((await server.stop()).code).toBe(0);
}, 600_000);
