/** An encryption context may hold `Dept` and `dept`, which policies cannot tell apart: neither may stand in for the other. */
import { expect, test } from "vitest";
import { requestContext, type CallFacts } from "./context.ts";
import { decide } from "./decide.ts";
import { ACCOUNT, ANN, policyOf, requestOf } from "./testing/requests.ts";
import type { AuthorizationRequest } from "./types.ts";

const CALL: CallFacts = {
  principal: { type: "User", arn: ANN.arn, accountId: ACCOUNT, userId: ANN.userId },
  region: "eu-central-1",
  nowMs: 0,
  sourceIp: "192.0.2.7",
  userAgent: "",
  secureTransport: true,
};
const KEY = "kms:EncryptionContext:Dept";

function contextOf(pairs: Readonly<Record<string, string>>): AuthorizationRequest["context"] {
  const own = Object.fromEntries(
    Object.entries(pairs).map(([name, value]) => [`kms:EncryptionContext:${name}`, value]),
  );
  return requestContext(CALL, { principalTags: {}, resourceAccountId: ACCOUNT, own });
}

function allowed(statements: readonly object[], pairs: Readonly<Record<string, string>>): boolean {
  const policy = policyOf("identity", statements as readonly Record<string, unknown>[]);
  return decide(requestOf({ identityPolicies: [policy], context: contextOf(pairs) })).allowed;
}

const MIXED = { Dept: "HR", dept: "IT" };
const BOTH = { Dept: "IT", dept: "IT" };

test.each<[string, object, boolean, boolean]>([
  ["equals", { StringEquals: { [KEY]: "IT" } }, false, true],
  ["equals one of several", { StringEquals: { [KEY]: ["IT", "HR"] } }, true, true],
  ["for any value", { "ForAnyValue:StringEquals": { [KEY]: "IT" } }, false, true],
  ["for all values", { "ForAllValues:StringLike": { [KEY]: "I*" } }, false, true],
  ["does not equal", { StringNotEquals: { [KEY]: "HR" } }, false, true],
  ["is there", { Null: { [KEY]: "false" } }, true, true],
  ["is not there", { Null: { [KEY]: "true" } }, false, false],
])("an Allow whose key %s needs all values", (_what, Condition, mixed, both) => {
  expect(allowed([{ Condition }], MIXED)).toBe(mixed);
  expect(allowed([{ Condition }], { dept: "IT", DEPT: "HR" })).toBe(mixed);
  expect(allowed([{ Condition }], BOTH)).toBe(both);
});

test.each<[string, object, boolean, boolean]>([
  ["equals", { StringEquals: { [KEY]: "IT" } }, true, true],
  ["does not equal", { StringNotEquals: { [KEY]: "IT" } }, true, false],
  ["for all values", { "ForAllValues:StringEquals": { [KEY]: "IT" } }, true, true],
  ["for any value negated", { "ForAnyValue:StringNotEquals": { [KEY]: "IT" } }, true, false],
])("a Deny whose key %s needs one value", (_what, Condition, mixed, both) => {
  expect(allowed([{}, { Effect: "Deny", Condition }], MIXED)).toBe(!mixed);
  expect(allowed([{}, { Effect: "Deny", Condition }], BOTH)).toBe(!both);
});

test("a variable takes neither value: an Allow does not hold, a Deny does", () => {
  const Condition = { StringNotEquals: { "aws:PrincipalAccount": `\${${KEY}}` } };
  expect(allowed([{ Condition }], { Dept: "x" })).toBe(true);
  expect(allowed([{ Condition }], MIXED)).toBe(false);
  expect(allowed([{}, { Effect: "Deny", Condition }], MIXED)).toBe(false);
  expect(allowed([{}, { Effect: "Deny", Resource: `arn:aws:kms:*:*:key/\${${KEY}}` }], MIXED)).toBe(false);
  // What another condition settles stays settled.
  const settled = { ...Condition, StringEquals: { "aws:RequestedRegion": "none" } };
  expect(allowed([{}, { Effect: "Deny", Condition: settled }], MIXED)).toBe(true);
});

test("only ASCII letters are folded", () => {
  const Condition = { StringEquals: { "kms:EncryptionContext:Key": "IT" } };
  expect(allowed([{ Condition }], { "\u212Aey": "IT" })).toBe(false);
  expect(allowed([{ Condition }], { kEY: "IT" })).toBe(true);
});
