import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { CreateUserCommand } from "@aws-sdk/client-iam";
import { GetShardIteratorCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { CreateAliasCommand, CreateKeyCommand, EncryptCommand } from "@aws-sdk/client-kms";
import { expect, test } from "vitest";
import { createUser, policyDocument, rootClients } from "../support/clients.ts";
import { seeded } from "../support/seeded.ts";
import { type RunningServer, serverForAll } from "../support/server.ts";
import { createStream, readStream, utf8 } from "../support/streams.ts";
import { errorCode, type RawResponse, send } from "../support/wire.ts";
import { encode, type Mutant, mutate, signedAs, type Signing, type Template } from "./mutations.ts";

const TORTURE = process.env["WAXSEAL_TORTURE"] === "1";
const REQUESTS = TORTURE ? 100_000 : 10_000;
/** The memory that matters is measured once everything is warm. */
const WARM_UP = 2_000;
const CONCURRENT = 16;
const SEED = Number(process.env["WAXSEAL_FUZZ_SEED"] ?? "20131202");
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const PEAK_BYTES_MAX = 768 * 1024 * 1024;

/** What AWS's services answer when the request is at fault. */
const KNOWN_CODES: ReadonlySet<string> = new Set([
  "AccessDenied",
  "AccessDeniedException",
  "ExpiredIteratorException",
  "IncompleteSignature",
  "IncompleteSignatureException",
  "InvalidAction",
  "InvalidArgumentException",
  "InvalidArnException",
  "InvalidCiphertextException",
  "InvalidClientTokenId",
  "InvalidGrantTokenException",
  "InvalidLookupAttributesException",
  "InvalidMarkerException",
  "InvalidMaxResultsException",
  "InvalidNextTokenException",
  "InvalidSignatureException",
  "InvalidTimeRangeException",
  "LimitExceededException",
  "MalformedInput",
  "MalformedPolicyDocument",
  "MissingAction",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
  "NoSuchEntity",
  "NotFoundException",
  "RequestEntityTooLarge",
  "RequestEntityTooLargeException",
  "ResourceNotFoundException",
  "SerializationException",
  "SignatureDoesNotMatch",
  "UnknownOperationException",
  "UnrecognizedClientException",
  "UnsupportedOperationException",
  "ValidationError",
  "ValidationException",
  "MethodNotAllowed",
]);

/** At least one error of each layer: routing, authentication, decoding, constraints, tokens, state. */
const LAYERS: readonly string[] = [
  "UnknownOperationException",
  "MissingAuthenticationTokenException",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "SerializationException",
  "ValidationException",
  "InvalidArgumentException",
  "InvalidCiphertextException",
  "InvalidMarkerException",
  "ResourceNotFoundException",
  "NotFoundException",
];

const server = serverForAll();

/** Of the process itself: pages of the stores that are mapped into it (they count in VmRSS) belong to the system. */
const memory = (pid: number, field: "RssAnon" | "VmHWM"): number => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN) * 1024;
};

/** What is wrong with an answer; null when it is right. */
function judge(mutant: Mutant, answer: RawResponse | Error): string | null {
  if (answer instanceof Error)
    return mutant.mayReset === true && /ECONNRESET|EPIPE/.test(answer.message) ? null : answer.message;
  const code = errorCode(answer);
  if (answer.status >= 500) return `${answer.status} ${code}`;
  if (mutant.expected !== undefined && (code === null || !mutant.expected.includes(code)))
    return `${answer.status} ${code}`;
  return code === null || KNOWN_CODES.has(code) ? null : `${answer.status} ${code}`;
}

async function attack(
  { templates, signing }: Prepared,
  [from, to]: readonly [number, number],
  seen: Map<string, number>,
): Promise<readonly string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT });
  const wrong: string[] = [];
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to && wrong.length < 20) {
      const index = next;
      next += 1;
      // Each request follows from its own number, so that it can be sent again alone.
      const random = seeded(SEED * 1_000_003 + index);
      const mutant = mutate(random.pick(templates), signing, random);
      const answer = await send(signing.endpoint, mutant.request, { agent }).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
      const code = answer instanceof Error ? "(no answer)" : (errorCode(answer) ?? "(success)");
      seen.set(code, (seen.get(code) ?? 0) + 1);
      const complaint = judge(mutant, answer);
      if (complaint !== null) wrong.push(`seed ${SEED}, request ${index}, ${mutant.what}: ${complaint}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, worker));
  agent.destroy();
  return wrong;
}

interface Prepared {
  readonly templates: readonly Template[];
  readonly signing: Signing;
}

/** Valid calls over real state; none of them destroys anything. */
async function prepare(target: RunningServer): Promise<Prepared> {
  const root = await rootClients(target);
  const { KeyMetadata } = await root.kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.KeyId ?? "";
  await root.kms.send(new CreateAliasCommand({ AliasName: "alias/fuzzed", TargetKeyId: KeyId }));
  const stream = await createStream(root.kinesis, "fuzzed", { shards: 2, keyId: KeyId });
  await createStream(root.kinesis, "untouched", { keyId: KeyId });
  await root.kinesis.send(
    new PutRecordCommand({ StreamName: "untouched", PartitionKey: "k", Data: utf8("still here") }),
  );
  const { ShardIterator } = await root.kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "untouched",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  const sealed = await root.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("plain") }));
  const CiphertextBlob = Buffer.from(sealed.CiphertextBlob ?? []).toString("base64");
  await root.iam.send(new CreateUserCommand({ UserName: "fuzzed" }));
  const caller = await createUser(target, root, "fuzzer", [{ Effect: "Allow", Action: "*", Resource: "*" }]);
  const kinesis = (operation: string, input: Template["input"]): Template => ({
    service: "kinesis",
    target: `Kinesis_20131202.${operation}`,
    input,
  });
  const kms = (operation: string, input: Template["input"]): Template => ({
    service: "kms",
    target: `TrentService.${operation}`,
    input,
  });
  const Data = Buffer.from("some data").toString("base64");
  const templates: readonly Template[] = [
    kms("Encrypt", { KeyId, Plaintext: Data, EncryptionContext: { a: "b" } }),
    kms("Decrypt", { CiphertextBlob, KeyId }),
    kms("ReEncrypt", { CiphertextBlob, DestinationKeyId: "alias/fuzzed" }),
    kms("GenerateDataKey", { KeyId: "alias/fuzzed", KeySpec: "AES_256" }),
    kms("GenerateRandom", { NumberOfBytes: 16 }),
    kms("DescribeKey", { KeyId }),
    kms("GetKeyPolicy", { KeyId, PolicyName: "default" }),
    kms("ListKeys", { Limit: 1, Marker: Data }),
    kms("ListAliases", { Limit: 1, Marker: Data }),
    kms("TagResource", { KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] }),
    kinesis("PutRecord", { StreamName: "fuzzed", PartitionKey: "k", Data, ExplicitHashKey: "0" }),
    kinesis("PutRecords", {
      StreamARN: stream.StreamARN,
      Records: [
        { PartitionKey: "k", Data },
        { PartitionKey: "l", Data },
      ],
    }),
    kinesis("GetRecords", { ShardIterator, Limit: 10 }),
    kinesis("GetRecords", { ShardIterator }),
    kinesis("GetShardIterator", {
      StreamName: "fuzzed",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "AT_TIMESTAMP",
      Timestamp: 1,
    }),
    kinesis("DescribeStream", { StreamName: "fuzzed", Limit: 1, ExclusiveStartShardId: "shardId-000000000000" }),
    kinesis("ListShards", { StreamName: "fuzzed", MaxResults: 1 }),
    kinesis("ListShards", { NextToken: Data }),
    kinesis("ListStreams", { Limit: 1, NextToken: Data }),
    kinesis("AddTagsToStream", { StreamName: "fuzzed", Tags: { a: "b" } }),
    {
      service: "cloudtrail",
      target: "CloudTrail_20131101.LookupEvents",
      input: {
        LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "Encrypt" }],
        MaxResults: 1,
        NextToken: Data,
      },
    },
    { service: "iam", target: "GetUser", input: { UserName: "fuzzed" } },
    { service: "iam", target: "ListUsers", input: { MaxItems: 1, Marker: Data } },
    {
      service: "iam",
      target: "PutUserPolicy",
      input: {
        UserName: "fuzzed",
        PolicyName: "p",
        PolicyDocument: policyDocument({ Effect: "Deny", Action: "*", Resource: "*" }),
      },
    },
    { service: "sts", target: "GetCallerIdentity", input: {} },
  ];
  root.destroy();
  caller.destroy();
  return { templates, signing: { endpoint: target.endpoint, region: target.region, credentials: caller.credentials } };
}

test(`${REQUESTS} hostile requests get the right errors and leave the server as it was`, async () => {
  const prepared = await prepare(server());
  const { templates, signing } = prepared;
  const seen = new Map<string, number>();
  expect(await attack(prepared, [0, WARM_UP], seen)).toEqual([]);
  const warmBytes = memory(server().pid, "RssAnon");
  expect(await attack(prepared, [WARM_UP, REQUESTS], seen)).toEqual([]);
  expect(memory(server().pid, "RssAnon") - warmBytes).toBeLessThan(GROWTH_BYTES_MAX);
  expect(memory(server().pid, "VmHWM")).toBeLessThan(PEAK_BYTES_MAX);

  // The attack reached every layer, and not all of it came to grief at the first.
  expect([...seen.keys()]).toEqual(expect.arrayContaining([...LAYERS]));
  expect(seen.get("(success)") ?? 0).toBeLessThan(REQUESTS / 3);

  // Its answers are right still.
  const root = await rootClients(server());
  expect((await readStream(root.kinesis, "untouched")).map((record) => record.data)).toEqual(["still here"]);
  for (const template of templates.filter((candidate) => !/Marker|NextToken/.test(JSON.stringify(candidate.input)))) {
    const answer = await send(signing.endpoint, signedAs(template, encode(template), signing));
    if (template.target.endsWith("GetRecords") && errorCode(answer) === "ExpiredIteratorException") continue;
    expect({ target: template.target, code: errorCode(answer) }).toEqual({ target: template.target, code: null });
  }
  expect(server().output().stderr).not.toMatch(/unhandled|uncaught/i);
  root.destroy();
});
