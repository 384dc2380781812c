import type { AuthorizationRequest, Decision } from "./types.ts";

/** How AWS's messages call the kinds of policies (IAM User Guide, "Troubleshoot access denied error messages"). */
const POLICY_NAMES: Readonly<Record<Decision["kind"], string>> = {
  identity: "identity-based policy",
  resource: "resource-based policy",
  session: "session policy",
  boundary: "permissions boundary",
  "service control": "service control policy",
  // Never decides against anybody.
  grant: "grant",
};

/**
 * What a denied caller is told, in AWS's words: who, what, on what, and which kind of policy decided. Not which policy: that
 * is for the audit trail (`denialDetails`).
 */
export function denialMessage(request: AuthorizationRequest, decision: Decision): string {
  const { principal, action, resource } = request;
  const name = POLICY_NAMES[decision.kind];
  const reason =
    decision.reason === "explicit"
      ? `with an explicit deny in ${name.startsWith("i") ? "an" : "a"} ${name}`
      : `because no ${name} allows the ${action} action`;
  return `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${reason}`;
}

/** The same for `ServiceError.details` and the audit trail, with the statement that decided. */
export function denialDetails(request: AuthorizationRequest, decision: Decision): Readonly<Record<string, unknown>> {
  return {
    principal: request.principal.arn,
    action: request.action,
    resource: request.resource,
    reason: decision.reason,
    policyKind: decision.kind,
    ...(decision.statement === null ? {} : { statement: decision.statement }),
  };
}
