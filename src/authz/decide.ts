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
import type {
  ApplicableGrant,
  AuthorizationRequest,
  CompiledPolicy,
  CompiledStatement,
  Decision,
  PolicyKind,
  PrincipalMatch,
} from "./types.ts";

type DecidingStatement = NonNullable<Decision["statement"]>;

interface ResourceGrant {
  readonly match: Exclude<PrincipalMatch, "none">;
  readonly statement: DecidingStatement;
}

/** May the principal do this? Never throws; what no policy speaks of is denied. */
export function decide(request: AuthorizationRequest): Decision {
  return (
    explicitDeny(request) ??
    serviceControlDenial(request) ??
    allowedBySides(request, resourceGrant(request.resourcePolicy, request))
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
  for (const { grantId, match } of grants) {
    const limited = match === "exact" ? null : match === "role" ? limitOf(request) : callerSide(request);
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
  return denyIn(policy, request) === null && resourceGrant(policy, request) !== null;
}

function allowedBySides(request: AuthorizationRequest, grant: ResourceGrant | null): Decision {
  // Services have no identity policies: what they may do to a resource stands in its policy, wherever they run.
  if (request.principal.type === "Service")
    return grant === null ? implicit("resource") : allowedBy("resource", grant.statement);
  if (request.principal.accountId === request.resourceAccountId) return sameAccount(request, grant);
  return grant === null ? implicit("resource") : callerSide(request);
}

/**
 * A grant to the very user, role session or federated user, or to everyone, stands by itself: the absence of an allow in
 * identity policies, boundary and session policies does not limit it. A grant to a role needs no identity policy, but stays
 * within the boundary and the session's policies. A grant to the account only delegates: it lets the caller's side decide.
 * Where the resource's policy is required (KMS keys, trust policies), the caller's side counts only after such a grant;
 * this holds for root, too.
 */
function sameAccount(request: AuthorizationRequest, grant: ResourceGrant | null): Decision {
  switch (grant?.match) {
    case "exact":
    case "everyone":
      return allowedBy("resource", grant.statement);
    case "role":
      return limitOf(request) ?? allowedBy("resource", grant.statement);
    case "account":
      return callerSide(request);
    default:
      return request.resourcePolicyMode === "required" ? implicit("resource") : callerSide(request);
  }
}

/** Root may do everything that its own account can decide; anybody else needs an identity policy that allows it. */
function callerSide(request: AuthorizationRequest): Decision {
  if (request.principal.type === "Root") return limitOf(request) ?? allowedBy("identity", null);
  const allow = allowAmong(request.identityPolicies, request);
  if (allow === null) return implicit("identity");
  return limitOf(request) ?? allowedBy("identity", allow);
}

/** What the boundary and the session's policies do not let through. A boundary does not limit root. */
function limitOf(request: AuthorizationRequest): Decision | null {
  const { boundary, sessionPolicies } = request;
  if (boundary !== null && request.principal.type !== "Root" && allowIn(boundary, request) === null)
    return implicit("boundary");
  if (sessionPolicies !== null && allowAmong(sessionPolicies, request) === null) return implicit("session");
  return null;
}

function explicitDeny(request: AuthorizationRequest): Decision | null {
  for (const level of request.serviceControlPolicies) {
    const statement = denyAmong(level, request);
    if (statement !== null) return denied("service control", statement);
  }
  const byResource = request.resourcePolicy === null ? null : denyIn(request.resourcePolicy, request);
  if (byResource !== null) return denied("resource", byResource);
  const byIdentity = denyAmong(request.identityPolicies, request);
  if (byIdentity !== null) return denied("identity", byIdentity);
  const byBoundary = request.boundary === null ? null : denyIn(request.boundary, request);
  if (byBoundary !== null) return denied("boundary", byBoundary);
  const bySession = request.sessionPolicies === null ? null : denyAmong(request.sessionPolicies, request);
  return bySession === null ? null : denied("session", bySession);
}

function serviceControlDenial(request: AuthorizationRequest): Decision | null {
  for (const level of request.serviceControlPolicies) {
    if (allowAmong(level, request) === null) return implicit("service control");
  }
  return null;
}

/** From weakest to strongest: what a grant by this kind of match is subject to shrinks along the list. */
const STRENGTH: Readonly<Record<PrincipalMatch, number>> = { none: 0, account: 1, role: 2, everyone: 3, exact: 4 };

/** The strongest grant that the resource's policy gives the caller for this request. */
function resourceGrant(policy: CompiledPolicy | null, request: AuthorizationRequest): ResourceGrant | null {
  if (policy === null) return null;
  let strongest: CompiledStatement | null = null;
  let match: PrincipalMatch = "none";
  for (const statement of policy.statements) {
    if (statement.effect !== "Allow") continue;
    const candidate = statement.matchesPrincipal(request);
    if (STRENGTH[candidate] <= STRENGTH[match] || !statement.matches(request)) continue;
    strongest = statement;
    match = candidate;
  }
  return strongest === null || match === "none" ? null : { match, statement: named(policy, strongest) };
}

const allowIn = (policy: CompiledPolicy, request: AuthorizationRequest): DecidingStatement | null =>
  firstMatch(policy, "Allow", request);
const denyIn = (policy: CompiledPolicy, request: AuthorizationRequest): DecidingStatement | null =>
  firstMatch(policy, "Deny", request);

function allowAmong(policies: readonly CompiledPolicy[], request: AuthorizationRequest): DecidingStatement | null {
  for (const policy of policies) {
    const statement = allowIn(policy, request);
    if (statement !== null) return statement;
  }
  return null;
}

function denyAmong(policies: readonly CompiledPolicy[], request: AuthorizationRequest): DecidingStatement | null {
  for (const policy of policies) {
    const statement = denyIn(policy, request);
    if (statement !== null) return statement;
  }
  return null;
}

function firstMatch(
  policy: CompiledPolicy,
  effect: "Allow" | "Deny",
  request: AuthorizationRequest,
): DecidingStatement | null {
  for (const statement of policy.statements) {
    if (statement.effect !== effect) continue;
    if (statement.matchesPrincipal(request) !== "none" && statement.matches(request)) return named(policy, statement);
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
