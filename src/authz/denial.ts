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
 * is for those who may ask why (gateway/denials.ts).
 */
export function denialMessage(request: AuthorizationRequest, decision: Decision): string {
  const { principal, action, resource } = request;
  // Has no name that means anything here.
  if (principal.type === "WebIdentity") return `Not authorized to perform ${action}`;
  const head = `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  if (isTrust(request, decision)) {
    // The guide has a reason for the missing allow, too, but STS answers without one: nobody learns whether a role exists.
    return decision.reason === "explicit" ? `${head} with an explicit deny in the role trust policy` : head;
  }
  const name = POLICY_NAMES[decision.kind];
  const reason =
    decision.reason === "explicit"
      ? `with an explicit deny in ${name.startsWith("i") ? "an" : "a"} ${name}`
      : `because no ${name} allows the ${action} action`;
  return `${head} ${reason}`;
}
