import { readdirSync, readFileSync } from "node:fs";
import { Agent } from "node:http";
import { ListShardsCommand, type Shard } from "@aws-sdk/client-kinesis";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { collectGarbage } from "../support/inspector.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream } from "../support/streams.ts";
import { send, sign, targeted } from "../support/wire.ts";

/**
 * A stream of many shards and very many records beside one of a few, each on a server of its own, measured in alternation: puts
 * and gets must cost the same, and so must memory and the start. The figures are for docs/performance.md.
 */
const IS_TORTURE = process.env["WAXSEAL_TORTURE"] === "1";
const MANY_SHARDS = Number(process.env["WAXSEAL_SCALE_SHARDS"] ?? "1000");
const MANY_RECORDS = Number(process.env["WAXSEAL_SCALE_RECORDS"] ?? "1000000");
const FEW_SHARDS = 4;
/** As many in each shard as there are in the other stream's. */
const RECORDS_PER_SHARD = MANY_RECORDS / MANY_SHARDS;
const TENTHS = 10;
const BATCH = 500;
const RECORD_BYTES = 200;
const ROUNDS = 15;
const SLICE_MS = 700;
const LINES = 8;
/** Issue: "do not slow a put or a get by more than 1.3x". */
const RATIO_MAX = 1.3;
const START_MS_MAX = 2_000;
const MEMORY_RATIO_MAX = 1.3;
const STREAM = "scaled";

interface Sized {
  server: RunningServer;
  root: Clients;
  readonly dataDir: string;
  readonly agent: Agent;
  readonly shards: readonly Shard[];
}

const directories: string[] = [];
afterAll(() => directories.forEach(removeDirectory));

/** All threads, from the scheduler's count in nanoseconds. */
function cpuUs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // It ended meanwhile.
    }
  }
  return ns / 1_000;
}

const ownMemoryMib = (pid: number): number =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;

const start = (dataDir: string): Promise<RunningServer> => startServer({ dataDir, nodeArgs: ["--inspect-port=0"] });

async function sized(shards: number): Promise<Sized> {
  const dataDir = temporaryDirectory();
  directories.push(dataDir);
  const server = await start(dataDir);
  const root = await rootClients(server);
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  await createStream(root.kinesis, STREAM, { shards, keyId: KeyMetadata?.KeyId ?? "" });
  const agent = new Agent({ keepAlive: true, maxSockets: LINES });
  return { server, root, dataDir, agent, shards: await shardsOf(root) };
}

async function shardsOf(root: Clients): Promise<readonly Shard[]> {
  const found: Shard[] = [];
  let NextToken: string | undefined;
  do {
    const input = NextToken === undefined ? { StreamName: STREAM } : { NextToken };
    const page = await root.kinesis.send(new ListShardsCommand(input));
    found.push(...(page.Shards ?? []));
    ({ NextToken } = page);
  } while (NextToken !== undefined);
  return found;
}

/**
 * Over connections that stay open. The SDK's client opens one for each request, which costs the server more than the request.
 */
async function call({ server, root, agent }: Sized, operation: string, input: object): Promise<Buffer> {
  const { endpoint, region } = server;
  const request = targeted(`Kinesis_20131202.${operation}`, JSON.stringify(input));
  const signed = sign(request, { endpoint, region, service: "kinesis", credentials: root.credentials });
  const { status, body } = await send(endpoint, signed, { agent });
  if (status !== 200) throw new Error(`${operation} answered ${status}: ${body.toString("utf8", 0, 300)}`);
  return body;
}

const DATA = Buffer.alloc(RECORD_BYTES, "r").toString("base64");
const recordFor = (shard: Shard | undefined): object => ({
  PartitionKey: "key",
  ExplicitHashKey: shard?.HashKeyRange?.StartingHashKey,
  Data: DATA,
});

async function putBatch(of: Sized, shard: Shard | undefined, count: number): Promise<void> {
  const Records = Array.from({ length: count }, () => recordFor(shard));
  const answer = await call(of, "PutRecords", { StreamName: STREAM, Records });
  if (!answer.includes('"FailedRecordCount":0')) throw new Error("records were refused");
}

async function fill(of: Sized, shard: Shard, records: number): Promise<void> {
  for (let count = 0; count < records; count += BATCH) await putBatch(of, shard, Math.min(BATCH, records - count));
}

async function inParallel<T>(all: readonly T[], run: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  const line = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: LINES }, line));
}

/** One request, on a shard of those that it is given in turn. */
type Request = (of: Sized, shard: Shard | undefined) => Promise<unknown>;

/** Records that are read are the oldest of their shard: a get must not depend on what lies behind them. */
const REQUESTS: Readonly<Record<string, Request>> = {
  PutRecord: (of, shard) => call(of, "PutRecord", { StreamName: STREAM, ...recordFor(shard) }),
  "PutRecords of 500": (of, shard) => putBatch(of, shard, BATCH),
  "GetShardIterator and GetRecords of 500": async (of, shard) => {
    const input = { StreamName: STREAM, ShardId: shard?.ShardId, ShardIteratorType: "TRIM_HORIZON" };
    const { ShardIterator } = JSON.parse((await call(of, "GetShardIterator", input)).toString()) as {
      readonly ShardIterator: string;
    };
    const answer = await call(of, "GetRecords", { ShardIterator, Limit: BATCH });
    const count = answer.toString("latin1").split('"SequenceNumber"').length - 1;
    if (count !== BATCH) throw new Error(`${count} records in place of ${BATCH}`);
  },
};

/** CPU of the server and time from request to answer, in microseconds. */
interface Slice {
  readonly cpuUs: number;
  readonly latencyUs: number;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function slice(of: Sized, request: Request, seed: number): Promise<Slice> {
  const latencies: number[] = [];
  let at = seed * 7_919;
  const beganMs = performance.now();
  const cpuBefore = cpuUs(of.server.pid);
  const line = async (): Promise<void> => {
    while (performance.now() - beganMs < SLICE_MS) {
      // Far apart, so that it is another shard each time, and another one in each slice.
      at += 37;
      const sentMs = performance.now();
      await request(of, of.shards[at % of.shards.length]);
      latencies.push((performance.now() - sentMs) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: FEW_SHARDS }, line));
  return { cpuUs: (cpuUs(of.server.pid) - cpuBefore) / latencies.length, latencyUs: median(latencies) };
}

async function compare(name: string, few: Sized, many: Sized): Promise<void> {
  const request = REQUESTS[name] as Request;
  const ratios: { readonly cpu: number; readonly latency: number }[] = [];
  const figures: Slice[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const order = round % 2 === 0 ? [few, many] : [many, few];
    const measured = new Map<Sized, Slice>();
    for (const one of order) measured.set(one, await slice(one, request, round));
    const [a, b] = [measured.get(few), measured.get(many)];
    // The first round warms up.
    if (round === 0 || a === undefined || b === undefined) continue;
    ratios.push({ cpu: b.cpuUs / a.cpuUs, latency: b.latencyUs / a.latencyUs });
    figures.push(b);
  }
  const cpu = median(ratios.map((each) => each.cpu));
  const latency = median(ratios.map((each) => each.latency));
  const us = Math.round(median(figures.map((each) => each.cpuUs)));
  console.log(`${name}: ${us} us of CPU, ${cpu.toFixed(2)} times; time to the answer ${latency.toFixed(2)} times`);
  expect.soft(cpu, `${name}, CPU`).toBeLessThan(RATIO_MAX);
  expect.soft(latency, `${name}, latency`).toBeLessThan(RATIO_MAX);
}

async function restarted(one: Sized): Promise<void> {
  one.root.destroy();
  one.agent.destroy();
  await one.server.stop();
  one.server = await start(one.dataDir);
  one.root = await rootClients(one.server);
}

test.runIf(IS_TORTURE)(
  `${MANY_RECORDS} records in ${MANY_SHARDS} shards cost a put and a get what few of them do`,
  async () => {
    const few = await sized(FEW_SHARDS);
    const many = await sized(MANY_SHARDS);
    const memory: number[] = [];
    const beganMs = performance.now();
    for (let tenth = 0; tenth < TENTHS; tenth += 1) {
      await inParallel(many.shards, (shard) => fill(many, shard, RECORDS_PER_SHARD / TENTHS));
      await collectGarbage(many.server);
      memory.push(ownMemoryMib(many.server.pid));
    }
    console.log(`filled at ${Math.round(MANY_RECORDS / ((performance.now() - beganMs) / 1_000))} records/s`);
    for (let tenth = 0; tenth < TENTHS; tenth += 1)
      await inParallel(few.shards, (shard) => fill(few, shard, RECORDS_PER_SHARD / TENTHS));
    for (const one of [few, many]) await restarted(one);
    const [first = 0, last = 0] = [memory[1], memory.at(-1)];
    console.log(
      `own memory by tenths of the records: ${memory.map(Math.round).join(", ")} MiB; start ${Math.round(many.server.readyMs)} ms`,
    );
    expect.soft(many.server.readyMs).toBeLessThan(START_MS_MAX);
    // The first tenth warms up.
    expect.soft(last).toBeLessThan(first * MEMORY_RATIO_MAX);
    for (const name of Object.keys(REQUESTS)) await compare(name, few, many);
    for (const one of [few, many]) {
      one.root.destroy();
      one.agent.destroy();
      expect((await one.server.stop()).code).toBe(0);
    }
  },
  3_600_000,
);
