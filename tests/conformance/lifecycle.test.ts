import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, constants } from "node:http2";
import { GetRecordsCommand, GetShardIteratorCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import { describe, expect, onTestFinished, test } from "vitest";
import { rootClients } from "../support/clients.ts";
import { run, waxseal, waxsealOk } from "../support/processes.ts";
import {
  removeDirectory,
  type RunningServer,
  type StartOptions,
  startServer,
  temporaryDirectory,
} from "../support/server.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";
import { send, targeted } from "../support/wire.ts";

const READY_MS_MAX = 2_000;
const DRAIN_MS_MAX = 10_000;

function directory(): string {
  const path = temporaryDirectory();
  onTestFinished(() => removeDirectory(path));
  return path;
}

async function start(options: StartOptions): Promise<RunningServer> {
  const server = await startServer(options);
  onTestFinished(async () => server.kill());
  return server;
}

describe("start", () => {
  test("a store that was cut off or emptied is refused in words, and nothing is made in its place", async () => {
    const dataDir = join(directory(), "cut");
    await waxsealOk(["init", "--data-dir", dataDir]);
    const credentials = readFileSync(join(dataDir, "private/root-credentials.json"), "utf8");
    const path = join(dataDir, "store/metadata.mdb");
    truncateSync(path, statSync(path).size / 2);
    await expect(startServer({ dataDir })).rejects.toThrow(/metadata\.mdb is cut off/);
    truncateSync(path, 0);
    await expect(startServer({ dataDir })).rejects.toThrow(/store is empty, though/);
    expect(readFileSync(join(dataDir, "private/root-credentials.json"), "utf8")).toBe(credentials);
  });

  test("an empty directory is ready within two seconds, and private to its owner", async () => {
    const dataDir = join(directory(), "new");
    const server = await start({ dataDir, https: true });
    expect(server.readyMs).toBeLessThan(READY_MS_MAX);
    expect(server).toMatchObject({
      ready: true,
      sealed: false,
      endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as unknown,
      httpsEndpoint: expect.stringMatching(/^https:\/\//) as unknown,
      accountId: expect.stringMatching(/^\d{12}$/) as unknown,
    });
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dataDir, "private")).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(join(dataDir, "private"))) {
      expect(statSync(join(dataDir, "private", name)).mode & 0o077).toBe(0);
    }
    expect(server.output().stdout.trim().split("\n")).toHaveLength(1);
    for (const line of server.output().stderr.trim().split("\n").filter(Boolean))
      expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  test("region and account are as given, and `env` says so", async () => {
    const server = await start({
      dataDir: directory(),
      args: ["--region", "eu-central-1", "--account-id", "210987654321"],
    });
    expect(server).toMatchObject({ region: "eu-central-1", accountId: "210987654321", httpsEndpoint: null });
    const env = await server.env();
    expect(env).toMatchObject({
      AWS_ENDPOINT_URL: server.endpoint,
      AWS_REGION: "eu-central-1",
      AWS_DEFAULT_REGION: "eu-central-1",
    });
    expect(env["AWS_CA_BUNDLE"]).toBeUndefined();
    const shell = await waxsealOk(["env", "--data-dir", server.dataDir]);
    const evaluated = await run("sh", ["-c", `${shell}\nprintf %s "$AWS_SECRET_ACCESS_KEY"`]);
    expect(evaluated.stdout).toBe(env["AWS_SECRET_ACCESS_KEY"]);
  });

  test("a second server on the same directory is refused, the first goes on", async () => {
    const dataDir = directory();
    const first = await start({ dataDir });
    await expect(startServer({ dataDir })).rejects.toThrow(/ended with [1-9]/);
    const root = await rootClients(first);
    await root.kms.send(new ListKeysCommand({}));
    root.destroy();
  });

  test("a restart keeps account, keys, records and credentials", async () => {
    const dataDir = directory();
    const first = await start({ dataDir });
    const credentials = await first.root();
    const before = await rootClients(first);
    await createStream(before.kinesis, "kept", { keyId: "alias/aws/kinesis" });
    await before.kinesis.send(new PutRecordCommand({ StreamName: "kept", PartitionKey: "k", Data: utf8("kept") }));
    expect((await first.stop()).code).toBe(0);
    const second = await start({ dataDir });
    expect(second.accountId).toBe(first.accountId);
    const after = await rootClients(second);
    expect(await second.root()).toMatchObject(credentials);
    expect((await readStream(after.kinesis, "kept")).map((record) => record.data)).toEqual(["kept"]);
    before.destroy();
    after.destroy();
  });
});

describe("stop", () => {
  test("SIGTERM finishes what is under way, takes nothing new, and exits with 0", async () => {
    const server = await start({ dataDir: directory() });
    const root = await rootClients(server);
    await createStream(root.kinesis, "drained", { keyId: "alias/aws/kinesis" });
    const puts = Array.from({ length: 40 }, async (_, index) =>
      root.kinesis
        .send(new PutRecordCommand({ StreamName: "drained", PartitionKey: `${index}`, Data: utf8(`${index}`) }))
        .then(
          () => index,
          () => null,
        ),
    );
    const { code, ms } = await server.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(DRAIN_MS_MAX);
    const acknowledged = (await Promise.all(puts)).filter((index) => index !== null);
    root.destroy();
    expect(existsSync(join(server.dataDir, "run", "endpoint.json"))).toBe(false);

    const again = await start({ dataDir: server.dataDir });
    const reader = await rootClients(again);
    const stored = (await readStream(reader.kinesis, "drained")).map((record) => Number(record.data));
    for (const index of acknowledged) expect(stored).toContain(index);
    reader.destroy();
  });

  test("an idle connection does not hold it up", async () => {
    const server = await start({ dataDir: directory() });
    const session = connect(server.endpoint);
    session.on("error", () => {});
    await new Promise((resolve) => session.once("connect", resolve));
    const { code, ms } = await server.stop();
    session.destroy();
    expect({ code, quick: ms < DRAIN_MS_MAX }).toEqual({ code: 0, quick: true });
  });
});

describe("the root of trust", () => {
  const passphrase = "correct horse battery staple";

  test("a passphrase seals the server; without it nothing is answered, with it everything is there again", async () => {
    const dataDir = directory();
    const file = join(directory(), "passphrase");
    writeFileSync(file, `${passphrase}\n`, { mode: 0o600 });
    const open = await start({ dataDir, args: ["--seal", "passphrase", "--passphrase-file", file] });
    expect(open.sealed).toBe(false);
    const before = await rootClients(open);
    const { KeyMetadata } = await before.kms.send(new CreateKeyCommand({}));
    const sealed = await before.kms.send(new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: utf8("kept") }));
    before.destroy();
    await open.stop();

    const server = await start({ dataDir, args: ["--seal", "passphrase"] });
    expect(server.sealed).toBe(true);
    const refused = await send(server.endpoint, targeted("TrentService.ListKeys", "{}"));
    expect(refused.status).toBe(503);
    expect(refused.body.toString("utf8")).toMatch(/sealed/i);

    writeFileSync(`${file}.wrong`, "something else\n");
    const wrong = await waxseal(["unseal", "--data-dir", dataDir, "--passphrase-file", `${file}.wrong`]);
    expect(wrong.code).not.toBe(0);
    expect((await send(server.endpoint, targeted("TrentService.ListKeys", "{}"))).status).toBe(503);

    await waxsealOk(["unseal", "--data-dir", dataDir, "--passphrase-file", file]);
    const root = await rootClients(server);
    const opened = await root.kms.send(new DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob }));
    expect(opened.Plaintext).toEqual(utf8("kept"));

    await waxsealOk(["seal", "--data-dir", dataDir]);
    expect((await send(server.endpoint, targeted("TrentService.ListKeys", "{}"))).status).toBe(503);
    await waxsealOk(["unseal", "--data-dir", dataDir, "--passphrase-file", file]);
    await root.kms.send(new ListKeysCommand({}));
    root.destroy();
    expect(server.output().stderr).not.toContain(passphrase);
  });

  test("a wrong root key refuses to start, says why, and changes nothing", async () => {
    const dataDir = directory();
    const keyFile = join(directory(), "root.key");
    const first = await start({ dataDir, args: ["--seal", `file:${keyFile}`] });
    const root = await rootClients(first);
    await createStream(root.kinesis, "kept", { keyId: "alias/aws/kinesis" });
    await root.kinesis.send(new PutRecordCommand({ StreamName: "kept", PartitionKey: "k", Data: utf8("kept") }));
    root.destroy();
    await first.stop();

    const otherKey = join(directory(), "other.key");
    const other = await start({ dataDir: directory(), args: ["--seal", `file:${otherKey}`] });
    await other.stop();
    await expect(startServer({ dataDir, args: ["--seal", `file:${otherKey}`] })).rejects.toThrow(/root key/i);
    await expect(startServer({ dataDir, args: ["--seal", `file:${keyFile}.absent`] })).rejects.toThrow(
      /ended with [1-9]/,
    );
    expect(existsSync(`${keyFile}.absent`)).toBe(false);

    const again = await start({ dataDir, args: ["--seal", `file:${keyFile}`] });
    const reader = await rootClients(again);
    expect((await readStream(reader.kinesis, "kept")).map((record) => record.data)).toEqual(["kept"]);
    reader.destroy();
  });

  test("a sealed server forgets its keys but not its iterators' rules: what it handed out works again once unsealed", async () => {
    const dataDir = directory();
    const server = await start({ dataDir });
    const root = await rootClients(server);
    await createStream(root.kinesis, "kept", { keyId: "alias/aws/kinesis" });
    await root.kinesis.send(new PutRecordCommand({ StreamName: "kept", PartitionKey: "k", Data: utf8("kept") }));
    const { ShardIterator } = await root.kinesis.send(
      new GetShardIteratorCommand({
        StreamName: "kept",
        ShardId: "shardId-000000000000",
        ShardIteratorType: "TRIM_HORIZON",
      }),
    );
    await waxsealOk(["seal", "--data-dir", dataDir]);
    await expect(root.kinesis.send(new GetRecordsCommand({ ShardIterator }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 503 },
    });
    await waxsealOk(["unseal", "--data-dir", dataDir]);
    expect((await root.kinesis.send(new GetRecordsCommand({ ShardIterator }))).Records).toHaveLength(1);
    root.destroy();
  });
});

describe("the command line", () => {
  test("init makes a directory that serve then uses; status tells whether a server runs", async () => {
    const dataDir = join(directory(), "new");
    await waxsealOk(["init", "--data-dir", dataDir, "--account-id", "111122223333"]);
    expect((await waxseal(["status", "--data-dir", dataDir])).code).not.toBe(0);
    expect((await waxseal(["env", "--data-dir", dataDir])).code).not.toBe(0);
    const server = await start({ dataDir });
    expect(server.accountId).toBe("111122223333");
    const status = JSON.parse(await waxsealOk(["status", "--data-dir", dataDir, "--json"])) as Record<string, unknown>;
    expect(status).toMatchObject({ sealed: false, endpoint: server.endpoint, pid: server.pid });
  });

  test("the clock moves only where hooks are on, and record debugging only where no server runs", async () => {
    const server = await start({ dataDir: directory() });
    expect((await waxseal(["test", "clock", "--data-dir", server.dataDir, "--advance-ms", "1"])).code).not.toBe(0);
    const debug = ["debug", "record", "--data-dir", server.dataDir, "--stream", "s", "--sequence-number", "1"];
    expect((await waxseal([...debug, "--out", "/dev/null"])).code).not.toBe(0);
  });

  test("init tells where the root key is, and warns only of one beside the data", async () => {
    const keyFile = join(directory(), "root.key");
    const elsewhere = await waxsealOk(["init", "--data-dir", join(directory(), "new"), "--seal", `file:${keyFile}`]);
    expect(elsewhere).toContain(keyFile);
    expect(elsewhere).not.toMatch(/beside/);
    expect(await waxsealOk(["init", "--data-dir", join(directory(), "new")])).toMatch(/lies beside the data/);
  });

  test("the first start warns once of a key beside the data, later starts do not", async () => {
    const dataDir = join(directory(), "new");
    const first = await start({ dataDir });
    expect(first.output().stderr).toMatch(/root key lies in the data directory/);
    await first.stop();
    const second = await start({ dataDir });
    expect(second.output().stderr).not.toMatch(/root key lies/);
  });

  test("every command explains itself", async () => {
    for (const command of [[], ["serve"], ["env"], ["init"], ["status"], ["seal"], ["unseal"], ["demo"], ["bench"]]) {
      expect(await waxsealOk([...command, "--help"])).toMatch(/Usage: waxseal/);
    }
    expect(await waxsealOk([])).toBe(await waxsealOk(["--help"]));
  });
});

describe("a start that the operator can mend", () => {
  /** Runs `serve` that must fail: in one sentence, without a stack. */
  async function refusal(args: readonly string[]): Promise<{ readonly code: number | null; readonly stderr: string }> {
    const { code, stdout, stderr } = await waxseal(["serve", "--port", "0", ...args], { timeoutMs: 20_000 });
    expect(stdout).toBe("");
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    return { code, stderr };
  }

  test("a busy port names the option that chooses another", async () => {
    const server = await start({ dataDir: directory(), https: true });
    const dataDir = directory();
    await waxsealOk(["init", "--data-dir", dataDir]);
    const plain = await refusal(["--data-dir", dataDir, "--port", new URL(server.endpoint).port]);
    expect(plain).toMatchObject({ code: 1, stderr: expect.stringMatching(/^waxseal: Port \d+ .*--port/) as unknown });
    const httpsPort = new URL(server.httpsEndpoint ?? "").port;
    const secure = await refusal(["--data-dir", dataDir, "--https-port", httpsPort]);
    expect(secure).toMatchObject({ code: 1, stderr: expect.stringMatching(/--https-port/) as unknown });
  });

  test("a directory in use, one that is a file, and a missing certificate are said in one sentence", async () => {
    const server = await start({ dataDir: directory() });
    expect(await refusal(["--data-dir", server.dataDir])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/in use by process \d+/) as unknown,
    });
    const file = join(directory(), "file");
    writeFileSync(file, "");
    expect((await refusal(["--data-dir", file])).stderr).toContain(file);
    const dataDir = directory();
    await waxsealOk(["init", "--data-dir", dataDir]);
    const absent = ["--tls-cert", `${file}.pem`, "--tls-key", `${file}.key`];
    expect((await refusal(["--data-dir", dataDir, "--https-port", "0", ...absent])).stderr).toMatch(/--tls-cert/);
  });

  test("what was chosen at init cannot be chosen differently", async () => {
    const dataDir = directory();
    const passphrase = join(directory(), "passphrase");
    writeFileSync(passphrase, "long enough\n");
    await waxsealOk(["init", "--data-dir", dataDir, "--region", "eu-west-1"]);
    const region = await refusal(["--data-dir", dataDir, "--region", "us-east-1"]);
    expect(region).toMatchObject({ code: 1, stderr: expect.stringMatching(/eu-west-1/) as unknown });
    const again = await waxseal(["init", "--data-dir", dataDir, "--region", "us-east-1"]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/eu-west-1/) as unknown });
    const sealed = await refusal(["--data-dir", dataDir, "--passphrase-file", passphrase]);
    expect(sealed).toMatchObject({ code: 1, stderr: expect.stringMatching(/sealed by a key file/) as unknown });
  });

  test("with --json it is one JSON line on stderr", async () => {
    const server = await start({ dataDir: directory() });
    const { code, stderr } = await refusal(["--data-dir", server.dataDir, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ msg: expect.stringMatching(/in use by process/) as unknown });
  });

  test.each([
    ["an unknown command", ["no-such-command"]],
    ["an unknown option", ["serve", "--nope"]],
    ["a port that is none", ["serve", "--port", "http"]],
    ["an address for HTTPS without HTTPS", ["serve", "--host", "0.0.0.0"]],
    ["two sources of a passphrase", ["serve", "--passphrase-file", "f", "--passphrase-fd", "3"]],
    ["no rounds", ["bench", "streams", "--rounds", "0"]],
  ])("%s is wrong usage", async (_, args) => {
    expect((await waxseal(args, { timeoutMs: 20_000 })).code).toBe(2);
  });
});

test("one plain port takes HTTP/1.1 and HTTP/2 with prior knowledge", async () => {
  const server = await start({ dataDir: directory() });
  expect((await send(server.endpoint, targeted("TrentService.ListKeys", "{}"))).status).toBe(400);
  const session = connect(server.endpoint);
  const status = await new Promise((resolve, reject) => {
    session.once("error", reject);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/x-amz-json-1.1",
      "x-amz-target": "TrentService.ListKeys",
    });
    stream.once("response", (headers) => resolve(headers[constants.HTTP2_HEADER_STATUS]));
    stream.once("error", reject);
    stream.end("{}");
  });
  session.close();
  expect(status).toBe(400);
});
