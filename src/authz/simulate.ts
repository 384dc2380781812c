/** What a decision would be and why, for IAM's policy simulator: all statements are asked, not only those that decide first. */
import { decide } from "./decide.ts";
import { evaluationOf, STEPS_MAX } from "./evaluation.ts";
import type { AuthorizationRequest, CompiledPolicy, CompiledStatement, Decision, Evaluation } from "./types.ts";

export interface MatchedStatement {
  readonly policy: CompiledPolicy;
  readonly index: number;
}

export interface Simulation {
  readonly decision: Decision;
  /** For an explicit denial every Deny that matches, for an allowed request every Allow of identity and resource policies. */
  readonly matched: readonly MatchedStatement[];
  /** Does each side by itself deny, allow, or say nothing? */
  readonly identity: Verdict;
  readonly resource: Verdict;
  /** Null: no boundary is set. */
  readonly allowedByBoundary: boolean | null;
  /** Null: no service control policy is in force. */
  readonly allowedByServiceControls: boolean | null;
  /** Condition keys in lower case that the policies asked for and the request does not have. */
  readonly missingKeys: readonly string[];
  /** What it cost, by evaluation.ts. */
  readonly steps: number;
}

export type Verdict = "allowed" | "explicitDeny" | "implicitDeny";

export function simulate(request: AuthorizationRequest): Simulation {
  const missing = new Set<string>();
  let steps = 0;
  const noting: AuthorizationRequest = {
    ...request,
    context: {
      get(name) {
        const value = request.context.get(name);
        if (value === undefined) missing.add(name);
        return value;
      },
    },
  };
  // Each question has the whole of one decision's work, so that what is shown is what would be decided.
  const asking = <T>(ask: (evaluation: Evaluation) => T): T => {
    const evaluation = evaluationOf(noting);
    const answer = ask(evaluation);
    steps += STEPS_MAX - evaluation.stepsLeft;
    return answer;
  };
  const matching = (policies: readonly CompiledPolicy[], effect: "Allow" | "Deny"): readonly MatchedStatement[] =>
    asking((evaluation) => policies.flatMap((policy) => matchingIn(policy, effect, evaluation)));
  const verdict = (policies: readonly CompiledPolicy[]): Verdict =>
    matching(policies, "Deny").length > 0
      ? "explicitDeny"
      : matching(policies, "Allow").length > 0
        ? "allowed"
        : "implicitDeny";

  const { identityPolicies, resourcePolicy, boundary, sessionPolicies, serviceControlPolicies: levels } = request;
  const ofResource = resourcePolicy === null ? [] : [resourcePolicy];
  const sides = [...identityPolicies, ...ofResource];
  const all = [...levels.flat(), ...sides, ...(boundary === null ? [] : [boundary]), ...(sessionPolicies ?? [])];
  const decision = decide(request);
  const simulation = {
    decision,
    matched: decision.allowed ? matching(sides, "Allow") : decision.reason === "explicit" ? matching(all, "Deny") : [],
    identity: verdict(identityPolicies),
    resource: verdict(ofResource),
    allowedByBoundary: boundary === null ? null : verdict([boundary]) === "allowed",
    allowedByServiceControls: levels.length === 0 ? null : levels.every((level) => verdict(level) === "allowed"),
  };
  return { ...simulation, missingKeys: [...missing], steps };
}

function matchingIn(
  policy: CompiledPolicy,
  effect: "Allow" | "Deny",
  evaluation: Evaluation,
): readonly MatchedStatement[] {
  const matches = (statement: CompiledStatement): boolean =>
    statement.effect === effect &&
    statement.matchesPrincipal(evaluation.request) !== "none" &&
    statement.matches(evaluation);
  return policy.statements.filter(matches).map(({ index }) => ({ policy, index }));
}
