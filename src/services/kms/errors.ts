import { ServiceError, validationError } from "../../base/errors.ts";

/**
 * The errors of KMS. AWS answers every one that is the client's fault with status 400, whatever its model says. Wordings
 * are AWS's where they were recorded.
 */
const kmsError = (code: string, message = ""): ServiceError => new ServiceError(code, message);

export const alreadyExists = (aliasArn: string): ServiceError =>
  kmsError("AlreadyExistsException", `An alias with the name ${aliasArn} already exists`);

/** Reached only if a key's policy admitted what no policy may admit: a managed key's management, or a key that is not there. */
export const accessDenied = (action: string, resource: string): ServiceError =>
  kmsError("AccessDeniedException", `${action} is not authorized on resource: ${resource}`);

/** AWS's answer for aliases of its own; it comes without a message. */
export const reservedAlias = (): ServiceError => kmsError("NotAuthorizedException");

export const disabled = (keyArn: string): ServiceError => kmsError("DisabledException", `${keyArn} is disabled.`);

export const dryRunSucceeded = (): ServiceError =>
  kmsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.");

export const incorrectKey = (): ServiceError =>
  kmsError(
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
  );

export const invalidArn = (text: string): ServiceError => kmsError("InvalidArnException", `Invalid arn ${text}`);

/** One answer for all that can be wrong with a ciphertext, without a message, as AWS gives it. */
export const invalidCiphertext = (): ServiceError => kmsError("InvalidCiphertextException");

export const incompatibleAlgorithm = (algorithm: string, keySpec: string): ServiceError =>
  kmsError("InvalidKeyUsageException", `Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`);

export const invalidMarker = (): ServiceError => kmsError("InvalidMarkerException", "Invalid marker.");

export const invalidState = (keyArn: string, state: string): ServiceError =>
  kmsError("KMSInvalidStateException", `${keyArn} is ${state}.`);

export const invalidUsage = (keyArn: string, usage: string, operation: string): ServiceError =>
  kmsError("InvalidKeyUsageException", `${keyArn} key usage is ${usage} which is not valid for ${operation}.`);

export const internal = (cause: unknown): ServiceError =>
  new ServiceError("KMSInternalException", "An internal error occurred.", { status: 500, cause });

export const limitExceeded = (message: string): ServiceError => kmsError("LimitExceededException", message);

export const malformedPolicy = (message: string): ServiceError => kmsError("MalformedPolicyDocumentException", message);

export const notFound = (message: string): ServiceError => kmsError("NotFoundException", message);
export const keyNotFound = (keyArn: string): ServiceError => notFound(`Key '${keyArn}' does not exist`);
export const invalidKeyId = (keyId: string): ServiceError => notFound(`Invalid keyId '${keyId}'`);
export const aliasNotFound = (aliasArn: string): ServiceError => notFound(`Alias ${aliasArn} is not found.`);

export const customKeyStoreNotFound = (): ServiceError => kmsError("CustomKeyStoreNotFoundException");

export const tagError = (message: string): ServiceError => kmsError("TagException", message);

export const unsupported = (message: string): ServiceError => kmsError("UnsupportedOperationException", message);

export const constraintError = (value: string, member: string, constraint: string): ServiceError =>
  validationError(
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: ${constraint}`,
  );
