import { randomBytes } from "node:crypto";
import { serverPolicies } from "./authz-cases.ts";
import type { Connections } from "./support/load.ts";
import type { Target } from "./support/server-process.ts";
import { type BenchCredentials, type SignedRequest, signJson, signQuery } from "./support/sign.ts";

const PAYLOAD_BYTES = 1024;
const STREAM_WAIT_MS = 50;

export interface UserRequest {
  readonly name: string;
  /** As signatures name it. */
  readonly service: string;
  readonly signed: SignedRequest;
}

export interface UserRequests {
  readonly credentials: BenchCredentials;
  readonly requests: readonly UserRequest[];
}

/** A user with four statements for each service, a key with four in its policy, a stream; and what the user asks of them. */
export async function prepareRequests(target: Target, connections: Connections): Promise<UserRequests> {
  const { endpoint } = target;
  const suffix = randomBytes(4).toString("hex");
  const iam = async (Action: string, parameters: Readonly<Record<string, string>>): Promise<string> => {
    const signed = signQuery(endpoint, target.credentials, "iam", { Action, Version: "2010-05-08", ...parameters });
    return (await connections.call(signed)).toString("utf8");
  };
  const UserName = `bench-${suffix}`;
  const [, accountId = ""] =
    /arn:aws:iam::(\d{12}):/.exec(await iam("CreateUser", { UserName, Path: "/orders/" })) ?? [];
  const policies = serverPolicies(accountId);
  for (const name of ["kms", "kinesis"] as const) {
    await iam("PutUserPolicy", { UserName, PolicyName: name, PolicyDocument: policies[name] });
  }
  const key = await iam("CreateAccessKey", { UserName });
  const credentials: BenchCredentials = {
    region: target.credentials.region,
    accessKeyId: /<AccessKeyId>([^<]+)/.exec(key)?.[1] ?? "",
    secretAccessKey: /<SecretAccessKey>([^<]+)/.exec(key)?.[1] ?? "",
  };

  const asRoot = async (service: string, operation: string, input: object): Promise<Record<string, unknown>> => {
    const signed = signJson(endpoint, target.credentials, service, operation, { ...input });
    return JSON.parse((await connections.call(signed)).toString("utf8") || "{}") as Record<string, unknown>;
  };
  const { KeyMetadata } = await asRoot("kms", "TrentService.CreateKey", { Policy: policies.key });
  const { KeyId } = KeyMetadata as { readonly KeyId: string };
  const StreamName = `bench-authz-${suffix}`;
  await asRoot("kinesis", "Kinesis_20131202.CreateStream", { StreamName, ShardCount: 1 });
  for (let status = ""; status !== "ACTIVE"; await new Promise((done) => setTimeout(done, STREAM_WAIT_MS))) {
    const summary = await asRoot("kinesis", "Kinesis_20131202.DescribeStreamSummary", { StreamName });
    status = (summary["StreamDescriptionSummary"] as { readonly StreamStatus: string }).StreamStatus;
  }

  const payload = randomBytes(PAYLOAD_BYTES).toString("base64");
  const request = (name: string, service: string, operation: string, input: object): UserRequest => ({
    name,
    service,
    signed: signJson(endpoint, credentials, service, operation, { ...input }),
  });
  return {
    credentials,
    requests: [
      request("Encrypt", "kms", "TrentService.Encrypt", {
        KeyId,
        Plaintext: payload,
        EncryptionContext: { tenant: "orders", stage: "prod" },
      }),
      request("PutRecord", "kinesis", "Kinesis_20131202.PutRecord", { StreamName, Data: payload, PartitionKey: "p" }),
    ],
  };
}
