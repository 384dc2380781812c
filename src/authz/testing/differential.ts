/** Holds the evaluator and the reference together, and cuts a case in which they differ down to what makes them. For tests only. */
import { compilePolicy } from "../compile.ts";
import { decide, decideByGrants } from "../decide.ts";
import type { PolicyDocumentKind } from "../policy-document-kind.ts";
import type { AuthorizationRequest, CompiledPolicy, Decision } from "../types.ts";
import type { RawPolicy, RawRequest, RawStatement } from "./arbitrary.ts";
import { Dice } from "./dice.ts";
import { type NearMiss, nearMiss } from "./near-misses.ts";
import { referenceDecide, type ReferenceDecision, type ReferenceRequest } from "./reference.ts";

export type RawCase = RawRequest & { readonly resourceKind?: NearMiss["resourceKind"] };

const compiled = (policy: RawPolicy, kind: PolicyDocumentKind): CompiledPolicy =>
  compilePolicy(JSON.stringify(policy), { id: kind, kind, lengthMax: 100_000 });

function authorizationRequest(raw: RawCase): AuthorizationRequest {
  return {
    ...raw,
    principal: { ...raw.principal, userId: "AIDA" },
    identityPolicies: raw.identityPolicies.map((policy) => compiled(policy, "identity")),
    boundary: raw.boundary === null ? null : compiled(raw.boundary, "boundary"),
    sessionPolicies: raw.sessionPolicies?.map((policy) => compiled(policy, "session")) ?? null,
    serviceControlPolicies: raw.serviceControlPolicies.map((level) =>
      level.map((policy) => compiled(policy, "service control")),
    ),
    resourcePolicy: raw.resourcePolicy === null ? null : compiled(raw.resourcePolicy, raw.resourceKind ?? "resource"),
    context: new Map(Object.entries(raw.context)),
  };
}

function referenceRequest(raw: RawCase): ReferenceRequest {
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
export function decideRaw(raw: RawCase): Decision {
  const asked = authorizationRequest(raw);
  const byPolicies = decide(asked);
  if (byPolicies.allowed) return byPolicies;
  const grants = raw.grants.map((match, at) => ({ grantId: `grant-${at}`, match }));
  return decideByGrants(asked, byPolicies, grants);
}

export interface Disagreement {
  readonly evaluator: ReferenceDecision;
  readonly reference: ReferenceDecision;
}

/** Null: they decide alike, for the same reason and by the same kind of policy. */
export function disagreement(raw: RawCase): Disagreement | null {
  const { allowed, reason, kind } = decideRaw(raw);
  const evaluator = { allowed, reason, kind };
  const reference = referenceDecide(referenceRequest(raw));
  return reference.reason === reason && reference.kind === kind && reference.allowed === allowed
    ? null
    : { evaluator, reference };
}

/**
 * Compares `count` cases from a seed. Answers how often each outcome came: a comparison is worth something only while all do.
 * Throws at the first case in which the two differ, with that case made as small as it gets.
 */
export function compareMany(seed: number, count: number): ReadonlyMap<string, number> {
  const dice = new Dice(seed);
  const outcomes = new Map<string, number>();
  for (let at = 0; at < count; at++) {
    const raw = nearMiss(dice);
    if (disagreement(raw) !== null) {
      const small = minimal(raw, (smaller) => disagreement(smaller) !== null);
      throw new Error(
        `seed ${seed}, case ${at}: ${JSON.stringify(disagreement(small))}\n${JSON.stringify(small, null, 1)}`,
      );
    }
    const { reason, kind } = decideRaw(raw);
    outcomes.set(`${reason} ${kind}`, (outcomes.get(`${reason} ${kind}`) ?? 0) + 1);
  }
  return outcomes;
}

/** The share of outcomes whose name begins so. */
export function shareOf(outcomes: ReadonlyMap<string, number>, beginning: string): number {
  let [all, found] = [0, 0];
  for (const [name, count] of outcomes) {
    all += count;
    if (name.startsWith(beginning)) found += count;
  }
  return found / all;
}

/** Takes parts away as long as what is left is still such a case. A policy that is not valid any more is none. */
export function minimal(raw: RawCase, isStill: (raw: RawCase) => boolean): RawCase {
  const holds = (smaller: RawCase): boolean => {
    try {
      return isStill(smaller);
    } catch {
      return false;
    }
  };
  let current = raw;
  for (;;) {
    const smaller = smallerCases(current).find(holds);
    if (smaller === undefined) return current;
    current = smaller;
  }
}

const without = <T>(list: readonly T[]): readonly (readonly T[])[] => list.map((_, at) => list.toSpliced(at, 1));

/** The list with one of its items made smaller. */
const withSmaller = <T>(list: readonly T[], smaller: (item: T) => readonly T[]): readonly (readonly T[])[] =>
  list.flatMap((item, at) => smaller(item).map((less) => list.with(at, less)));

function smallerCases(raw: RawCase): readonly RawCase[] {
  const { identityPolicies, boundary, sessionPolicies, serviceControlPolicies, resourcePolicy, context, grants } = raw;
  const smallerList = (list: readonly RawPolicy[]): readonly (readonly RawPolicy[])[] => [
    ...without(list),
    ...withSmaller(list, smallerPolicies),
  ];
  return [
    ...(boundary === null ? [] : [null, ...smallerPolicies(boundary)].map((less) => ({ ...raw, boundary: less }))),
    ...(resourcePolicy === null
      ? []
      : [null, ...smallerPolicies(resourcePolicy)].map((less) => ({ ...raw, resourcePolicy: less }))),
    ...(sessionPolicies === null
      ? []
      : [null, ...smallerList(sessionPolicies)].map((less) => ({ ...raw, sessionPolicies: less }))),
    ...smallerList(identityPolicies).map((less) => ({ ...raw, identityPolicies: less })),
    ...[...without(serviceControlPolicies), ...withSmaller(serviceControlPolicies, smallerList)].map((less) => ({
      ...raw,
      serviceControlPolicies: less,
    })),
    ...without(grants).map((less) => ({ ...raw, grants: less })),
    ...withoutEachKey(context).map((less) => ({ ...raw, context: less })),
  ];
}

const smallerPolicies = (policy: RawPolicy): readonly RawPolicy[] =>
  [...without(policy.Statement), ...withSmaller(policy.Statement, smallerStatements)].map((Statement) => ({
    ...policy,
    Statement,
  }));

/** Without its conditions, or with shorter lists. */
function smallerStatements(raw: RawStatement): readonly RawStatement[] {
  const condition = raw["Condition"] as Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  const { Condition: _, ...unconditional } = raw;
  return [
    ...(condition === undefined ? [] : [unconditional]),
    ...withoutEachKey(condition ?? {}).map((Condition) => ({ ...raw, Condition })),
    ...Object.entries(condition ?? {}).flatMap(([operator, keys]) =>
      shorterLists(keys).map((less) => ({ ...raw, Condition: { ...condition, [operator]: less } })),
    ),
    ...shorterLists(raw),
  ];
}

const shorterLists = <T extends Readonly<Record<string, unknown>>>(object: T): readonly T[] =>
  Object.entries(object).flatMap(([name, value]) =>
    Array.isArray(value) && value.length > 1 ? without(value).map((less) => ({ ...object, [name]: less })) : [],
  );

const withoutEachKey = <T>(object: Readonly<Record<string, T>>): readonly Readonly<Record<string, T>>[] =>
  Object.keys(object).map((name) => Object.fromEntries(Object.entries(object).filter(([other]) => other !== name)));
