import { ServiceError } from "../base/errors.ts";
import type { Principal } from "./contract.ts";

/** STS API reference, GetSessionToken: what its credentials may call of STS. */
const STS_FOR_SESSION_TOKENS: ReadonlySet<string> = new Set(["AssumeRole", "GetCallerIdentity"]);
/** STS API reference, GetFederationToken. */
const STS_FOR_FEDERATED_USERS: ReadonlySet<string> = new Set(["GetCallerIdentity"]);

/**
 * Throws for operations that are closed to temporary credentials of some kinds whatever policies say: IAM to federated users,
 * and to sessions of GetSessionToken that were opened without MFA; nearly all of STS to both. Sessions of roles are not
 * limited here.
 */
export function refuseClosedToSession(principal: Principal, service: string, operation: string): void {
  const { type, session } = principal;
  if (session === undefined || type === "AssumedRole") return;
  const federated = type === "FederatedUser";
  if (service === "iam" && (federated || !session.mfa)) {
    // AWS's answer: for IAM, such a token is none.
    throw new ServiceError("InvalidClientTokenId", "The security token included in the request is invalid", {
      status: 403,
    });
  }
  const open = federated ? STS_FOR_FEDERATED_USERS : STS_FOR_SESSION_TOKENS;
  if (service === "sts" && !open.has(operation)) {
    throw new ServiceError("AccessDenied", `Cannot call ${operation} with session credentials`, { status: 403 });
  }
}
