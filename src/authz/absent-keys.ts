/** Which conditions on keys that the request did not have decided against it: for whoever asks why a call was denied. */
import { policiesByKind } from "./denial.ts";
import { evaluationOf } from "./evaluation.ts";
import type {
  AuthorizationRequest,
  CompiledPolicy,
  CompiledStatement,
  Decision,
  Evaluation,
  PolicyKind,
} from "./types.ts";

/** A statement that decided by a key that was not there. */
export interface AbsenceStop {
  readonly kind: PolicyKind;
  readonly policyId: string;
  readonly sid: string | null;
  readonly index: number;
  /** In lower case. */
  readonly keys: readonly string[];
}

/** The statements are asked once more, for an explanation only: that may cost a tenth of a decision. */
const STEPS = 200_000;
const STOP_COUNT_MAX = 5;

/**
 * For a missing allow: the Allow statements that would have matched but for a condition on a key that is not in the request.
 * For a deny: the statement, if it asked for such keys.
 */
export function stoppedByAbsence(request: AuthorizationRequest, decision: Decision): readonly AbsenceStop[] {
  const { reason, statement: decided, kind: decisive } = decision;
  const evaluation = { ...evaluationOf(request), stepsLeft: STEPS };
  const found: AbsenceStop[] = [];
  for (const [kind, policy] of policiesOf(request, decisive, reason)) {
    for (const statement of policy.statements) {
      if (found.length === STOP_COUNT_MAX || evaluation.stepsLeft < 0) return found;
      const { sid, index, effect } = statement;
      if (effect !== (reason === "explicit" ? "Deny" : "Allow")) continue;
      if (reason === "explicit" && (policy.id !== decided?.policyId || index !== decided.index)) continue;
      const keys = decisiveAbsences(statement, evaluation);
      if (keys.length > 0) found.push({ kind, policyId: policy.id, sid, index, keys });
    }
  }
  return found;
}

/** Those that could have decided otherwise. */
function policiesOf(
  request: AuthorizationRequest,
  decisive: Decision["kind"],
  reason: Decision["reason"],
): readonly (readonly [PolicyKind, CompiledPolicy])[] {
  return policiesByKind(request).flatMap(([kind, policies]) => {
    // A missing allow is put down to the identity policies, where the resource's could have allowed as well.
    const counts = kind === decisive || (kind === "resource" && decisive === "identity" && reason === "implicit");
    return counts ? policies.map((policy) => [kind, policy] as const) : [];
  });
}

function decisiveAbsences(statement: CompiledStatement, evaluation: Evaluation): readonly string[] {
  const { request } = evaluation;
  if (statement.matchesPrincipal(request) === "none") return [];
  const absent = new Set<string>();
  let last: string | null = null;
  const get = (name: string): ReturnType<Evaluation["context"]["get"]> => {
    const value = request.context.get(name);
    const isAbsent = value === undefined || (Array.isArray(value) && value.length === 0);
    if (isAbsent) absent.add(name);
    last = isAbsent ? name : null;
    return value;
  };
  const probe = { ...evaluation, context: { get } };
  const matched = statement.matches(probe);
  evaluation.stepsLeft = probe.stepsLeft;
  // A statement asks for one thing after the other and stops at what does not hold: the last key is the one that it failed by.
  if (statement.effect === "Allow") return matched || last === null ? [] : [last];
  return matched ? [...absent] : [];
}
