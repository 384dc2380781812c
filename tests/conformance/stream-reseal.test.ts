import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  PutRecordsCommand,
  StartStreamEncryptionCommand,
} from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { waxseal, waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, readStream, text, utf8, waitUntilActive } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";
import { eventually } from "../support/wait.ts";

/** What `waxseal stream reseal --json` prints. */
interface Status {
  readonly resealId: string;
  readonly state: string;
  readonly reason: { readonly code: string } | null;
  readonly sealedUnder: { readonly keyArn: string; readonly materialId: string | null } | null;
  readonly recordsTotal: number;
  readonly recordsDone: number;
  readonly counts: { readonly resealedRecords: number; readonly currentRecords: number; readonly leftRecords: number };
}

interface Report {
  readonly keyArn: string | null;
  readonly records: number;
  readonly bytes: number;
  readonly keys: readonly {
    readonly keyArn: string | null;
    readonly materialId: string | null;
    readonly suite: string;
    readonly records: number;
    readonly bytes: number;
    readonly isStreamsKey: boolean;
  }[];
}

const dataDir = temporaryDirectory();
let server: RunningServer;
let root: Clients;

beforeAll(async () => {
  server = await startServer({ dataDir });
  root = await rootClients(server);
});
afterAll(async () => {
  root.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

const newKey = async (): Promise<string> => (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";

const ofStream = (command: string, stream: string, ...more: readonly string[]): string[] => [
  "stream",
  command,
  "--data-dir",
  dataDir,
  "--stream",
  stream,
  "--json",
  ...more,
];
const reseal = async (stream: string): Promise<Status> =>
  JSON.parse(await waxsealOk(ofStream("reseal", stream))) as Status;
const report = async (stream: string): Promise<Report> =>
  JSON.parse(await waxsealOk(ofStream("report", stream))) as Report;

async function putMany(
  kinesis: KinesisClient,
  StreamName: string,
  from: number,
  count: number,
  length = 900,
): Promise<void> {
  for (let begin = from; begin < from + count; begin += 25) {
    const Records = Array.from({ length: Math.min(25, from + count - begin) }, (_, nth) => ({
      PartitionKey: `key ${begin + nth}`,
      Data: utf8(`record ${begin + nth} ${"x".repeat(length)}`),
    }));
    const { FailedRecordCount } = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
    expect(FailedRecordCount).toBe(0);
  }
}

async function changeKey(StreamName: string, KeyId: string): Promise<void> {
  await root.kinesis.send(new StartStreamEncryptionCommand({ StreamName, EncryptionType: "KMS", KeyId }));
  await waitUntilActive(root.kinesis, StreamName);
}

test("the key of a live stream changes while records flow, and none is lost, doubled or refused", async () => {
  const [first, second] = [await newKey(), await newKey()];
  await createStream(root.kinesis, "flowing", { shards: 2, keyId: first });
  const change = changeKey("flowing", second);
  await putMany(root.kinesis, "flowing", 0, 300);
  await change;
  await putMany(root.kinesis, "flowing", 300, 100);
  const names = (await readStream(root.kinesis, "flowing")).map(({ data }) => Number(data.split(" ")[1]));
  expect(names.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, nth) => nth));
  const { keys, keyArn, records } = await report("flowing");
  expect(records).toBe(400);
  expect(keyArn).toBe(second);
  expect(keys.find(({ isStreamsKey }) => isStreamsKey)?.keyArn).toBe(second);
});

test("after it, the old key can be dropped: everything reads as before", async () => {
  const [oldKey, present] = [await newKey(), await newKey()];
  await createStream(root.kinesis, "orders", { shards: 2 });
  await putMany(root.kinesis, "orders", 0, 50);
  await changeKey("orders", oldKey);
  await putMany(root.kinesis, "orders", 50, 200);
  await changeKey("orders", present);
  await putMany(root.kinesis, "orders", 250, 50);
  const before = await readStream(root.kinesis, "orders");
  const counted = await report("orders");
  expect(counted.keys.map(({ keyArn, suite, records }) => [keyArn, suite, records])).toEqual([
    [oldKey, "aes", 200],
    [null, "none", 50],
    [present, "aes", 50],
  ]);
  expect(counted.keys[0]?.materialId).toMatch(/^[0-9a-f]{64}$/);

  const decryptedBefore = (await eventsNamed(root.cloudtrail, "Decrypt")).length;
  const status = await reseal("orders");
  expect(status).toMatchObject({ state: "DONE", recordsTotal: 300, recordsDone: 300 });
  expect(status.counts).toMatchObject({ resealedRecords: 250, currentRecords: 50, leftRecords: 0 });
  const opened = (await eventsNamed(root.cloudtrail, "Decrypt")).length - decryptedBefore;
  await root.kms.send(new DisableKeyCommand({ KeyId: oldKey }));
  const after = await readStream(root.kinesis, "orders");
  expect(after).toEqual(before.map((record) => ({ ...record, encryptionType: "KMS" })));
  expect((await report("orders")).keys).toMatchObject([{ keyArn: present, records: 300, bytes: counted.bytes }]);

  // The trail tells who asked, what was opened and sealed for that, and how it ended.
  const [asked] = await eventsNamed(root.cloudtrail, "ResealStream");
  const [ended] = await eventsNamed(root.cloudtrail, "EndStreamReseal");
  expect(asked).toMatchObject({
    eventSource: "kinesis.amazonaws.com",
    userIdentity: { type: "Root" },
    additionalEventData: { resealId: status.resealId, keyId: present },
  });
  expect(ended).toMatchObject({
    additionalEventData: { resealId: status.resealId, state: "DONE", resealedRecords: 250 },
  });
  expect(opened).toBe(1);
}, 60_000);

test("it is killed in the middle, and goes on with the next start; a consumer meanwhile sees each record once", async () => {
  const [oldKey, present] = [await newKey(), await newKey()];
  await createStream(root.kinesis, "long", { keyId: oldKey });
  const COUNT = 3_000;
  await putMany(root.kinesis, "long", 0, COUNT, 8_000);
  await changeKey("long", present);
  const before = await readStream(root.kinesis, "long");
  await waxsealOk(ofStream("reseal", "long", "--no-wait"));
  const status = async (): Promise<Status> =>
    JSON.parse(await waxsealOk(ofStream("reseal", "long", "--status"))) as Status;
  const half = await eventually(async () => {
    const now = await status();
    return now.recordsDone > 0 || now.state !== "RUNNING" ? now : null;
  });
  expect(half.state).toBe("RUNNING");
  await server.kill();
  root.destroy();
  server = await startServer({ dataDir });
  root = await rootClients(server);

  // A consumer that reads slowly while the rest is sealed again.
  const seen: string[] = [];
  const { ShardIterator } = await root.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "long",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  let iterator = ShardIterator;
  while (seen.length < COUNT) {
    const page = await root.kinesis.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: 50 }));
    seen.push(...(page.Records ?? []).map(({ Data }) => text(Data)));
    iterator = page.NextShardIterator;
  }
  expect(seen).toEqual(before.map(({ data }) => data));
  expect((await reseal("long")).state).toBe("DONE");
  await root.kms.send(new DisableKeyCommand({ KeyId: oldKey }));
  expect(await readStream(root.kinesis, "long")).toEqual(before);
  expect((await report("long")).keys).toMatchObject([{ keyArn: present, records: COUNT }]);
}, 120_000);

test("without KMS's permission nothing is opened: it stops, says why, and goes on when it is permitted", async () => {
  const [oldKey, present] = [await newKey(), await newKey()];
  await createStream(root.kinesis, "guarded", { keyId: oldKey });
  await putMany(root.kinesis, "guarded", 0, 25);
  await changeKey("guarded", present);
  await root.kms.send(new DisableKeyCommand({ KeyId: oldKey }));
  const stopped = await waxseal(ofStream("reseal", "guarded"));
  expect(stopped.code).toBe(1);
  expect(stopped.stderr).toContain("goes on from here");
  expect(JSON.parse(stopped.stdout) as Status).toMatchObject({
    state: "STOPPED",
    reason: { code: "KMSDisabledException" },
    counts: { resealedRecords: 0 },
  });
  await root.kms.send(new EnableKeyCommand({ KeyId: oldKey }));
  // A key policy that lets the account's root manage the key, and not decrypt with it.
  const policy = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${server.accountId}:root` }, Action: "kms:*", Resource: "*" },
      { Effect: "Deny", Principal: { AWS: "*" }, Action: "kms:Decrypt", Resource: "*" },
    ],
  };
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: oldKey, Policy: JSON.stringify(policy) }));
  expect(JSON.parse((await waxseal(ofStream("reseal", "guarded"))).stdout) as Status).toMatchObject({
    state: "STOPPED",
    reason: { code: "KMSAccessDeniedException" },
  });
  const [denied] = await eventsNamed(root.cloudtrail, "Decrypt");
  expect(denied).toMatchObject({ errorCode: "AccessDenied", userIdentity: { type: "Root" } });
  const allowed = { ...policy, Statement: policy.Statement.slice(0, 1) };
  await root.kms.send(new PutKeyPolicyCommand({ KeyId: oldKey, Policy: JSON.stringify(allowed) }));
  expect(await reseal("guarded")).toMatchObject({ state: "DONE", counts: { resealedRecords: 25 } });
});

test("nobody can ask for it but who owns the data directory", async () => {
  for (const name of ["ResealStream", "EndStreamReseal", "ReportStreamEncryption", "DescribeStreamReseal"]) {
    const answer = await fetch(server.endpoint, {
      method: "POST",
      headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `Kinesis_20131202.${name}` },
      body: JSON.stringify({ StreamName: "guarded" }),
    });
    expect([name, answer.status, await answer.text()]).toEqual([
      name,
      400,
      expect.stringContaining("UnknownOperationException"),
    ]);
  }
  const refused = await waxseal(ofStream("reseal", "no-such-stream"));
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("not found")]);
});

test("what KMS was called for is counted by month, stream, key and operation, across restarts", async () => {
  const cost = async (): Promise<{
    readonly total: { readonly calls: number; readonly usd: number };
    readonly lines: readonly {
      readonly month: string;
      readonly streamArn: string;
      readonly keyArn: string;
      readonly operation: string;
      readonly calls: number;
    }[];
  }> =>
    JSON.parse(await waxsealOk(["stream", "cost", "--data-dir", dataDir, "--json"])) as Awaited<
      ReturnType<typeof cost>
    >;
  const keyArn = await newKey();
  const { StreamARN } = await createStream(root.kinesis, "costly", { keyId: keyArn });
  await putMany(root.kinesis, "costly", 0, 100);
  const mine = async (): Promise<readonly unknown[]> =>
    (await cost()).lines
      .filter(({ streamArn }) => streamArn === StreamARN)
      .toSorted((a, b) => (a.operation < b.operation ? -1 : 1))
      .map((line) => [line.operation, line.keyArn, line.calls]);
  const expected = [
    ["DescribeKey", keyArn, 1],
    ["GenerateDataKey", keyArn, 1],
  ];
  expect(await mine()).toEqual(expected);
  await server.stop();
  root.destroy();
  server = await startServer({ dataDir });
  root = await rootClients(server);
  expect(await mine()).toEqual(expected);
  await readStream(root.kinesis, "costly");
  expect(await mine()).toEqual([["Decrypt", keyArn, 1], ...expected]);
  const { total, lines } = await cost();
  expect(total.calls).toBe(lines.reduce((sum, { calls }) => sum + calls, 0));
  expect(total.usd).toBeCloseTo((total.calls / 10_000) * 0.03, 6);
  expect(lines.every(({ month }) => /^\d{4}-\d{2}$/.test(month))).toBe(true);
});
