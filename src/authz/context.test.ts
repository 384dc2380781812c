import { describe, expect, test } from "vitest";
import { requestContext, type CallFacts } from "./context.ts";

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
