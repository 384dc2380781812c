/** One decision has a bounded cost, whatever a policy of the size limit is multiplied with; the rest is decided against the caller. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { allowsPrincipal, decide, decideIn } from "./decide.ts";
import { evaluationOf, STEPS_MAX } from "./evaluation.ts";
import { policyOf, requestOf } from "./testing/requests.ts";

/** Some ten milliseconds are meant; a busy machine gets room. Without the bound these take from 0.5 s to 14 s. */
const LIMIT_MS = 250;
const KEY = "kms:EncryptionContextKeys";
const many = (count: number, of: (at: number) => string): string[] => Array.from({ length: count }, (_, at) => of(at));
const NAMES = many(2040, (at) => String(1000 + at));
const WIDE = `*${"a".repeat(60)}b`;

const ATTACKS: readonly [string, string, readonly string[], readonly string[]][] = [
  ["dates", "ForAnyValue:DateEquals", many(4600, (at) => String(4000 + at)), NAMES],
  ["dates in order", "ForAnyValue:DateLessThan", many(4600, () => "1000"), NAMES],
  ["networks", "ForAnyValue:IpAddress", many(3600, (at) => `::${at % 9}`), many(2040, () => "::a")],
  ["text without case", "ForAnyValue:StringEqualsIgnoreCase", many(4600, (at) => `z${at % 999}`), NAMES],
  ["wildcards", "ForAnyValue:StringLike", many(4600, (at) => `*z${at % 999}`), NAMES],
  ["a long text", "ForAnyValue:StringLike", many(450, () => WIDE), ["a".repeat(8000)]],
  ["ARNs", "ForAnyValue:ArnLike", many(2000, () => "arn:*:*:*:*:*z"), many(600, () => "arn:a:a:a:a:a")],
  ["variables", "ForAnyValue:StringLike", many(2000, () => "${k:long}${k:x}"), NAMES],
];

describe("a policy made to cost the server time", () => {
  test.each(ATTACKS)(
    "with %s is decided soon, as without it or against the caller",
    (_what, operator, values, names) => {
      const condition = { Condition: { [operator]: { [KEY]: values } } };
      const context = new Map<string, string | readonly string[]>([
        [KEY.toLowerCase(), names],
        ["k:long", "1"],
        ["k:x", "x"],
      ]);
      const clock = systemClock();
      for (const effect of ["Allow", "Deny"]) {
        const identityPolicies = [policyOf("identity", [{ Effect: effect, ...condition }])];
        const request = requestOf({ identityPolicies, context });
        const beganMs = clock.monotonicMs();
        const decision = decide(request);
        expect(clock.monotonicMs() - beganMs).toBeLessThan(LIMIT_MS);
        expect(decision.allowed).toBe(false);
        expect(decide(request)).toEqual(decision);
      }
    },
  );
});

describe("when the work is used up", () => {
  // A million comparisons, none of which holds.
  const heavy = { "ForAnyValue:StringLike": { [KEY]: many(4000, (at) => `*z${at}*y`) } };
  const context = new Map([[KEY.toLowerCase(), NAMES]]);
  const everything = policyOf("identity", [{}]);

  test("a Deny holds that could not be told", () => {
    const denying = policyOf("identity", [{ Effect: "Deny", Condition: heavy }]);
    const decision = decide(requestOf({ identityPolicies: [everything, denying], context }));
    expect(decision).toMatchObject({ allowed: false, reason: "explicit" });
  });

  test("a Deny on something else does not", () => {
    const denying = policyOf("identity", [{ Effect: "Deny", Action: "kms:Encrypt", Condition: heavy }]);
    expect(decide(requestOf({ identityPolicies: [everything, denying], context })).allowed).toBe(true);
  });

  test("an Allow does not hold, nor one behind it; one before it does", () => {
    const allowing = policyOf("identity", [{ Condition: heavy }]);
    const asked = (identityPolicies: readonly (typeof allowing)[]): boolean =>
      decide(requestOf({ identityPolicies, context })).allowed;
    expect(asked([allowing])).toBe(false);
    expect(asked([allowing, everything])).toBe(false);
    expect(asked([everything, allowing])).toBe(true);
  });

  test("a negated operator neither opens nor lets pass", () => {
    const negated = { "ForAllValues:StringNotLike": { [KEY]: many(4000, (at) => `*z${at}*y`) } };
    const allowing = policyOf("identity", [{ Condition: negated }]);
    const denying = policyOf("identity", [{ Effect: "Deny", Condition: negated }]);
    expect(decide(requestOf({ identityPolicies: [allowing], context })).allowed).toBe(false);
    expect(decide(requestOf({ identityPolicies: [everything, denying], context })).allowed).toBe(false);
  });

  test("a key policy counts as one that locks its author out", () => {
    const policy = policyOf("key", [{ Principal: "*" }, { Effect: "Deny", Principal: "*", Condition: heavy }]);
    expect(allowsPrincipal(policy, requestOf({ context }))).toBe(false);
  });

  test("the next decision has all of it again", () => {
    const small = policyOf("identity", [{ Condition: { StringLike: { "k:x": "*b" } } }]);
    decide(requestOf({ identityPolicies: [policyOf("identity", [{ Condition: heavy }])], context }));
    expect(decide(requestOf({ identityPolicies: [small], context: new Map([["k:x", "ab"]]) })).allowed).toBe(true);
  });
});

describe("where everything is `*` and nothing is compared", () => {
  const costOf = (request: ReturnType<typeof requestOf>): number => {
    const evaluation = evaluationOf(request);
    decideIn(evaluation);
    return STEPS_MAX - evaluation.stepsLeft;
  };

  test("each statement that is asked, and each condition, costs", () => {
    const nothingMissing = { Null: { "k:x": "false" } };
    const statements = Array.from({ length: 500 }, () => ({ Condition: nothingMissing }));
    expect(costOf(requestOf({ identityPolicies: [policyOf("identity", statements)] }))).toBeGreaterThan(8000);
    const denying = statements.map((statement) => ({ ...statement, Effect: "Deny" }));
    expect(costOf(requestOf({ identityPolicies: [policyOf("identity", denying)] }))).toBeGreaterThan(8000);
    const resourcePolicy = policyOf(
      "key",
      statements.map((statement) => ({ ...statement, Principal: "*" })),
    );
    expect(costOf(requestOf({ resourcePolicy }))).toBeGreaterThan(8000);
  });

  test("so does each that is passed over, and each value that a `*` is asked for", () => {
    const others = Array.from({ length: 1000 }, () => ({ Effect: "Deny", Principal: { AWS: "444455556666" } }));
    expect(costOf(requestOf({ resourcePolicy: policyOf("key", others) }))).toBeGreaterThanOrEqual(2000);
    const condition = { Condition: { "ForAllValues:StringLike": { [KEY]: "*" } } };
    const identityPolicies = [policyOf("identity", [condition])];
    const context = new Map([[KEY.toLowerCase(), NAMES]]);
    expect(costOf(requestOf({ identityPolicies, context }))).toBeGreaterThan(4 * NAMES.length);
  });
});
