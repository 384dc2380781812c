import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  DeleteStreamCommand,
  type KinesisClient,
  PutRecordCommand,
  PutRecordsCommand,
  UpdateShardCountCommand,
} from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApi, createConsumer, type StreamRecord } from "../../client/src/index.ts";
import { type Clients, createUser, rootClients } from "../support/clients.ts";
import { plainEnvironment, waxseal, WAXSEAL, waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, readStream, utf8, waitUntilActive } from "../support/streams.ts";
import { eventually, sleep } from "../support/wait.ts";

const dataDir = temporaryDirectory();
const scratch = temporaryDirectory();
let server: RunningServer;
let root: Clients;
let kinesis: KinesisClient;
let env: Record<string, string>;
const children: ChildProcess[] = [];
beforeAll(async () => {
  server = await startServer({ dataDir });
  root = await rootClients(server);
  kinesis = root.kinesis;
  env = await server.env();
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  root.destroy();
  await server.stop();
  removeDirectory(dataDir);
  removeDirectory(scratch);
});

/** Leases are short, so that a death is noticed soon. */
const QUICK = ["--lease-ms", "1500", "--poll-ms", "50"];

interface Running {
  readonly child: ChildProcess;
  readonly told: () => string;
  stop(): Promise<number | null>;
}

/** A `waxseal stream` command that runs until it is stopped. */
function running(...args: readonly string[]): Running {
  const child = spawn(process.execPath, [WAXSEAL, "stream", ...args], { env: { ...plainEnvironment(), ...env } });
  children.push(child);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  return {
    child,
    told: () => said,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

const linesOf = (path: string): readonly string[] =>
  existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
const dataOf = (line: string): string =>
  Buffer.from((JSON.parse(line) as { data: string }).data, "base64").toString("utf8");

const KEYS = Array.from({ length: 12 }, (_, nth) => `key-${nth}`);

/** Puts until told to stop: `key/number`, in order for each key. */
async function produce(StreamName: string, load: { goesOn: boolean }): Promise<readonly string[]> {
  const put: string[] = [];
  for (let count = 0; load.goesOn; count++) {
    const Records = KEYS.map((PartitionKey) => ({ PartitionKey, Data: utf8(`${PartitionKey}/${count}`) }));
    const answer = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
    expect(answer.FailedRecordCount).toBe(0);
    put.push(...KEYS.map((key) => `${key}/${count}`));
    await sleep(20);
  }
  return put;
}

/** At least once: what came again may be anywhere; what came for the first time is in order. */
function expectInOrder(got: readonly string[]): void {
  const next = new Map<string, number>();
  for (const item of got) {
    const [key = "", number = ""] = item.split("/");
    const due = next.get(key) ?? 0;
    expect(Number(number), `${item} came before ${key}/${due}`).toBeLessThanOrEqual(due);
    if (Number(number) === due) next.set(key, due + 1);
  }
}

const holds = (told: string): number =>
  [...told.matchAll(/ taken\n/g)].length - [...told.matchAll(/ (ended|released|lost)\n/g)].length;

describe("consumers of one application", () => {
  test("share four shards, survive a death and follow resharding: nothing lost, order kept per partition key", async () => {
    await createStream(kinesis, "shared", { shards: 4 });
    const file = join(scratch, "shared.jsonl");
    const consume = (): Running =>
      running("consume", "shared", "--application", "app", "--exec", `cat >> ${file}`, "--batch-size", "100", ...QUICK);
    const load = { goesOn: true };
    const producing = produce("shared", load);

    const first = consume();
    await eventually(async () => (holds(first.told()) === 4 ? true : null));
    const second = consume();
    await eventually(async () => (holds(first.told()) === 2 && holds(second.told()) === 2 ? true : null));
    expect(first.told()).not.toContain(" lost");

    await kinesis.send(
      new UpdateShardCountCommand({ StreamName: "shared", TargetShardCount: 6, ScalingType: "UNIFORM_SCALING" }),
    );
    await waitUntilActive(kinesis, "shared");
    await eventually(async () => (holds(first.told()) === 3 && holds(second.told()) === 3 ? true : null));

    first.child.kill("SIGKILL");
    await eventually(async () => (holds(second.told()) === 6 ? true : null));
    await sleep(500);
    load.goesOn = false;
    const put = await producing;
    await eventually(async () => (new Set(linesOf(file).map(dataOf)).size >= put.length ? true : null));
    expect(await second.stop()).toBe(0);

    const got = linesOf(file).map(dataOf);
    expect(new Set(got)).toEqual(new Set(put));
    expectInOrder(got);
    const shards = new Set(linesOf(file).map((line) => (JSON.parse(line) as { shardId: string }).shardId));
    expect(shards.size).toBeGreaterThan(4);

    // Another application meets all of it at once: parents and children, each with records that wait. Its batches are small, so
    // that children read too early would show.
    const late = join(scratch, "late.jsonl");
    const whole = ["--application", "late", "--exec", `cat >> ${late}`, "--batch-size", "5", ...QUICK];
    const third = running("consume", "shared", ...whole);
    await eventually(async () => (linesOf(late).length >= put.length ? true : null));
    expect(await third.stop()).toBe(0);
    expect(linesOf(late).map(dataOf).toSorted()).toEqual(put.toSorted());
    expectInOrder(linesOf(late).map(dataOf));
  });

  test("hand everything back when they are stopped, and the next one goes on where they ended", async () => {
    await createStream(kinesis, "resumed");
    const got: string[] = [];
    const application = (): ReturnType<typeof createConsumer> =>
      createConsumer({
        endpoint: server.endpoint,
        region: server.region,
        credentials: root.credentials,
        stream: "resumed",
        application: "app",
        pollMs: 50,
        leaseMs: 60_000,
        process(records) {
          got.push(...records.map(({ data }) => data.toString()));
        },
      });
    for (const round of ["one", "two"]) {
      await kinesis.send(new PutRecordCommand({ StreamName: "resumed", PartitionKey: "k", Data: utf8(round) }));
      const consumer = application();
      await consumer.start();
      await eventually(async () => (got.includes(round) ? true : null));
      await consumer.stop();
    }
    expect(got).toEqual(["one", "two"]);
  });

  test("begin with LATEST at the instant of their registration, which another one's start does not move", async () => {
    await createStream(kinesis, "latest");
    const put = async (text: string): Promise<unknown> =>
      kinesis.send(new PutRecordCommand({ StreamName: "latest", PartitionKey: "k", Data: utf8(text) }));
    await put("before");
    await sleep(20);
    const api = createApi({ endpoint: server.endpoint, region: server.region, credentials: root.credentials });
    const register = { StreamName: "latest", Application: "app", Start: "LATEST" };
    const registered = await api.consumers("RegisterApplication", register);
    await put("after, while nobody ran");
    expect(await api.consumers("RegisterApplication", register)).toEqual(registered);
    const file = join(scratch, "latest.jsonl");
    const consumer = running("consume", "latest", "--application", "app", "--exec", `cat >> ${file}`, ...QUICK);
    await eventually(async () => (linesOf(file).length > 0 ? true : null));
    expect(await consumer.stop()).toBe(0);
    expect(linesOf(file).map(dataOf)).toEqual(["after, while nobody ran"]);
    api.close();
  });

  test("get records of the Kinesis Producer Library one by one, and go on in the middle of one", async () => {
    await createStream(kinesis, "aggregated");
    // Partition key table: "a"; records: "one" and "two", both with key 0.
    const message = Buffer.from("0a01611a0708001a036f6e651a0708001a0374776f", "hex");
    const md5 = createHash("md5").update(message).digest();
    const Data = Buffer.concat([Buffer.from("f3899ac2", "hex"), message, md5]);
    await kinesis.send(new PutRecordCommand({ StreamName: "aggregated", PartitionKey: "x", Data }));
    const got: string[] = [];
    const run = async (process: (records: readonly StreamRecord[]) => void): Promise<void> => {
      const consumer = createConsumer({
        endpoint: server.endpoint,
        region: server.region,
        credentials: root.credentials,
        stream: "aggregated",
        application: "app",
        batchSize: 1,
        pollMs: 50,
        process(records) {
          process(records);
          got.push(...records.map(({ partitionKey, data }) => `${partitionKey}:${data.toString()}`));
          void consumer.stop();
        },
      });
      await consumer.start();
      await consumer.stopped;
    };
    await run(() => undefined);
    await run(() => undefined);
    expect(got).toEqual(["a:one", "a:two"]);
    const tail = await waxsealOk(["stream", "tail", "aggregated", "--from-start", "--limit", "2", "--json"], { env });
    expect(tail.trim().split("\n").map(dataOf)).toEqual(["one", "two"]);
  });

  test("may do only what policies allow; a new stream of the same name knows nothing of the old one's applications", async () => {
    await createStream(kinesis, "guarded");
    const arn = `arn:aws:kinesis:${server.region}:${server.accountId}:stream/guarded`;
    const ann = await createUser(server, root, "consumer-ann", [
      { Effect: "Allow", Action: ["waxseal:RegisterApplication", "waxseal:ListLeases"], Resource: arn },
    ]);
    const connection = { endpoint: server.endpoint, region: server.region };
    const api = createApi({ ...connection, credentials: ann.credentials });
    const rootApi = createApi({ ...connection, credentials: root.credentials });
    const named = { StreamName: "guarded", Application: "app" };
    await api.consumers("RegisterApplication", { ...named, Start: "TRIM_HORIZON" });
    expect(await api.consumers("ListLeases", named)).toEqual({ Leases: [] });
    const lease = { ...named, ShardId: "shardId-000000000000", Owner: "ann", Counter: 0, DurationMs: 5000 };
    await expect(api.consumers("TakeLease", lease)).rejects.toMatchObject({ code: "AccessDeniedException" });
    await expect(api.consumers("DeleteApplication", named)).rejects.toMatchObject({ code: "AccessDeniedException" });
    const elsewhere = { ...named, StreamName: "nope" };
    await expect(api.consumers("ListLeases", elsewhere)).rejects.toMatchObject({ code: "AccessDeniedException" });
    expect(await rootApi.consumers("TakeLease", lease)).toMatchObject({
      Taken: true,
      Lease: { Counter: 1, Owner: "ann" },
    });
    const rival = { ...lease, Owner: "bob", Counter: 1 };
    expect(await rootApi.consumers("TakeLease", rival)).toMatchObject({ Taken: false, Lease: { Owner: "ann" } });
    const stale = { ...named, ShardId: lease.ShardId, Owner: "bob", Counter: 1, SequenceNumber: "1" };
    await expect(rootApi.consumers("PutCheckpoint", stale)).rejects.toMatchObject({ code: "LeaseLostException" });
    await expect(rootApi.consumers("DeleteApplication", named)).rejects.toMatchObject({
      code: "ResourceInUseException",
    });
    await kinesis.send(new DeleteStreamCommand({ StreamName: "guarded" }));
    await sleep(500);
    await createStream(kinesis, "guarded");
    await expect(rootApi.consumers("ListLeases", named)).rejects.toMatchObject({ code: "ResourceNotFoundException" });
    api.close();
    rootApi.close();
    ann.destroy();
  });
});

describe("a stream that drives something", () => {
  const items = Array.from({ length: 40 }, (_, nth) => `item/${nth}`);
  const putItems = async (StreamName: string): Promise<void> => {
    const Records = items.map((item) => ({ PartitionKey: "k", Data: utf8(item) }));
    await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
  };
  /** Refuses every batch with this one in it. */
  const poison = Buffer.from("item/17").toString("base64");

  test("a command: the poison record is found by halves and lies in a file, the rest arrives in order", async () => {
    await createStream(kinesis, "poisoned");
    await putItems("poisoned");
    const file = join(scratch, "poisoned.jsonl");
    const dead = mkdtempSync(join(scratch, "dead-"));
    const exec = `input=$(cat); case "$input" in *'"${poison}"'*) exit 3;; esac; printf '%s\\n' "$input" >> ${file}`;
    const delivery = ["--retries", "1", "--bisect", "--dead-letter", `dir:${dead}`, "--batch-size", "40"];
    const map = running("map", "poisoned", "--application", "app", "--exec", exec, ...delivery, ...QUICK);
    await eventually(async () => (linesOf(file).length >= 39 ? true : null));
    expect(await map.stop()).toBe(0);
    expect(linesOf(file).map(dataOf)).toEqual(items.filter((item) => item !== "item/17"));
    const letters = readdirSync(dead);
    expect(letters).toHaveLength(1);
    const letter = JSON.parse(readFileSync(join(dead, letters[0] ?? ""), "utf8")) as Record<string, unknown>;
    expect(letter).toMatchObject({
      stream: "poisoned",
      application: "app",
      error: "the command ended with exit code 3",
    });
    expect(letter["record"]).toMatchObject({ partitionKey: "k", data: poison });
  });

  test("an HTTP hook: batches of the size asked for, and dead letters in another stream", async () => {
    await createStream(kinesis, "hooked");
    await createStream(kinesis, "dead");
    await putItems("hooked");
    const taken: string[] = [];
    const sizes: number[] = [];
    const hook = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { records: readonly { data: string }[] };
        sizes.push(body.records.length);
        const bad = body.records.some(({ data }) => data === poison);
        if (!bad) taken.push(...body.records.map(({ data }) => Buffer.from(data, "base64").toString("utf8")));
        response.writeHead(bad ? 500 : 204).end();
      });
    });
    await new Promise<void>((done) => hook.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`;
    const delivery = ["--retries", "0", "--bisect", "--dead-letter", "stream:dead", "--batch-size", "16"];
    const map = running("map", "hooked", "--application", "app", "--http", url, ...delivery, ...QUICK);
    await eventually(async () => (taken.length >= 39 ? true : null));
    expect(await map.stop()).toBe(0);
    hook.close();
    expect(taken).toEqual(items.filter((item) => item !== "item/17"));
    expect(Math.max(...sizes)).toBe(16);
    expect((await readStream(kinesis, "dead")).map(({ partitionKey, data }) => [partitionKey, data])).toEqual([
      ["k", "item/17"],
    ]);
  });
});

describe("at the command line", () => {
  test("what is put line by line is what tail shows, as it comes, and control characters steer no terminal", async () => {
    await createStream(kinesis, "lines", { shards: 2 });
    await kinesis.send(new PutRecordCommand({ StreamName: "lines", PartitionKey: "k", Data: utf8("old") }));
    const tail = waxseal(["stream", "tail", "lines", "--limit", "3"], { env, timeoutMs: 30_000 });
    await sleep(1_500);
    const put = ["stream", "put", "lines", "--partition-key", "k", "--lines", "--json"];
    expect(JSON.parse(await waxsealOk(put, { env, input: "one\ntwo\u001b[31m\nthree" }))).toEqual({ records: 3 });
    const shown = (await tail).stdout.trimEnd().split("\n");
    expect(shown.map((line) => line.split("  ").slice(2).join("  "))).toEqual([
      "k  one",
      "k  two\\u001b[31m",
      "k  three",
    ]);
  });

  test("tail says what is wrong and ends, where waiting mends nothing", async () => {
    const none = await waxseal(["stream", "tail", "nope"], { env });
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^waxseal: ResourceNotFoundException: .*nope/);
    const nobody = await waxseal(["stream", "tail", "nope"]);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain("--endpoint");
  });
});
