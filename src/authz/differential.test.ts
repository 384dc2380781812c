import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { request, statement, type RawPolicy, type RawRequest, type RawStatement } from "./testing/arbitrary.ts";
import { Dice } from "./testing/dice.ts";
import { compareMany, decideRaw, disagreement, minimal, type RawCase, shareOf } from "./testing/differential.ts";
import { nearMiss, statementFor } from "./testing/near-misses.ts";

const SEED = 20_240_501;
const NEAR_MISS_COUNT = 21_000;
const KINDS = ["identity", "resource", "boundary", "session", "service control"];
const OUTCOMES: readonly string[] = [
  "allow identity",
  "allow resource",
  "allow grant",
  ...["explicit", "implicit"].flatMap((reason) => KINDS.map((kind) => `${reason} ${kind}`)),
];

describe("the compiled evaluator and a line-by-line reading of the raw policies", () => {
  test("decide alike where policies are made to fit the request or just to miss it", { timeout: 60_000 }, () => {
    const outcomes = compareMany(SEED, NEAR_MISS_COUNT);
    // Neither is the common answer, so that agreement is not bought by saying always the same.
    for (const reason of ["allow", "explicit", "implicit"]) expect(shareOf(outcomes, reason)).toBeGreaterThan(0.15);
    const rare = OUTCOMES.filter((outcome) => (outcomes.get(outcome) ?? 0) < NEAR_MISS_COUNT / 200);
    expect(rare).toEqual([]);
  });

  test("decide alike where policies are drawn at random", () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(request, (raw) => {
        expect(disagreement(raw)).toBeNull();
        const { reason, kind } = decideRaw(raw);
        outcomes.set(`${reason} ${kind}`, (outcomes.get(`${reason} ${kind}`) ?? 0) + 1);
      }),
      { seed: SEED, numRuns: 3000 },
    );
    // The comparison is worth something only while the generator reaches every outcome.
    const rare = OUTCOMES.filter((outcome) => (outcomes.get(outcome) ?? 0) < 5);
    expect(rare).toEqual([]);
  });
});

test("of a case in which they differ, what does not make the difference is taken away", () => {
  const dice = new Dice(SEED);
  // As if the evaluator knew no Deny in identity policies.
  const differs = (raw: RawCase): boolean => {
    const { reason, kind } = decideRaw(raw);
    return reason === "explicit" && kind === "identity";
  };
  let raw: RawCase = nearMiss(dice);
  while (!differs(raw)) raw = nearMiss(dice);
  const small = minimal(raw, differs);
  expect(differs(small)).toBe(true);
  expect(small).toMatchObject({ boundary: null, sessionPolicies: null, resourcePolicy: null, grants: [] });
  expect(small.identityPolicies.flatMap(({ Statement }) => Statement)).toMatchObject([{ Effect: "Deny" }]);
});

/** Adds a statement to one of the policies that the request carries. */
type Place = "identity" | "resource" | "boundary" | "session";

function withStatement<Raw extends RawRequest>(raw: Raw, place: Place, added: RawStatement): Raw {
  const grown = (policy: RawPolicy): RawPolicy => ({ ...policy, Statement: [...policy.Statement, added] });
  switch (place) {
    case "identity":
      return { ...raw, identityPolicies: raw.identityPolicies.map(grown) };
    case "resource":
      return { ...raw, resourcePolicy: raw.resourcePolicy === null ? null : grown(raw.resourcePolicy) };
    case "boundary":
      return { ...raw, boundary: raw.boundary === null ? null : grown(raw.boundary) };
    default:
      return { ...raw, sessionPolicies: raw.sessionPolicies?.map(grown) ?? null };
  }
}

const addition = (effect: "Allow" | "Deny"): fc.Arbitrary<{ place: Place; added: RawStatement }> =>
  fc
    .constantFrom<Place>("identity", "resource", "boundary", "session")
    .chain((place) => statement(place === "resource", [effect]).map((added) => ({ place, added })));

describe("whatever the policies", () => {
  test("one more grant never takes access away, and never beats a deny or a service control policy", () => {
    fc.assert(
      fc.property(request, fc.constantFrom("exact", "role", "account"), (raw, match) => {
        const [before, after] = [decideRaw(raw), decideRaw({ ...raw, grants: [...raw.grants, match] })];
        expect(after.allowed || !before.allowed).toBe(true);
        if (before.reason === "explicit" || before.kind === "service control") expect(after).toEqual(before);
        if (after.kind === "grant") expect(after.grantId).toMatch(/^grant-\d$/);
      }),
      { seed: SEED, numRuns: 1500 },
    );
  });

  test("one more Allow never takes access away", () => {
    fc.assert(
      fc.property(request, addition("Allow"), (raw, { place, added }) => {
        const after = decideRaw(withStatement(raw, place, added));
        expect(after.allowed || !decideRaw(raw).allowed).toBe(true);
      }),
      { seed: SEED, numRuns: 1500 },
    );
  });

  test("one more Deny never gives access", () => {
    fc.assert(
      fc.property(request, addition("Deny"), (raw, { place, added }) => {
        const after = decideRaw(withStatement(raw, place, added));
        expect(after.allowed && !decideRaw(raw).allowed).toBe(false);
      }),
      { seed: SEED, numRuns: 1500 },
    );
  });

  test("neither holds only where statements miss by far", { timeout: 60_000 }, () => {
    const dice = new Dice(SEED);
    const changed = { Allow: 0, Deny: 0 };
    for (let count = 0; count < 5000; count++) {
      const raw = nearMiss(dice);
      const effect = dice.one(["Allow", "Deny"] as const);
      const place = dice.one<Place>(["identity", "resource", "boundary", "session"]);
      const kind = place === "resource" ? raw.resourceKind : null;
      const added = statementFor(dice, raw, { kind, denyShare: effect === "Deny" ? 1 : 0 });
      const before = decideRaw(raw).allowed;
      const after = decideRaw(withStatement(raw, place, added)).allowed;
      if (before !== after) changed[effect]++;
      if (after ? effect === "Deny" && !before : effect === "Allow" && before) {
        expect.fail(JSON.stringify({ raw, place, added }));
      }
    }
    expect(changed.Allow).toBeGreaterThan(30);
    expect(changed.Deny).toBeGreaterThan(100);
  });

  test("the order of statements and policies does not matter", () => {
    const reversed = (policy: RawPolicy): RawPolicy => ({ ...policy, Statement: policy.Statement.toReversed() });
    fc.assert(
      fc.property(request, (raw) => {
        const turned: RawRequest = {
          ...raw,
          identityPolicies: raw.identityPolicies.map(reversed).toReversed(),
          resourcePolicy: raw.resourcePolicy === null ? null : reversed(raw.resourcePolicy),
          sessionPolicies: raw.sessionPolicies?.map(reversed).toReversed() ?? null,
        };
        const [before, after] = [decideRaw(raw), decideRaw(turned)];
        expect([after.allowed, after.reason, after.kind]).toEqual([before.allowed, before.reason, before.kind]);
      }),
      { seed: SEED, numRuns: 1500 },
    );
  });
});
