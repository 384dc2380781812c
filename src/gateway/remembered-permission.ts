import type { PolicySource, PrincipalPolicies } from "../authz/policy-source.ts";
import type { Clock } from "../base/clock.ts";
import type { Expectation, MetadataStore } from "../store/metadata-store.ts";
import type { Call, Principal } from "./contract.ts";

/**
 * How long a yes is repeated without deciding again, even if nothing has changed: bounds by how much a state that time
 * alone changes (a key whose deletion date comes) may be seen late.
 */
export const REPEATED_MS_MAX = 1_000;

/** What a yes was based on: who asked, under which policies, and every record that was read on the way. */
export interface GivenPermission {
  readonly principal: Principal;
  readonly region: string;
  /** The service that asked for its caller. */
  readonly service: string | undefined;
  readonly sourceArn: string | undefined;
  readonly policies: PrincipalPolicies;
  readonly reads: readonly Expectation[];
  /** The store's generation from before the first of the reads; null: the store has none. */
  readonly generation: number | null;
  readonly untilMs: number;
}

export const givenPermission = (
  call: Call,
  policies: PrincipalPolicies,
  reads: readonly Expectation[],
  generation: number | null,
  nowMs: number,
): GivenPermission => ({
  principal: call.principal,
  region: call.region,
  service: call.via?.service,
  sourceArn: call.sourceArn,
  policies,
  reads,
  generation,
  untilMs: nowMs + REPEATED_MS_MAX,
});

/**
 * Would the decision be the same yes for a call that a service makes within `outer`? Reads everything anew that it was
 * based on, so that a policy that was attached, a key that was disabled or a user that was deleted a moment ago is seen.
 * Only the evaluation itself is saved.
 */
export async function isStillGiven(
  given: GivenPermission,
  outer: Call,
  deps: { readonly store: MetadataStore; readonly policies: PolicySource; readonly clock: Clock },
): Promise<boolean> {
  if (!isSameQuestion(given, outer, deps.clock)) return false;
  if (!samePolicies(given.policies, await deps.policies.policiesOf(outer.principal))) return false;
  for (const { key, value } of given.reads) {
    const now = await deps.store.get(key);
    const same = now === value || (now !== null && value !== null && Buffer.compare(now, value) === 0);
    if (!same) return false;
  }
  return true;
}

/** The same without reading: true only when nothing but lines of logs was written to the store since the yes. */
export const isUntouched = (
  given: GivenPermission,
  outer: Call,
  deps: { readonly store: MetadataStore; readonly clock: Clock },
): boolean =>
  given.generation !== null && given.generation === deps.store.generation() && isSameQuestion(given, outer, deps.clock);

const isSameQuestion = (given: GivenPermission, outer: Call, clock: Clock): boolean =>
  given.principal === outer.principal &&
  given.region === outer.region &&
  given.service === outer.service &&
  // Conditions may ask for the whole chain (aws:CalledVia): only a call that comes straight from the caller is the same.
  outer.via === undefined &&
  given.sourceArn === outer.sourceArn &&
  clock.monotonicMs() < given.untilMs;

/** Compiled policies are the same objects as long as their documents are the same. */
function samePolicies(a: PrincipalPolicies, b: PrincipalPolicies): boolean {
  return (
    a === b ||
    (a.boundary === b.boundary &&
      a.sessionPolicies === b.sessionPolicies &&
      a.tags === b.tags &&
      sameList(a.identityPolicies, b.identityPolicies) &&
      a.serviceControlPolicies.length === b.serviceControlPolicies.length &&
      a.serviceControlPolicies.every((level, at) => sameList(level, b.serviceControlPolicies[at] ?? [])))
  );
}

const sameList = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, at) => item === b[at]);
