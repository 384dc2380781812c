import {
  DescribeStreamConsumerCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { waxseal, waxsealOk } from "../support/processes.ts";
import {
  removeDirectory,
  type RunningServer,
  serverForAll,
  startServer,
  temporaryDirectory,
} from "../support/server.ts";
import { createStream, readShard, readStream, text, utf8 } from "../support/streams.ts";
import { eventually, sleep, within } from "../support/wait.ts";

const SHARD = "shardId-000000000000";
const WORKERS = ["--workers", "2"];

interface FrontEnd {
  readonly number: number;
  readonly pid: number;
  readonly requestsInFlight: number;
}

async function frontEndsOf({ dataDir }: Pick<RunningServer, "dataDir">): Promise<readonly FrontEnd[]> {
  const status = JSON.parse(await waxsealOk(["status", "--data-dir", dataDir, "--json"])) as { frontEnds: FrontEnd[] };
  return status.frontEnds;
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const gone = (pids: readonly number[]): Promise<true> =>
  eventually(async () => (pids.some((pid) => isRunning(pid)) ? null : true), 10_000);

describe.each([
  ["in the clear", false],
  ["over TLS", true],
])("two front-ends answer as one server does, %s", (_name, https) => {
  const server = serverForAll({ https: true, args: WORKERS });
  let root: Clients;
  beforeAll(async () => {
    root = await rootClients(server(), { https });
  });
  afterAll(() => root.destroy());

  test("KMS, on many connections", async () => {
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId ?? "";
    const bodies = Array.from({ length: 60 }, (_, index) => utf8(`plaintext ${index}`));
    const opened = await Promise.all(
      bodies.map(async (Plaintext) => {
        const { CiphertextBlob } = await root.kms.send(new EncryptCommand({ KeyId, Plaintext }));
        return (await root.kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext;
      }),
    );
    expect(opened.map((each) => text(each))).toEqual(bodies.map((each) => text(each)));
    await expect(root.kms.send(new GenerateDataKeyCommand({ KeyId: "nothing", KeySpec: "AES_256" }))).rejects.toThrow(
      /Invalid keyId/,
    );
    const pids = (await frontEndsOf(server())).map(({ pid }) => pid);
    expect(new Set([...pids, server().pid]).size).toBe(3);
  });

  test("puts and gets of an encrypted stream, in the order of their acknowledgement, with bodies of 10 MiB", async () => {
    const name = `ordered-${https}`;
    await createStream(root.kinesis, name, { keyId: "alias/aws/kinesis" });
    const acknowledged: { readonly data: string; readonly number: bigint }[] = [];
    const write = async (writer: number): Promise<void> => {
      for (let count = 0; count < 30; count += 1) {
        const data = `${writer}/${count}`;
        const put = new PutRecordCommand({ StreamName: name, PartitionKey: "same", Data: utf8(data) });
        acknowledged.push({ data, number: BigInt((await root.kinesis.send(put)).SequenceNumber ?? "0") });
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
    const read = await readShard(root.kinesis, name, SHARD);
    const byNumber = [...acknowledged].sort((a, b) => (a.number < b.number ? -1 : 1));
    expect(read.map(({ data }) => data)).toEqual(byNumber.map(({ data }) => data));

    const Records = Array.from({ length: 10 }, (_, index) => ({
      PartitionKey: "same",
      Data: new Uint8Array(1_000_000).fill(index + 1),
    }));
    const { FailedRecordCount } = await root.kinesis.send(new PutRecordsCommand({ StreamName: name, Records }));
    expect(FailedRecordCount).toBe(0);
    const last = read.at(-1)?.sequenceNumber;
    const { ShardIterator } = await root.kinesis.send(
      new GetShardIteratorCommand({
        StreamName: name,
        ShardId: SHARD,
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: last,
      }),
    );
    const page = await root.kinesis.send(new GetRecordsCommand({ ShardIterator }));
    expect(page.Records?.length).toBe(10);
    for (const [index, { Data }] of (page.Records ?? []).entries())
      expect(Buffer.compare(Data ?? Buffer.alloc(0), Records[index]?.Data ?? Buffer.alloc(0))).toBe(0);
  });

  test("SubscribeToShard: records come as they are put, and the subscription is over when its client goes", async () => {
    const name = `fanned-${https}`;
    const { StreamARN } = await createStream(root.kinesis, name, { keyId: "alias/aws/kinesis" });
    const { Consumer } = await root.kinesis.send(
      new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "reader" }),
    );
    const ConsumerARN = Consumer?.ConsumerARN ?? "";
    await eventually(async () => {
      const { ConsumerDescription } = await root.kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }));
      return ConsumerDescription?.ConsumerStatus === "ACTIVE" ? true : null;
    });
    const reader = await rootClients(server(), { https });
    const leaving = new AbortController();
    const StartingPosition = { Type: "TRIM_HORIZON" } as const;
    const { EventStream } = await reader.kinesis.send(
      new SubscribeToShardCommand({ ConsumerARN, ShardId: SHARD, StartingPosition }),
      { abortSignal: leaving.signal },
    );
    const seen: string[] = [];
    const listening = (async () => {
      for await (const { SubscribeToShardEvent: event } of EventStream ?? [])
        for (const { Data } of event?.Records ?? []) seen.push(text(Data));
    })().catch(() => {});
    const sent = Array.from({ length: 20 }, (_, index) => `record ${index}`);
    for (const data of sent)
      await root.kinesis.send(new PutRecordCommand({ StreamName: name, PartitionKey: "p", Data: utf8(data) }));
    await eventually(async () => (seen.length === sent.length ? true : null));
    expect(seen).toEqual(sent);
    const inFlight = async (): Promise<number> =>
      (await frontEndsOf(server())).reduce((sum, { requestsInFlight }) => sum + requestsInFlight, 0);
    expect(await inFlight()).toBe(1);
    leaving.abort();
    reader.destroy();
    await eventually(async () => ((await inFlight()) === 0 ? true : null));
    await listening;
  });
});

describe("front-end processes", () => {
  const server = serverForAll({ args: WORKERS });
  let root: Clients;
  beforeAll(async () => {
    root = await rootClients(server(), { maxAttempts: 1 });
  });
  afterAll(() => root.destroy());

  test("get no secret and nothing of the environment, and have a plain title", async () => {
    for (const { pid, number } of await frontEndsOf(server())) {
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1")
        .split("\0")
        .filter((each) => each !== "");
      expect(environment.every((each) => each.startsWith("NODE_CHANNEL_") || each === "")).toBe(true);
      expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).toMatch(new RegExp(`^waxseal: front end ${number}\\0*$`));
    }
    expect(await waxsealOk(["status", "--data-dir", server().dataDir])).toMatch(/front end 2: pid \d+/);
  });

  test("say that the server is sealed as soon as it is, and that it is not", async () => {
    const health = async (): Promise<number> => (await fetch(`${server().endpoint}/-/health`)).status;
    expect(await health()).toBe(200);
    await waxsealOk(["seal", "--data-dir", server().dataDir]);
    expect([await health(), await health()]).toEqual([503, 503]);
    await waxsealOk(["unseal", "--data-dir", server().dataDir]);
    expect([await health(), await health()]).toEqual([200, 200]);
  });

  test("that are killed under load take nothing with them that was acknowledged, and are replaced", async () => {
    const name = "killed";
    await createStream(root.kinesis, name, { keyId: "alias/aws/kinesis", shards: 2 });
    const acknowledged = new Set<string>();
    const failures: string[] = [];
    const over = new AbortController();
    const write = async (writer: number): Promise<void> => {
      const clients = await rootClients(server(), { maxAttempts: 1 });
      for (let count = 0; !over.signal.aborted; count += 1) {
        const data = `${writer}/${count}`;
        const put = new PutRecordCommand({ StreamName: name, PartitionKey: `${writer}`, Data: utf8(data) });
        try {
          await within(10_000, "a put", clients.kinesis.send(put));
          acknowledged.add(data);
        } catch (error) {
          failures.push(error instanceof Error ? error.message : String(error));
          await sleep(50);
        }
      }
      clients.destroy();
    };
    const writing = Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
    await sleep(500);
    const before = await frontEndsOf(server());
    for (const { pid } of before) {
      process.kill(pid, "SIGKILL");
      await sleep(700);
    }
    await eventually(async () => ((await frontEndsOf(server())).length === 2 ? true : null));
    const countThen = acknowledged.size;
    await eventually(async () => (acknowledged.size > countThen + 20 ? true : null));
    over.abort();
    await writing;
    expect(failures.length).toBeGreaterThan(0);
    expect(failures.filter((message) => message.includes("took longer"))).toEqual([]);
    const read = (await readStream(root.kinesis, name)).map(({ data }) => data);
    expect([...acknowledged].filter((data) => !read.includes(data))).toEqual([]);
    expect(new Set(read).size).toBe(read.length);
    const lastOf = new Map<string, number>();
    for (const data of read) {
      const [writer = "", count = ""] = data.split("/");
      expect(Number(count)).toBeGreaterThan(lastOf.get(writer) ?? -1);
      lastOf.set(writer, Number(count));
    }
    expect(server().output().stderr).toMatch(/front end \d ended \(SIGKILL\)/);
  });
});

describe("a server with front-ends that ends", () => {
  test("lets requests in flight finish, closes idle connections, and leaves no process behind", async () => {
    const dataDir = temporaryDirectory();
    try {
      const server = await startServer({ dataDir, args: WORKERS });
      const pids = (await frontEndsOf(server)).map(({ pid }) => pid);
      const idle = connect(Number(new URL(server.endpoint).port), "127.0.0.1");
      idle.on("error", () => {});
      const closed = new Promise((done) => idle.once("close", done));
      await sleep(100);
      const { code, ms } = await server.stop();
      expect(code).toBe(0);
      expect(ms).toBeLessThan(3_000);
      await closed;
      await gone(pids);
    } finally {
      removeDirectory(dataDir);
    }
  });

  test("by kill -9 takes its front-ends with it, and the next start finds the port free", async () => {
    const dataDir = temporaryDirectory();
    try {
      const server = await startServer({ dataDir, args: WORKERS });
      const pids = (await frontEndsOf(server)).map(({ pid }) => pid);
      await server.kill();
      await gone(pids);
      const { port } = new URL(server.endpoint);
      const again = await startServer({ dataDir, args: [...WORKERS, "--port", port] });
      expect(new URL(again.endpoint).port).toBe(port);
      const taken = await waxseal(["serve", "--data-dir", `${dataDir}-2`, "--port", port, ...WORKERS]);
      expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining(`Port ${port} on 127.0.0.1 is in use`)]);
      removeDirectory(`${dataDir}-2`);
      await again.stop();
    } finally {
      removeDirectory(dataDir);
    }
  });
});
