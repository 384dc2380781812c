import { createHmac } from "node:crypto";
import { CreateRoleCommand, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, createUser, policyDocument, rootClients } from "../support/clients.ts";
import { collectGarbage } from "../support/inspector.ts";
import { memoryOf } from "../support/memory.ts";
import { waxsealOk } from "../support/processes.ts";
import {
  advanceClock,
  removeDirectory,
  type RunningServer,
  startServer,
  temporaryDirectory,
} from "../support/server.ts";
import { storedDataKeys } from "../support/stored-data-keys.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";

/**
 * The data keys of streams leave memory when they have to: after their five minutes, when others push them out of the cache, and
 * at `seal`. All of the server's memory is copied at each of these, and searched once KMS has told the keys.
 */
const dataDir = temporaryDirectory();
/** Past the life of a data key. */
const EXPIRY_MS = 301_000;
/** src/envelope/data-keys.ts: DATA_KEY_COUNT_MAX, for sealing and for opening. One per session and stream. */
const SESSIONS = 100;
const STREAMS = 101;
const SUITES = ["aes", "xchacha"] as const;

let server: RunningServer;
let root: Clients;
const sessions: KinesisClient[] = [];

beforeAll(async () => {
  server = await startServer({ dataDir, testHooks: true, nodeArgs: ["--inspect-port=0"] });
  root = await rootClients(server);
});
afterAll(async () => {
  for (const client of sessions) client.destroy();
  root.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

interface Used {
  readonly suite: string;
  readonly keyId: string;
  readonly region: string;
  readonly streamArn: string;
}

/** A stream of each suite under a key of its own, written and read. */
async function use(phase: string): Promise<readonly Used[]> {
  const used: Used[] = [];
  for (const suite of SUITES) {
    const name = `${phase}-${suite}`;
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const keyId = KeyMetadata?.KeyId ?? "";
    const { StreamARN = "" } = await createStream(root.kinesis, name, { keyId });
    await waxsealOk(["stream", "suite", "--data-dir", dataDir, "--stream", name, suite]);
    await root.kinesis.send(new PutRecordCommand({ StreamName: name, PartitionKey: "k", Data: utf8("value") }));
    expect(await readStream(root.kinesis, name)).toHaveLength(1);
    used.push({ suite, keyId, region: server.region, streamArn: StreamARN });
  }
  return used;
}

type Memory = ReturnType<typeof memoryOf>;

async function copyOfMemory(): Promise<Memory> {
  await collectGarbage(server);
  const memory = memoryOf(server.pid);
  expect(memory.reduce((total, { content }) => total + content.length, 0)).toBeGreaterThan(20_000_000);
  return memory;
}

/** docs/formats/record-block.md: what XChaCha seals with is derived from the data key (NIST SP 800-108, counter mode). */
function xchachaKey(dataKey: Buffer): Buffer {
  const label = Buffer.from("waxseal/stream-record/xchacha20-poly1305/v1\0");
  const input = Buffer.concat([Buffer.from([0, 0, 0, 1]), label, Buffer.from([0, 0, 1, 0])]);
  return createHmac("sha256", dataKey).update(input).digest();
}

/** Which keys, in whole or in half, a copy of the memory holds. */
function found(memory: Memory, keys: ReadonlyMap<string, Buffer>): readonly string[] {
  return [...keys].flatMap(([name, key]) =>
    memory.some(({ content }) => content.includes(key.subarray(0, 16)) || content.includes(key.subarray(16)))
      ? [name]
      : [],
  );
}

/** As many principals as there are sessions put into as many streams: more data keys than either cache holds. */
async function fillCaches(): Promise<void> {
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const keyId = KeyMetadata?.KeyId ?? "";
  const names = Array.from({ length: STREAMS }, (_, at) => `filler-${at}`);
  await inParallel(names, (name) => createStream(root.kinesis, name, { keyId }));
  const trust = { Effect: "Allow", Principal: { AWS: server.accountId }, Action: "sts:AssumeRole" };
  const document = JSON.stringify({ Version: "2012-10-17", Statement: [trust] });
  const { Role } = await root.iam.send(
    new CreateRoleCommand({ RoleName: "producer", AssumeRolePolicyDocument: document }),
  );
  const PolicyDocument = policyDocument({ Effect: "Allow", Action: ["kinesis:*", "kms:*"], Resource: "*" });
  await root.iam.send(new PutRolePolicyCommand({ RoleName: "producer", PolicyName: "p", PolicyDocument }));
  const ann = await createUser(server, root, "ann", [{ Effect: "Allow", Action: "sts:AssumeRole", Resource: "*" }]);
  const numbers = Array.from({ length: SESSIONS }, (_, at) => at);
  await inParallel(numbers, async (at) => {
    const input = { RoleArn: Role?.Arn, RoleSessionName: `session-${at}` };
    const { Credentials } = await ann.sts.send(new AssumeRoleCommand(input));
    const credentials = {
      accessKeyId: Credentials?.AccessKeyId ?? "",
      secretAccessKey: Credentials?.SecretAccessKey ?? "",
      sessionToken: Credentials?.SessionToken ?? "",
    };
    const client = new KinesisClient({ endpoint: server.endpoint, region: server.region, credentials, maxAttempts: 1 });
    sessions.push(client);
    for (const StreamName of names)
      await client.send(new PutRecordCommand({ StreamName, PartitionKey: "k", Data: utf8("value") }));
  });
  ann.destroy();
  for (const name of names) expect(await readStream(root.kinesis, name)).toHaveLength(SESSIONS);
}

const LINES = 16;

async function inParallel<T>(all: readonly T[], run: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  const line = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: LINES }, line));
}

test("data keys of streams are nowhere in memory after expiry, after eviction and after seal", async () => {
  const expired = await use("expired");
  const control = await copyOfMemory();
  await advanceClock(server, EXPIRY_MS);
  const afterExpiry = await copyOfMemory();

  const evicted = await use("evicted");
  const beganMs = performance.now();
  await fillCaches();
  // Else they would have gone by age.
  expect(performance.now() - beganMs).toBeLessThan(EXPIRY_MS - 30_000);
  const afterEviction = await copyOfMemory();

  const sealed = await use("sealed");
  await waxsealOk(["seal", "--data-dir", dataDir]);
  const afterSeal = await copyOfMemory();

  // Only now do the keys become known, to this test and to the server's memory.
  await waxsealOk(["unseal", "--data-dir", dataDir]);
  const keysOf = async (all: readonly Used[]): Promise<ReadonlyMap<string, Buffer>> => {
    const keys = new Map<string, Buffer>();
    for (const used of all) {
      const [dataKey, ...others] = await storedDataKeys(root.kms, dataDir, used);
      if (dataKey === undefined || others.length > 0) throw new Error(`${used.streamArn} has one data key`);
      keys.set(used.suite, dataKey);
      if (used.suite === "xchacha") keys.set("derived", xchachaKey(dataKey));
    }
    return keys;
  };
  const expiredKeys = await keysOf(expired);
  // The search finds what is there, or the lines below would prove nothing.
  expect(found(control, expiredKeys)).toEqual(["aes", "derived"]);
  expect(found(afterExpiry, expiredKeys)).toEqual([]);
  expect(found(afterEviction, await keysOf(evicted))).toEqual([]);
  const all = new Map([
    ...(await keysOf(sealed)),
    ...[...expiredKeys].map(([name, key]) => [`old ${name}`, key] as const),
  ]);
  expect(found(afterSeal, all)).toEqual([]);
}, 300_000);
