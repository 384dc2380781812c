/** What a decision would be and why, for IAM's policy simulator: all statements are asked, not only those that decide first. */
import { decideIn } from "./decide.ts";
import { charge, evaluationOf, LOOK_STEPS, STEPS_MAX } from "./evaluation.ts";
import type { AuthorizationRequest, CompiledPolicy, Decision, Evaluation } from "./types.ts";

export interface MatchedStatement {
  readonly policy: CompiledPolicy;
  readonly index: number;
}

export interface Simulation {
  readonly decision: Decision;
  /**
   * For an explicit denial the Deny statements that match, for an allowed request the Allow statements of identity and
   * resource policies: the first MATCHED_COUNT_MAX of them.
   */
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
}

export type Verdict = "allowed" | "explicitDeny" | "implicitDeny";

/** Far more than policies have that people write; documents made for it would match by the thousands. */
export const MATCHED_COUNT_MAX = 200;

/**
 * Several questions, each with the whole work of one decision, so that what is shown is what would be decided. `spend` is told
 * what each cost, by evaluation.ts, and may let others go first before the next.
 */
export async function simulate(
  request: AuthorizationRequest,
  spend: (steps: number) => Promise<void>,
): Promise<Simulation> {
  const missing = new Set<string>();
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
  const asking = async <T>(about: AuthorizationRequest, ask: (evaluation: Evaluation) => T): Promise<T> => {
    const evaluation = evaluationOf(about);
    const answer = ask(evaluation);
    await spend(STEPS_MAX - evaluation.stepsLeft);
    return answer;
  };
  const matching = (policies: readonly CompiledPolicy[], effect: "Allow" | "Deny") =>
    asking(noting, (evaluation) => matchingIn(policies, effect, evaluation));
  const verdict = async (policies: readonly CompiledPolicy[]): Promise<Verdict> => {
    if ((await matching(policies, "Deny")).length > 0) return "explicitDeny";
    return (await matching(policies, "Allow")).length > 0 ? "allowed" : "implicitDeny";
  };
  const allAllow = async (levels: AuthorizationRequest["serviceControlPolicies"]): Promise<boolean> => {
    for (const level of levels) if ((await verdict(level)) !== "allowed") return false;
    return true;
  };

  const { identityPolicies, resourcePolicy, boundary, sessionPolicies, serviceControlPolicies: levels } = request;
  const ofResource = resourcePolicy === null ? [] : [resourcePolicy];
  const sides = [...identityPolicies, ...ofResource];
  const all = [...levels.flat(), ...sides, ...(boundary === null ? [] : [boundary]), ...(sessionPolicies ?? [])];
  const decision = await asking(request, decideIn);
  const matchedOf = async (): Promise<readonly MatchedStatement[]> => {
    if (decision.allowed) return await matching(sides, "Allow");
    return decision.reason === "explicit" ? await matching(all, "Deny") : [];
  };
  return {
    decision,
    matched: await matchedOf(),
    identity: await verdict(identityPolicies),
    resource: await verdict(ofResource),
    allowedByBoundary: boundary === null ? null : (await verdict([boundary])) === "allowed",
    allowedByServiceControls: levels.length === 0 ? null : await allAllow(levels),
    missingKeys: [...missing],
  };
}

/** All statements are asked, for the keys that they miss; the first of those that match are kept. */
function matchingIn(
  policies: readonly CompiledPolicy[],
  effect: "Allow" | "Deny",
  evaluation: Evaluation,
): readonly MatchedStatement[] {
  const matched: MatchedStatement[] = [];
  for (const policy of policies) {
    for (const statement of policy.statements) {
      charge(evaluation, LOOK_STEPS);
      if (statement.effect !== effect || statement.matchesPrincipal(evaluation.request) === "none") continue;
      if (!statement.matches(evaluation) || matched.length === MATCHED_COUNT_MAX) continue;
      matched.push({ policy, index: statement.index });
    }
  }
  return matched;
}
