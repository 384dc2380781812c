import { createCipheriv, createSecretKey, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Connections, median, runSlice } from "./support/load.ts";
import { caseResult, type CaseResult, type Measured, number, tableText } from "./support/report.ts";
import { cpuTimeUs, startProcess, stopProcess, type Target } from "./support/server-process.ts";
import { type SignedRequest, signJson } from "./support/sign.ts";
import type { BenchOptions } from "./streams.ts";

const PLAINTEXT_BYTES = 1024;
const CONNECTIONS = [16, 64] as const;
const CONNECTIONS_MAX = 64;

/** Encrypt, Decrypt and GenerateDataKey, beside the bare echo of the same bytes and the cipher alone, in alternation. */
export async function benchKms(target: Target, options: BenchOptions): Promise<Readonly<Record<string, unknown>>> {
  const connections = new Connections(target.endpoint, CONNECTIONS_MAX);
  const sign = (operation: string, input: Readonly<Record<string, unknown>>): SignedRequest =>
    signJson(target.endpoint, target.credentials, "kms", `TrentService.${operation}`, input);
  const call = async (operation: string, input: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> =>
    JSON.parse((await connections.call(sign(operation, input))).toString("utf8")) as Record<string, unknown>;

  const key = (await call("CreateKey", { Description: "benchmark" }))["KeyMetadata"] as Record<string, unknown>;
  const KeyId = String(key["KeyId"]);
  const Plaintext = randomBytes(PLAINTEXT_BYTES).toString("base64");
  const EncryptionContext = { purpose: "benchmark" };
  const { CiphertextBlob } = await call("Encrypt", { KeyId, Plaintext, EncryptionContext });
  const requests: readonly [string, SignedRequest][] = [
    ["Encrypt", sign("Encrypt", { KeyId, Plaintext, EncryptionContext })],
    ["Decrypt", sign("Decrypt", { CiphertextBlob, EncryptionContext })],
    ["GenerateDataKey", sign("GenerateDataKey", { KeyId, KeySpec: "AES_256", EncryptionContext })],
  ];
  const { child, ready } = await startProcess([fileURLToPath(new URL("support/echo-server.js", import.meta.url))]);
  const echoPid = Number(ready["pid"]);
  const echo = new Connections(new URL(String(ready["endpoint"])), CONNECTIONS_MAX);

  const measured = new Map<string, Measured[]>();
  const measure = async (
    name: string,
    to: Connections,
    pid: number | null,
    workers: number,
    request: SignedRequest,
  ): Promise<void> => {
    const before = pid === null ? 0 : cpuTimeUs(pid);
    const slice = await runSlice(workers, options.seconds * 1000, async () => {
      await to.call(request);
      return 1;
    });
    measured.set(name, [
      ...(measured.get(name) ?? []),
      { slice, cpuUs: pid === null ? null : cpuTimeUs(pid) - before },
    ]);
    options.progress(`${name}: ${number((slice.records / slice.elapsedMs) * 1000, 0)} requests/s`);
  };
  for (const [, request] of requests) await runSlice(16, 500, async () => (await connections.call(request)).length);
  for (let round = 0; round < options.rounds; round++) {
    for (const workers of CONNECTIONS) {
      for (const [operation, request] of requests) {
        await measure(`${operation}, ${workers} connections`, connections, target.pid, workers, request);
      }
      const first = requests[0];
      if (first !== undefined)
        await measure(`node:http echo, ${workers} connections`, echo, echoPid, workers, first[1]);
    }
  }
  connections.close();
  echo.close();
  await stopProcess(child);
  const cases = [...measured].map(([name, rounds]) => caseResult(name, rounds));
  const rate = (name: string): number => cases.find((row) => row.name === name)?.recordsPerSecond ?? Number.NaN;
  return {
    suite: "kms",
    plaintextBytes: PLAINTEXT_BYTES,
    cases,
    encryptToEcho64: rate("Encrypt, 64 connections") / rate("node:http echo, 64 connections"),
    cipherCpuUs: cipherCpuUs(),
  };
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
  return [
    `KMS: plaintexts of ${PLAINTEXT_BYTES} bytes, every call signed, authorized and durably audited; medians over rounds in alternation`,
    tableText(
      ["case", "requests/s", "p50 ms", "p99 ms", "server CPU us/request"],
      cases.map((row) => [
        row.name,
        number(row.recordsPerSecond, 0),
        number(row.p50Ms, 2),
        number(row.p99Ms, 2),
        number(row.serverCpuUsPerRecord),
      ]),
    ),
    "",
    `Encrypt to bare echo, requests/s at 64 connections: ${number(Number(result["encryptToEcho64"]), 2)}`,
    `node:crypto AES-256-GCM of the same bytes: ${number(Number(result["cipherCpuUs"]))} us`,
  ].join("\n");
}
