import { readFileSync } from "node:fs";
import { CloudTrailClient } from "@aws-sdk/client-cloudtrail";
import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import { KinesisClient } from "@aws-sdk/client-kinesis";
import { KMSClient } from "@aws-sdk/client-kms";
import { STSClient } from "@aws-sdk/client-sts";
import type { Credentials, RunningServer } from "./server.ts";

/** The SDK's clients of one principal. */
export interface Clients {
  readonly credentials: Credentials;
  readonly kms: KMSClient;
  readonly kinesis: KinesisClient;
  readonly iam: IAMClient;
  readonly sts: STSClient;
  readonly cloudtrail: CloudTrailClient;
  destroy(): void;
}

export interface ClientOptions {
  /** Over TLS, trusting the server's own CA only. */
  readonly https?: boolean;
  /** Default 1: a refusal is seen, not retried. */
  readonly maxAttempts?: number;
}

/** Unmodified clients: nothing is set but the endpoint, the region and who calls. */
export async function clientsFor(
  server: RunningServer,
  credentials: Credentials,
  { https = false, maxAttempts = 1 }: ClientOptions = {},
): Promise<Clients> {
  const endpoint = https ? server.httpsEndpoint : server.endpoint;
  if (endpoint === null) throw new Error("the server does not listen on HTTPS");
  const common = { endpoint, region: server.region, credentials, maxAttempts };
  const ca = https ? readFileSync((await server.env())["AWS_CA_BUNDLE"] ?? "") : undefined;
  const tls = ca === undefined ? {} : { requestHandler: { httpsAgent: { ca } } };
  const tlsHttp2 =
    ca === undefined ? {} : { requestHandler: { disableConcurrentStreams: true, nodeHttp2ConnectOptions: { ca } } };
  const clients = {
    kms: new KMSClient({ ...common, ...tls }),
    kinesis: new KinesisClient({ ...common, ...tlsHttp2 }),
    iam: new IAMClient({ ...common, ...tls }),
    sts: new STSClient({ ...common, ...tls }),
    cloudtrail: new CloudTrailClient({ ...common, ...tls }),
  };
  return {
    credentials,
    ...clients,
    destroy() {
      for (const client of Object.values(clients)) client.destroy();
    },
  };
}

export const rootClients = async (server: RunningServer, options: ClientOptions = {}): Promise<Clients> =>
  clientsFor(server, await server.root(), options);

/** A policy statement's essential part. */
export interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export const policyDocument = (...statements: readonly Statement[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });

export interface User extends Clients {
  readonly name: string;
  readonly arn: string;
}

/** Makes a user with an access key and, if it may do anything, an inline policy `main`. */
export async function createUser(
  server: RunningServer,
  root: Clients,
  name: string,
  statements: readonly Statement[],
  options: ClientOptions = {},
): Promise<User> {
  const { User } = await root.iam.send(new CreateUserCommand({ UserName: name }));
  const { AccessKey } = await root.iam.send(new CreateAccessKeyCommand({ UserName: name }));
  if (statements.length > 0) {
    const PolicyDocument = policyDocument(...statements);
    await root.iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: "main", PolicyDocument }));
  }
  const credentials = { accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" };
  return { name, arn: User?.Arn ?? "", ...(await clientsFor(server, credentials, options)) };
}

/** The name of the error that a call fails with; fails the test when it succeeds. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
  return "succeeded";
}
