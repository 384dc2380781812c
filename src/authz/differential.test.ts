import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePolicy } from "./compile.ts";
import { decide, decideByGrants } from "./decide.ts";
import type { PolicyDocumentKind } from "./policy-document-kind.ts";
import { request, statement, type RawPolicy, type RawRequest, type RawStatement } from "./testing/arbitrary.ts";
import { referenceDecide, type ReferenceRequest } from "./testing/reference.ts";
import type { AuthorizationRequest, CompiledPolicy, Decision } from "./types.ts";

const SEED = 20_240_501;

const compiled = (policy: RawPolicy, kind: PolicyDocumentKind): CompiledPolicy =>
  compilePolicy(JSON.stringify(policy), { id: kind, kind, lengthMax: 100_000 });

function authorizationRequest(raw: RawRequest): AuthorizationRequest {
  return {
    ...raw,
    principal: { ...raw.principal, userId: "AIDA" },
    identityPolicies: raw.identityPolicies.map((policy) => compiled(policy, "identity")),
    boundary: raw.boundary === null ? null : compiled(raw.boundary, "boundary"),
    sessionPolicies: raw.sessionPolicies?.map((policy) => compiled(policy, "session")) ?? null,
    serviceControlPolicies: raw.serviceControlPolicies.map((level) =>
      level.map((policy) => compiled(policy, "service control")),
    ),
    resourcePolicy: raw.resourcePolicy === null ? null : compiled(raw.resourcePolicy, "resource"),
    context: new Map(Object.entries(raw.context)),
  };
}

function referenceRequest(raw: RawRequest): ReferenceRequest {
  return {
    ...raw,
    identityPolicies: raw.identityPolicies.map((policy) => JSON.stringify(policy)),
    boundary: raw.boundary === null ? null : JSON.stringify(raw.boundary),
    sessionPolicies: raw.sessionPolicies?.map((policy) => JSON.stringify(policy)) ?? null,
    serviceControlPolicies: raw.serviceControlPolicies.map((level) => level.map((policy) => JSON.stringify(policy))),
    resourcePolicy: raw.resourcePolicy === null ? null : JSON.stringify(raw.resourcePolicy),
  };
}

/** As the gateway does it: grants are looked for only when policies have denied. */
function decideRaw(raw: RawRequest): Decision {
  const asked = authorizationRequest(raw);
  const byPolicies = decide(asked);
  if (byPolicies.allowed) return byPolicies;
  const grants = raw.grants.map((match, at) => ({ grantId: `grant-${at}`, match }));
  return decideByGrants(asked, byPolicies, grants);
}

describe("the compiled evaluator and a line-by-line reading of the raw policies", () => {
  test("decide alike, for the same reason and by the same kind of policy", () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(request, (raw) => {
        const { allowed, reason, kind } = decideRaw(raw);
        expect({ allowed, reason, kind }).toEqual(referenceDecide(referenceRequest(raw)));
        outcomes.set(`${reason} ${kind}`, (outcomes.get(`${reason} ${kind}`) ?? 0) + 1);
      }),
      { seed: SEED, numRuns: 3000 },
    );
    // The comparison is worth something only while the generator reaches every outcome.
    const reasons = ["explicit", "implicit"].flatMap((reason) =>
      ["identity", "resource", "boundary", "session", "service control"].map((kind) => `${reason} ${kind}`),
    );
    const rare = ["allow identity", "allow resource", "allow grant", ...reasons].filter(
      (outcome) => (outcomes.get(outcome) ?? 0) < 5,
    );
    expect(rare).toEqual([]);
  });
});

/** Adds a statement to one of the policies that the request carries. */
type Place = "identity" | "resource" | "boundary" | "session";

function withStatement(raw: RawRequest, place: Place, added: RawStatement): RawRequest {
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
