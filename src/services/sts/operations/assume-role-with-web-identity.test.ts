import { createHmac } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { movableClock, systemClock } from "../../../base/clock.ts";
import { FETCH_MS_MAX } from "../web-identity/fetch-document.ts";
import { startProvider, type TestProvider } from "../testing/identity-provider.ts";
import { ACCOUNT, roleArn, stsRoom, user } from "../testing/sts-room.ts";

const RoleArn = roleArn("deploy");
const open: TestProvider[] = [];
afterEach(async () => {
  for (const provider of open.splice(0)) await provider.close();
});

/** A provider, known to the account, and a role that trusts it for one subject. */
async function federatedRoom({ tls = false, thumbprints }: { tls?: boolean; thumbprints?: readonly string[] } = {}) {
  // Runs with the real one, so that timeouts come, and can be moved ahead of it.
  const clock = movableClock(systemClock());
  const provider = await startProvider(clock.wallMs(), { tls });
  open.push(provider);
  const room = stsRoom(clock);
  const arn = `arn:aws:iam::${ACCOUNT}:oidc-provider/${provider.host}`;
  const known = {
    accountId: ACCOUNT,
    arn,
    url: provider.url,
    clientIds: ["sts.amazonaws.com"],
    thumbprints: thumbprints ?? provider.thumbprints,
  };
  room.putProvider(known);
  const trust = (more: object = {}) => ({
    Principal: { Federated: arn },
    Action: "sts:AssumeRoleWithWebIdentity",
    Condition: {
      StringEquals: { [`${provider.host}:aud`]: "sts.amazonaws.com" },
      StringLike: { [`${provider.host}:sub`]: "repo:acme/*" },
    },
    ...more,
  });
  room.putRole("deploy", [trust()]);
  const input = (WebIdentityToken = provider.token()) => ({ RoleArn, RoleSessionName: "build", WebIdentityToken });
  const failure = (token: string) => room.failure("AssumeRoleWithWebIdentity", input(token));
  return { room, provider, arn, trust, input, failure, clock };
}

const codeOf = async (failure: Promise<string>): Promise<string> => (await failure).split(":")[0] ?? "";

test("a token of a known provider opens a session for whom the role trusts", async () => {
  const { room, provider, arn, input } = await federatedRoom();
  const answer = await room.run("AssumeRoleWithWebIdentity", input());
  expect(answer).toMatchObject({
    SubjectFromWebIdentityToken: "repo:acme/app",
    Audience: "sts.amazonaws.com",
    Provider: arn,
    AssumedRoleUser: { Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/deploy/build`, AssumedRoleId: "AROATEST:build" },
  });
  expect(room.opened(answer.Credentials).principal.session?.federation).toEqual({
    provider: arn,
    claims: { [`${provider.host}:aud`]: "sts.amazonaws.com", [`${provider.host}:sub`]: "repo:acme/app" },
  });
  const [event] = await room.events();
  expect(event).toMatchObject({
    userIdentity: {
      type: "WebIdentityUser",
      principalId: `${arn}:sts.amazonaws.com:repo:acme/app`,
      userName: "repo:acme/app",
      identityProvider: arn,
    },
    responseElements: { subjectFromWebIdentityToken: "repo:acme/app", provider: arn, audience: "sts.amazonaws.com" },
  });
  expect(JSON.stringify(event)).not.toContain(input().WebIdentityToken.split(".")[2]);
});

test("ECDSA signs as well, and keys are fetched once for many tokens", async () => {
  const { room, provider, input } = await federatedRoom();
  const token = provider.token({}, { alg: "ES256", kid: "ec-1" }, provider.ec.privateKey);
  await room.run("AssumeRoleWithWebIdentity", input(token));
  await Promise.all(Array.from({ length: 5 }, () => room.run("AssumeRoleWithWebIdentity", input())));
  expect(provider.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
});

test("the trust policy decides: other subjects, other actions and missing roles are refused alike", async () => {
  const { room, provider, trust, input, failure } = await federatedRoom();
  const refused = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
  expect(await failure(provider.token({ sub: "repo:evil/app" }))).toBe(refused);
  room.putRole("deploy", [trust({ Action: "sts:AssumeRole" })]);
  expect(await failure(provider.token())).toBe(refused);
  room.putRole("deploy", [{ Principal: { AWS: ACCOUNT }, Action: "sts:*" }]);
  expect(await failure(provider.token())).toBe(refused);
  const missing = { ...input(), RoleArn: roleArn("missing") };
  expect(await room.failure("AssumeRoleWithWebIdentity", missing)).toBe(refused);
  room.putRole("deploy", [trust(), { ...trust(), Effect: "Deny", Principal: "*", Condition: {} }]);
  expect(await failure(provider.token())).toMatch(/^AccessDenied: Not authorized/);
});

test("no session for a principal that was not verified for this very request", async () => {
  const { room, input, arn } = await federatedRoom();
  const forged = { type: "WebIdentity", arn, accountId: ACCOUNT, userId: "x", userName: "x" } as const;
  expect(await codeOf(room.failure("AssumeRoleWithWebIdentity", input(), forged))).toBe("AccessDenied");
  expect(await codeOf(room.failure("AssumeRoleWithWebIdentity", input(), user("ann")))).toBe("AccessDenied");
});

test("forged signatures: changed claims, `none`, an HMAC under the public key, another's key, another algorithm", async () => {
  const { provider, failure } = await federatedRoom();
  const [header = "", payload = "", signature = ""] = provider.token().split(".");
  const other = Buffer.from(payload, "base64url").toString().replace("acme/app", "acme/own");
  const tampered = Buffer.from(other).toString("base64url");
  const asAlgorithm = (alg: string) => Buffer.from(JSON.stringify({ alg, kid: "rsa-1" })).toString("base64url");
  const pem = provider.rsa.publicKey.export({ type: "spki", format: "pem" });
  const hs = `${asAlgorithm("HS256")}.${payload}`;
  const mac = createHmac("sha256", pem).update(hs).digest("base64url");
  const forged = [
    `${header}.${tampered}.${signature}`,
    `${asAlgorithm("none")}.${payload}.`,
    `${asAlgorithm("none")}.${payload}.${signature}`,
    `${hs}.${mac}`,
    `${asAlgorithm("RS512")}.${payload}.${signature}`,
    `${asAlgorithm("__proto__")}.${payload}.${signature}`,
    provider.token({}, {}, (await startAnother()).rsa.privateKey),
    provider.token({}, { kid: "ec-1" }),
    provider.token({}, { crit: ["exp"] }),
    `${header}.${payload}`,
    `${header}.${payload}.${signature}.${signature}`,
    "not a token",
  ];
  for (const token of forged) expect(await codeOf(failure(token)), token).toBe("InvalidIdentityToken");
});

async function startAnother(): Promise<TestProvider> {
  const provider = await startProvider(Date.now());
  open.push(provider);
  return provider;
}

test("a bad signature is told apart from a key that the provider does not have", async () => {
  const { provider, failure } = await federatedRoom();
  const stranger = (await startAnother()).rsa.privateKey;
  expect(await failure(provider.token({}, {}, stranger))).toMatch(
    /token that was passed could not be validated by AWS/,
  );
  expect(await failure(provider.token({}, { kid: "unknown" }))).toMatch(/Couldn't retrieve verification key/);
  expect(await failure(provider.token({ exp: undefined }))).toBe("InvalidIdentityToken: Missing a required claim: exp");
});

test("claims: issuer, audience, subject and times", async () => {
  const { provider, failure } = await federatedRoom();
  const now = Math.floor(Date.now() / 1000);
  const rows: readonly (readonly [object, string])[] = [
    [{ exp: now - 1 }, "ExpiredTokenException"],
    [{ exp: undefined }, "InvalidIdentityToken"],
    [{ exp: "9999999999" }, "InvalidIdentityToken"],
    [{ iat: undefined }, "InvalidIdentityToken"],
    [{ iat: now + 3_600 }, "InvalidIdentityToken"],
    [{ nbf: now + 3_600 }, "InvalidIdentityToken"],
    [{ iss: "https://elsewhere.test" }, "InvalidIdentityToken"],
    [{ iss: `${provider.url}/` }, "InvalidIdentityToken"],
    [{ iss: undefined }, "InvalidIdentityToken"],
    [{ aud: "other" }, "InvalidIdentityToken"],
    [{ aud: undefined }, "InvalidIdentityToken"],
    [{ aud: ["sts.amazonaws.com", "other"] }, "InvalidIdentityToken"],
    [{ azp: "other" }, "InvalidIdentityToken"],
    [{ sub: undefined }, "InvalidIdentityToken"],
    [{ sub: "a\nb" }, "InvalidIdentityToken"],
    [{ sub: "x".repeat(256) }, "IDPRejectedClaim"],
  ];
  for (const [claims, code] of rows) {
    expect(await codeOf(failure(provider.token(claims))), JSON.stringify(claims)).toBe(code);
  }
});

test("tags and source identity in the token are the session's, if the role lets them be", async () => {
  const { room, provider, trust, input, failure } = await federatedRoom();
  const claims = {
    "https://aws.amazon.com/tags": { principal_tags: { team: ["blue"] }, transitive_tag_keys: ["team"] },
    "https://aws.amazon.com/source_identity": "ann",
  };
  expect(await failure(provider.token(claims))).toContain("sts:TagSession");
  room.putRole("deploy", [
    trust({ Action: ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"] }),
  ]);
  const { Credentials } = await room.run("AssumeRoleWithWebIdentity", input(provider.token(claims)));
  expect(room.opened(Credentials).principal.session).toMatchObject({
    tags: { team: "blue" },
    transitiveTagKeys: ["team"],
    sourceIdentity: "ann",
  });
  const bad = { "https://aws.amazon.com/tags": { principal_tags: { team: ["a", "b"] } } };
  expect(await codeOf(failure(provider.token(bad)))).toBe("InvalidParameterValue");
});

test("a provider that misbehaves is not believed, and not asked again at once", async () => {
  const cases: readonly ((provider: TestProvider) => void)[] = [
    (it) => void it.answers.set("/keys", (response) => void response.writeHead(302, { location: `${it.url}/k` }).end()),
    (it) => void it.answers.set("/keys", (response) => void response.end("x".repeat(300_000))),
    (it) => void it.answers.set("/keys", (response) => void response.end("{")),
    (it) => void it.answers.set("/keys", (response) => void response.socket?.destroy()),
    (it) => {
      const elsewhere = JSON.stringify({ issuer: "https://other.test", jwks_uri: `${it.url}/keys` });
      it.answers.set("/.well-known/openid-configuration", (response) => void response.end(elsewhere));
    },
    (it) => {
      const inside = JSON.stringify({ issuer: it.url, jwks_uri: "http://192.0.2.1/keys" });
      it.answers.set("/.well-known/openid-configuration", (response) => void response.end(inside));
    },
  ];
  for (const misbehave of cases) {
    const { room, provider, failure, arn } = await federatedRoom();
    misbehave(provider);
    expect(await codeOf(failure(provider.token()))).toBe("IDPCommunicationError");
    const { length } = provider.asked;
    expect(await codeOf(failure(provider.token()))).toBe("IDPCommunicationError");
    expect(provider.asked).toHaveLength(length);
    expect(room.unreachable).toEqual([arn]);
  }
});

test("a provider that does not answer holds nobody longer than the limit", async () => {
  const { provider, failure, clock } = await federatedRoom();
  provider.answers.set("/keys", () => undefined);
  const refused = codeOf(failure(provider.token()));
  while (!provider.asked.includes("/keys")) await new Promise((resolve) => setTimeout(resolve, 5));
  clock.advance(FETCH_MS_MAX);
  expect(await refused).toBe("IDPCommunicationError");
});

test("a new key is found after half a minute, a withdrawn one is forgotten after a quarter of an hour", async () => {
  const { room, provider, input, failure, clock } = await federatedRoom();
  await room.run("AssumeRoleWithWebIdentity", input());
  const [first] = provider.jwks;
  provider.jwks = [{ ...first, kid: "rsa-2" }];
  const token = provider.token({}, { kid: "rsa-2" });
  expect(await codeOf(failure(token))).toBe("InvalidIdentityToken");
  expect(provider.asked).toHaveLength(2);
  clock.advance(30_000);
  await room.run("AssumeRoleWithWebIdentity", input(token));
  expect(provider.asked).toHaveLength(4);
  clock.advance(14 * 60_000);
  provider.jwks = [];
  const later = { exp: Math.floor(clock.wallMs() / 1000) + 900 };
  await room.run("AssumeRoleWithWebIdentity", input(provider.token(later, { kid: "rsa-2" })));
  clock.advance(60_000);
  expect(await codeOf(failure(provider.token(later, { kid: "rsa-2" })))).toBe("InvalidIdentityToken");
});

test("an outage takes nothing from whoever has a known key, while the keys are fresh", async () => {
  const { room, provider, input, failure, clock } = await federatedRoom();
  await room.run("AssumeRoleWithWebIdentity", input());
  clock.advance(60_000);
  provider.answers.set("/keys", (response) => void response.writeHead(500).end());
  expect(await codeOf(failure(provider.token({}, { kid: "unknown" })))).toBe("InvalidIdentityToken");
  await room.run("AssumeRoleWithWebIdentity", input());
  clock.advance(15 * 60_000);
  const later = { exp: Math.floor(clock.wallMs() / 1000) + 900 };
  expect(await codeOf(failure(provider.token(later)))).toBe("IDPCommunicationError");
});

test("keys that are too weak, or not for signatures, are no keys", async () => {
  const { provider, failure } = await federatedRoom();
  const [rsa] = provider.jwks as readonly Record<string, unknown>[];
  provider.jwks = [
    { ...rsa, use: "enc" },
    { ...rsa, alg: "RS512" },
    { kty: "oct", k: "AAAA", kid: "rsa-1" },
    null as never,
  ];
  expect(await codeOf(failure(provider.token()))).toBe("InvalidIdentityToken");
});

test("TLS: an unknown authority is refused, unless the account has the thumbprint of a certificate in the chain", async () => {
  const strangers = await federatedRoom({ tls: true, thumbprints: ["0".repeat(40)] });
  expect(await codeOf(strangers.failure(strangers.provider.token()))).toBe("IDPCommunicationError");
  for (const at of [0, 1]) {
    const all = await federatedRoom({ tls: true });
    const { provider, room, arn, input } = all;
    room.putProvider({
      accountId: ACCOUNT,
      arn,
      url: provider.url,
      clientIds: ["sts.amazonaws.com"],
      thumbprints: [provider.thumbprints[at]?.toUpperCase() ?? ""],
    });
    expect((await room.run("AssumeRoleWithWebIdentity", input())).Audience).toBe("sts.amazonaws.com");
  }
});

test("an OAuth provider's name does not go with an OpenID Connect token", async () => {
  const { room, input } = await federatedRoom();
  const refused = room.failure("AssumeRoleWithWebIdentity", { ...input(), ProviderId: "www.amazon.com" });
  expect(await codeOf(refused)).toBe("ValidationError");
});
