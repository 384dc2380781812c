import { describe, expect, test } from "vitest";
import type { Call, OperationContext, Principal } from "../../gateway/contract.ts";
import { createStsService } from "./api.ts";

const service = createStsService({ accountOfAccessKey: async (id) => (id === "AKIAKNOWN" ? "999999999999" : null) });

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

  test("serves nothing else", () => {
    expect(Object.keys(service.operations)).toEqual(["GetCallerIdentity", "GetAccessKeyInfo"]);
  });
});
