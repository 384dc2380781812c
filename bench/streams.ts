import { type Asked, askedRatios, askedText } from "./streams-targets.ts";
import { type Floor, measureFloors } from "./streams-floors.ts";
import { StreamLoad, type StreamShape, type Suite } from "./streams-load.ts";
import { addedCpuUs, Measurements, type Operation, rateRatio, type Side } from "./streams-measurements.ts";
import { startKinesalite } from "./support/kinesalite.ts";
import { Connections, runSlice } from "./support/load.ts";
import { type CaseResult, cpuUsPerRecord, type Measured, number, tableText } from "./support/report.ts";
import { cpuTimeUs, type Target } from "./support/server-process.ts";

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
/** One for each shard: a worker of GetRecords reads one. */
const BATCH_CONNECTIONS = SHARD_COUNT;
const WARM_UP_MS = 3000;

/** Besides the 1 KiB of the main cases. The largest leaves room for its partition key in AWS's 1 MiB. */
const OTHER_SIZES: readonly { readonly label: string; readonly bytes: number; readonly batchRecords: number }[] = [
  { label: "100 B", bytes: 100, batchRecords: 500 },
  { label: "32 KiB", bytes: 32 * 1024, batchRecords: 64 },
  { label: "1 MiB", bytes: 1024 * 1024 - 16, batchRecords: 4 },
];
/** Sizes get a part of the rounds: what they show is rougher than the main cases. */
const SIZE_ROUNDS_MAX = 5;

const SUITES: readonly (readonly [Side, Suite])[] = [
  ["not encrypted", null],
  ["AES", "aes"],
  ["XChaCha", "xchacha"],
];

const BATCHES: readonly Operation[] = ["PutRecords", "GetRecords"];
const OPERATIONS: readonly Operation[] = ["PutRecord", "PutRecord x64", ...BATCHES];

const CONNECTIONS: Readonly<Record<Operation, number>> = {
  PutRecord: PUT_RECORD_CONNECTIONS,
  "PutRecord x64": PUT_RECORD_CONNECTIONS_MANY,
  PutRecords: BATCH_CONNECTIONS,
  GetRecords: BATCH_CONNECTIONS,
};

interface Contender {
  readonly side: Side;
  readonly load: StreamLoad;
  readonly pid: number | null;
}

interface SizeRow {
  readonly size: string;
  readonly operation: Operation;
  /** Server CPU in microseconds per record. */
  readonly cpuUs: Readonly<Partial<Record<Side, number | null>>>;
  readonly added: Readonly<Record<"AES" | "XChaCha", number | null>>;
  /** Records per second, as a share of those without encryption. */
  readonly rate: Readonly<Record<"AES" | "XChaCha", number | null>>;
}

interface StreamsResult {
  readonly suite: "streams";
  readonly recordBytes: number;
  readonly shards: number;
  readonly kinesalite: "measured" | "not installed";
  readonly cases: readonly CaseResult[];
  readonly asked: readonly Asked[];
  readonly sizes: readonly SizeRow[];
  readonly floors: readonly Floor[];
}

/** Puts and gets: without encryption, with either suite and by kinesalite in alternation; then other sizes, and the bare floors. */
export async function benchStreams(target: Target, options: BenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const kinesalite = await startKinesalite();
  const connections = new Connections(target.endpoint, PUT_RECORD_CONNECTIONS_MANY);
  const others = kinesalite === null ? null : new Connections(kinesalite.endpoint, PUT_RECORD_CONNECTIONS_MANY);
  try {
    const shape = { recordBytes: RECORD_BYTES, shards: SHARD_COUNT, batchRecords: BATCH_RECORDS };
    const contenders = await ownContenders(target, connections, shape, options);
    if (kinesalite !== null && others !== null) {
      const load = await StreamLoad.make(kinesalite, others, { ...shape, suite: null });
      contenders.push({ side: "kinesalite", load, pid: kinesalite.pid });
    }
    const measured = await measureInTurns(contenders, OPERATIONS, options.rounds, options);
    const { single, batch } = contenders[0]?.load.examples ?? {};
    for (const { load } of contenders) await load.delete();
    const sizes = sizeRows("1 KiB", measured);
    for (const size of OTHER_SIZES) sizes.push(...(await measureSize(target, connections, size, options)));
    const result: StreamsResult = {
      suite: "streams",
      recordBytes: RECORD_BYTES,
      shards: SHARD_COUNT,
      kinesalite: kinesalite === null ? "not installed" : "measured",
      cases: measured.cases(),
      asked: askedRatios(measured),
      sizes,
      floors: single === undefined || batch === undefined ? [] : await floorsOf(single, batch, options),
    };
    return { ...result };
  } finally {
    connections.close();
    others?.close();
    await kinesalite?.stop();
  }
}

const floorsOf = (
  single: Parameters<typeof measureFloors>[0]["single"],
  batch: Parameters<typeof measureFloors>[0]["batch"],
  options: BenchOptions,
): Promise<readonly Floor[]> =>
  measureFloors(
    {
      single,
      batch,
      singleConnections: PUT_RECORD_CONNECTIONS,
      batchConnections: BATCH_CONNECTIONS,
      batchRecords: BATCH_RECORDS,
      recordBytes: RECORD_BYTES,
    },
    options,
  );

async function ownContenders(
  target: Target,
  connections: Connections,
  shape: Omit<StreamShape, "suite">,
  { progress }: BenchOptions,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const [side, suite] of SUITES) {
    try {
      const load = await StreamLoad.make(target, connections, { ...shape, suite });
      contenders.push({ side, load, pid: target.pid });
    } catch (error) {
      if (suite === null) throw error;
      progress(`${side}: not with this server: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return contenders;
}

function step(operation: Operation, load: StreamLoad): (worker: number) => Promise<number> {
  if (operation === "PutRecords") return (worker) => load.putRecords(worker);
  if (operation === "GetRecords") return (worker) => load.getRecords(worker);
  return (worker) => load.putRecord(worker);
}

async function measureInTurns(
  contenders: readonly Contender[],
  operations: readonly Operation[],
  rounds: number,
  options: BenchOptions,
): Promise<Measurements> {
  // One slice that is not counted: compilers warm up, caches fill, data keys are made.
  for (const { load } of contenders) {
    for (const operation of operations)
      await runSlice(CONNECTIONS[operation], WARM_UP_MS / operations.length, step(operation, load));
  }
  const measured = new Measurements();
  for (let round = 0; round < rounds; round++) {
    for (const operation of operations) {
      // Every other round the other way round: no case is always the one that finds the caches cold.
      for (const { side, load, pid } of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const before = pid === null ? 0 : cpuTimeUs(pid);
        const slice = await runSlice(CONNECTIONS[operation], options.seconds * 1000, step(operation, load));
        measured.add(operation, side, { slice, cpuUs: pid === null ? null : cpuTimeUs(pid) - before });
        options.progress(
          `${operation}, ${side}: ${number((slice.records / slice.elapsedMs) * 1000, 0)} records/s` +
            ` of ${load.shape.recordBytes} bytes`,
        );
      }
    }
  }
  return measured;
}

async function measureSize(
  target: Target,
  connections: Connections,
  { label, bytes, batchRecords }: (typeof OTHER_SIZES)[number],
  options: BenchOptions,
): Promise<readonly SizeRow[]> {
  const shape = { recordBytes: bytes, shards: SHARD_COUNT, batchRecords };
  const contenders = await ownContenders(target, connections, shape, options);
  const rounds = Math.min(options.rounds, SIZE_ROUNDS_MAX);
  const measured = await measureInTurns(contenders, BATCHES, rounds, options);
  for (const { load } of contenders) await load.delete();
  return sizeRows(label, measured);
}

function sizeRows(size: string, measured: Measurements): SizeRow[] {
  const against =
    (operation: Operation, compare: (a: Measured, b: Measured) => number) =>
    (side: Side): number | null =>
      measured.compared(operation, [side, "not encrypted"], compare);
  return BATCHES.map((operation) => {
    const added = against(operation, addedCpuUs);
    const rate = against(operation, rateRatio);
    const cpu = SUITES.map(([side]): [Side, number | null] => [
      side,
      measured.compared(operation, [side, side], cpuUsPerRecord),
    ]);
    return {
      size,
      operation,
      cpuUs: Object.fromEntries(cpu),
      added: { AES: added("AES"), XChaCha: added("XChaCha") },
      rate: { AES: rate("AES"), XChaCha: rate("XChaCha") },
    };
  });
}

/** The result as text for people. */
export function streamsText(result: Readonly<Record<string, unknown>>): string {
  const { cases, asked, sizes, floors, kinesalite } = result as unknown as StreamsResult;
  return [
    `Streams: records of ${RECORD_BYTES} bytes, ${SHARD_COUNT} shards, durable; PutRecord at 16 and 64 connections, ` +
      `batches of ${BATCH_RECORDS} at ${BATCH_CONNECTIONS}; medians over rounds`,
    ...(kinesalite === "measured" ? [] : ["kinesalite is not installed: nothing is compared with it"]),
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
    askedText(asked),
    "",
    "By size: server CPU us/record in batches; what encryption adds to it; records/s as a share of those without it",
    tableText(
      ["size, operation", "not encrypted", "AES", "XChaCha", "added AES", "added XChaCha", "rate AES", "rate XChaCha"],
      sizes.map(({ size, operation, cpuUs, added, rate }) => [
        `${size}, ${operation}`,
        number(cpuUs["not encrypted"] ?? null),
        number(cpuUs.AES ?? null),
        number(cpuUs.XChaCha ?? null),
        number(added.AES),
        number(added.XChaCha),
        number(rate.AES, 2),
        number(rate.XChaCha, 2),
      ]),
    ),
    "",
    tableText(
      ["bare floor", "CPU us/record"],
      floors.map((floor) => [floor.name, number(floor.cpuUsPerRecord)]),
    ),
  ].join("\n");
}
