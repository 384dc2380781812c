import type { AuthorizationRequest, CompiledPolicy, Decision, PolicyKind, StopReason } from "./types.ts";

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

/** The policies that have a say, by kind, in the order in which they are looked at; kinds that do not limit the caller are missing. */
export function policiesByKind(
  request: AuthorizationRequest,
): readonly (readonly [PolicyKind, readonly CompiledPolicy[]])[] {
  const { identityPolicies, boundary, sessionPolicies, serviceControlPolicies, resourcePolicy } = request;
  return [
    ...(serviceControlPolicies.length === 0 ? [] : [["service control", serviceControlPolicies.flat()] as const]),
    ...(resourcePolicy === null ? [] : [["resource", [resourcePolicy]] as const]),
    ["identity", identityPolicies],
    ...(boundary === null ? [] : [["boundary", [boundary]] as const]),
    ...(sessionPolicies === null ? [] : [["session", sessionPolicies] as const]),
  ];
}

/** Set when the deny is one that nobody wrote: it stands for what is missing. */
export function stopOf(request: AuthorizationRequest, { kind, statement }: Decision): StopReason | null {
  if (statement === null) return null;
  const policies = policiesByKind(request).find(([of]) => of === kind)?.[1] ?? [];
  return policies.find(({ id }) => id === statement.policyId)?.stop ?? null;
}

const ROLE = /^arn:[^:]*:iam:[^:]*:[^:]*:role\//;

/**
 * A role could not be assumed because of its trust policy or, where that leaves it to the caller's account, for want of an
 * allow there: the second is not told apart from the first, because it would tell that there is such a role.
 */
const isTrust = ({ action, resource }: AuthorizationRequest, { kind, reason }: Decision): boolean =>
  action.toLowerCase().startsWith("sts:") &&
  ROLE.test(resource) &&
  (kind === "resource" || (reason === "implicit" && kind !== "service control"));

/**
 * What a denied caller is told, in AWS's words: who, what, on what, and which kind of policy decided. Not which policy: that
 * is for those who may ask why (gateway/denials.ts). `shownResource`: the resource in the request's own words, where its ARN says more.
 */
export function denialMessage(
  request: AuthorizationRequest,
  decision: Decision,
  shownResource: string = request.resource,
): string {
  const { principal, action } = request;
  // Has no name that means anything here.
  if (principal.type === "WebIdentity") return `Not authorized to perform ${action}`;
  const head = `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${shownResource}`;
  if (isTrust(request, decision)) {
    // The guide has a reason for the missing allow, too, but STS answers without one: nobody learns whether a role exists.
    return decision.reason === "explicit" ? `${head} with an explicit deny in the role trust policy` : head;
  }
  const name = POLICY_NAMES[decision.kind];
  const stop = stopOf(request, decision);
  // Not AWS's words: its policies can always be read. No policy is left of a principal that is gone, as in AWS.
  if (stop === "unreadable") return `${head} because the policies that decide cannot be read`;
  const reason =
    decision.reason === "explicit" && stop === null
      ? `with an explicit deny in ${name.startsWith("i") ? "an" : "a"} ${name}`
      : `because no ${name} allows the ${action} action`;
  return `${head} ${reason}`;
}
