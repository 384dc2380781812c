import { lazyContext } from "../authz/context.ts";
import { decide } from "../authz/decide.ts";
import { denialMessage } from "../authz/denial.ts";
import type { PrincipalPolicies } from "../authz/policy-source.ts";
import type { AuthorizationRequest } from "../authz/types.ts";
import { ServiceError } from "../base/errors.ts";
import type { AccessCheck, Call, Service } from "./contract.ts";

/** Throws the service's denial unless every policy that has a say allows the check. */
export function requireAccess(call: Call, service: Service, check: AccessCheck, policies: PrincipalPolicies): void {
  const request = authorizationRequest(call, check, policies);
  const decision = decide(request);
  if (decision.allowed) return;
  const query = service.model.protocol === "awsQuery";
  throw new ServiceError(
    service.accessDeniedCode ?? (query ? "AccessDenied" : "AccessDeniedException"),
    denialMessage(request, decision),
    { status: query ? 403 : 400 },
  );
}

function authorizationRequest(call: Call, check: AccessCheck, policies: PrincipalPolicies): AuthorizationRequest {
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
    context: lazyContext(call, {
      principalTags: policies.tags,
      resourceAccountId: check.resourceAccountId,
      own: () => check.context ?? {},
    }),
  };
}
