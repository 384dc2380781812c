import { createCipheriv, createSecretKey, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { CASES, type KmsCase, prepareKms } from "./kms-cases.ts";
import { type GeneratingResult, generatingText, measureWhileGenerating } from "./kms-while-generating.ts";
import { Connections, median, runSlice } from "./support/load.ts";
import { startMoto } from "./support/moto.ts";
import { caseResult, type CaseResult, type Measured, number, tableText } from "./support/report.ts";
import { coarseCpuTimeUs, cpuTimeUs, startProcess, stopProcess, type Target } from "./support/server-process.ts";
import type { SignedRequest } from "./support/sign.ts";
import type { BenchOptions } from "./streams.ts";

const PLAINTEXT_BYTES = 1024;
const CONNECTIONS = [16, 64] as const;
const CONNECTIONS_MAX = 64;

/** A server in the comparison, with the requests that it can answer. */
interface Contender {
  readonly name: string;
  /** CPU time that the server used so far, in microseconds; null when it cannot be seen. */
  readonly cpuUs: () => number | null;
  readonly connections: Connections;
  readonly requests: ReadonlyMap<string, SignedRequest>;
  /** Numbers of connections at which it is measured. */
  readonly at: readonly number[];
}

const caseName = (contender: string, request: string, workers: number): string =>
  `${contender} ${request}, ${workers} connections`;

/** The operations that are asked for most, beside moto_server and the bare echo of the same bytes, in alternation. */
export async function benchKms(target: Target, options: BenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const stops: (() => Promise<void> | void)[] = [];
  const contenders: Contender[] = [];
  const connect = (endpoint: URL): Connections => {
    const connections = new Connections(endpoint, CONNECTIONS_MAX);
    stops.unshift(() => connections.close());
    return connections;
  };
  try {
    const plaintext = randomBytes(PLAINTEXT_BYTES);
    const connections = connect(target.endpoint);
    const own = await prepareKms(target, connections, CASES, plaintext, options.progress);
    const { pid } = target;
    const cpuUs = (): number | null => (pid === null ? null : cpuTimeUs(pid));
    contenders.push({ name: "waxseal", cpuUs, connections, requests: own, at: CONNECTIONS });
    const encrypt = own.get("Encrypt");
    if (encrypt === undefined) throw new Error("the server cannot encrypt");

    const echo = await startProcess([fileURLToPath(new URL("support/echo-server.js", import.meta.url))]);
    stops.unshift(() => stopProcess(echo.child));
    contenders.push({
      name: "node:http",
      cpuUs: () => cpuTimeUs(Number(echo.ready["pid"])),
      connections: connect(new URL(String(echo.ready["endpoint"]))),
      requests: new Map([["echo", encrypt]]),
      at: CONNECTIONS,
    });

    const moto = await startMoto();
    if (moto !== null) {
      stops.unshift(() => moto.stop());
      const toMoto = connect(moto.endpoint);
      contenders.push({
        name: "moto_server",
        cpuUs: () => coarseCpuTimeUs(moto.pid),
        connections: toMoto,
        requests: await prepareKms(moto, toMoto, CASES, plaintext, options.progress),
        at: [CONNECTIONS_MAX],
      });
    }

    const measured = await measureInTurns(contenders, options);
    return {
      suite: "kms",
      plaintextBytes: PLAINTEXT_BYTES,
      motoServer: moto === null ? "not installed" : "measured",
      unsupported: CASES.filter(({ name }) => !own.has(name)).map(({ name }) => name),
      cases: [...measured].map(([name, rounds]) => caseResult(name, rounds)),
      encryptToEcho64: rateRatio(measured, caseName("node:http", "echo", 64)),
      encryptToMoto64: rateRatio(measured, caseName("moto_server", "Encrypt", 64)),
      whileGenerating: await measureWhileGenerating(target, encrypt, options),
      cipherCpuUs: cipherCpuUs(),
    };
  } finally {
    for (const stop of stops) await stop();
  }
}

async function measureInTurns(
  contenders: readonly Contender[],
  options: BenchOptions,
): Promise<Map<string, Measured[]>> {
  const measured = new Map<string, Measured[]>();
  const turns = CONNECTIONS.flatMap((workers) =>
    contenders
      .filter(({ at }) => at.includes(workers))
      .flatMap((contender) => [...contender.requests].map((request) => ({ contender, workers, request }))),
  );
  for (const { contender, request } of turns)
    await runSlice(16, 500, async () => (await contender.connections.call(request[1])).length);
  for (let round = 0; round < options.rounds; round++) {
    for (const { contender, workers, request } of round % 2 === 0 ? turns : turns.toReversed()) {
      const { connections } = contender;
      const before = contender.cpuUs();
      const slice = await runSlice(workers, options.seconds * 1000, async () => {
        await connections.call(request[1]);
        return 1;
      });
      const after = contender.cpuUs();
      const cpuUs = before === null || after === null ? null : after - before;
      const name = caseName(contender.name, request[0], workers);
      measured.set(name, [...(measured.get(name) ?? []), { slice, cpuUs }]);
      options.progress(`${name}: ${number((slice.records / slice.elapsedMs) * 1000, 0)} requests/s`);
    }
  }
  return measured;
}

/** Encrypt's rate to another one's at 64 connections: the median over the rounds, in which both ran close together. */
function rateRatio(measured: ReadonlyMap<string, readonly Measured[]>, other: string): number | null {
  const rates = (name: string): readonly number[] =>
    (measured.get(name) ?? []).map(({ slice }) => slice.records / slice.elapsedMs);
  const others = rates(other);
  if (others.length === 0) return null;
  return median(rates(caseName("waxseal", "Encrypt", 64)).map((rate, round) => rate / (others[round] ?? Number.NaN)));
}

function cipherCpuUs(): number {
  const key = createSecretKey(randomBytes(32));
  const plaintext = randomBytes(PLAINTEXT_BYTES);
  const nonce = randomBytes(12);
  const rounds: number[] = [];
  for (let round = 0; round < 7; round++) {
    const before = process.cpuUsage();
    for (let index = 0; index < 5000; index++) {
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      cipher.update(plaintext);
      cipher.final();
    }
    const used = process.cpuUsage(before);
    rounds.push((used.user + used.system) / 5000);
  }
  return median(rounds);
}

/** The result as text for people. */
export function kmsText(result: Readonly<Record<string, unknown>>): string {
  const cases = result["cases"] as readonly CaseResult[];
  const unsupported = result["unsupported"] as readonly KmsCase["name"][];
  const moto = result["encryptToMoto64"] as number | null;
  return [
    `KMS: plaintexts of ${PLAINTEXT_BYTES} bytes, every call signed, authorized and durably audited; medians over rounds in alternation`,
    tableText(
      ["case", "requests/s", "p50 ms", "p99 ms", "p99/p50", "server CPU us/request"],
      cases.map((row) => [
        row.name,
        number(row.recordsPerSecond, 0),
        number(row.p50Ms, 2),
        number(row.p99Ms, 2),
        number(row.p99Ms / row.p50Ms),
        number(row.serverCpuUsPerRecord),
      ]),
    ),
    ...(unsupported.length === 0 ? [] : ["", `This server refuses: ${unsupported.join(", ")}`]),
    "",
    `Encrypt to bare echo, requests/s at 64 connections: ${number(Number(result["encryptToEcho64"]), 2)}`,
    moto === null
      ? "Encrypt to moto_server: moto_server is not installed (pip install 'moto[server]')"
      : `Encrypt to moto_server, requests/s at 64 connections: ${number(moto)}`,
    `node:crypto AES-256-GCM of the same bytes: ${number(Number(result["cipherCpuUs"]))} us`,
    "",
    generatingText(result["whileGenerating"] as GeneratingResult),
  ].join("\n");
}
