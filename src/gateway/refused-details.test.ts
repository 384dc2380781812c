import { expect, test } from "vitest";
import type { AnyOperation } from "./contract.ts";
import { refusedDetails } from "./refused-details.ts";
import { ACCOUNT, gatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

const LARGE = "x".repeat(6_144);

const create: AnyOperation = {
  event: "management",
  readOnly: false,
  access: async () => ({
    checks: ["kms:Create", "kms:Tag"].map((action) => ({
      action,
      resource: keyArn("k1"),
      resourceAccountId: ACCOUNT,
    })),
    target: null,
  }),
  handle: async () => ({ output: {} }),
  describe: () => ({ requestParameters: { policyDocument: LARGE, policyName: "p" } }),
};

test("the event of a refused call keeps the beginning of a document, that of a successful one all of it", async () => {
  const room = await gatewayRoom({ Create: create });
  await room.operations.run(room.callOf("Create"), () => ({}));
  await room.putUser("ann", [{ Action: "kms:Create" }]);
  expect(await refusalOf(room.operations.run(room.callOf("Create"), () => ({})))).toBe("AccessDeniedException");
  const events = await room.events();
  expect(events.find(({ errorCode }) => errorCode === undefined)?.requestParameters).toEqual({
    policyDocument: LARGE,
    policyName: "p",
  });
  expect(events.find(({ errorCode }) => errorCode !== undefined)?.requestParameters).toEqual({
    policyDocument: `${"x".repeat(1_024)}…`,
    policyName: "p",
  });
});

test("the event of a refused call names a resource once, however many permissions were asked for on it", async () => {
  const room = await gatewayRoom({ Create: { ...create, describe: () => ({}) } });
  await room.putUser("ann", [{ Action: "kms:Create" }]);
  await refusalOf(room.operations.run(room.callOf("Create"), () => ({})));
  const [event] = await room.events();
  expect(event?.resources).toEqual([{ ARN: keyArn("k1"), accountId: ACCOUNT, type: "AWS::KMS::Key" }]);
});

test("small parameters are kept as they are, in their order", () => {
  const requestParameters = { tags: [{ key: "a", value: "b" }], userName: "ann", limit: 3, force: false, none: null };
  const kept = refusedDetails({ requestParameters }).requestParameters;
  expect(kept).toEqual(requestParameters);
  expect(Object.keys(kept ?? {})).toEqual(Object.keys(requestParameters));
  expect(refusedDetails({ requestParameters: null })).toEqual({ requestParameters: null });
});

test.each([
  ["a long list", { all: Array.from({ length: 5_000 }, () => "y".repeat(20)), keyId: "k1" }],
  ["a long list of nothing", { all: Array.from({ length: 100_000 }, () => null), keyId: "k1" }],
  ["many members", { all: Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${n}`, "z"])), keyId: "k1" }],
  ["long names", { all: { [LARGE]: 1, [`${LARGE}2`]: 2 }, keyId: "k1" }],
  ["deep nesting", { all: JSON.parse(`${"[".repeat(3_000)}${"]".repeat(3_000)}`) as unknown, keyId: "k1" }],
])("%s is bounded, and what identifies the call stays", (_what, requestParameters) => {
  const kept = refusedDetails({ requestParameters }).requestParameters;
  expect(kept).toMatchObject({ keyId: "k1" });
  expect(JSON.stringify(kept).length).toBeLessThan(12_000);
});
