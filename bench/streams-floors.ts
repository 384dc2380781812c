/** What no server of this kind can beat: node:http moving the same bytes, and the ciphers alone on the same bytes. */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import sodium from "sodium-native";
import { Connections, median, runSlice } from "./support/load.ts";
import { cpuTimeUs, startProcess, stopProcess } from "./support/server-process.ts";
import type { SignedRequest } from "./support/sign.ts";

export interface Floor {
  readonly name: string;
  readonly cpuUsPerRecord: number;
}

interface FloorLoad {
  readonly single: SignedRequest;
  readonly singleConnections: number;
  readonly batch: SignedRequest;
  readonly batchConnections: number;
  readonly batchRecords: number;
  readonly recordBytes: number;
}

export async function measureFloors(
  load: FloorLoad,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<readonly Floor[]> {
  const { single, batch, batchConnections, batchRecords } = load;
  const { child, ready } = await startProcess([fileURLToPath(new URL("support/echo-server.js", import.meta.url))]);
  const connections = new Connections(new URL(String(ready["endpoint"])), load.singleConnections);
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
  await echo("node:http echo, PutRecord body", load.singleConnections, single, 1);
  await echo("node:http echo, PutRecords body", batchConnections, batch, batchRecords);
  const answer = { ...single, headers: { ...single.headers, "x-answer-bytes": String(batch.body.length) } };
  await echo("node:http echo, GetRecords answer", batchConnections, answer, batchRecords);
  connections.close();
  await stopProcess(child);
  return [...floors, ...aesFloors(load.recordBytes), ...xchachaFloors(load.recordBytes)];
}

const CIPHER_ROUNDS = 7;
const CIPHER_RECORDS = 5000;

function cpuOf(name: string, run: () => unknown): Floor {
  const rounds: number[] = [];
  for (let round = 0; round < CIPHER_ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let index = 0; index < CIPHER_RECORDS; index++) run();
    const used = process.cpuUsage(before);
    rounds.push((used.user + used.system) / CIPHER_RECORDS);
  }
  return { name, cpuUsPerRecord: median(rounds) };
}

function aesFloors(recordBytes: number): readonly Floor[] {
  const key = createSecretKey(randomBytes(32));
  const record = randomBytes(recordBytes);
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
  return [cpuOf("node:crypto AES-256-GCM, seal", seal), cpuOf("node:crypto AES-256-GCM, open", open)];
}

function xchachaFloors(recordBytes: number): readonly Floor[] {
  const [key, nonce, none] = [randomBytes(32), randomBytes(24), new Uint8Array(0)];
  const record = randomBytes(recordBytes);
  const sealed = Buffer.alloc(recordBytes + 16);
  const seal = (): number => sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, record, none, null, nonce, key);
  const open = (): number => sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(record, null, sealed, none, nonce, key);
  return [cpuOf("sodium-native XChaCha20-Poly1305, seal", seal), cpuOf("sodium-native XChaCha20-Poly1305, open", open)];
}
