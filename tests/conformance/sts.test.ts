/** Sessions as a pipeline and the trail see them. What they must not do: bypass-sessions.test.ts. */
import { createHash, createSign, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { CreateOpenIDConnectProviderCommand, CreateRoleCommand, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  type Credentials as Issued,
  GetAccessKeyInfoCommand,
  GetCallerIdentityCommand,
  GetSessionTokenCommand,
  STSClient,
} from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Clients,
  clientsFor,
  createUser,
  policyDocument,
  refusal,
  rootClients,
  type User,
} from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";

const server = serverForAll({ https: true });
const opened: Clients[] = [];
let root: Clients;
let ann: User;
beforeAll(async () => {
  root = await rootClients(server());
  ann = await createUser(server(), root, "ann", [{ Effect: "Allow", Action: ["sts:*", "kms:*"], Resource: "*" }]);
  opened.push(root, ann);
});
afterAll(() => opened.forEach((clients) => clients.destroy()));

async function as(issued: Issued | undefined): Promise<Clients> {
  const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = issued ?? {};
  const keys = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
  const clients = await clientsFor(server(), keys);
  opened.push(clients);
  return clients;
}

/** A role that may use KMS. */
async function createRole(
  RoleName: string,
  Principal: object,
  Action: string,
  Condition: object = {},
): Promise<string> {
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal, Action, Condition }],
  });
  const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  const PolicyDocument = policyDocument({ Effect: "Allow", Action: "kms:*", Resource: "*" });
  await root.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "keys", PolicyDocument }));
  return Role?.Arn ?? "";
}

async function eventsOf(AttributeKey: "AccessKeyId" | "EventName", AttributeValue = ""): Promise<readonly object[]> {
  const { Events = [] } = await root.cloudtrail.send(
    new LookupEventsCommand({ LookupAttributes: [{ AttributeKey, AttributeValue }] }),
  );
  return Events.map(({ CloudTrailEvent = "" }) => JSON.parse(CloudTrailEvent) as object);
}

test("a role's session over HTTP and HTTPS, and what the trail says of how it was opened and what it did", async () => {
  const RoleArn = await createRole("reader", { AWS: ann.arn }, "sts:*");
  const { Credentials } = await ann.sts.send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: "s1", SourceIdentity: "ann.a" }),
  );
  const session = await as(Credentials);
  const Arn = `arn:aws:sts::${server().accountId}:assumed-role/reader/s1`;
  expect((await session.sts.send(new GetCallerIdentityCommand({}))).Arn).toBe(Arn);
  const overTls = await clientsFor(server(), session.credentials, { https: true });
  opened.push(overTls);
  await overTls.kms.send(new CreateKeyCommand({}));
  const [opening] = await eventsOf("EventName", "AssumeRole");
  expect(opening).toMatchObject({
    requestParameters: { roleArn: RoleArn, roleSessionName: "s1", sourceIdentity: "ann.a" },
    responseElements: { credentials: { accessKeyId: Credentials?.AccessKeyId }, sourceIdentity: "ann.a" },
    resources: [{ ARN: RoleArn, type: "AWS::IAM::Role" }],
  });
  for (const secret of [Credentials?.SecretAccessKey, Credentials?.SessionToken]) {
    expect(JSON.stringify(opening)).not.toContain(secret);
  }
  expect(await eventsOf("AccessKeyId", Credentials?.AccessKeyId)).toContainEqual(
    expect.objectContaining({
      eventName: "CreateKey",
      userIdentity: expect.objectContaining({
        type: "AssumedRole",
        arn: Arn,
        sessionContext: expect.objectContaining({
          sessionIssuer: expect.objectContaining({ type: "Role", arn: RoleArn, userName: "reader" }) as object,
          sourceIdentity: "ann.a",
        }) as object,
      }) as object,
    }),
  );
});

test("the account of a temporary key is read from its id, while or after it is good", async () => {
  const { Credentials } = await ann.sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
  const AccessKeyId = Credentials?.AccessKeyId;
  expect((await ann.sts.send(new GetAccessKeyInfoCommand({ AccessKeyId }))).Account).toBe(server().accountId);
});

/** A provider over TLS with a certificate that no authority signed: the server's own, made for 127.0.0.1. */
async function startProvider() {
  const file = (name: string): string => readFileSync(join(server().dataDir, "private", "tls", name), "utf8");
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...pair.publicKey.export({ format: "jwk" }), kid: "k1", use: "sig" };
  const https: Server = createServer({ cert: file("cert.pem"), key: file("key.pem") }, (request, response) => {
    const discovery = { issuer: url, jwks_uri: `${url}/keys` };
    response.end(JSON.stringify(request.url === "/keys" ? { keys: [jwk] } : discovery));
  });
  await new Promise<void>((done) => void https.listen(0, "127.0.0.1", done));
  const url = `https://127.0.0.1:${(https.address() as AddressInfo).port}`;
  return {
    url,
    thumbprint: createHash("sha1")
      .update(new X509Certificate(file("cert.pem")).raw)
      .digest("hex"),
    close: () => void https.close(),
    token(claims: object): string {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: url, aud: "sts.amazonaws.com", iat: now, exp: now + 300, ...claims };
      const parts = [{ alg: "ES256", kid: "k1" }, all].map((part) =>
        Buffer.from(JSON.stringify(part)).toString("base64url"),
      );
      const signature = createSign("sha256")
        .update(parts.join("."))
        .sign({ key: pair.privateKey, dsaEncoding: "ieee-p1363" });
      return [...parts, signature.toString("base64url")].join(".");
    },
  };
}

test("a pipeline assumes a role with its own token and no credentials; the session shows who vouched for it", async () => {
  const provider = await startProvider();
  const { OpenIDConnectProviderArn: arn = "" } = await root.iam.send(
    new CreateOpenIDConnectProviderCommand({
      Url: provider.url,
      ClientIDList: ["sts.amazonaws.com"],
      ThumbprintList: [provider.thumbprint],
    }),
  );
  const host = provider.url.replace("https://", "");
  const RoleArn = await createRole("deploy", { Federated: arn }, "sts:AssumeRoleWithWebIdentity", {
    StringEquals: { [`${host}:sub`]: "repo:acme/app", [`${host}:aud`]: "sts.amazonaws.com" },
  });
  const sts = new STSClient({ endpoint: server().endpoint, region: server().region, maxAttempts: 1 });
  const assume = (claims: object) =>
    sts.send(
      new AssumeRoleWithWebIdentityCommand({
        RoleArn,
        RoleSessionName: "build",
        WebIdentityToken: provider.token(claims),
      }),
    );
  const answer = await assume({ sub: "repo:acme/app" });
  expect(answer).toMatchObject({ SubjectFromWebIdentityToken: "repo:acme/app", Provider: arn });
  const session = await as(answer.Credentials);
  expect(await refusal(session.kms.send(new ListKeysCommand({})))).toBe("succeeded");
  const [used] = await eventsOf("AccessKeyId", answer.Credentials?.AccessKeyId);
  expect(used).toMatchObject({
    userIdentity: { sessionContext: { webIdFederationData: { federatedProvider: arn } } },
  });
  expect(await refusal(assume({ sub: "repo:evil/app" }))).toMatch(/^AccessDenied/);
  expect(await refusal(assume({ sub: "repo:acme/app", exp: 1 }))).toBe("ExpiredTokenException");
  expect(await refusal(assume({ sub: "repo:acme/app", aud: "other" }))).toBe("InvalidIdentityTokenException");
  sts.destroy();
  provider.close();
});
