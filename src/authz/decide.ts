/**
 * The decision, in the order of the IAM User Guide ("Policy evaluation logic"):
 *
 * 1. a Deny that matches, in any policy, decides;
 * 2. every level of service control policies must allow;
 * 3. the resource's policy: in the caller's own account it may grant by itself (see `sameAccount`);
 * 4. otherwise the caller's side must allow: identity policies, within the boundary and the session's policies;
 * 5. across accounts both sides must allow;
 * 6. where none of them allows and none denies, a grant may (`decideByGrants`).
 */
import { charge, evaluationOf, LOOK_STEPS } from "./evaluation.ts";
import type {
  ApplicableGrant,
  AuthorizationRequest,
  CompiledPolicy,
  CompiledStatement,
  Decision,
  Evaluation,
  PolicyKind,
  PrincipalMatch,
} from "./types.ts";

type DecidingStatement = NonNullable<Decision["statement"]>;

interface ResourceGrant {
  readonly match: Exclude<PrincipalMatch, "none">;
  readonly statement: DecidingStatement;
}

/** May the principal do this? Never throws; what no policy speaks of is denied. */
export const decide = (request: AuthorizationRequest): Decision => decideIn(evaluationOf(request));

/** The same, for whoever asks what it cost. */
export function decideIn(evaluation: Evaluation): Decision {
  return (
    explicitDeny(evaluation) ??
    serviceControlDenial(evaluation) ??
    allowedBySides(evaluation, resourceGrant(evaluation.request.resourcePolicy, evaluation))
  );
}

/** Whether a grant could turn this denial: no deny was explicit, and service control policies let it through. */
export const isOpenToGrants = (decision: Decision): boolean =>
  !decision.allowed && decision.reason === "implicit" && decision.kind !== "service control";

/**
 * The decision on a request that policies denied for want of an allow, now that the grants that cover it are known. A grant
 * counts like an allow in the resource's policy that names the caller in the same way, in whichever account the caller is:
 * to the caller itself it stands by itself, to the role of its session it stays within boundary and session policies, to
 * its account it leaves the decision to the caller's own policies.
 */
export function decideByGrants(
  request: AuthorizationRequest,
  denial: Decision,
  grants: readonly ApplicableGrant[],
): Decision {
  if (!isOpenToGrants(denial)) return denial;
  const evaluation = evaluationOf(request);
  for (const { grantId, match } of grants) {
    const limited = match === "exact" ? null : match === "role" ? limitOf(evaluation) : callerSide(evaluation);
    if (limited === null || limited.allowed) {
      return { allowed: true, reason: "allow", kind: "grant", statement: null, grantId };
    }
  }
  return denial;
}

/**
 * Does the policy of a resource by itself keep a door open for the principal: a statement that allows the request to it (or
 * delegates to its account), and none that denies it? What the principal's own policies say is not asked. KMS refuses a key
 * policy for which this is false of its author and kms:PutKeyPolicy (the lock-out safety check).
 */
export function allowsPrincipal(policy: CompiledPolicy, request: AuthorizationRequest): boolean {
  const evaluation = evaluationOf(request);
  return denyIn(policy, evaluation) === null && resourceGrant(policy, evaluation) !== null;
}

function allowedBySides(evaluation: Evaluation, grant: ResourceGrant | null): Decision {
  // Services have no identity policies: what they may do to a resource stands in its policy, wherever they run.
  if (evaluation.request.principal.type === "Service")
    return grant === null ? implicit("resource") : allowedBy("resource", grant.statement);
  if (evaluation.request.principal.accountId === evaluation.request.resourceAccountId)
    return sameAccount(evaluation, grant);
  return grant === null ? implicit("resource") : callerSide(evaluation);
}

/**
 * A grant to the very user, role session or federated user, or to everyone, stands by itself: the absence of an allow in
 * identity policies, boundary and session policies does not limit it. A grant to a role needs no identity policy, but stays
 * within the boundary and the session's policies. A grant to the account only delegates: it lets the caller's side decide.
 * Where the resource's policy is required (KMS keys, trust policies), the caller's side counts only after such a grant;
 * this holds for root, too.
 */
function sameAccount(evaluation: Evaluation, grant: ResourceGrant | null): Decision {
  switch (grant?.match) {
    case "exact":
    case "everyone":
      return allowedBy("resource", grant.statement);
    case "role":
      return limitOf(evaluation) ?? allowedBy("resource", grant.statement);
    case "account":
      return callerSide(evaluation);
    default:
      return evaluation.request.resourcePolicyMode === "required" ? implicit("resource") : callerSide(evaluation);
  }
}

/** Root may do everything that its own account can decide; anybody else needs an identity policy that allows it. */
function callerSide(evaluation: Evaluation): Decision {
  if (evaluation.request.principal.type === "Root") return limitOf(evaluation) ?? allowedBy("identity", null);
  const allow = allowAmong(evaluation.request.identityPolicies, evaluation);
  if (allow === null) return implicit("identity");
  return limitOf(evaluation) ?? allowedBy("identity", allow);
}

/** What the boundary and the session's policies do not let through. A boundary does not limit root. */
function limitOf(evaluation: Evaluation): Decision | null {
  const { boundary, sessionPolicies } = evaluation.request;
  if (boundary !== null && evaluation.request.principal.type !== "Root" && allowIn(boundary, evaluation) === null)
    return implicit("boundary");
  if (sessionPolicies !== null && allowAmong(sessionPolicies, evaluation) === null) return implicit("session");
  return null;
}

function explicitDeny(evaluation: Evaluation): Decision | null {
  for (const level of evaluation.request.serviceControlPolicies) {
    const statement = denyAmong(level, evaluation);
    if (statement !== null) return denied("service control", statement);
  }
  const byResource =
    evaluation.request.resourcePolicy === null ? null : denyIn(evaluation.request.resourcePolicy, evaluation);
  if (byResource !== null) return denied("resource", byResource);
  const byIdentity = denyAmong(evaluation.request.identityPolicies, evaluation);
  if (byIdentity !== null) return denied("identity", byIdentity);
  const byBoundary = evaluation.request.boundary === null ? null : denyIn(evaluation.request.boundary, evaluation);
  if (byBoundary !== null) return denied("boundary", byBoundary);
  const bySession =
    evaluation.request.sessionPolicies === null ? null : denyAmong(evaluation.request.sessionPolicies, evaluation);
  return bySession === null ? null : denied("session", bySession);
}

function serviceControlDenial(evaluation: Evaluation): Decision | null {
  for (const level of evaluation.request.serviceControlPolicies) {
    if (allowAmong(level, evaluation) === null) return implicit("service control");
  }
  return null;
}

/** From weakest to strongest: what a grant by this kind of match is subject to shrinks along the list. */
const STRENGTH: Readonly<Record<PrincipalMatch, number>> = { none: 0, account: 1, role: 2, everyone: 3, exact: 4 };

/** The strongest grant that the resource's policy gives the caller for this evaluation.request. */
function resourceGrant(policy: CompiledPolicy | null, evaluation: Evaluation): ResourceGrant | null {
  if (policy === null) return null;
  let strongest: CompiledStatement | null = null;
  let match: PrincipalMatch = "none";
  for (const statement of policy.statements) {
    charge(evaluation, LOOK_STEPS);
    if (statement.effect !== "Allow") continue;
    const candidate = statement.matchesPrincipal(evaluation.request);
    if (STRENGTH[candidate] <= STRENGTH[match] || !statement.matches(evaluation)) continue;
    strongest = statement;
    match = candidate;
  }
  return strongest === null || match === "none" ? null : { match, statement: named(policy, strongest) };
}

const allowIn = (policy: CompiledPolicy, evaluation: Evaluation): DecidingStatement | null =>
  firstMatch(policy, "Allow", evaluation);
const denyIn = (policy: CompiledPolicy, evaluation: Evaluation): DecidingStatement | null =>
  firstMatch(policy, "Deny", evaluation);

function allowAmong(policies: readonly CompiledPolicy[], evaluation: Evaluation): DecidingStatement | null {
  for (const policy of policies) {
    const statement = allowIn(policy, evaluation);
    if (statement !== null) return statement;
  }
  return null;
}

function denyAmong(policies: readonly CompiledPolicy[], evaluation: Evaluation): DecidingStatement | null {
  for (const policy of policies) {
    const statement = denyIn(policy, evaluation);
    if (statement !== null) return statement;
  }
  return null;
}

function firstMatch(
  policy: CompiledPolicy,
  effect: "Allow" | "Deny",
  evaluation: Evaluation,
): DecidingStatement | null {
  for (const statement of policy.statements) {
    charge(evaluation, LOOK_STEPS);
    if (statement.effect !== effect) continue;
    if (statement.matchesPrincipal(evaluation.request) !== "none" && statement.matches(evaluation))
      return named(policy, statement);
  }
  return null;
}

const named = (policy: CompiledPolicy, statement: CompiledStatement): DecidingStatement => ({
  policyId: policy.id,
  sid: statement.sid,
  index: statement.index,
});

const allowedBy = (kind: PolicyKind, statement: DecidingStatement | null): Decision => ({
  allowed: true,
  reason: "allow",
  kind,
  statement,
});
const implicit = (kind: PolicyKind): Decision => ({ allowed: false, reason: "implicit", kind, statement: null });
const denied = (kind: PolicyKind, statement: DecidingStatement): Decision => ({
  allowed: false,
  reason: "explicit",
  kind,
  statement,
});
