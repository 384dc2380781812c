import { Readable } from "node:stream";
import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { CreateUserCommand, GetAccountSummaryCommand, IAMClient } from "@aws-sdk/client-iam";
import { GetShardIteratorCommand, KinesisClient, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { expect, test } from "vitest";
import { ServiceError } from "../base/errors.ts";
import type { DecodedInput } from "./model.ts";
import { allProtocols, REQUEST_ID, wireRequest } from "./testing/requests.ts";
import type { WireResponse } from "./wire.ts";

const protocols = allProtocols();

interface SdkRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A client's configuration that answers from our codecs; what arrived is kept in `seen`. */
function answering(answer: Readonly<Record<string, unknown>> | ServiceError) {
  const seen: { operation: string; input: DecodedInput }[] = [];
  const handle = async (request: SdkRequest): Promise<{ response: object }> => {
    const wire = wireRequest({
      method: request.method,
      target: request.path,
      headers: Object.entries(request.headers),
      body: Buffer.from((request.body ?? "") as string),
    });
    const { codec, operation } = protocols.route(wire);
    seen.push({ operation, input: codec.decode(wire.body) });
    const rendered: WireResponse =
      answer instanceof ServiceError ? codec.encodeError(answer, REQUEST_ID) : codec.encode(answer, REQUEST_ID);
    const headers = Object.fromEntries(
      Object.entries(rendered.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    return { response: { statusCode: rendered.status, headers, body: Readable.from([rendered.body]) } };
  };
  return {
    seen,
    config: {
      region: "us-east-1",
      endpoint: "http://localhost:1",
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
      maxAttempts: 1,
      requestHandler: { handle },
    },
  };
}

test("KMS: blobs and maps there, blobs back, errors as the client's own classes", async () => {
  const { seen, config } = answering({ CiphertextBlob: new Uint8Array([1, 2, 3]), KeyId: "arn" });
  const input = { KeyId: "k", Plaintext: new Uint8Array([255, 0]), EncryptionContext: { a: "é" } };
  const output = await new KMSClient(config).send(new EncryptCommand(input));
  expect(seen).toEqual([{ operation: "Encrypt", input }]);
  expect(output.CiphertextBlob).toEqual(new Uint8Array([1, 2, 3]));
  expect(output.$metadata.requestId).toBe(REQUEST_ID);
  const refusing = answering(new ServiceError("DisabledException", "arn is disabled."));
  await expect(new KMSClient(refusing.config).send(new EncryptCommand(input))).rejects.toMatchObject({
    name: "DisabledException",
    message: "arn is disabled.",
    $metadata: { httpStatusCode: 400 },
  });
});

test("Kinesis: batches and timestamps", async () => {
  const { seen, config } = answering({ FailedRecordCount: 0, Records: [{ SequenceNumber: "1", ShardId: "s" }] });
  const input = { StreamName: "s", Records: [{ Data: new Uint8Array([7]), PartitionKey: "p" }] };
  const output = await new KinesisClient(config).send(new PutRecordsCommand(input));
  expect(seen[0]?.input).toEqual(input);
  expect(output.Records).toEqual([{ SequenceNumber: "1", ShardId: "s" }]);
  const iterator = answering({ ShardIterator: "i" });
  const at = {
    StreamName: "s",
    ShardId: "x",
    ShardIteratorType: "AT_TIMESTAMP" as const,
    Timestamp: new Date(1_700_000_000_123),
  };
  await new KinesisClient(iterator.config).send(new GetShardIteratorCommand(at));
  expect(iterator.seen[0]?.input["Timestamp"]).toBe(1_700_000_000_123);
});

test("IAM and STS: forms there, XML back", async () => {
  const user = {
    Path: "/",
    UserName: "ann",
    UserId: "AIDA",
    Arn: "arn",
    CreateDate: 1_700_000_000_000,
    Tags: [{ Key: "k", Value: "<&>" }],
  };
  const { seen, config } = answering({ User: user });
  const created = await new IAMClient(config).send(
    new CreateUserCommand({ UserName: "ann", Tags: [{ Key: "k", Value: "a b+c" }] }),
  );
  expect(seen).toEqual([{ operation: "CreateUser", input: { UserName: "ann", Tags: [{ Key: "k", Value: "a b+c" }] } }]);
  expect(created.User).toEqual({ ...user, CreateDate: new Date(1_700_000_000_000) });
  const summary = await new IAMClient(answering({ SummaryMap: { Users: 3 } }).config).send(
    new GetAccountSummaryCommand({}),
  );
  expect(summary.SummaryMap).toEqual({ Users: 3 });
  const refusing = answering(new ServiceError("AccessDenied", "no", { status: 403 }));
  const role = new AssumeRoleCommand({
    RoleArn: "arn:aws:iam::123456789012:role/r",
    RoleSessionName: "session",
    DurationSeconds: 900,
  });
  await expect(new STSClient(refusing.config).send(role)).rejects.toMatchObject({
    name: "AccessDenied",
    message: "no",
  });
  expect(refusing.seen[0]?.input["DurationSeconds"]).toBe(900);
});

test("CloudTrail: timestamps back", async () => {
  const { config } = answering({ Events: [{ EventId: "e", EventTime: 1_700_000_000_000 }] });
  const output = await new CloudTrailClient(config).send(new LookupEventsCommand({ MaxResults: 5 }));
  expect(output.Events?.[0]?.EventTime).toEqual(new Date(1_700_000_000_000));
});
