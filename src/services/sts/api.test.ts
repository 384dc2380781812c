import { describe, expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import type { Call, OperationContext, Principal } from "../../gateway/contract.ts";
import { createStsService } from "./api.ts";

const unused = () => Promise.reject(new Error("not asked in these tests"));

const service = createStsService({
  roles: { find: unused, findProvider: unused, hasPolicy: unused },
  sessions: { issue: () => null, open: () => null, accountOf: () => null },
  compileSessionPolicy: (_document, id) => ({ id, statements: [] }),
  reader: { get: unused, list: unused },
  realClock: systemClock(),
  providerRules: { loopbackAccountId: null, hosts: null },
  onProviderFailure: () => undefined,
  accountOfAccessKey: async (id) => (id === "AKIAKNOWN" ? "999999999999" : null),
  decodeAuthorization: async () => null,
});

const contextOf = (principal: Principal): OperationContext => ({
  call: { principal, nowMs: 0 } as Call,
  read: { get: () => Promise.reject(new Error("no reads")), list: () => Promise.reject(new Error("no reads")) },
});

const ann: Principal = {
  type: "User",
  arn: "arn:aws:iam::111122223333:user/ann",
  accountId: "111122223333",
  userId: "AIDAEXAMPLE",
  userName: "ann",
};

async function run(name: string, input: object) {
  const operation = service.operations[name];
  if (operation === undefined) throw new Error(`no operation ${name}`);
  const { checks, target } = await operation.access(contextOf(ann), input);
  return { checks, outcome: await operation.handle(contextOf(ann), input, target) };
}

describe("STS", () => {
  test("GetCallerIdentity tells who calls and asks for no permission", async () => {
    const { checks, outcome } = await run("GetCallerIdentity", {});
    expect(checks).toEqual([]);
    expect(outcome.output).toEqual({ UserId: "AIDAEXAMPLE", Account: "111122223333", Arn: ann.arn });
  });

  test("GetAccessKeyInfo tells the account of a key, and only to who may ask", async () => {
    const { checks, outcome } = await run("GetAccessKeyInfo", { AccessKeyId: "AKIAKNOWN" });
    expect(checks).toMatchObject([
      { action: "sts:GetAccessKeyInfo", resource: "*", resourceAccountId: "111122223333" },
    ]);
    expect(outcome.output).toEqual({ Account: "999999999999" });
    await expect(run("GetAccessKeyInfo", { AccessKeyId: "AKIAOTHER" })).rejects.toMatchObject({
      code: "ValidationError",
    });
  });

  test("serves what needs no directory of other identities, and nothing else", () => {
    expect(Object.keys(service.operations).toSorted()).toEqual([
      "AssumeRole",
      "AssumeRoleWithWebIdentity",
      "DecodeAuthorizationMessage",
      "GetAccessKeyInfo",
      "GetCallerIdentity",
      "GetFederationToken",
      "GetSessionToken",
    ]);
    // Only what proves by itself who calls goes without a signature.
    const unsigned = Object.entries(service.operations).filter(([, { identify }]) => identify !== undefined);
    expect(unsigned.map(([name]) => name)).toEqual(["AssumeRoleWithWebIdentity"]);
  });
});
