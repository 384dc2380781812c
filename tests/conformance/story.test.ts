import {
  AddTagsToStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DeleteStreamCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  IncreaseStreamRetentionPeriodCommand,
  ListStreamsCommand,
  ListTagsForStreamCommand,
  PutRecordCommand,
  PutRecordsCommand,
  StartStreamEncryptionCommand,
  StopStreamEncryptionCommand,
} from "@aws-sdk/client-kinesis";
import { CreateAliasCommand, CreateKeyCommand, DescribeKeyCommand } from "@aws-sdk/client-kms";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { createStream, readStream, text, utf8, waitUntilActive } from "../support/streams.ts";
import { eventsNamed } from "../support/trail.ts";
import { eventually } from "../support/wait.ts";

describe.each([
  { transport: "plain HTTP", https: false },
  { transport: "HTTPS", https: true },
])("the whole story with the JavaScript SDK over $transport", ({ https }) => {
  const server = serverForAll({ https: true });
  const stream = "orders";
  const written: string[] = [];
  let keyArn = "";
  let root: Clients;

  beforeAll(async () => {
    root = await rootClients(server(), { https });
  });
  afterAll(() => root.destroy());

  const put = async (data: string): Promise<string | undefined> => {
    const answer = await root.kinesis.send(
      new PutRecordCommand({ StreamName: stream, PartitionKey: `customer-${data}`, Data: utf8(data) }),
    );
    written.push(data);
    expect(answer.SequenceNumber).toMatch(/^49\d{54}$/);
    return answer.EncryptionType;
  };

  test("the caller is the account's root", async () => {
    const identity = await root.sts.send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({
      Account: server().accountId,
      Arn: `arn:aws:iam::${server().accountId}:root`,
      UserId: server().accountId,
    });
  });

  test("a key is made, with an alias", async () => {
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({ Description: "for orders" }));
    expect(KeyMetadata).toMatchObject({ KeyState: "Enabled", KeyManager: "CUSTOMER", KeySpec: "SYMMETRIC_DEFAULT" });
    keyArn = KeyMetadata?.Arn ?? "";
    await root.kms.send(new CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: KeyMetadata?.KeyId }));
    const described = await root.kms.send(new DescribeKeyCommand({ KeyId: "alias/orders" }));
    expect(described.KeyMetadata?.Arn).toBe(keyArn);
  });

  test("a stream is made, and says that it is not encrypted", async () => {
    const made = await createStream(root.kinesis, stream, { shards: 2 });
    expect(made).toMatchObject({ EncryptionType: "NONE", RetentionPeriodHours: 24, StreamName: stream });
    expect(made.Shards?.map((shard) => shard.ShardId)).toEqual(["shardId-000000000000", "shardId-000000000001"]);
    expect(made.Shards?.[1]?.HashKeyRange?.EndingHashKey).toBe("340282366920938463463374607431768211455");
    expect((await root.kinesis.send(new ListStreamsCommand({}))).StreamNames).toEqual([stream]);
  });

  test("records put before encryption starts are answered with NONE", async () => {
    for (let index = 0; index < 5; index += 1) expect(await put(`before-${index}`)).toBe("NONE");
    for (const record of await readStream(root.kinesis, stream)) expect(record.encryptionType).toBe("NONE");
  });

  test("encryption starts on the live stream under the customer's key, by alias", async () => {
    await root.kinesis.send(
      new StartStreamEncryptionCommand({ StreamName: stream, EncryptionType: "KMS", KeyId: "alias/orders" }),
    );
    const active = await waitUntilActive(root.kinesis, stream);
    expect(active.EncryptionType).toBe("KMS");
    expect(active.KeyId).toMatch(/alias\/orders$|:key\//);
    const summary = await root.kinesis.send(new DescribeStreamSummaryCommand({ StreamARN: active.StreamARN }));
    expect(summary.StreamDescriptionSummary).toMatchObject({ EncryptionType: "KMS", OpenShardCount: 2 });
  });

  test("records put since are answered with KMS, one by one and in batches", async () => {
    for (let index = 0; index < 5; index += 1) expect(await put(`sealed-${index}`)).toBe("KMS");
    const batch = Array.from({ length: 50 }, (_, index) => `batch-${index}`);
    const answer = await root.kinesis.send(
      new PutRecordsCommand({
        StreamName: stream,
        Records: batch.map((data) => ({ PartitionKey: `customer-${data}`, Data: utf8(data) })),
      }),
    );
    written.push(...batch);
    expect(answer).toMatchObject({ FailedRecordCount: 0, EncryptionType: "KMS" });
    expect(answer.Records).toHaveLength(50);
  });

  test("all records are read back, those from before included, each with how it was stored", async () => {
    const records = await readStream(root.kinesis, stream);
    expect(records.map((record) => record.data).toSorted()).toEqual(written.toSorted());
    for (const record of records) {
      expect(record.encryptionType).toBe(record.data.startsWith("before") ? "NONE" : "KMS");
      expect(record.partitionKey).toBe(`customer-${record.data}`);
    }
    for (const shardId of new Set(records.map((record) => record.shardId))) {
      const numbers = records
        .filter((record) => record.shardId === shardId)
        .map((record) => BigInt(record.sequenceNumber));
      expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0n))).toBe(true);
    }
  });

  test("all five kinds of iterator stand where they say", async () => {
    const records = (await readStream(root.kinesis, stream)).filter((record) => record.shardId.endsWith("0"));
    const third = records[2];
    const read = async (
      ShardIteratorType: "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER" | "TRIM_HORIZON" | "LATEST",
    ): Promise<string[]> => {
      const withNumber = ShardIteratorType.endsWith("NUMBER");
      const { ShardIterator } = await root.kinesis.send(
        new GetShardIteratorCommand({
          StreamName: stream,
          ShardId: "shardId-000000000000",
          ShardIteratorType,
          ...(withNumber ? { StartingSequenceNumber: third?.sequenceNumber } : {}),
        }),
      );
      const page = await root.kinesis.send(new GetRecordsCommand({ ShardIterator }));
      return (page.Records ?? []).map((record) => text(record.Data));
    };
    const all = records.map((record) => record.data);
    expect(await read("TRIM_HORIZON")).toEqual(all);
    expect(await read("AT_SEQUENCE_NUMBER")).toEqual(all.slice(2));
    expect(await read("AFTER_SEQUENCE_NUMBER")).toEqual(all.slice(3));
    expect(await read("LATEST")).toEqual([]);

    const atTime = await root.kinesis.send(
      new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: "shardId-000000000000",
        ShardIteratorType: "AT_TIMESTAMP",
        Timestamp: new Date(0),
      }),
    );
    const page = await root.kinesis.send(new GetRecordsCommand({ ShardIterator: atTime.ShardIterator, Limit: 2 }));
    expect(page.Records?.map((record) => text(record.Data))).toEqual(all.slice(0, 2));
  });

  test("the key is changed to the default one; records under the old key stay readable", async () => {
    await root.kinesis.send(
      new StartStreamEncryptionCommand({ StreamName: stream, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" }),
    );
    await waitUntilActive(root.kinesis, stream);
    expect(await put("under-the-default-key")).toBe("KMS");
    const { KeyMetadata } = await root.kms.send(new DescribeKeyCommand({ KeyId: "alias/aws/kinesis" }));
    expect(KeyMetadata).toMatchObject({ KeyManager: "AWS", KeyState: "Enabled" });
    expect((await readStream(root.kinesis, stream)).map((record) => record.data).toSorted()).toEqual(
      written.toSorted(),
    );
  });

  test("encryption stops; what was sealed stays sealed and readable", async () => {
    await root.kinesis.send(
      new StopStreamEncryptionCommand({ StreamName: stream, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" }),
    );
    const active = await waitUntilActive(root.kinesis, stream);
    expect(active.EncryptionType).toBe("NONE");
    expect(await put("after")).toBe("NONE");
    const records = await readStream(root.kinesis, stream);
    expect(records.map((record) => record.data).toSorted()).toEqual(written.toSorted());
    expect(records.find((record) => record.data === "sealed-0")?.encryptionType).toBe("KMS");
  });

  test("tags and retention can be changed", async () => {
    await root.kinesis.send(new AddTagsToStreamCommand({ StreamName: stream, Tags: { team: "payments" } }));
    const { Tags } = await root.kinesis.send(new ListTagsForStreamCommand({ StreamName: stream }));
    expect(Tags).toEqual([{ Key: "team", Value: "payments" }]);
    await root.kinesis.send(new IncreaseStreamRetentionPeriodCommand({ StreamName: stream, RetentionPeriodHours: 48 }));
    await waitUntilActive(root.kinesis, stream);
    await root.kinesis.send(new DecreaseStreamRetentionPeriodCommand({ StreamName: stream, RetentionPeriodHours: 24 }));
    expect((await waitUntilActive(root.kinesis, stream)).RetentionPeriodHours).toBe(24);
  });

  test("the trail tells of the stream's encryption, and of each use of the key by the service for its caller", async () => {
    const started = await eventsNamed(root.cloudtrail, "StartStreamEncryption");
    expect(started).toHaveLength(2);
    expect(await eventsNamed(root.cloudtrail, "StopStreamEncryption")).toHaveLength(1);
    const generated = await eventsNamed(root.cloudtrail, "GenerateDataKey");
    expect(generated.length).toBeGreaterThanOrEqual(2);
    for (const event of generated) {
      expect(event.eventSource).toBe("kms.amazonaws.com");
      expect(event.userIdentity.invokedBy).toBe("kinesis.amazonaws.com");
      expect(event.requestParameters).toMatchObject({
        encryptionContext: {
          "aws:kinesis:arn": `arn:aws:kinesis:${server().region}:${server().accountId}:stream/${stream}`,
        },
      });
    }
    expect(await eventsNamed(root.cloudtrail, "PutRecord")).toEqual([]);
  });

  test("the stream is deleted and gone", async () => {
    await root.kinesis.send(new DeleteStreamCommand({ StreamName: stream }));
    await eventually(async () => {
      const gone = await root.kinesis.send(new DescribeStreamCommand({ StreamName: stream })).then(
        () => null,
        (error: Error) => error.name,
      );
      return gone;
    });
    await expect(root.kinesis.send(new DescribeStreamCommand({ StreamName: stream }))).rejects.toMatchObject({
      name: "ResourceNotFoundException",
    });
  });
});
