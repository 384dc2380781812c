import { PutRecordCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, EncryptCommand, TagResourceCommand } from "@aws-sdk/client-kms";
import { afterAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, readShard, shardIds, utf8 } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";
import { sleep } from "../support/wait.ts";

const ROUNDS = process.env["WAXSEAL_TORTURE"] === "1" ? 50 : 10;
const SEED = Number(process.env["WAXSEAL_CRASH_SEED"] ?? "5");
const STREAM = "crashed";
const WRITERS = 6;
const BATCH = 20;
const READY_MS_MAX = 2_000;

/** What the server has acknowledged, over all rounds. */
interface Acknowledged {
  /** Record data by shard, in the order in which each writer was answered. */
  readonly records: {
    readonly data: string;
    readonly shardId: string;
    readonly sequenceNumber: string;
    readonly writer: string;
  }[];
  /** Request ids by operation. */
  readonly calls: { readonly operation: string; readonly requestId: string }[];
}

const dataDir = temporaryDirectory();
afterAll(() => removeDirectory(dataDir));

/** Writers that put without retries, and callers of KMS, until the server is gone. */
async function load(root: Clients, keyId: string, round: number, random: Seeded, done: Acknowledged): Promise<void> {
  const untilGone = async (step: (count: number) => Promise<void>): Promise<void> => {
    try {
      for (let count = 0; ; count += 1) await step(count);
    } catch {
      // The server was killed: whatever was not answered may or may not have happened.
    }
  };
  const single = async (writer: string, count: number): Promise<void> => {
    const data = `${writer}/${count}`;
    const record = { StreamName: STREAM, PartitionKey: writer, Data: utf8(data) };
    const answer = await root.kinesis.send(new PutRecordCommand(record));
    done.records.push({ data, writer, shardId: answer.ShardId ?? "", sequenceNumber: answer.SequenceNumber ?? "" });
  };
  const batch = async (writer: string, count: number): Promise<void> => {
    const all = Array.from({ length: BATCH }, (_, index) => `${writer}/${count * BATCH + index}`);
    const Records = all.map((data) => ({ PartitionKey: writer, Data: utf8(data) }));
    const answer = await root.kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records }));
    for (const [index, entry] of (answer.Records ?? []).entries()) {
      if (entry.SequenceNumber === undefined) continue;
      done.records.push({
        data: all[index] ?? "",
        writer,
        shardId: entry.ShardId ?? "",
        sequenceNumber: entry.SequenceNumber,
      });
    }
    await sleep(2);
  };
  const call = async (): Promise<void> => {
    const [operation, command] = random.pick([
      ["Encrypt", async () => root.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: utf8("x") }))],
      [
        "TagResource",
        async () =>
          root.kms.send(new TagResourceCommand({ KeyId: keyId, Tags: [{ TagKey: "round", TagValue: `${round}` }] })),
      ],
      ["CreateKey", async () => root.kms.send(new CreateKeyCommand({}))],
    ] as const);
    const answer = await command();
    done.calls.push({ operation, requestId: answer.$metadata.requestId ?? "" });
    await sleep(5);
  };
  await Promise.all([
    ...Array.from({ length: WRITERS }, async (_, index) =>
      untilGone(async (count) => (index % 2 === 0 ? single : batch)(`round-${round}-writer-${index}`, count)),
    ),
    untilGone(call),
  ]);
}

/** Every acknowledged record is there, once, under its number; and each shard is in order, for each writer too. */
async function checkRecords(root: Clients, done: Acknowledged): Promise<number> {
  const expected = new Map(done.records.map((record) => [record.data, record]));
  const seen = new Set<string>();
  let count = 0;
  for (const shardId of await shardIds(root.kinesis, STREAM)) {
    let lastNumber = 0n;
    const lastOfWriter = new Map<string, number>();
    for (const record of await readShard(root.kinesis, STREAM, shardId)) {
      count += 1;
      if (seen.has(record.data)) throw new Error(`${record.data} is there twice`);
      seen.add(record.data);
      const number = BigInt(record.sequenceNumber);
      if (number <= lastNumber) throw new Error(`${record.data} is out of order in ${shardId}`);
      lastNumber = number;
      const [writer = "", index = "0"] = record.data.split(/\/(?=\d+$)/);
      if (Number(index) <= (lastOfWriter.get(writer) ?? -1))
        throw new Error(`${record.data} is out of its writer's order`);
      lastOfWriter.set(writer, Number(index));
      const acknowledged = expected.get(record.data);
      if (acknowledged === undefined) continue;
      expect([record.shardId, record.sequenceNumber]).toEqual([acknowledged.shardId, acknowledged.sequenceNumber]);
    }
  }
  const lost = done.records.filter((record) => !seen.has(record.data));
  expect(lost).toEqual([]);
  return count;
}

async function checkTrail(root: Clients, calls: Acknowledged["calls"]): Promise<void> {
  for (const operation of new Set(calls.map((entry) => entry.operation))) {
    const events = await eventsNamed(root.cloudtrail, operation, 100_000);
    const known = new Set(events.map((event) => event.requestID));
    expect(known.size).toBe(events.length);
    expect(calls.filter((entry) => entry.operation === operation && !known.has(entry.requestId))).toEqual([]);
  }
}

test(`after kill -9 under load, ${ROUNDS} times over, nothing acknowledged is lost, doubled or out of order`, async () => {
  const random = seeded(SEED);
  const done: Acknowledged = { records: [], calls: [] };
  let server: RunningServer = await startServer({ dataDir });
  let root = await rootClients(server);
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const keyId = KeyMetadata?.KeyId ?? "";
  await createStream(root.kinesis, STREAM, { shards: 3, keyId });

  for (let round = 0; round < ROUNDS; round += 1) {
    const before = done.records.length;
    const working = load(root, keyId, round, random, done);
    await sleep(300 + random.below(1_200));
    await server.kill();
    await working;
    root.destroy();
    expect(done.records.length).toBeGreaterThan(before);

    server = await startServer({ dataDir });
    expect(server.readyMs).toBeLessThan(READY_MS_MAX);
    root = await rootClients(server);
    const stored = await checkRecords(root, done);
    expect(stored).toBeGreaterThanOrEqual(done.records.length);
    await checkTrail(root, done.calls.slice(-500));
  }
  await checkTrail(root, done.calls);
  // Else nothing of the above has said much.
  expect(done.records.length).toBeGreaterThan(100 * ROUNDS);
  expect(done.calls.length).toBeGreaterThan(10 * ROUNDS);
  root.destroy();
  expect((await server.stop()).code).toBe(0);
});
