import { describe, expect, test } from "vitest";
import { type CallFacts, GLOBAL_KEYS, lazyContext, requestContext } from "./context.ts";

const CALL: CallFacts = {
  principal: {
    type: "User",
    arn: "arn:aws:iam::111122223333:user/team/ann",
    accountId: "111122223333",
    userId: "AIDAANN",
    userName: "ann",
  },
  region: "eu-central-1",
  nowMs: 1_714_521_600_250,
  sourceIp: "::ffff:192.0.2.7",
  userAgent: "aws-cli/2",
  secureTransport: true,
};
const SESSION: CallFacts["principal"] = {
  type: "AssumedRole",
  arn: "arn:aws:sts::111122223333:assumed-role/app/s1",
  accountId: "111122223333",
  userId: "AROAAPP:s1",
  session: {
    issuerArn: "arn:aws:iam::111122223333:role/team/app",
    issuedAtMs: 1_714_521_000_000,
    mfa: false,
    tags: { Team: "blue" },
  },
};
const sessionOf = (changes: Partial<NonNullable<CallFacts["principal"]["session"]>>): CallFacts => {
  const { session } = SESSION;
  if (session === undefined) throw new Error("the fixture has no session");
  return { ...CALL, principal: { ...SESSION, session: { ...session, ...changes } } };
};
const OPTIONS = { principalTags: { team: "red", "Cost Center": "7" }, resourceAccountId: "444455556666" };

describe("the global condition keys", () => {
  test("of a user's direct call", () => {
    expect(Object.fromEntries(requestContext(CALL, OPTIONS))).toEqual({
      "aws:currenttime": "2024-05-01T00:00:00Z",
      "aws:epochtime": "1714521600",
      "aws:requestedregion": "eu-central-1",
      "aws:securetransport": "true",
      "aws:viaawsservice": "false",
      "aws:sourceip": "192.0.2.7",
      "aws:useragent": "aws-cli/2",
      "aws:userid": "AIDAANN",
      "aws:username": "ann",
      "aws:principaltype": "User",
      "aws:principalaccount": "111122223333",
      "aws:principalarn": "arn:aws:iam::111122223333:user/team/ann",
      "aws:principalisawsservice": "false",
      "aws:principaltag/team": "red",
      "aws:principaltag/cost center": "7",
      "aws:resourceaccount": "444455556666",
    });
  });

  test("of a role session: the role's ARN, no user name, the session's tags over the role's", () => {
    const context = requestContext({ ...CALL, principal: SESSION }, OPTIONS);
    expect(context.get("aws:principalarn")).toBe("arn:aws:iam::111122223333:role/team/app");
    expect(context.get("aws:principaltype")).toBe("AssumedRole");
    expect(context.get("aws:userid")).toBe("AROAAPP:s1");
    expect(context.has("aws:username")).toBe(false);
    expect(context.get("aws:principaltag/team")).toBe("blue");
    expect(context.get("aws:tokenissuetime")).toBe("2024-04-30T23:50:00Z");
    expect(context.get("aws:multifactorauthpresent")).toBe("false");
  });

  test("of root, whose type is called Account", () => {
    const principal = { ...CALL.principal, type: "Root" as const, arn: "arn:aws:iam::111122223333:root" };
    const context = requestContext({ ...CALL, principal }, OPTIONS);
    expect(context.get("aws:principaltype")).toBe("Account");
    expect(context.has("aws:username")).toBe(false);
  });

  test("of a service that acts by itself: nothing of an account's principal", () => {
    const principal = { type: "Service" as const, arn: "events.amazonaws.com", accountId: "", userId: "events" };
    const context = requestContext({ ...CALL, principal }, OPTIONS);
    expect(context.get("aws:principalisawsservice")).toBe("true");
    expect(context.get("aws:principalservicename")).toBe("events.amazonaws.com");
    for (const key of ["aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:principaltag/team"]) {
      expect(context.has(key)).toBe(false);
    }
  });

  test("of a call that a service makes for its caller: no address, the service as agent and in the chain", () => {
    const context = requestContext({ ...CALL, via: { service: "kinesis" } }, OPTIONS);
    expect(context.has("aws:sourceip")).toBe(false);
    expect(context.get("aws:viaawsservice")).toBe("true");
    expect(context.get("aws:useragent")).toBe("kinesis.amazonaws.com");
    expect(context.get("aws:calledvia")).toEqual(["kinesis.amazonaws.com"]);
    expect(context.get("aws:calledviafirst")).toBe("kinesis.amazonaws.com");
    expect(context.get("aws:calledvialast")).toBe("kinesis.amazonaws.com");
    expect(context.get("aws:principalarn")).toBe(CALL.principal.arn);
  });

  test("without a user agent there is no such key", () => {
    expect(requestContext({ ...CALL, userAgent: "" }, OPTIONS).has("aws:useragent")).toBe(false);
  });
});

describe("what a session carries", () => {
  test("the age of the device's answer, only where a device was asked", () => {
    expect(requestContext(sessionOf({ mfa: true }), OPTIONS).get("aws:multifactorauthage")).toBe("600");
    expect(requestContext(sessionOf({ mfa: false }), OPTIONS).has("aws:multifactorauthage")).toBe(false);
    expect(requestContext(CALL, OPTIONS).has("aws:multifactorauthpresent")).toBe(false);
  });

  test("the source identity, and who vouched for whoever opened it", () => {
    const provider = "arn:aws:iam::111122223333:oidc-provider/idp.example.com/x";
    const claims = { "idp.example.com/x:sub": "s-1", "idp.example.com/x:aud": "app" };
    const context = requestContext(sessionOf({ sourceIdentity: "Ann", federation: { provider, claims } }), OPTIONS);
    expect(context.get("aws:sourceidentity")).toBe("Ann");
    expect(context.get("aws:federatedprovider")).toBe(provider);
    expect(context.get("idp.example.com/x:sub")).toBe("s-1");
    expect(context.get("idp.example.com/x:aud")).toBe("app");
    expect(requestContext(sessionOf({}), OPTIONS).has("aws:federatedprovider")).toBe(false);
  });

  test("no claim that speaks for the server or a service, whatever the provider is called", () => {
    const claims = {
      "kms:ViaService": "x",
      "aws:PrincipalOrgID": "o-1",
      "aws:x.y": "z",
      "idp.example.com:sub": "forged",
    };
    const own = { "idp.example.com:sub": "asked" };
    const call = sessionOf({ federation: { provider: "p", claims } });
    const context = requestContext(call, { ...OPTIONS, own });
    for (const key of ["kms:viaservice", "aws:principalorgid", "aws:x.y"]) expect(context.has(key)).toBe(false);
    expect(context.get("idp.example.com:sub")).toBe("asked");
    const lazy = lazyContext(call, { ...OPTIONS, own: () => own, onAsked: () => undefined });
    expect([lazy.get("kms:viaservice"), lazy.get("idp.example.com:sub")]).toEqual([undefined, "asked"]);
  });
});

describe("organizations", () => {
  const place = { id: "o-1234567890", path: "o-1234567890/r-ab12/ou-ab12-11111111/" };

  test("are there for whoever is in one, paths as a list", () => {
    const context = requestContext(CALL, { ...OPTIONS, organizations: { principal: place, resource: null } });
    expect(context.get("aws:principalorgid")).toBe(place.id);
    expect(context.get("aws:principalorgpaths")).toEqual([place.path]);
    expect(context.has("aws:resourceorgid")).toBe(false);
    expect(context.has("aws:sourceorgid")).toBe(false);
  });

  test("of a service are those of what made it call", () => {
    const principal = { type: "Service" as const, arn: "events.amazonaws.com", accountId: "", userId: "events" };
    const context = requestContext(
      { ...CALL, principal, sourceArn: "arn:aws:events:eu-central-1:111122223333:rule/r" },
      { ...OPTIONS, organizations: { principal: place, resource: place, source: place } },
    );
    expect(context.has("aws:principalorgid")).toBe(false);
    expect([context.get("aws:resourceorgid"), context.get("aws:sourceorgid")]).toEqual([place.id, place.id]);
    expect(context.get("aws:sourceaccount")).toBe("111122223333");
    expect(context.get("aws:principalservicenameslist")).toEqual([
      "events.amazonaws.com",
      "events.eu-central-1.amazonaws.com",
    ]);
  });
});

test("the referer is the client's, not that of a service in between", () => {
  const call = { ...CALL, referer: "https://console.example.com/" };
  expect(requestContext(call, OPTIONS).get("aws:referer")).toBe("https://console.example.com/");
  expect(requestContext({ ...call, via: { service: "kinesis" } }, OPTIONS).has("aws:referer")).toBe(false);
});

test("services that call one another for the caller stand in the chain in their order", () => {
  const context = requestContext({ ...CALL, via: { service: "dynamodb", before: ["cloudformation"] } }, OPTIONS);
  expect(context.get("aws:calledvia")).toEqual(["cloudformation.amazonaws.com", "dynamodb.amazonaws.com"]);
  expect(context.get("aws:calledviafirst")).toBe("cloudformation.amazonaws.com");
  expect(context.get("aws:calledvialast")).toBe("dynamodb.amazonaws.com");
  expect(context.get("aws:useragent")).toBe("dynamodb.amazonaws.com");
});

test("every global key that there can be has a name as people write it", () => {
  const named = new Set(GLOBAL_KEYS.map((name) => name.toLowerCase()));
  const place = { id: "o-1", path: "o-1/r-1/" };
  const organizations = { principal: place, resource: place, source: place };
  const service = { type: "Service" as const, arn: "events.amazonaws.com", accountId: "", userId: "events" };
  const calls = [
    { ...CALL, referer: "r" },
    { ...CALL, via: { service: "kinesis" } },
    sessionOf({ mfa: true, sourceIdentity: "a", federation: { provider: "p", claims: {} } }),
    { ...CALL, principal: service, sourceArn: "arn:aws:events:eu-central-1:111122223333:rule/r" },
  ];
  const keys = calls.flatMap((call) => [
    ...requestContext(call, { ...OPTIONS, principalTags: {}, organizations }).keys(),
  ]);
  const unnamed = keys.filter((key) => !named.has(key) && !key.startsWith("aws:principaltag/"));
  expect(unnamed).toEqual([]);
  expect(new Set(keys)).toEqual(new Set([...named, "aws:principaltag/team"]));
});

describe("an operation's own keys", () => {
  test("stand beside them in lower case, lists as lists", () => {
    const own = { "kms:EncryptionContext:Tenant": "Acme", "kms:EncryptionContextKeys": ["Tenant"] };
    const context = requestContext(CALL, { ...OPTIONS, own });
    expect(context.get("kms:encryptioncontext:tenant")).toBe("Acme");
    expect(context.get("kms:encryptioncontextkeys")).toEqual(["Tenant"]);
  });

  test("cannot replace a global key", () => {
    const own = { "AWS:PrincipalArn": "arn:aws:iam::111122223333:user/root", "aws:PrincipalTag/Team": "gold" };
    const context = requestContext(CALL, { ...OPTIONS, own });
    expect(context.get("aws:principalarn")).toBe(CALL.principal.arn);
    expect(context.get("aws:principaltag/team")).toBe("red");
  });

  test("that differ only in case are one key with both values side by side", () => {
    const own = { "kms:EncryptionContext:a": "1", "kms:EncryptionContext:A": "2" };
    expect(requestContext(CALL, { ...OPTIONS, own }).get("kms:encryptioncontext:a")).toEqual({
      alternatives: ["1", "2"],
    });
  });
});
