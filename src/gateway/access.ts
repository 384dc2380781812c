import { lazyContext } from "../authz/context.ts";
import { decide, decideByGrants, isOpenToGrants } from "../authz/decide.ts";
import { denialMessage } from "../authz/denial.ts";
import type { PrincipalPolicies } from "../authz/policy-source.ts";
import type { AuthorizationRequest, Decision } from "../authz/types.ts";
import { ServiceError } from "../base/errors.ts";
import type { AccessCheck, Call, Service } from "./contract.ts";

/**
 * Throws the service's denial unless every policy that has a say, or a grant, allows the check. Answers whether the same principal would
 * be allowed the same again as long as no record changes: not when a policy asked for the time, or for where the request
 * came from. Answers at once but where grants are looked for, because nearly every request is allowed by a policy.
 */
export function requireAccess(
  call: Call,
  service: Service,
  check: AccessCheck,
  policies: PrincipalPolicies,
): boolean | Promise<boolean> {
  let repeatable = true;
  const request = authorizationRequest(call, check, policies, (name) => {
    if (name.startsWith("aws:") && !isFixed(name)) repeatable = false;
  });
  const decision = decide(request);
  if (decision.allowed) return repeatable;
  if (check.grants === undefined || !isOpenToGrants(decision)) throw denied(service, request, decision);
  return check.grants().then((grants) => {
    const byGrants = decideByGrants(request, decision, grants);
    if (byGrants.allowed) return repeatable;
    throw denied(service, request, byGrants);
  });
}

function denied(service: Service, request: AuthorizationRequest, decision: Decision): ServiceError {
  const query = service.model.protocol === "awsQuery";
  return new ServiceError(
    service.accessDeniedCode ?? (query ? "AccessDenied" : "AccessDeniedException"),
    denialMessage(request, decision),
    { status: query ? 403 : 400 },
  );
}

/** Global condition keys that are the same in all requests of one principal, from one service, for one resource. */
const FIXED_KEYS: ReadonlySet<string> = new Set([
  "aws:principalarn",
  "aws:principalaccount",
  "aws:principaltype",
  "aws:principalisawsservice",
  "aws:userid",
  "aws:username",
  "aws:requestedregion",
  "aws:resourceaccount",
  "aws:viaawsservice",
  "aws:calledvia",
  "aws:calledviafirst",
  "aws:calledvialast",
  "aws:sourcearn",
  "aws:sourceaccount",
]);

const isFixed = (name: string): boolean =>
  FIXED_KEYS.has(name) || name.startsWith("aws:principaltag/") || name.startsWith("aws:resourcetag/");

function authorizationRequest(
  call: Call,
  check: AccessCheck,
  policies: PrincipalPolicies,
  onAsked: (name: string) => void,
): AuthorizationRequest {
  const { principal } = call;
  return {
    principal: {
      type: principal.type,
      arn: principal.arn,
      accountId: principal.accountId,
      userId: principal.userId,
      ...(principal.session === undefined ? {} : { roleArn: principal.session.issuerArn }),
    },
    action: check.action,
    resource: check.resource,
    resourceAccountId: check.resourceAccountId,
    identityPolicies: policies.identityPolicies,
    boundary: policies.boundary,
    sessionPolicies: policies.sessionPolicies,
    serviceControlPolicies: policies.serviceControlPolicies,
    resourcePolicy: check.resourcePolicy ?? null,
    resourcePolicyMode: check.resourcePolicyMode ?? "optional",
    context: lazyContext(check.region === undefined ? call : { ...call, region: check.region }, {
      principalTags: policies.tags,
      resourceAccountId: check.resourceAccountId,
      own: () => check.context ?? {},
      onAsked,
    }),
  };
}
