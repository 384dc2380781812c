import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { IAMClient, ListUsersCommand } from "@aws-sdk/client-iam";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListStreamsCommand,
  PutRecordCommand,
  StartStreamEncryptionCommand,
} from "@aws-sdk/client-kinesis";
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  KMSClient,
  ListKeysCommand,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  UpdatePrimaryRegionCommand,
  VerifyCommand,
} from "@aws-sdk/client-kms";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { refusal } from "../support/clients.ts";
import { waxseal, waxsealOk } from "../support/processes.ts";
import {
  advanceClock,
  removeDirectory,
  type RunningServer,
  startServer,
  temporaryDirectory,
} from "../support/server.ts";
import { utf8 } from "../support/streams.ts";
import { eventually } from "../support/wait.ts";

const FIRST = "eu-central-1";
const SECOND = "us-west-2";
const TWO_REGIONS = ["--region", FIRST, "--region", SECOND];
const DAY_MS = 24 * 60 * 60 * 1000;
const KEY_ID = /^mrk-[0-9a-f]{32}$/;

/** The root's clients in one Region. */
async function clientsIn(server: RunningServer, region: string) {
  const common = { endpoint: server.endpoint, region, credentials: await server.root(), maxAttempts: 1 };
  return {
    kms: new KMSClient(common),
    kinesis: new KinesisClient(common),
    cloudtrail: new CloudTrailClient(common),
    iam: new IAMClient(common),
    sts: new STSClient(common),
  };
}
type Clients = Awaited<ReturnType<typeof clientsIn>>;

const dataDir = temporaryDirectory();
let server: RunningServer;
let first: Clients;
let second: Clients;

beforeAll(async () => {
  server = await startServer({ dataDir, testHooks: true, args: TWO_REGIONS });
  first = await clientsIn(server, FIRST);
  second = await clientsIn(server, SECOND);
});
afterAll(async () => {
  for (const client of [...Object.values(first), ...Object.values(second)]) client.destroy();
  await server.stop();
  removeDirectory(dataDir);
});

const stateOf = async ({ kms }: Clients, KeyId: string): Promise<string | undefined> =>
  (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState;
const untilState = (clients: Clients, KeyId: string, state: string): Promise<unknown> =>
  eventually(async () => ((await stateOf(clients, KeyId)) === state ? true : null));
const encrypt = async ({ kms }: Clients, KeyId: string, text: string): Promise<Uint8Array | undefined> =>
  (await kms.send(new EncryptCommand({ KeyId, Plaintext: utf8(text) }))).CiphertextBlob;
const decrypt = async ({ kms }: Clients, CiphertextBlob: Uint8Array | undefined): Promise<string> =>
  Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext ?? "").toString();

describe("one server, two Regions", () => {
  test("the first is the default; the ready line names both, and `env` the first", async () => {
    expect(server).toMatchObject({ region: FIRST, regions: [FIRST, SECOND] });
    expect((await server.env())["AWS_REGION"]).toBe(FIRST);
    const status = JSON.parse(await waxsealOk(["status", "--data-dir", dataDir, "--json"])) as Record<string, unknown>;
    expect(status).toMatchObject({ region: FIRST, regions: [FIRST, SECOND] });
  });

  test("a Region that is not served is refused; IAM and STS answer in all that are, and in us-east-1", async () => {
    const third = await clientsIn(server, "ap-south-1");
    await expect(third.kms.send(new ListKeysCommand({}))).rejects.toMatchObject({
      name: "InvalidSignatureException",
      message: expect.stringContaining("Credential should be scoped to a valid region, not 'ap-south-1'.") as unknown,
    });
    expect(await refusal(third.sts.send(new GetCallerIdentityCommand({})))).toBe("SignatureDoesNotMatch");
    const global = await clientsIn(server, "us-east-1");
    expect(await refusal(global.kms.send(new ListKeysCommand({})))).toBe("InvalidSignatureException");
    for (const { sts, iam } of [first, second, global]) {
      expect((await sts.send(new GetCallerIdentityCommand({}))).Account).toBe(server.accountId);
      await iam.send(new ListUsersCommand({}));
    }
  });

  test("streams of one name hold different records, each under its own Region's key", async () => {
    const StreamName = "orders";
    const iterators: string[] = [];
    for (const clients of [first, second]) {
      const { kinesis } = clients;
      await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
      const untilActive = (): Promise<unknown> =>
        eventually(async () => {
          const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
          return StreamDescriptionSummary?.StreamStatus === "ACTIVE" ? true : null;
        });
      await untilActive();
      await kinesis.send(
        new StartStreamEncryptionCommand({ StreamName, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" }),
      );
      await untilActive();
      const region = clients === first ? FIRST : SECOND;
      await kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: "p", Data: utf8(region) }));
      const { ShardIterator } = await kinesis.send(
        new GetShardIteratorCommand({ StreamName, ShardId: "shardId-000000000000", ShardIteratorType: "TRIM_HORIZON" }),
      );
      iterators.push(ShardIterator ?? "");
      const { Records } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
      expect(Records?.map(({ Data }) => Buffer.from(Data ?? "").toString())).toEqual([region]);
      expect((await kinesis.send(new ListStreamsCommand({}))).StreamNames).toEqual([StreamName]);
    }
    expect(await refusal(second.kinesis.send(new GetRecordsCommand({ ShardIterator: iterators[0] })))).toBe(
      "InvalidArgumentException",
    );
    const keys = await Promise.all(
      [first, second].map(({ kms }) => kms.send(new DescribeKeyCommand({ KeyId: "alias/aws/kinesis" }))),
    );
    expect(keys[0]?.KeyMetadata?.KeyId).not.toBe(keys[1]?.KeyMetadata?.KeyId);
  });

  test("keys, their ciphertexts and their events are apart", async () => {
    const { KeyMetadata } = await first.kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.KeyId ?? "";
    const CiphertextBlob = await encrypt(first, KeyId, "x");
    expect(await refusal(second.kms.send(new DecryptCommand({ CiphertextBlob })))).toBe("InvalidCiphertextException");
    await expect(second.kms.send(new DescribeKeyCommand({ KeyId: KeyMetadata?.Arn }))).rejects.toMatchObject({
      name: "NotFoundException",
      message: `Invalid arn ${FIRST}`,
    });
    await expect(second.kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toMatchObject({
      name: "NotFoundException",
      message: `Key '${KeyMetadata?.Arn?.replace(FIRST, SECOND)}' does not exist`,
    });
    const listed = await second.kms.send(new ListKeysCommand({}));
    expect(listed.Keys?.map((key) => key.KeyId)).not.toContain(KeyId);
    expect(await regionsOfEvents(first)).toEqual(new Set([FIRST]));
    expect(await regionsOfEvents(second)).toEqual(new Set([SECOND]));
  });
});

/** The Regions that the newest events say, as one Region's trail tells them. */
async function regionsOfEvents({ cloudtrail }: Clients): Promise<ReadonlySet<unknown>> {
  const { Events } = await cloudtrail.send(new LookupEventsCommand({ MaxResults: 50 }));
  return new Set(
    Events?.map((event) => (JSON.parse(event.CloudTrailEvent ?? "{}") as { awsRegion: string }).awsRegion),
  );
}

const eventsNamed = async ({ cloudtrail }: Clients, name: string, keyArn: string): Promise<number> => {
  const LookupAttributes = [{ AttributeKey: "EventName" as const, AttributeValue: name }];
  const { Events } = await cloudtrail.send(new LookupEventsCommand({ LookupAttributes }));
  return Events?.filter(({ CloudTrailEvent }) => CloudTrailEvent?.includes(keyArn)).length ?? 0;
};

describe("a multi-Region key", () => {
  test("seals in one Region, opens in the other, rotates, moves its primary, and goes replica first", async () => {
    const { KeyMetadata } = await first.kms.send(new CreateKeyCommand({ MultiRegion: true }));
    const KeyId = KeyMetadata?.KeyId ?? "";
    const arn = KeyMetadata?.Arn ?? "";
    const arnThere = arn.replace(FIRST, SECOND);
    expect(KeyId).toMatch(KEY_ID);
    const before = await encrypt(first, KeyId, "before");
    const { ReplicaKeyMetadata } = await first.kms.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: SECOND }));
    expect(ReplicaKeyMetadata).toMatchObject({ Arn: arnThere, KeyState: "Creating", Enabled: false });
    await untilState(second, KeyId, "Enabled");
    expect(await decrypt(second, before)).toBe("before");
    expect(await eventsNamed(first, "ReplicateKey", arn)).toBe(1);
    expect(await eventsNamed(first, "SynchronizeMultiRegionKey", arn)).toBe(1);
    expect(await eventsNamed(second, "CreateKey", arnThere)).toBe(1);

    await first.kms.send(new RotateKeyOnDemandCommand({ KeyId }));
    const after = await encrypt(second, KeyId, "after");
    for (const clients of [first, second]) {
      expect(await decrypt(clients, before)).toBe("before");
      expect(await decrypt(clients, after)).toBe("after");
    }

    await first.kms.send(new UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion: SECOND }));
    expect(await decrypt(first, after)).toBe("after");
    await untilState(first, KeyId, "Enabled");
    await untilState(second, KeyId, "Enabled");
    expect(await eventsNamed(first, "UpdatePrimaryRegion", arn)).toBe(1);
    expect(await eventsNamed(second, "UpdatePrimaryRegion", arnThere)).toBe(1);
    expect(await refusal(first.kms.send(new RotateKeyOnDemandCommand({ KeyId })))).toBe(
      "UnsupportedOperationException",
    );

    const schedule = { KeyId, PendingWindowInDays: 7 };
    await second.kms.send(new ScheduleKeyDeletionCommand(schedule));
    expect(await stateOf(second, KeyId)).toBe("PendingReplicaDeletion");
    await second.kms.send(new CancelKeyDeletionCommand({ KeyId }));
    expect(await stateOf(second, KeyId)).toBe("Disabled");
    await second.kms.send(new ScheduleKeyDeletionCommand(schedule));
    expect(await decrypt(first, before)).toBe("before");
    await first.kms.send(new ScheduleKeyDeletionCommand(schedule));
    await advanceClock(server, 7 * DAY_MS);
    expect(await refusal(first.kms.send(new DescribeKeyCommand({ KeyId })))).toBe("NotFoundException");
    // The sweep that removes the replica comes at most a minute later.
    await advanceClock(server, 60_000);
    await untilState(second, KeyId, "PendingDeletion");
    await advanceClock(server, 7 * DAY_MS);
    expect(await refusal(second.kms.send(new DescribeKeyCommand({ KeyId })))).toBe("NotFoundException");
  });

  test("signs in one Region what the other verifies", async () => {
    const { KeyMetadata } = await first.kms.send(
      new CreateKeyCommand({ MultiRegion: true, KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" }),
    );
    const KeyId = KeyMetadata?.KeyId ?? "";
    await first.kms.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: SECOND }));
    await untilState(second, KeyId, "Enabled");
    const signing = { KeyId, Message: utf8("message"), SigningAlgorithm: "ECDSA_SHA_256" } as const;
    const { Signature } = await first.kms.send(new SignCommand(signing));
    const { SignatureValid } = await second.kms.send(new VerifyCommand({ ...signing, Signature }));
    expect(SignatureValid).toBe(true);
  });
});

describe("a data directory", () => {
  test("remembers its Regions; further ones can be added, and left out while they hold nothing", async () => {
    const directory = temporaryDirectory();
    const restarted = async (...args: string[]): Promise<RunningServer> => startServer({ dataDir: directory, args });
    try {
      await waxsealOk(["init", "--data-dir", directory, "--region", FIRST]);
      const one = await restarted();
      expect(one).toMatchObject({ region: FIRST, regions: [FIRST] });
      await one.stop();
      for (const args of [TWO_REGIONS, ["--region", FIRST], TWO_REGIONS]) {
        const next = await restarted(...args);
        expect(next.regions).toHaveLength(args.length / 2);
        await next.stop();
      }
      const remembered = await restarted();
      expect(remembered).toMatchObject({ region: FIRST, regions: [FIRST, SECOND] });
      const { kms } = await clientsIn(remembered, SECOND);
      await kms.send(new CreateKeyCommand({}));
      kms.destroy();
      await remembered.stop();

      const without = await waxseal(["serve", "--port", "0", "--data-dir", directory, "--region", FIRST]);
      expect(without).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/holds keys or streams in region us-west-2/),
      });
      const swapped = ["--region", SECOND, "--region", FIRST];
      const otherFirst = await waxseal(["serve", "--port", "0", "--data-dir", directory, ...swapped]);
      expect(otherFirst).toMatchObject({ code: 1, stderr: expect.stringMatching(/made for region eu-central-1/) });
    } finally {
      removeDirectory(directory);
    }
  });
});
