import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Connections, median, runSlice } from "./support/load.ts";
import { caseResult, type CaseResult, cpuUsPerRecord, type Measured, number, tableText } from "./support/report.ts";
import { cpuTimeUs, startProcess, stopProcess, type Target } from "./support/server-process.ts";
import { type SignedRequest, signJson } from "./support/sign.ts";

export interface BenchOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly progress: (line: string) => void;
}

const RECORD_BYTES = 1024;
const SHARD_COUNT = 4;
const BATCH_RECORDS = 500;
/** A single put pays its share of a commit, and of a block: the more arrive together, the less. */
const PUT_RECORD_CONNECTIONS = 16;
const PUT_RECORD_CONNECTIONS_MANY = 64;
const BATCH_CONNECTIONS = 4;
/** Requests signed ahead and sent again and again. */
const SIGNED_SINGLE = 64;
const SIGNED_BATCH = 8;
const STREAM_WAIT_MS = 50;
const WARM_UP_MS = 3000;

type Encryption = "off" | "on";

interface Stream {
  readonly name: string;
  readonly encryption: Encryption;
  readonly singles: readonly SignedRequest[];
  readonly batches: readonly SignedRequest[];
  iterators: string[];
}

/** PutRecord, PutRecords and GetRecords, without and with encryption in alternation, and the bare floors. */
export async function benchStreams(target: Target, options: BenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const connections = new Connections(target.endpoint, PUT_RECORD_CONNECTIONS_MANY);
  const sign = (operation: string, input: Readonly<Record<string, unknown>>): SignedRequest =>
    signJson(target.endpoint, target.credentials, "kinesis", `Kinesis_20131202.${operation}`, input);
  const call = async (operation: string, input: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> =>
    JSON.parse((await connections.call(sign(operation, input))).toString("utf8") || "{}") as Record<string, unknown>;

  const streams: Stream[] = [];
  for (const encryption of ["off", "on"] as const) {
    const stream = await makeStream(call, sign, encryption, options.progress);
    if (stream !== null) streams.push(stream);
  }

  const measured = new Map<string, Measured[]>();
  const measure = async (name: string, workers: number, step: (worker: number) => Promise<number>): Promise<void> => {
    const before = target.pid === null ? 0 : cpuTimeUs(target.pid);
    const slice = await runSlice(workers, options.seconds * 1000, step);
    const cpuUs = target.pid === null ? null : cpuTimeUs(target.pid) - before;
    measured.set(name, [...(measured.get(name) ?? []), { slice, cpuUs }]);
    options.progress(`${name}: ${number((slice.records / slice.elapsedMs) * 1000, 0)} records/s`);
  };

  // One slice that is not counted: compilers warm up, caches fill, data keys are made.
  for (const stream of streams) {
    await runSlice(PUT_RECORD_CONNECTIONS, WARM_UP_MS, async (worker) => putSingle(connections, stream, worker));
    await runSlice(BATCH_CONNECTIONS, WARM_UP_MS / 2, async (worker) => putBatch(connections, stream, worker));
    await runSlice(BATCH_CONNECTIONS, WARM_UP_MS / 2, (worker) => getBatch(connections, sign, stream, worker));
  }
  const work: readonly [string, number, (stream: Stream, worker: number) => Promise<number>][] = [
    ["PutRecord", PUT_RECORD_CONNECTIONS, (stream, worker) => putSingle(connections, stream, worker)],
    ["PutRecord x64", PUT_RECORD_CONNECTIONS_MANY, (stream, worker) => putSingle(connections, stream, worker)],
    ["PutRecords", BATCH_CONNECTIONS, (stream, worker) => putBatch(connections, stream, worker)],
    ["GetRecords", BATCH_CONNECTIONS, (stream, worker) => getBatch(connections, sign, stream, worker)],
  ];
  for (let round = 0; round < options.rounds; round++) {
    for (const [operation, workers, step] of work) {
      // Every other round the other way round: neither case is always the one that finds the caches cold.
      for (const stream of round % 2 === 0 ? streams : streams.toReversed()) {
        await measure(`${operation} (encryption ${stream.encryption})`, workers, (worker) => step(stream, worker));
      }
    }
  }
  const floors = await measureFloors(streams[0], options);
  connections.close();

  const cases = [...measured].map(([name, rounds]) => caseResult(name, rounds));
  return {
    suite: "streams",
    recordBytes: RECORD_BYTES,
    shards: SHARD_COUNT,
    cases,
    added: addedByEncryption(measured),
    floors,
  };
}

async function makeStream(
  call: (operation: string, input: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>>,
  sign: (operation: string, input: Readonly<Record<string, unknown>>) => SignedRequest,
  encryption: Encryption,
  progress: (line: string) => void,
): Promise<Stream | null> {
  const name = `bench-${encryption}-${randomBytes(4).toString("hex")}`;
  await call("CreateStream", { StreamName: name, ShardCount: SHARD_COUNT });
  const description = await untilActive(call, name);
  if (encryption === "on") {
    try {
      await call("StartStreamEncryption", { StreamName: name, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" });
    } catch (error) {
      progress(`this server does not encrypt streams: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
    await untilActive(call, name);
  }
  const shards = description["Shards"] as readonly { readonly ShardId: string }[];
  const iterators: string[] = [];
  for (const shard of shards) {
    const answer = await call("GetShardIterator", {
      StreamName: name,
      ShardId: shard.ShardId,
      ShardIteratorType: "TRIM_HORIZON",
    });
    iterators.push(String(answer["ShardIterator"]));
  }
  const record = (): Record<string, unknown> => ({
    Data: randomBytes(RECORD_BYTES).toString("base64"),
    PartitionKey: randomBytes(8).toString("hex"),
  });
  return {
    name,
    encryption,
    iterators,
    singles: Array.from({ length: SIGNED_SINGLE }, () => sign("PutRecord", { StreamName: name, ...record() })),
    batches: Array.from({ length: SIGNED_BATCH }, () =>
      sign("PutRecords", { StreamName: name, Records: Array.from({ length: BATCH_RECORDS }, record) }),
    ),
  };
}

async function untilActive(
  call: (operation: string, input: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>>,
  name: string,
): Promise<Record<string, unknown>> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await call("DescribeStream", { StreamName: name });
    const description = answer["StreamDescription"] as Record<string, unknown>;
    if (description["StreamStatus"] === "ACTIVE") return description;
    await new Promise((done) => setTimeout(done, STREAM_WAIT_MS));
  }
  throw new Error(`stream ${name} did not become ACTIVE`);
}

async function putSingle(connections: Connections, stream: Stream, worker: number): Promise<number> {
  const signed = stream.singles[(worker * 7 + Math.trunc(performance.now())) % SIGNED_SINGLE];
  if (signed !== undefined) await connections.call(signed);
  return 1;
}

async function putBatch(connections: Connections, stream: Stream, worker: number): Promise<number> {
  const signed = stream.batches[(worker + Math.trunc(performance.now())) % SIGNED_BATCH];
  if (signed === undefined) return 0;
  const answer = await connections.call(signed);
  if (!answer.includes('"FailedRecordCount":0')) throw new Error("PutRecords answered with failed records");
  return BATCH_RECORDS;
}

/** One worker reads one shard to its end, then from its beginning again. */
async function getBatch(
  connections: Connections,
  sign: (operation: string, input: Readonly<Record<string, unknown>>) => SignedRequest,
  stream: Stream,
  worker: number,
): Promise<number> {
  const answer = await connections.call(
    sign("GetRecords", { ShardIterator: stream.iterators[worker], Limit: BATCH_RECORDS }),
  );
  let records = 0;
  for (let at = answer.indexOf('"SequenceNumber"'); at >= 0; at = answer.indexOf('"SequenceNumber"', at + 1)) records++;
  const next = /"NextShardIterator":"([^"]+)"/.exec(
    answer.subarray(Math.max(0, answer.length - 4096)).toString("latin1") + answer.subarray(0, 4096).toString("latin1"),
  );
  if (records > 0 && next?.[1] !== undefined) {
    stream.iterators[worker] = next[1];
    return records;
  }
  const restarted = await connections.call(
    sign("GetShardIterator", {
      StreamName: stream.name,
      ShardId: `shardId-${String(worker).padStart(12, "0")}`,
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  stream.iterators[worker] = String(
    (JSON.parse(restarted.toString("utf8")) as Record<string, unknown>)["ShardIterator"],
  );
  return records;
}

interface Floor {
  readonly name: string;
  readonly cpuUsPerRecord: number;
}

/** What no server of this kind can beat: node:http moving the same bytes, and the cipher alone on the same bytes. */
async function measureFloors(stream: Stream | undefined, options: BenchOptions): Promise<readonly Floor[]> {
  const single = stream?.singles[0];
  const batch = stream?.batches[0];
  if (single === undefined || batch === undefined) return [];
  const { child, ready } = await startProcess([fileURLToPath(new URL("support/echo-server.js", import.meta.url))]);
  const connections = new Connections(new URL(String(ready["endpoint"])), PUT_RECORD_CONNECTIONS);
  const floors: Floor[] = [];
  const echo = async (name: string, workers: number, request: SignedRequest, records: number): Promise<void> => {
    const perRound: number[] = [];
    for (let round = 0; round < options.rounds; round++) {
      const before = cpuTimeUs(Number(ready["pid"]));
      const slice = await runSlice(workers, options.seconds * 1000, async () => {
        await connections.send(request);
        return records;
      });
      perRound.push((cpuTimeUs(Number(ready["pid"])) - before) / Math.max(1, slice.records));
    }
    floors.push({ name, cpuUsPerRecord: median(perRound) });
  };
  await echo("node:http echo, PutRecord body", PUT_RECORD_CONNECTIONS, single, 1);
  await echo("node:http echo, PutRecords body", BATCH_CONNECTIONS, batch, BATCH_RECORDS);
  const answer = { ...single, headers: { ...single.headers, "x-answer-bytes": String(batch.body.length) } };
  await echo("node:http echo, GetRecords answer", BATCH_CONNECTIONS, answer, BATCH_RECORDS);
  connections.close();
  await stopProcess(child);
  return [...floors, ...cipherFloors()];
}

function cipherFloors(): readonly Floor[] {
  const key = createSecretKey(randomBytes(32));
  const record = randomBytes(RECORD_BYTES);
  const nonce = randomBytes(12);
  const seal = (): { readonly sealed: Buffer; readonly tag: Buffer } => {
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const sealed = cipher.update(record);
    cipher.final();
    return { sealed, tag: cipher.getAuthTag() };
  };
  const { sealed, tag } = seal();
  const open = (): void => {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce).setAuthTag(tag);
    decipher.update(sealed);
    decipher.final();
  };
  const time = (run: () => unknown): number => {
    const rounds: number[] = [];
    for (let round = 0; round < 7; round++) {
      const before = process.cpuUsage();
      for (let index = 0; index < 5000; index++) run();
      const used = process.cpuUsage(before);
      rounds.push((used.user + used.system) / 5000);
    }
    return median(rounds);
  };
  return [
    { name: "node:crypto AES-256-GCM, seal", cpuUsPerRecord: time(seal) },
    { name: "node:crypto AES-256-GCM, open", cpuUsPerRecord: time(open) },
  ];
}

/** Medians of the difference within each round: the machine's speed changes over minutes, less so within seconds. */
function addedByEncryption(
  measured: ReadonlyMap<string, readonly Measured[]>,
): Readonly<Record<string, number | null>> {
  const added: Record<string, number | null> = {};
  for (const operation of ["PutRecord", "PutRecord x64", "PutRecords", "GetRecords"]) {
    const off = measured.get(`${operation} (encryption off)`)?.map(cpuUsPerRecord) ?? [];
    const on = measured.get(`${operation} (encryption on)`)?.map(cpuUsPerRecord) ?? [];
    if (on.length === 0) continue;
    const differences = on.map((value, round) => value - (off[round] ?? Number.NaN));
    added[operation] = differences.some(Number.isNaN) ? null : median(differences);
  }
  return added;
}

/** The result as text for people. */
export function streamsText(result: Readonly<Record<string, unknown>>): string {
  const cases = result["cases"] as readonly CaseResult[];
  const floors = result["floors"] as readonly Floor[];
  const added = result["added"] as Readonly<Record<string, number | null>>;
  return [
    `Streams: records of ${RECORD_BYTES} bytes, ${SHARD_COUNT} shards, durable; PutRecord at 16 and 64 connections; medians over rounds`,
    tableText(
      ["case", "records/s", "p50 ms", "p99 ms", "server CPU us/record"],
      cases.map((row) => [
        row.name,
        number(row.recordsPerSecond, 0),
        number(row.p50Ms, 2),
        number(row.p99Ms, 2),
        number(row.serverCpuUsPerRecord),
      ]),
    ),
    "",
    tableText(
      ["added by encryption", "server CPU us/record"],
      Object.entries(added).map(([name, value]) => [name, number(value)]),
    ),
    "",
    tableText(
      ["bare floor", "CPU us/record"],
      floors.map((floor) => [floor.name, number(floor.cpuUsPerRecord)]),
    ),
  ].join("\n");
}
