import { readFileSync } from "node:fs";
import {
  DeleteStreamCommand,
  DescribeStreamConsumerCommand,
  type KinesisClient,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { collectGarbage } from "../support/inspector.ts";
import { checkOrder, follow, type FollowedRecord } from "../support/follower.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, shardIds, text } from "../support/streams.ts";
import { eventually, within } from "../support/wait.ts";

/**
 * At full speed, with a consumer that polls and one that is pushed to, on encrypted streams that come and go: nothing is lost or
 * out of order, nothing fails, and the server's memory stays what it was when it was warm.
 */
const IS_TORTURE = process.env["WAXSEAL_TORTURE"] === "1";
const WARM_UP_MS = IS_TORTURE ? 60_000 : 25_000;
const MEASURED_MS = IS_TORTURE ? 600_000 : 60_000;
const ROUND_MS = IS_TORTURE ? 10_000 : 5_000;
const SHARDS = 2;
const BATCH = 50;
const BATCH_PRODUCERS = 3;
const SINGLE_PRODUCERS = 8;
const RECORD_BYTES = 1_024;
const GROWTH_MAX = 1.1;

const dataDir = temporaryDirectory();
afterAll(() => removeDirectory(dataDir));

/** The process's own memory in bytes. Pages of the store's files are the kernel's, which takes them back when it needs them. */
function ownMemory(pid: number): number {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);

async function consumerOf(kinesis: KinesisClient, StreamARN: string): Promise<string> {
  const made = await kinesis.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "pushed-to" }));
  const ConsumerARN = made.Consumer?.ConsumerARN ?? "";
  return eventually(async () => {
    const { ConsumerDescription } = await kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }));
    return ConsumerDescription?.ConsumerStatus === "ACTIVE" ? ConsumerARN : null;
  });
}

/** Takes what it is pushed until `isEnough`. */
async function subscribe(
  kinesis: KinesisClient,
  ConsumerARN: string,
  ShardId: string,
  isEnough: (found: number) => boolean,
): Promise<readonly FollowedRecord[]> {
  const input = { ConsumerARN, ShardId, StartingPosition: { Type: "TRIM_HORIZON" } } as const;
  const { EventStream } = await kinesis.send(new SubscribeToShardCommand(input));
  const found: FollowedRecord[] = [];
  for await (const { SubscribeToShardEvent: event } of EventStream ?? []) {
    for (const { SequenceNumber = "", Data } of event?.Records ?? [])
      found.push({ shardId: ShardId, sequenceNumber: SequenceNumber, data: nameIn(text(Data)) });
    if (isEnough(found.length)) break;
  }
  return found;
}

const FILLER = "f".repeat(RECORD_BYTES);
const nameIn = (data: string): string => data.slice(0, data.indexOf(" "));

/** One stream: made, filled at full speed while it is read in both ways, compared, and deleted. */
async function round(producers: Clients, readers: Clients, name: string, keyId: string): Promise<number> {
  const { StreamARN = "" } = await createStream(producers.kinesis, name, { shards: SHARDS, keyId });
  const consumerArn = await consumerOf(readers.kinesis, StreamARN);
  const shards = await shardIds(producers.kinesis, name);
  const acknowledged: string[] = [];
  const byShard = new Map(shards.map((shardId) => [shardId, 0]));
  const untilMs = performance.now() + ROUND_MS;
  let isOver = false;
  const taken = (data: string, shardId = ""): void => {
    acknowledged.push(data);
    byShard.set(shardId, (byShard.get(shardId) ?? 0) + 1);
  };
  const record = (writer: string, count: number): { readonly Data: Uint8Array; readonly PartitionKey: string } => ({
    PartitionKey: writer,
    Data: Buffer.from(`${writer}/${count} ${FILLER}`),
  });
  const putSingle = async (writer: string): Promise<void> => {
    for (let count = 0; performance.now() < untilMs; count += 1) {
      const input = { StreamName: name, ...record(writer, count) };
      taken(`${writer}/${count}`, (await producers.kinesis.send(new PutRecordCommand(input))).ShardId);
    }
  };
  const putBatches = async (writer: string): Promise<void> => {
    for (let count = 0; performance.now() < untilMs; count += BATCH) {
      const Records = Array.from({ length: BATCH }, (_, at) => record(`${writer}-${at % 7}`, count + at));
      const answer = await producers.kinesis.send(new PutRecordsCommand({ StreamName: name, Records }));
      expect(answer.FailedRecordCount).toBe(0);
      for (const [at, entry] of (answer.Records ?? []).entries())
        taken(`${Records[at]?.PartitionKey}/${count + at}`, entry.ShardId);
    }
  };
  const polled = follow(readers.kinesis, name, () => isOver);
  const pushed = shards.map((shardId) =>
    subscribe(readers.kinesis, consumerArn, shardId, (found) => isOver && found >= (byShard.get(shardId) ?? 0)),
  );
  await Promise.all([
    ...Array.from({ length: BATCH_PRODUCERS }, (_, at) => putBatches(`batch${at}`)),
    ...Array.from({ length: SINGLE_PRODUCERS }, (_, at) => putSingle(`single${at}`)),
  ]);
  isOver = true;
  const byPoll = (await within(60_000, "reading the rest", polled)).map((each) => ({
    ...each,
    data: nameIn(each.data),
  }));
  checkOrder(byPoll, acknowledged);
  checkOrder((await within(60_000, "being pushed the rest", Promise.all(pushed))).flat(), acknowledged);
  await producers.kinesis.send(new DeleteStreamCommand({ StreamName: name, EnforceConsumerDeletion: true }));
  return acknowledged.length;
}

test(`${MEASURED_MS / 1_000} s at full speed: no error, and memory within ${Math.round((GROWTH_MAX - 1) * 100)} %`, async () => {
  const server: RunningServer = await startServer({ dataDir, nodeArgs: ["--inspect-port=0"] });
  const producers = await rootClients(server);
  const readers = await rootClients(server);
  const { KeyMetadata } = await producers.kms.send(new CreateKeyCommand({}));
  const keyId = KeyMetadata?.KeyId ?? "";
  const beganMs = performance.now();
  const memory: number[] = [];
  let records = 0;
  for (let count = 0; performance.now() - beganMs < WARM_UP_MS + MEASURED_MS; count += 1) {
    records += await round(producers, readers, `soak-${count}`, keyId);
    const busy = ownMemory(server.pid);
    // What is garbage comes and goes with the collector's plans; a leak stays.
    await collectGarbage(server);
    const own = ownMemory(server.pid);
    if (performance.now() - beganMs > WARM_UP_MS) memory.push(own);
    console.log(`soak, round ${count}: ${records} records; own memory ${mib(busy)} MiB, ${mib(own)} without garbage`);
  }

  const half = memory.length >> 1;
  const [first, second] = [median(memory.slice(0, half)), median(memory.slice(half))];
  expect(second).toBeLessThan(first * GROWTH_MAX);
  expect(records).toBeGreaterThan(10_000);
  expect(server.output().stderr).not.toMatch(/"level":[56]0/);
  producers.destroy();
  readers.destroy();
  expect((await server.stop()).code).toBe(0);
}, 3_600_000);
