import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CborValue, type Decoded, decodeCbor, encodeCbor } from "../support/cbor.ts";
import { type Clients, createUser, rootClients } from "../support/clients.ts";
import { type Credentials, serverForAll } from "../support/server.ts";
import { createStream, utf8 } from "../support/streams.ts";
import { eventually } from "../support/wait.ts";
import { type RawResponse, send, sign, targeted } from "../support/wire.ts";

const CBOR = "application/x-amz-cbor-1.1";
const server = serverForAll();
let root: Clients;
let keyId = "";

beforeAll(async () => {
  root = await rootClients(server());
  keyId = (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
});
afterAll(() => root.destroy());

/** As the Java SDK sends it: signed, with its content type, in its encoding. */
async function post(
  operation: string,
  body: Uint8Array,
  credentials: Credentials = root.credentials,
): Promise<RawResponse> {
  const request = targeted(`Kinesis_20131202.${operation}`, body, CBOR);
  return send(
    server().endpoint,
    sign(
      {
        ...request,
        headers: { ...request.headers, "user-agent": "aws-sdk-java/2.29.0", "amz-sdk-request": "attempt=1; max=1" },
      },
      { endpoint: server().endpoint, credentials, region: server().region, service: "kinesis" },
    ),
  );
}

type Fields = Readonly<Record<string, Decoded>>;

async function call(operation: string, input: CborValue): Promise<Fields> {
  const answer = await post(operation, encodeCbor(input));
  const output = answer.body.length === 0 ? {} : (decodeCbor(answer.body) as Fields);
  expect({ operation, status: answer.status, type: output["__type"] }).toEqual({
    operation,
    status: 200,
    type: undefined,
  });
  if (answer.body.length > 0) expect(answer.headers["content-type"]).toBe(CBOR);
  return output;
}

async function failure(operation: string, body: Uint8Array, credentials?: Credentials): Promise<string> {
  const answer = await post(operation, body, credentials);
  expect(answer.headers["content-type"]).toBe(CBOR);
  const error = decodeCbor(answer.body) as Fields;
  expect(answer.status).toBe(400);
  expect(typeof (error["message"] ?? error["Message"])).toBe("string");
  return error["__type"] as string;
}

describe("the CBOR protocol of the Java SDK", () => {
  test("does the whole story", async () => {
    const StreamName = "java";
    await call("CreateStream", { StreamName, ShardCount: 1 });
    const active = async (): Promise<Fields | null> => {
      const description = (await call("DescribeStream", { StreamName }))["StreamDescription"] as Fields;
      return description["StreamStatus"] === "ACTIVE" ? description : null;
    };
    const made = await eventually(active);
    expect(made["EncryptionType"]).toBe("NONE");
    // AWS's SDKs read a time only as tag 1 with a whole number of milliseconds.
    expect(made["StreamCreationTimestamp"]).toMatchObject({ tag: 1, float: false });

    await call("StartStreamEncryption", { StreamName, EncryptionType: "KMS", KeyId: keyId });
    expect((await eventually(active))["EncryptionType"]).toBe("KMS");

    const data = Buffer.from([0, 1, 2, 0xff, 0xbf]);
    const one = await call("PutRecord", { StreamName, PartitionKey: "k", Data: data });
    expect(one).toMatchObject({ EncryptionType: "KMS", ShardId: "shardId-000000000000" });
    const Records = Array.from({ length: 3 }, (_, index) => ({
      PartitionKey: `k${index}`,
      Data: Buffer.from(`${index}`),
    }));
    expect(await call("PutRecords", { StreamName, Records })).toMatchObject({
      FailedRecordCount: 0,
      EncryptionType: "KMS",
    });

    const position = { StreamName, ShardId: "shardId-000000000000" };
    for (const start of [
      { ShardIteratorType: "TRIM_HORIZON" },
      { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(0) },
    ]) {
      const { ShardIterator } = await call("GetShardIterator", { ...position, ...start });
      const page = await call("GetRecords", { ShardIterator: ShardIterator as string });
      const records = page["Records"] as readonly Fields[];
      expect(records).toHaveLength(4);
      expect(records[0]?.["Data"]).toEqual(data);
      expect(records[0]?.["PartitionKey"]).toBe("k");
      const arrival = records[0]?.["ApproximateArrivalTimestamp"] as { readonly value: number };
      expect(arrival).toMatchObject({ tag: 1, float: false });
      expect(Math.abs(arrival.value - Date.now())).toBeLessThan(60_000);
      expect(page["MillisBehindLatest"]).toBe(0);
    }
    await call("DeleteStream", { StreamName });
  });

  test("takes maps and lists of definite length as well", async () => {
    await createStream(root.kinesis, "definite");
    const name = Buffer.concat([Buffer.from([0x6a]), Buffer.from("StreamName")]);
    const body = Buffer.concat([Buffer.from([0xa1]), name, Buffer.from([0x68]), Buffer.from("definite")]);
    expect((await post("DescribeStreamSummary", body)).status).toBe(200);
  });

  test("names its errors as JSON does", async () => {
    expect(await failure("DescribeStream", encodeCbor({ StreamName: "absent" }))).toBe("ResourceNotFoundException");
    expect(await failure("DescribeStream", encodeCbor({ StreamName: 5 }))).toBe("SerializationException");
    expect(await failure("PutRecord", encodeCbor({ StreamName: "definite" }))).toBe("ValidationException");
    const stranger = await createUser(server(), root, "java-stranger", [
      { Effect: "Allow", Action: "kinesis:*", Resource: "*" },
    ]);
    await createStream(root.kinesis, "sealed", { keyId });
    const record = encodeCbor({ StreamName: "sealed", PartitionKey: "k", Data: utf8("x") });
    expect(await failure("PutRecord", record, stranger.credentials)).toBe("KMSAccessDeniedException");
    stranger.destroy();
  });

  test.each([
    ["an endless nest of lists", Buffer.alloc(100_000, 0x81)],
    ["an endless nest of maps", Buffer.from("bf6161".repeat(50_000), "hex")],
    ["a list that claims 16 million items", Buffer.from("9a00ffffff", "hex")],
    ["a list that claims 2^64 items", Buffer.from("9bffffffffffffffff", "hex")],
    ["a map that claims 2^32 members", Buffer.from("baffffffff", "hex")],
    ["a byte string that claims 4 GiB", Buffer.from("bf64446174615affffffff", "hex")],
    ["nothing", Buffer.alloc(0)],
    ["a break alone", Buffer.from("ff", "hex")],
    ["a map without its end", Buffer.from("bf", "hex")],
    ["text that is not UTF-8", Buffer.from("bf6a53747265616d4e616d6562c328ff", "hex")],
    [
      "a member twice",
      Buffer.concat([
        Buffer.from([0xbf]),
        ...[1, 2].flatMap(() => [encodeCbor("StreamName"), encodeCbor("a")]),
        Buffer.from([0xff]),
      ]),
    ],
  ])("refuses %s at once and stays small", async (_, body) => {
    const began = performance.now();
    const answer = await post("PutRecord", body);
    expect(answer.status).toBe(400);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
