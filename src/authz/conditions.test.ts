import { describe, expect, test } from "vitest";
import { evaluationOf } from "./evaluation.ts";
import { policyOf, requestOf } from "./testing/requests.ts";

type Value = string | readonly string[] | undefined;

/** Does a statement with this one condition match when the key `k:x` (and others) have these values? */
function holds(
  operator: string,
  expected: unknown,
  actual: Value,
  more: Readonly<Record<string, string>> = {},
  version?: string,
): boolean {
  const policy = policyOf("identity", [{ Condition: { [operator]: { "K:X": expected } } }], version);
  const context = new Map<string, string | readonly string[]>(Object.entries(more));
  if (actual !== undefined) context.set("k:x", actual);
  return policy.statements[0]?.matches(evaluationOf(requestOf({ context }))) ?? false;
}

const ROLE = "arn:aws:iam::111122223333:role/team/app";

describe("operators on one value", () => {
  test.each<[string, string, string, boolean]>([
    ["StringEquals", "red", "red", true],
    ["StringEquals", "red", "Red", false],
    ["StringEquals", "re*", "red", false],
    ["StringEquals", "re*", "re*", true],
    ["StringNotEquals", "red", "red", false],
    ["StringNotEquals", "red", "Red", true],
    ["StringEqualsIgnoreCase", "red", "rED", true],
    ["StringEqualsIgnoreCase", "red", "reds", false],
    ["StringNotEqualsIgnoreCase", "red", "RED", false],
    ["StringNotEqualsIgnoreCase", "red", "blue", true],
    ["StringLike", "r?d*", "red and blue", true],
    ["StringLike", "r?d", "read", false],
    ["StringLike", "RED", "red", false],
    ["StringNotLike", "r*", "red", false],
    ["StringNotLike", "r*", "blue", true],
    ["NumericEquals", "2", "2.0", true],
    ["NumericNotEquals", "2", "2.0", false],
    ["NumericNotEquals", "2", "text", true],
    ["NumericLessThan", "10", "9", true],
    ["NumericLessThan", "10", "10", false],
    ["NumericLessThan", "10", "text", false],
    ["NumericLessThanEquals", "10", "10", true],
    ["NumericGreaterThan", "-1", "0", true],
    ["NumericGreaterThan", "0", "0", false],
    ["NumericGreaterThanEquals", "0", "0", true],
    ["DateEquals", "2024-05-01T02:00:00+02:00", "2024-05-01T00:00:00Z", true],
    ["DateEquals", "1714521600", "2024-05-01T00:00:00Z", true],
    ["DateEquals", "2024-05", "2024-05-01", true],
    ["DateNotEquals", "2024-05-01", "2024-05-01T00:00:01Z", true],
    ["DateLessThan", "2024-05-01", "2024-04-30T23:59:59.999Z", true],
    ["DateLessThan", "2024-05-01", "2024-05-01", false],
    ["DateLessThanEquals", "2024-05-01", "2024-05-01", true],
    ["DateGreaterThan", "2024", "2023-12-31T23:59:59Z", false],
    ["DateGreaterThan", "2024", "2024-01-01T00:00:01Z", true],
    ["DateGreaterThanEquals", "2024", "2024-01-01", true],
    ["Bool", "true", "true", true],
    ["Bool", "TRUE", "true", true],
    ["Bool", "true", "false", false],
    ["Bool", "false", "", false],
    ["BinaryEquals", "cmVk", "cmVk", true],
    ["BinaryEquals", "cmVk", "cmVl", false],
    ["IpAddress", "192.0.2.0/24", "192.0.2.255", true],
    ["IpAddress", "192.0.2.0/24", "192.0.3.0", false],
    ["IpAddress", "192.0.2.9/31", "192.0.2.8", true],
    ["IpAddress", "192.0.2.9", "192.0.2.8", false],
    ["IpAddress", "0.0.0.0/0", "203.0.113.1", true],
    ["IpAddress", "0.0.0.0/0", "2001:db8::1", false],
    ["IpAddress", "::/0", "192.0.2.1", false],
    ["IpAddress", "192.0.2.0/24", "::ffff:192.0.2.7", true],
    ["IpAddress", "::ffff:192.0.2.0/120", "192.0.2.7", true],
    ["IpAddress", "2001:db8::/33", "2001:db8:7fff::1", true],
    ["IpAddress", "2001:db8::/33", "2001:db8:8000::1", false],
    ["IpAddress", "2001:DB8:0:0:0:0:0:1", "2001:db8::1", true],
    ["IpAddress", "fe80::/10", "fe80::1%eth0", true],
    ["IpAddress", "192.0.2.0/24", "kinesis.amazonaws.com", false],
    ["NotIpAddress", "192.0.2.0/24", "192.0.2.1", false],
    ["NotIpAddress", "192.0.2.0/24", "kinesis.amazonaws.com", true],
    ["ArnEquals", "arn:aws:iam::*:role/*", ROLE, true],
    ["ArnLike", "arn:aws:iam::*:role/app", ROLE, false],
    ["ArnLike", "arn:aws:iam::111122223333:role/team/ap?", ROLE, true],
    ["ArnLike", "arn:aws:*:*:role/team/app:x", `${ROLE}:x`, false],
    ["ArnLike", "arn:*:*:*:*:*", "arn:aws:s3:::a:b:c", true],
    ["ArnLike", "arn:a*:role/team/app:::x", ROLE, false],
    ["ArnLike", "*", ROLE, true],
    ["ArnLike", "*", "no arn", false],
    ["ArnNotEquals", "arn:aws:iam::*:role/*", ROLE, false],
    ["ArnNotLike", "arn:aws:iam::*:user/*", ROLE, true],
    ["ArnNotLike", "arn:aws:iam::*:user/*", "no arn", true],
  ])("%s %j about %j: %j", (operator, expected, actual, outcome) => {
    expect(holds(operator, expected, actual)).toBe(outcome);
  });
});

describe("several expected values", () => {
  test("are alternatives, and with a negated operator none may match", () => {
    expect(holds("StringEquals", ["a", "b"], "b")).toBe(true);
    expect(holds("StringNotEquals", ["a", "b"], "b")).toBe(false);
    expect(holds("StringNotEquals", ["a", "b"], "c")).toBe(true);
  });
  test("none at all: nothing equals, everything differs", () => {
    expect(holds("StringEquals", [], "a")).toBe(false);
    expect(holds("StringNotEquals", [], "a")).toBe(true);
  });
});

describe("a missing key", () => {
  test.each<[string, string, boolean]>([
    ["StringEquals", "a", false],
    ["StringLike", "*", false],
    ["ArnLike", "*", false],
    ["Bool", "false", false],
    ["NumericLessThan", "1", false],
    ["DateLessThan", "2024", false],
    ["IpAddress", "0.0.0.0/0", false],
    ["StringNotEquals", "a", true],
    ["StringNotEqualsIgnoreCase", "a", true],
    ["StringNotLike", "*", true],
    ["ArnNotEquals", "*", true],
    ["ArnNotLike", "*", true],
    ["NumericNotEquals", "1", true],
    ["DateNotEquals", "2024", true],
    ["NotIpAddress", "0.0.0.0/0", true],
    ["StringEqualsIfExists", "a", true],
    ["BoolIfExists", "true", true],
    ["StringNotEqualsIfExists", "a", true],
    ["ForAllValues:StringEquals", "a", true],
    ["ForAllValues:StringNotEquals", "a", true],
    ["ForAnyValue:StringEquals", "a", false],
    ["ForAnyValue:StringNotEquals", "a", false],
    ["ForAnyValue:StringEqualsIfExists", "a", true],
    ["Null", "true", true],
    ["Null", "false", false],
  ])("%s %j: %j; an empty list counts as missing", (operator, expected, outcome) => {
    expect(holds(operator, expected, undefined)).toBe(outcome);
    expect(holds(operator, expected, [])).toBe(outcome);
  });

  test("IfExists asks as usual when the key is there; an empty text is there", () => {
    expect(holds("StringEqualsIfExists", "a", "b")).toBe(false);
    expect(holds("StringEqualsIfExists", "a", "")).toBe(false);
    expect(holds("Null", "false", "")).toBe(true);
    expect(holds("Null", true, "a")).toBe(false);
  });
});

describe("a key with several values", () => {
  test.each<[string, string | string[], string[], boolean]>([
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "b"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
    ["ForAllValues:StringNotEquals", ["a"], ["b", "c"], true],
    ["ForAllValues:StringNotEquals", ["a"], ["a", "c"], false],
    ["ForAnyValue:StringEquals", "a", ["b", "a"], true],
    ["ForAnyValue:StringEquals", "a", ["b", "c"], false],
    ["ForAnyValue:StringNotEquals", "a", ["a", "c"], true],
    ["ForAnyValue:StringNotEquals", "a", ["a"], false],
    ["ForAnyValue:StringLike", "a*", ["b", "ab"], true],
    // Without a qualifier: as ForAnyValue, and the negated operator as its complement.
    ["StringEquals", "a", ["b", "a"], true],
    ["StringNotEquals", "a", ["b", "a"], false],
    ["StringNotEquals", "a", ["b", "c"], true],
  ])("%s %j about %j: %j", (operator, expected, actual, outcome) => {
    expect(holds(operator, expected, actual)).toBe(outcome);
  });
});

describe("variables", () => {
  const ANN = { "aws:username": "ann" };

  test.each<[string, string, string, boolean]>([
    ["StringEquals", "${aws:username}", "ann", true],
    ["StringEquals", "${AWS:UserName}s", "anns", true],
    ["StringEqualsIgnoreCase", "U-${aws:username}", "u-ANN", true],
    ["StringEqualsIgnoreCase", "U-${aws:username}", "u-bob", false],
    ["StringLike", "*/${aws:username}/*", "home/ann/x", true],
    ["StringNotLike", "*/${aws:username}/*", "home/bob/x", true],
    ["ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/ann", true],
    ["ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/bob", false],
    ["StringEquals", "${k:none, 'blue'}", "blue", true],
    ["StringEquals", "${aws:username,'blue'}", "blue", false],
    ["StringEquals", "${k:none, ''}", "", true],
    ["StringLike", "a${*}", "a*", true],
    ["StringLike", "a${*}", "ab", false],
    ["StringLike", "a${?}${$}", "a?$", true],
    ["StringEquals", "${$}{aws:username}", "${aws:username}", true],
    ["StringEquals", "$5", "$5", true],
  ])("%s %j about %j: %j", (operator, expected, actual, outcome) => {
    expect(holds(operator, expected, actual, ANN)).toBe(outcome);
  });

  test("a wildcard inside a variable's value is plain text", () => {
    expect(holds("StringLike", "${aws:username}", "anything", { "aws:username": "*" })).toBe(false);
    expect(holds("StringLike", "${aws:username}", "*", { "aws:username": "*" })).toBe(true);
  });

  test("before version 2012-10-17 they are plain text", () => {
    expect(holds("StringEquals", "${aws:username}", "ann", ANN, "2008-10-17")).toBe(false);
    expect(holds("StringEquals", "${aws:username}", "${aws:username}", ANN, "2008-10-17")).toBe(true);
  });

  test("one without a value matches nothing, and makes a negated operator fail, too", () => {
    expect(holds("StringLike", "*${k:none}*", "x")).toBe(false);
    expect(holds("StringEquals", ["${k:none}", "x"], "x")).toBe(true);
    expect(holds("StringNotEquals", "${k:none}", "x")).toBe(false);
    expect(holds("StringNotEquals", ["a", "${k:none}"], "x")).toBe(false);
    expect(holds("StringNotLike", "*${k:none}*", undefined)).toBe(false);
    expect(holds("ArnNotLike", "arn:aws:iam::*:user/${k:none}", ROLE)).toBe(false);
    expect(holds("StringNotEqualsIfExists", "${k:none}", undefined)).toBe(true);
  });

  test("a key with several values has no value as a variable", () => {
    const policy = policyOf("identity", [{ Condition: { StringEquals: { "k:x": "${k:many}" } } }]);
    const context = new Map<string, string | readonly string[]>([
      ["k:x", "a"],
      ["k:many", ["a", "b"]],
    ]);
    expect(policy.statements[0]?.matches(evaluationOf(requestOf({ context })))).toBe(false);
  });
});

test("conditions of a statement must all hold, operators and keys alike", () => {
  const Condition = { StringEquals: { "k:a": "1", "k:b": "2" }, Bool: { "k:c": "true" } };
  const [statement] = policyOf("identity", [{ Condition }]).statements;
  const all = { "k:a": "1", "k:b": "2", "k:c": "true" };
  expect(statement?.matches(evaluationOf(requestOf({ context: new Map(Object.entries(all)) })))).toBe(true);
  for (const missing of Object.keys(all)) {
    const context = new Map(Object.entries(all).filter(([key]) => key !== missing));
    expect(statement?.matches(evaluationOf(requestOf({ context })))).toBe(false);
  }
});

test("the key part of an encryption context condition is not case-sensitive, its value is", () => {
  const Condition = { StringEquals: { "kms:EncryptionContext:Tenant": "Acme" } };
  const [statement] = policyOf("key", [{ Principal: "*", Condition }]).statements;
  const about = (value: string): boolean =>
    statement?.matches(evaluationOf(requestOf({ context: new Map([["kms:encryptioncontext:tenant", value]]) }))) ??
    false;
  expect([about("Acme"), about("acme")]).toEqual([true, false]);
});
