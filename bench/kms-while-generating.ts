import { randomBytes } from "node:crypto";
import { Connections, quantile, runSlice } from "./support/load.ts";
import { number, tableText } from "./support/report.ts";
import type { Target } from "./support/server-process.ts";
import { type SignedRequest, signJson } from "./support/sign.ts";
import type { BenchOptions } from "./streams.ts";

const WORKERS = 16;
/** More than there are cores, so that generation never pauses. */
const GENERATORS = 4;
const RECORD_BYTES = 1024;
const STREAM_WAIT_MS = 50;
/** Fewer say more about the luck of the primes than about the server. */
const KEYS_FOR_COMPARISON = 50;

interface GeneratingRow {
  readonly name: string;
  readonly isGenerating: boolean;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What other requests notice of the making of RSA-4096 keys; a text: why it could not be measured. */
export type GeneratingResult = { readonly rows: readonly GeneratingRow[]; readonly keysMade: number } | string;

/** Encrypt and PutRecord with and without a load of CreateKey RSA_4096, slice by slice in alternation. */
export async function measureWhileGenerating(
  target: Target,
  encrypt: SignedRequest,
  options: BenchOptions,
): Promise<GeneratingResult> {
  const connections = new Connections(target.endpoint, WORKERS);
  const makers = new Connections(target.endpoint, GENERATORS);
  const sign = (service: string, operation: string, input: Readonly<Record<string, unknown>>): SignedRequest =>
    signJson(target.endpoint, target.credentials, service, operation, input);
  const createKey = sign("kms", "TrentService.CreateKey", { KeySpec: "RSA_4096", KeyUsage: "SIGN_VERIFY" });
  try {
    await makers.call(createKey);
    const put = await putRequest(sign, connections);
    const subjects: readonly (readonly [string, SignedRequest])[] = [
      ["Encrypt", encrypt],
      ["PutRecord", put],
    ];
    const latenciesMs = new Map<string, number[]>();
    const elapsedMs = new Map<string, number>();
    let keysMade = 0;
    for (let round = 0; round < options.rounds; round++) {
      for (const isGenerating of round % 2 === 0 ? [false, true] : [true, false]) {
        const load = isGenerating ? startLoad(makers, createKey) : null;
        for (const [name, request] of subjects) {
          const slice = await runSlice(WORKERS, options.seconds * 1000, async () => {
            await connections.call(request);
            return 1;
          });
          const key = keyOf(name, isGenerating);
          latenciesMs.set(key, [...(latenciesMs.get(key) ?? []), ...slice.latenciesMs]);
          elapsedMs.set(key, (elapsedMs.get(key) ?? 0) + slice.elapsedMs);
          options.progress(`${key}: p99 ${number(quantile(slice.latenciesMs, 0.99), 2)} ms`);
        }
        keysMade += (await load?.()) ?? 0;
      }
    }
    const rows = subjects.flatMap(([name]) =>
      [false, true].map((isGenerating): GeneratingRow => {
        const latencies = latenciesMs.get(keyOf(name, isGenerating)) ?? [];
        return {
          name,
          isGenerating,
          requestsPerSecond: (latencies.length / (elapsedMs.get(keyOf(name, isGenerating)) ?? Number.NaN)) * 1000,
          p50Ms: quantile(latencies, 0.5),
          p99Ms: quantile(latencies, 0.99),
          maxMs: quantile(latencies, 1),
        };
      }),
    );
    return { rows, keysMade };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    connections.close();
    makers.close();
  }
}

const keyOf = (name: string, isGenerating: boolean): string =>
  `${name} ${isGenerating ? "while" : "without"} RSA-4096 keys being made`;

/** Makes keys until it is told to stop; then tells how many it made. */
function startLoad(makers: Connections, createKey: SignedRequest): () => Promise<number> {
  const stop = new AbortController();
  const made = Array.from({ length: GENERATORS }, async () => {
    let count = 0;
    while (!stop.signal.aborted) {
      await makers.call(createKey);
      count += 1;
    }
    return count;
  });
  return async () => {
    stop.abort();
    return (await Promise.all(made)).reduce((sum, count) => sum + count, 0);
  };
}

async function putRequest(
  sign: (service: string, operation: string, input: Readonly<Record<string, unknown>>) => SignedRequest,
  connections: Connections,
): Promise<SignedRequest> {
  const StreamName = `bench-${randomBytes(4).toString("hex")}`;
  await connections.call(sign("kinesis", "Kinesis_20131202.CreateStream", { StreamName, ShardCount: 4 }));
  const describe = sign("kinesis", "Kinesis_20131202.DescribeStreamSummary", { StreamName });
  while (!(await connections.call(describe)).includes('"ACTIVE"'))
    await new Promise((done) => setTimeout(done, STREAM_WAIT_MS));
  return sign("kinesis", "Kinesis_20131202.PutRecord", {
    StreamName,
    Data: randomBytes(RECORD_BYTES).toString("base64"),
    PartitionKey: "benchmark",
  });
}

export function generatingText(result: GeneratingResult): string {
  if (typeof result === "string") return `While RSA-4096 keys are made: not measured, the server says: ${result}`;
  return [
    `While RSA-4096 keys are made (${result.keysMade} of them, ${GENERATORS} at a time), ${WORKERS} connections`,
    tableText(
      ["case", "keys being made", "requests/s", "p50 ms", "p99 ms", "slowest ms"],
      result.rows.map((row) => [
        row.name,
        row.isGenerating ? "yes" : "no",
        number(row.requestsPerSecond, 0),
        number(row.p50Ms, 2),
        number(row.p99Ms, 2),
        number(row.maxMs, 1),
      ]),
    ),
    "An RSA-4096 key takes a second or more to make, and how long is a matter of luck: a few rounds mislead. Compare",
    `only runs in which ${KEYS_FOR_COMPARISON} keys or more were made (more --rounds or --seconds), and p50 rather than p99.`,
  ].join("\n");
}
