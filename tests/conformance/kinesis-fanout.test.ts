import {
  DeregisterStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  ListStreamConsumersCommand,
  MergeShardsCommand,
  PutRecordCommand,
  RegisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  type StartingPosition,
  StopStreamEncryptionCommand,
  SubscribeToShardCommand,
  type SubscribeToShardEvent,
} from "@aws-sdk/client-kinesis";
import { EventStreamCodec } from "@smithy/core/event-streams";
import { DeleteUserPolicyCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, createUser, refusal, rootClients } from "../support/clients.ts";
import { advanceClock, removeDirectory, serverForAll, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, text, utf8 } from "../support/streams.ts";
import { type Decoded, decodeCbor, encodeCbor } from "../support/cbor.ts";
import { eventually, sleep, within } from "../support/wait.ts";
import { send, sign, targeted } from "../support/wire.ts";

const SHARD = "shardId-000000000000";
const server = serverForAll({ https: true, testHooks: true });
let root: Clients;
beforeAll(async () => {
  root = await rootClients(server());
});
afterAll(() => root.destroy());

async function consumerOf(streamArn: string, clients: Clients = root, ConsumerName = "reader"): Promise<string> {
  const { Consumer } = await clients.kinesis.send(
    new RegisterStreamConsumerCommand({ StreamARN: streamArn, ConsumerName }),
  );
  const ConsumerARN = Consumer?.ConsumerARN ?? "";
  await eventually(async () => {
    const { ConsumerDescription } = await clients.kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }));
    return ConsumerDescription?.ConsumerStatus === "ACTIVE" ? true : null;
  });
  return ConsumerARN;
}

interface Subscribed {
  readonly events: readonly SubscribeToShardEvent[];
  readonly texts: () => readonly string[];
  /** How it ended: the name of the error, or "ended". */
  readonly ended: Promise<string>;
  /** Resolves when so many records are there. */
  readonly received: (count: number) => Promise<readonly string[]>;
}

async function subscribe(
  { kinesis }: Pick<Clients, "kinesis">,
  ConsumerARN: string,
  StartingPosition: StartingPosition = { Type: "LATEST" },
  ShardId: string = SHARD,
): Promise<Subscribed> {
  const { EventStream } = await kinesis.send(new SubscribeToShardCommand({ ConsumerARN, ShardId, StartingPosition }));
  if (EventStream === undefined) throw new Error("no event stream");
  const events: SubscribeToShardEvent[] = [];
  const listen = async (): Promise<string> => {
    try {
      for await (const { SubscribeToShardEvent: event } of EventStream) if (event !== undefined) events.push(event);
      return "ended";
    } catch (error) {
      return error instanceof Error ? error.name : String(error);
    }
  };
  const texts = (): readonly string[] => events.flatMap(({ Records }) => (Records ?? []).map(({ Data }) => text(Data)));
  const received = (wanted: number): Promise<readonly string[]> =>
    eventually(
      async () => {
        const count = events.reduce((total, { Records }) => total + (Records?.length ?? 0), 0);
        return count >= wanted ? texts() : null;
      },
      10_000,
      5,
    );
  return { events, texts, ended: listen(), received };
}

const put = ({ kinesis }: Clients, StreamName: string, data: string, PartitionKey = "k"): Promise<unknown> =>
  kinesis.send(new PutRecordCommand({ StreamName, PartitionKey, Data: utf8(data) }));

describe.each([
  ["HTTP/2 with prior knowledge", false],
  ["HTTP/2 over TLS", true],
] as const)("%s", (_, https) => {
  let clients: Clients;
  beforeAll(async () => {
    clients = await rootClients(server(), { https });
  });
  afterAll(() => clients.destroy());

  test("records are pushed as they are put, sealed and in clear", async () => {
    const name = `push-${https}`;
    const { KeyMetadata } = await clients.kms.send(new CreateKeyCommand({}));
    const keyId = KeyMetadata?.KeyId ?? "";
    const { StreamARN = "" } = await createStream(clients.kinesis, name, { keyId });
    const consumer = await consumerOf(StreamARN, clients);
    const subscription = await subscribe(clients, consumer);
    const startedMs = performance.now();
    for (let at = 0; at < 20; at++) {
      await put(clients, name, `record ${at}`);
      await subscription.received(at + 1);
    }
    // Anything that polls would take seconds for these.
    expect(performance.now() - startedMs).toBeLessThan(2_500);
    await clients.kinesis.send(
      new StopStreamEncryptionCommand({ StreamName: name, EncryptionType: "KMS", KeyId: keyId }),
    );
    await put(clients, name, "clear");
    expect((await subscription.received(21)).at(-1)).toBe("clear");
    const records = subscription.events.flatMap(({ Records }) => Records ?? []);
    expect(records.map(({ EncryptionType }) => EncryptionType)).toEqual([...Array<string>(20).fill("KMS"), "NONE"]);
    expect(records[0]?.ApproximateArrivalTimestamp).toBeInstanceOf(Date);
    expect(
      subscription.events.every(({ ContinuationSequenceNumber }) => /^\d{56}$/.test(ContinuationSequenceNumber ?? "")),
    ).toBe(true);
    await clients.kinesis.send(new DeregisterStreamConsumerCommand({ ConsumerARN: consumer }));
    expect(await within(2_000, "the end", subscription.ended)).toBe("ResourceNotFoundException");
  });

  test("a megabyte in one record, and many at once, in order", async () => {
    const name = `large-${https}`;
    const { StreamARN = "" } = await createStream(clients.kinesis, name);
    const consumer = await consumerOf(StreamARN, clients);
    const large = "x".repeat(1_000_000);
    for (let at = 0; at < 4; at++) await put(clients, name, `${at}${large}`);
    const subscription = await subscribe(clients, consumer, { Type: "TRIM_HORIZON" });
    await Promise.all(Array.from({ length: 200 }, (__, at) => put(clients, name, `small ${at}`)));
    const got = await subscription.received(204);
    expect(got.slice(0, 4).map((data) => data.length)).toEqual([1_000_001, 1_000_001, 1_000_001, 1_000_001]);
    expect(new Set(got).size).toBe(204);
    const numbers = subscription.events.flatMap(({ Records }) =>
      (Records ?? []).map((record) => BigInt(record.SequenceNumber ?? 0)),
    );
    expect(numbers).toEqual(numbers.toSorted((a, b) => (a < b ? -1 : 1)));
  });
});

describe("a subscription", () => {
  test("is taken over after 5 seconds, not before, and lasts five minutes", async () => {
    const { StreamARN = "" } = await createStream(root.kinesis, "takeover");
    const consumer = await consumerOf(StreamARN);
    const first = await subscribe(root, consumer);
    expect(await refusal(subscribe(root, consumer))).toBe("ResourceInUseException");
    await advanceClock(server(), 5_000);
    const second = await subscribe(root, consumer);
    expect(await within(2_000, "the end", first.ended)).toBe("ended");
    await put(root, "takeover", "a");
    expect(await second.received(1)).toEqual(["a"]);
    expect(first.texts()).toEqual([]);
    await advanceClock(server(), 300_000);
    expect(await within(2_000, "the end", second.ended)).toBe("ended");
    // An event has come at once, and goes on from there.
    const { ContinuationSequenceNumber: SequenceNumber } = second.events.at(-1) ?? {};
    await put(root, "takeover", "b");
    const third = await subscribe(root, consumer, { Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber });
    expect(await third.received(1)).toEqual(["b"]);
  });

  test("ends within a second when permission, or the key, is taken away", async () => {
    const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
    const keyId = KeyMetadata?.KeyId ?? "";
    const { StreamARN = "" } = await createStream(root.kinesis, "revoked", { keyId });
    const consumer = await consumerOf(StreamARN);
    const user = await createUser(server(), root, "fan-out-reader", [
      { Effect: "Allow", Action: "kinesis:SubscribeToShard", Resource: `${StreamARN}/consumer/*` },
      { Effect: "Allow", Action: "kms:Decrypt", Resource: KeyMetadata?.Arn ?? "" },
    ]);
    await put(root, "revoked", "a");
    const first = await subscribe(user, consumer, { Type: "TRIM_HORIZON" });
    expect(await first.received(1)).toEqual(["a"]);
    await root.kms.send(new DisableKeyCommand({ KeyId: keyId }));
    expect(await within(1_500, "the end", first.ended)).toBe("KMSDisabledException");
    await root.kms.send(new EnableKeyCommand({ KeyId: keyId }));
    await advanceClock(server(), 5_000);
    const second = await subscribe(user, consumer);
    await root.iam.send(new DeleteUserPolicyCommand({ UserName: user.name, PolicyName: "main" }));
    expect(await within(1_500, "the end", second.ended)).toBe("AccessDeniedException");
    expect(await refusal(subscribe(user, consumer))).toBe("AccessDeniedException");
    user.destroy();
  });

  test("of a shard that is merged is told where to go on", async () => {
    const { StreamARN = "" } = await createStream(root.kinesis, "merged", { shards: 2 });
    const consumer = await consumerOf(StreamARN);
    await put(root, "merged", "a", "k");
    const both = await Promise.all(
      [SHARD, "shardId-000000000001"].map((shard) => subscribe(root, consumer, { Type: "TRIM_HORIZON" }, shard)),
    );
    await root.kinesis.send(
      new MergeShardsCommand({
        StreamName: "merged",
        ShardToMerge: SHARD,
        AdjacentShardToMerge: "shardId-000000000001",
      }),
    );
    expect(await within(5_000, "the end", Promise.all(both.map(({ ended }) => ended)))).toEqual(["ended", "ended"]);
    for (const { events } of both) {
      const last = events.at(-1);
      expect(last?.ChildShards?.map(({ ShardId }) => ShardId)).toEqual(["shardId-000000000002"]);
      expect(last?.ContinuationSequenceNumber).toBeUndefined();
    }
    expect(both.flatMap(({ texts }) => texts())).toEqual(["a"]);
  });

  test("consumers are listed and counted", async () => {
    const { StreamARN = "" } = await createStream(root.kinesis, "listed");
    for (const name of ["a", "b", "c"]) await consumerOf(StreamARN, root, name);
    const page = await root.kinesis.send(new ListStreamConsumersCommand({ StreamARN, MaxResults: 2 }));
    const { NextToken } = page;
    const rest = await root.kinesis.send(new ListStreamConsumersCommand({ StreamARN, NextToken }));
    const names = [...(page.Consumers ?? []), ...(rest.Consumers ?? [])].map(({ ConsumerName }) => ConsumerName);
    expect(names).toEqual(["a", "b", "c"]);
    const summary = await root.kinesis.send(new DescribeStreamSummaryCommand({ StreamName: "listed" }));
    expect(summary.StreamDescriptionSummary?.ConsumerCount).toBe(3);
  });
});

test("speaks CBOR to who subscribes in it, over HTTP/1.1 too", async () => {
  const { StreamARN = "" } = await createStream(root.kinesis, "cbor");
  const ConsumerARN = await consumerOf(StreamARN);
  await put(root, "cbor", "data");
  const body = encodeCbor({ ConsumerARN, ShardId: SHARD, StartingPosition: { Type: "TRIM_HORIZON" } });
  const request = targeted("Kinesis_20131202.SubscribeToShard", body, "application/x-amz-cbor-1.1");
  const { endpoint, region } = server();
  const answered = send(
    endpoint,
    sign(request, { endpoint, credentials: root.credentials, region, service: "kinesis" }),
  );
  // Deregistered, it ends: the raw client takes whole answers.
  await sleep(500);
  await root.kinesis.send(new DeregisterStreamConsumerCommand({ ConsumerARN }));
  const answer = await answered;
  expect(answer.headers["content-type"]).toBe("application/vnd.amazon.eventstream");
  const codec = new EventStreamCodec(
    (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("utf8")),
    (given) => new Uint8Array(Buffer.from(given, "utf8")),
  );
  const messages: { readonly type: unknown; readonly body: Decoded }[] = [];
  for (let at = 0; at < answer.body.length; at += answer.body.readUInt32BE(at)) {
    const { headers, body: payload } = codec.decode(answer.body.subarray(at, at + answer.body.readUInt32BE(at)));
    expect(headers[":content-type"]?.value).toBe("application/x-amz-cbor-1.1");
    const type = (headers[":event-type"] ?? headers[":exception-type"])?.value;
    messages.push({ type, body: decodeCbor(Buffer.from(payload)) });
  }
  expect(messages[0]).toEqual({ type: "initial-response", body: {} });
  expect(messages[1]).toMatchObject({
    type: "SubscribeToShardEvent",
    body: { Records: [{ PartitionKey: "k", Data: Buffer.from("data") }], MillisBehindLatest: 0 },
  });
  expect(messages.at(-1)?.type).toBe("ResourceNotFoundException");
});

test("streams end cleanly, and at once, when the server stops", async () => {
  const dataDir = temporaryDirectory();
  const own = await startServer({ dataDir });
  const clients = await rootClients(own);
  const { StreamARN = "" } = await createStream(clients.kinesis, "stopped");
  const subscription = await subscribe(clients, await consumerOf(StreamARN, clients));
  const { code, ms } = await own.stop();
  expect([code, await subscription.ended]).toEqual([0, "ended"]);
  expect(ms).toBeLessThan(2_000);
  clients.destroy();
  removeDirectory(dataDir);
});
