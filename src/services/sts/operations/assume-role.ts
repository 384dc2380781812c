import type { Operation, Principal } from "../../../gateway/contract.ts";
import { mfaFailed, notWithSession, rootMayNotAssume, stsValidationError } from "../errors.ts";
import type { StsDeps } from "../ports.ts";
import { assumedRoleUser, describedPolicies, openRoleSession, roleAccess, sessionAudit } from "../role-session.ts";
import type { RoleTarget } from "../role-session.ts";
import { readSessionRequest, withInherited } from "../session-request.ts";
import type { AssumeRoleRequest, Operations } from "../shapes.generated.ts";

type Shapes = Operations["AssumeRole"];

/** IAM User Guide, "Role chaining": such a session lasts an hour, whatever the role allows. */
const CHAINED_SECONDS_MAX = 3_600;

/** Opens a session of a role for a user or for another role's session. */
export const assumeRole = (deps: StsDeps): Operation<Shapes["input"], Shapes["output"], RoleTarget> => ({
  event: "management",
  readOnly: true,
  describe: (input) => ({ requestParameters: described(input) }),
  async access(context, input) {
    const { principal } = context.call;
    requireAbleToAssume(principal, input.RoleArn);
    if (input.SerialNumber !== undefined || input.TokenCode !== undefined) throw mfaFailed();
    if (input.ProvidedContexts !== undefined) {
      throw stsValidationError("ProvidedContexts is not supported: there is no provider of contexts.");
    }
    if (principal.type === "AssumedRole" && (input.DurationSeconds ?? 0) > CHAINED_SECONDS_MAX) {
      throw stsValidationError(
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
      );
    }
    const asked = readSessionRequest(deps, input);
    return roleAccess(deps, context, {
      action: "sts:AssumeRole",
      roleArn: input.RoleArn,
      sessionName: input.RoleSessionName,
      asked,
      request: withInherited(asked, principal.session),
      sourceIdentity: sourceIdentityOf(principal, input.SourceIdentity),
      context: input.ExternalId === undefined ? {} : { "sts:ExternalId": input.ExternalId },
    });
  },
  async handle(context, input, target) {
    const opened = await openRoleSession(deps, context, target, {
      sessionName: input.RoleSessionName,
      seconds: input.DurationSeconds,
    });
    const { sourceIdentity } = target;
    return {
      output: {
        Credentials: opened.credentials,
        AssumedRoleUser: assumedRoleUser(opened.principal),
        PackedPolicySize: opened.packedPolicySize,
        SourceIdentity: sourceIdentity,
      },
      audit: sessionAudit(opened, target.role, sourceIdentity === undefined ? {} : { sourceIdentity }),
    };
  },
});

function requireAbleToAssume({ type }: Principal, roleArn: string): void {
  if (type === "Root") throw rootMayNotAssume(roleArn);
  // STS API reference, GetFederationToken: of STS such a session may call GetCallerIdentity alone.
  if (type === "FederatedUser") throw notWithSession("AssumeRole", roleArn);
}

/** Set once, it stays through every further session (IAM User Guide, "Monitor and control actions taken with assumed roles"). */
function sourceIdentityOf(principal: Principal, given: string | undefined): string | undefined {
  const kept = principal.session?.sourceIdentity;
  if (kept !== undefined && given !== undefined && kept !== given) {
    throw stsValidationError("SourceIdentity cannot be changed once it is set in a session.");
  }
  return kept ?? given;
}

/** Everything but the code of an MFA device. */
const described = (input: AssumeRoleRequest): Readonly<Record<string, unknown>> => ({
  roleArn: input.RoleArn,
  roleSessionName: input.RoleSessionName,
  ...describedPolicies(input),
  ...(input.ExternalId === undefined ? {} : { externalId: input.ExternalId }),
  ...(input.SourceIdentity === undefined ? {} : { sourceIdentity: input.SourceIdentity }),
  ...(input.SerialNumber === undefined ? {} : { serialNumber: input.SerialNumber }),
  ...(input.Tags === undefined ? {} : { tags: input.Tags.map(({ Key, Value }) => ({ key: Key, value: Value })) }),
  ...(input.TransitiveTagKeys === undefined ? {} : { transitiveTagKeys: input.TransitiveTagKeys }),
});
