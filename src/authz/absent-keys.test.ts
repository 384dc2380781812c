import { expect, test } from "vitest";
import { stoppedByAbsence } from "./absent-keys.ts";
import { decide } from "./decide.ts";
import { policyOf, requestOf } from "./testing/requests.ts";
import type { ContextValue } from "./types.ts";

type Statements = readonly Readonly<Record<string, unknown>>[];

/** Number and keys of the statements that decided by an absent key. */
function stops(statements: Statements, present: Readonly<Record<string, ContextValue>> = {}): readonly unknown[] {
  const identityPolicies = [policyOf("identity", statements)];
  const request = requestOf({ identityPolicies, context: new Map(Object.entries(present)) });
  const decision = decide(request);
  expect(decision.allowed).toBe(false);
  return stoppedByAbsence(request, decision).map(({ index, keys }) => [index, ...keys]);
}

const TEAM = { StringEquals: { "aws:RequestTag/Team": "red" } };

test.each<[string, Statements, Readonly<Record<string, ContextValue>>, readonly unknown[]]>([
  ["a key that is missing", [{ Condition: TEAM }], {}, [[0, "aws:requesttag/team"]]],
  ["a list without values", [{ Condition: TEAM }], { "aws:requesttag/team": [] }, [[0, "aws:requesttag/team"]]],
  ["a key with another value", [{ Condition: TEAM }], { "aws:requesttag/team": "blue" }, []],
  ["another action", [{ Action: "kms:Encrypt", Condition: TEAM }], {}, []],
  ["another resource", [{ Resource: "arn:aws:kms:*:*:key/other", Condition: TEAM }], {}, []],
  [
    "a missing key that holds, before one that does not",
    [{ Condition: { StringNotEquals: { "aws:a": "1" }, StringEquals: { "aws:b": "1" } } }],
    { "aws:b": "2" },
    [],
  ],
  ["must be there", [{}, { Effect: "Deny", Condition: { Null: { "aws:x": "true" } } }], {}, [[1, "aws:x"]]],
  ["a deny without conditions", [{ Condition: TEAM }, { Effect: "Deny" }], {}, []],
])("%s", (_name, statements, present, expected) => {
  expect(stops(statements, present)).toEqual(expected);
});

test("a resource's policy counts that could have allowed where the identity's did not", () => {
  const resourcePolicy = policyOf("resource", [{ Principal: "*", Condition: TEAM }]);
  const request = requestOf({ resourcePolicy });
  const decision = decide(request);
  expect(decision.kind).toBe("identity");
  expect(stoppedByAbsence(request, decision)).toMatchObject([{ kind: "resource", keys: ["aws:requesttag/team"] }]);
});
