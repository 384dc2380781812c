/** Every operation of STS with the newest SDK; web identities of a provider with a real key set. */
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateOpenIDConnectProviderCommand, CreateRoleCommand, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import * as sts from "@aws-sdk/client-sts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clients, clientsFor, createUser, policyDocument, refusal, rootClients } from "../../support/clients.ts";
import { serverForAll } from "../../support/server.ts";

const server = serverForAll();
let root: Clients;
const opened: Clients[] = [];
beforeAll(async () => {
  root = await rootClients(server());
  opened.push(root);
});
afterAll(() => opened.forEach((clients) => clients.destroy()));

const trust = (Principal: object, Action: unknown = "sts:AssumeRole", Condition: object = {}): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal, Action, Condition }] });

async function role(RoleName: string, AssumeRolePolicyDocument: string): Promise<string> {
  const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  const PolicyDocument = policyDocument({ Effect: "Allow", Action: "kms:ListKeys", Resource: "*" });
  await root.iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: "p", PolicyDocument }));
  return Role?.Arn ?? "";
}

async function withSession(credentials: sts.Credentials | undefined): Promise<Clients> {
  const made = await clientsFor(server(), {
    accessKeyId: credentials?.AccessKeyId ?? "",
    secretAccessKey: credentials?.SecretAccessKey ?? "",
    sessionToken: credentials?.SessionToken ?? "",
  } as Parameters<typeof clientsFor>[1]);
  opened.push(made);
  return made;
}

const listKeys = (who: Clients): Promise<string> => refusal(who.kms.send(new ListKeysCommand({})));

test("a role's session is its own principal", async () => {
  const RoleArn = await role("worker", trust({ AWS: server().accountId }));
  const user = await createUser(server(), root, "ann", [
    { Effect: "Allow", Action: "sts:AssumeRole", Resource: RoleArn },
  ]);
  opened.push(user);
  const assumed = await user.sts.send(new sts.AssumeRoleCommand({ RoleArn, RoleSessionName: "one" }));
  const session = await withSession(assumed.Credentials);
  expect(await session.sts.send(new sts.GetCallerIdentityCommand({}))).toMatchObject({
    Arn: `arn:aws:sts::${server().accountId}:assumed-role/worker/one`,
    UserId: assumed.AssumedRoleUser?.AssumedRoleId,
    Account: server().accountId,
  });
  expect(await listKeys(session)).toBe("succeeded");
  expect(await refusal(session.kms.send(new CreateKeyCommand({})))).toBe("AccessDeniedException");
  expect(await listKeys(user)).toBe("AccessDeniedException");
});

test("tokens for a user, and for those it vouches for", async () => {
  const list = { Effect: "Allow", Action: "kms:ListKeys", Resource: "*" } as const;
  const vouch = { Effect: "Allow", Action: "sts:GetFederationToken", Resource: "*" } as const;
  const user = await createUser(server(), root, "bea", [list, vouch]);
  opened.push(user);
  const own = await withSession((await user.sts.send(new sts.GetSessionTokenCommand({}))).Credentials);
  expect(await listKeys(own)).toBe("succeeded");
  const federated = await user.sts.send(new sts.GetFederationTokenCommand({ Name: "fed" }));
  expect(await listKeys(await withSession(federated.Credentials))).toBe("AccessDeniedException");
  const Policy = policyDocument(list);
  const vouched = await user.sts.send(new sts.GetFederationTokenCommand({ Name: "fed", Policy }));
  expect(await listKeys(await withSession(vouched.Credentials))).toBe("succeeded");
  const AccessKeyId = vouched.Credentials?.AccessKeyId ?? "";
  const info = await root.sts.send(new sts.GetAccessKeyInfoCommand({ AccessKeyId: user.credentials.accessKeyId }));
  expect(info.Account).toBe(server().accountId);
  expect(AccessKeyId).toMatch(/^ASIA[A-Z0-9]{16}$/);
});

/** An OpenID Connect provider with one RSA key. */
class Provider {
  readonly #keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  readonly #server: Server;
  url = "";

  constructor() {
    this.#server = createServer((request, response) => {
      const body =
        request.url === "/.well-known/openid-configuration"
          ? { issuer: this.url, jwks_uri: `${this.url}/keys` }
          : { keys: [{ ...this.#keys.publicKey.export({ format: "jwk" }), kid: "k1", alg: "RS256", use: "sig" }] };
      response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
  }

  token(claims: object, header: object = { alg: "RS256", kid: "k1" }): string {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.url, aud: "app", sub: "user-1", iat: now, exp: now + 600, ...claims };
    const text = [header, all].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${text}.${sign("sha256", Buffer.from(text), this.#keys.privateKey).toString("base64url")}`;
  }
}

test("a web identity assumes a role when its token, its provider and the role's trust agree", async () => {
  const provider = new Provider();
  await provider.start();
  try {
    const made = await root.iam.send(
      new CreateOpenIDConnectProviderCommand({
        Url: provider.url,
        ClientIDList: ["app"],
        ThumbprintList: ["a".repeat(40)],
      }),
    );
    const host = provider.url.replace("http://", "");
    const RoleArn = await role(
      "web",
      trust({ Federated: made.OpenIDConnectProviderArn }, "sts:AssumeRoleWithWebIdentity", {
        StringEquals: { [`${host}:aud`]: "app", [`${host}:sub`]: "user-1" },
      }),
    );
    const assume = (WebIdentityToken: string): Promise<sts.AssumeRoleWithWebIdentityCommandOutput> =>
      root.sts.send(new sts.AssumeRoleWithWebIdentityCommand({ RoleArn, RoleSessionName: "web", WebIdentityToken }));
    const good = await assume(provider.token({}));
    expect(good).toMatchObject({ SubjectFromWebIdentityToken: "user-1", Audience: "app" });
    expect(await listKeys(await withSession(good.Credentials))).toBe("succeeded");
    const past = Math.floor(Date.now() / 1000) - 4000;
    expect(await refusal(assume(provider.token({ exp: past, iat: past - 10 })))).toMatch(/^ExpiredToken/);
    expect(await refusal(assume(provider.token({ aud: "other" })))).toMatch(/^InvalidIdentityToken/);
    expect(await refusal(assume(provider.token({ sub: "user-2" })))).toBe("AccessDenied");
    expect(await refusal(assume(provider.token({}, { alg: "none", kid: "k1" })))).toMatch(/^InvalidIdentityToken/);
    expect(await refusal(assume(provider.token({}, { alg: "HS256", kid: "k1" })))).toMatch(/^InvalidIdentityToken/);
    expect(await refusal(assume(`${provider.token({}).slice(0, -8)}AAAAAAAA`))).toMatch(/^InvalidIdentityToken/);
    expect(await refusal(assume(provider.token({ iss: "http://127.0.0.1:1" })))).toMatch(/^InvalidIdentityToken/);
  } finally {
    provider.stop();
  }
});
