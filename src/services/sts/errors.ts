/** STS's errors with AWS's codes, statuses and words. */
import { ServiceError } from "../../base/errors.ts";

/** `resource`: for whoever asks why (gateway/denial-record.ts); callers are not told. */
const denied = (message: string, resource?: string): ServiceError =>
  new ServiceError("AccessDenied", message, {
    status: 403,
    ...(resource === undefined ? {} : { details: { resource } }),
  });

export const stsValidationError = (message: string): ServiceError => new ServiceError("ValidationError", message);
export const invalidParameterValue = (message: string): ServiceError =>
  new ServiceError("InvalidParameterValue", message);
export const malformedPolicy = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("MalformedPolicyDocument", message, { cause });

export const packedPolicyTooLarge = (percent: number): ServiceError =>
  new ServiceError(
    "PackedPolicyTooLarge",
    `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`,
  );

export const rootMayNotAssume = (roleArn: string): ServiceError =>
  denied("Roles may not be assumed by root accounts.", roleArn);
export const notWithSession = (operation: string, resource?: string): ServiceError =>
  denied(`Cannot call ${operation} with session credentials`, resource);
/** There are no MFA devices here, so no code can be right. */
export const mfaFailed = (): ServiceError =>
  denied(
    "MultiFactorAuthentication failed, unable to validate MFA code.  " +
      "Please verify your MFA serial number is valid and associated with this user.",
  );
export const notAuthorizedByWebIdentity = (): ServiceError =>
  denied("Not authorized to perform sts:AssumeRoleWithWebIdentity");

export const invalidIdentityToken = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("InvalidIdentityToken", message, { cause });
export const notAToken = (): ServiceError =>
  invalidIdentityToken(
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
  );
export const noKeyForToken = (): ServiceError =>
  invalidIdentityToken(
    "Couldn't retrieve verification key from your identity provider,  " +
      "please reference AssumeRoleWithWebIdentity documentation for requirements",
  );
/** AWS's own words for this are unknown: these are its documentation's (STS API reference, InvalidIdentityToken). */
export const badTokenSignature = (): ServiceError =>
  invalidIdentityToken(
    "The web identity token that was passed could not be validated by AWS. " +
      "Get a new identity token from the identity provider and then retry the request.",
  );
export const idpRejectedClaim = (message: string): ServiceError =>
  new ServiceError("IDPRejectedClaim", message, { status: 403 });
export const idpCommunicationError = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("IDPCommunicationError", message, { cause });
export const expiredIdentityToken = (): ServiceError =>
  new ServiceError(
    "ExpiredTokenException",
    "Token expired: current date/time must be before the expiration date/time in the exp claim",
  );
