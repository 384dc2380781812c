import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError } from "./command-error.ts";
import { createNarrator, type Narrator } from "./demo-narrator.ts";
import { type DemoServer, startDemoServer } from "./demo-server.ts";

const STREAM = "orders";
const CLEAR_TEXT = "order 1001: two lighthouse lamps";
const SECRET_TEXTS = [
  "order 2001: one sextant, gift wrapped",
  "order 2002: four signal flags",
  "order 2003: a barometer",
] as const;

/** Plays the main job with the AWS SDK for JavaScript against a server of its own, and fails if anything is not as told. */
export async function demo(options: { readonly keep?: boolean }): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "waxseal-demo-"));
  const say = createNarrator();
  let server: DemoServer | null = null;
  try {
    say.title("Waxseal: a record's way through an encrypted stream");
    server = await startDemoServer(dataDir);
    say.fact("server", `${server.endpoint} (data in ${dataDir})`);
    const people = await makePeople(server, say);
    const keyArn = await makeKey(server, say, people);
    await putInClear(server, say, dataDir);
    const sequenceNumber = await putSealed(server, say, keyArn, people, dataDir);
    await server.stop();
    showStoredBytes(say, dataDir, sequenceNumber);
    server = await startDemoServer(dataDir);
    await readBack(server, say, people, keyArn);
    await showAudit(server, say);
    say.title("Everything was as told.");
    if (options.keep) say.fact("data directory", dataDir);
  } finally {
    await server?.stop();
    if (!options.keep) rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Person {
  readonly arn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

type People = Readonly<Record<"producer" | "consumer" | "outsider", Person>>;

async function makePeople(server: DemoServer, say: Narrator): Promise<People> {
  say.step("Three IAM users. All three may use streams; none has a permission on keys.");
  const { CreateUserCommand, PutUserPolicyCommand, CreateAccessKeyCommand } = await import("@aws-sdk/client-iam");
  const iam = server.clients().iam;
  const make = async (name: string): Promise<Person> => {
    const user = await iam.send(new CreateUserCommand({ UserName: name }));
    await iam.send(
      new PutUserPolicyCommand({
        UserName: name,
        PolicyName: "streams",
        PolicyDocument: JSON.stringify({
          Version: "2012-10-17",
          Statement: [{ Effect: "Allow", Action: "kinesis:*", Resource: "*" }],
        }),
      }),
    );
    const key = await iam.send(new CreateAccessKeyCommand({ UserName: name }));
    say.fact(name, user.User?.Arn ?? "");
    return {
      arn: user.User?.Arn ?? "",
      accessKeyId: key.AccessKey?.AccessKeyId ?? "",
      secretAccessKey: key.AccessKey?.SecretAccessKey ?? "",
    };
  };
  return { producer: await make("producer"), consumer: await make("consumer"), outsider: await make("outsider") };
}

async function makeKey(server: DemoServer, say: Narrator, people: People): Promise<string> {
  say.step("A KMS key. Its policy lets the producer seal and the consumer open, through the stream service only.");
  const { CreateKeyCommand, CreateAliasCommand } = await import("@aws-sdk/client-kms");
  const { kms } = server.clients();
  const via = { StringEquals: { "kms:ViaService": `kinesis.${server.region}.amazonaws.com` } };
  const allow = (sid: string, principal: string, action: string | readonly string[], condition?: object): object => ({
    Sid: sid,
    Effect: "Allow",
    Principal: { AWS: principal },
    Action: action,
    Resource: "*",
    ...(condition === undefined ? {} : { Condition: condition }),
  });
  const policy = {
    Version: "2012-10-17",
    Statement: [
      allow("Administer", `arn:aws:iam::${server.accountId}:root`, "kms:*"),
      allow("Seal", people.producer.arn, "kms:GenerateDataKey", via),
      allow("Open", people.consumer.arn, "kms:Decrypt", via),
    ],
  };
  const key = await kms.send(new CreateKeyCommand({ Description: "orders", Policy: JSON.stringify(policy) }));
  const arn = key.KeyMetadata?.Arn ?? "";
  await kms.send(new CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: arn }));
  say.fact("key", `${arn} (alias/orders)`);
  return arn;
}

async function putInClear(server: DemoServer, say: Narrator, dataDir: string): Promise<void> {
  say.step("A stream, not encrypted yet. The producer's record lies on the disk as it came.");
  const { CreateStreamCommand, PutRecordCommand } = await import("@aws-sdk/client-kinesis");
  const { kinesis } = server.clients();
  await kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
  await server.untilActive(STREAM);
  const put = await kinesis.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: "customer-ann", Data: Buffer.from(CLEAR_TEXT) }),
  );
  say.fact("put", `"${CLEAR_TEXT}" -> EncryptionType ${put.EncryptionType}`);
  say.expect(
    `search of every file under the data directory for "${CLEAR_TEXT}"`,
    found(dataDir, CLEAR_TEXT) ? "FOUND" : "not found",
    "FOUND",
  );
}

async function putSealed(
  server: DemoServer,
  say: Narrator,
  keyArn: string,
  people: People,
  dataDir: string,
): Promise<string> {
  say.step("StartStreamEncryption. From here on the server seals payload and partition key before anything is stored.");
  const { PutRecordCommand, PutRecordsCommand, StartStreamEncryptionCommand } = await import("@aws-sdk/client-kinesis");
  await server
    .clients()
    .kinesis.send(
      new StartStreamEncryptionCommand({ StreamName: STREAM, EncryptionType: "KMS", KeyId: "alias/orders" }),
    );
  await server.untilActive(STREAM);
  const { kinesis } = server.clients(people.producer);
  const [first, ...others] = SECRET_TEXTS;
  const put = await kinesis.send(
    new PutRecordCommand({ StreamName: STREAM, PartitionKey: "customer-bob", Data: Buffer.from(first) }),
  );
  say.fact("put", `"${first}" -> EncryptionType ${put.EncryptionType}`);
  const batch = await kinesis.send(
    new PutRecordsCommand({
      StreamName: STREAM,
      Records: others.map((text) => ({ PartitionKey: "customer-bob", Data: Buffer.from(text) })),
    }),
  );
  say.expect("put two more in one call: EncryptionType", String(batch.EncryptionType), "KMS");
  for (const canary of [...SECRET_TEXTS, "customer-bob"]) {
    say.expect(`search of every file for "${canary}"`, found(dataDir, canary) ? "FOUND" : "not found", "not found");
  }
  const { kinesis: outsider } = server.clients(people.outsider);
  const refused = await refusal(
    outsider.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: "x", Data: Buffer.from("x") })),
  );
  say.expect("the outsider puts a record", refused.name, "KMSAccessDeniedException");
  say.quote(refused.message);
  say.fact("under the key", keyArn);
  return put.SequenceNumber ?? "";
}

function showStoredBytes(say: Narrator, dataDir: string, sequenceNumber: string): void {
  say.step("The server is stopped. What lies on the disk for the producer's first sealed record:");
  const out = join(dataDir, "record.bin");
  const command = fileURLToPath(new URL("../../../bin/waxseal.js", import.meta.url));
  const arguments_ = [
    "debug",
    "record",
    "--data-dir",
    dataDir,
    "--stream",
    STREAM,
    "--sequence-number",
    sequenceNumber,
    "--out",
    out,
  ];
  const run = spawnSync(process.execPath, [command, ...arguments_], { encoding: "utf8" });
  if (run.status !== 0) throw new CommandError(`waxseal debug record failed: ${run.stderr}`, 1);
  const bytes = readFileSync(out);
  rmSync(out);
  for (let offset = 0; offset < Math.min(bytes.length, 96); offset += 16) {
    const line = bytes.subarray(offset, offset + 16);
    const printable = [...line].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    say.quote(
      `${offset.toString(16).padStart(4, "0")}  ${line.toString("hex").replaceAll(/(..)/g, "$1 ").padEnd(48)} ${printable}`,
    );
  }
  say.fact("stored", `${bytes.length} bytes: nonce, ciphertext, authentication tag`);
}

async function readBack(server: DemoServer, say: Narrator, people: People, keyArn: string): Promise<void> {
  say.step("Started again. The consumer, whom the key policy names, reads everything back.");
  const { GetRecordsCommand, GetShardIteratorCommand } = await import("@aws-sdk/client-kinesis");
  const { DisableKeyCommand, EnableKeyCommand } = await import("@aws-sdk/client-kms");
  const readAs = async (person: Person): Promise<readonly string[]> => {
    const { kinesis } = server.clients(person);
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: STREAM,
        ShardId: "shardId-000000000000",
        ShardIteratorType: "TRIM_HORIZON",
      }),
    );
    const { Records } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
    return (Records ?? []).map(
      (record) =>
        `${record.EncryptionType?.padEnd(4)} ${record.PartitionKey}: ${Buffer.from(record.Data ?? []).toString("utf8")}`,
    );
  };
  const records = await readAs(people.consumer);
  for (const record of records) say.quote(record);
  say.expect("records read", String(records.length), String(1 + SECRET_TEXTS.length));
  say.step("The outsider, with the same stream permissions but no word in the key policy, is refused.");
  const refused = await refusal(readAs(people.outsider));
  say.expect("the outsider reads", refused.name, "KMSAccessDeniedException");
  say.quote(refused.message);
  say.step("Disable the key, and the consumer is stopped on the next call. Enable it, and nothing is lost.");
  const { kms } = server.clients();
  await kms.send(new DisableKeyCommand({ KeyId: keyArn }));
  say.expect(
    "the consumer reads while the key is disabled",
    (await refusal(readAs(people.consumer))).name,
    "KMSDisabledException",
  );
  await kms.send(new EnableKeyCommand({ KeyId: keyArn }));
  say.expect(
    "records read with the key enabled again",
    String((await readAs(people.consumer)).length),
    String(1 + SECRET_TEXTS.length),
  );
}

interface TrailEvent {
  readonly eventName: string;
  readonly eventTime: string;
  readonly errorCode?: string;
  readonly userIdentity: { readonly arn?: string; readonly invokedBy?: string };
}

async function showAudit(server: DemoServer, say: Narrator): Promise<void> {
  say.step("The audit trail, as CloudTrail's LookupEvents shows it (newest first).");
  const { LookupEventsCommand } = await import("@aws-sdk/client-cloudtrail");
  const { cloudtrail } = server.clients();
  const events: TrailEvent[] = [];
  let NextToken: string | undefined;
  do {
    const page = await cloudtrail.send(new LookupEventsCommand({ MaxResults: 50, NextToken }));
    for (const event of page.Events ?? []) events.push(JSON.parse(event.CloudTrailEvent ?? "{}") as TrailEvent);
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  const told = events.filter((event) => !event.eventName.startsWith("Describe") && event.eventName !== "LookupEvents");
  for (const event of told) {
    const who = (event.userIdentity.arn ?? "unknown").replace(/^.*:/, "");
    const via = event.userIdentity.invokedBy === undefined ? "" : ` via ${event.userIdentity.invokedBy}`;
    say.quote(
      `${event.eventTime}  ${event.eventName.padEnd(22)} ${who}${via}${event.errorCode === undefined ? "" : `  -> ${event.errorCode}`}`,
    );
  }
  const count = (name: string, where: (event: TrailEvent) => boolean = () => true): number =>
    events.filter((event) => event.eventName === name && where(event)).length;
  const succeeded = (event: TrailEvent): boolean => event.errorCode === undefined;
  say.step("Does the trail tell the whole story?");
  say.expect("StartStreamEncryption", String(count("StartStreamEncryption", succeeded)), "1");
  say.expect("data keys made for the producer's records", String(count("GenerateDataKey", succeeded)), "1");
  say.expect(
    "refused attempts to get or open a data key",
    count("GenerateDataKey", (e) => !succeeded(e)) + count("Decrypt", (e) => !succeeded(e)) >= 3
      ? "all there"
      : "missing",
    "all there",
  );
  say.expect("DisableKey and EnableKey", `${count("DisableKey")} and ${count("EnableKey")}`, "1 and 1");
}

/** The error that a call must end in. */
async function refusal(call: Promise<unknown>): Promise<Error> {
  try {
    await call;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  return new Error("the call was not refused");
}

/** Whether a text stands anywhere under a directory. */
function found(directory: string, text: string): boolean {
  const needle = Buffer.from(text, "utf8");
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(needle));
}
