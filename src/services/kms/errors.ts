import { ServiceError, validationError } from "../../base/errors.ts";

/**
 * The errors of KMS. AWS answers every one that is the client's fault with status 400, whatever its model says. Wordings
 * are AWS's where they were recorded.
 */
const kmsError = (code: string, message = ""): ServiceError => new ServiceError(code, message);

export const alreadyExists = (aliasArn: string): ServiceError =>
  kmsError("AlreadyExistsException", `An alias with the name ${aliasArn} already exists`);

export const keyAlreadyExists = (keyArn: string): ServiceError =>
  kmsError("AlreadyExistsException", `Key '${keyArn}' already exists`);

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

/** The signature does not fit; without a message, as AWS gives it. */
export const invalidSignature = (): ServiceError => kmsError("KMSInvalidSignatureException");

/** The HMAC does not fit; without a message, as AWS gives it. */
export const invalidMac = (): ServiceError => kmsError("KMSInvalidMacException");

/** AWS's answers about grants that are not there; their wording was not recorded. */
export const invalidGrantId = (grantId: string): ServiceError =>
  kmsError("InvalidGrantIdException", `Invalid grant ID ${grantId}`);
export const grantNotFound = (grantId: string, keyArn: string): ServiceError =>
  kmsError("NotFoundException", `Grant '${grantId}' of key '${keyArn}' does not exist`);
export const invalidGrantToken = (): ServiceError =>
  kmsError("InvalidGrantTokenException", "The grant token is not valid.");

export const invalidMarker = (): ServiceError => kmsError("InvalidMarkerException", "Invalid marker.");

export const invalidState = (keyArn: string, state: string): ServiceError =>
  kmsError("KMSInvalidStateException", `${keyArn} is ${state}.`);

export const invalidUsage = (keyArn: string, usage: string, operation: string): ServiceError =>
  kmsError("InvalidKeyUsageException", `${keyArn} key usage is ${usage} which is not valid for ${operation}.`);

export const internal = (cause: unknown): ServiceError =>
  new ServiceError("KMSInternalException", "An internal error occurred.", { status: 500, cause });

export const limitExceeded = (message: string): ServiceError => kmsError("LimitExceededException", message);

export const malformedPolicy = (message: string): ServiceError => kmsError("MalformedPolicyDocumentException", message);

/** Also when a principal's name is well-formed, but nobody has it. */
export const invalidPrincipals = (): ServiceError =>
  malformedPolicy("Policy contains a statement with one or more invalid principals.");

export const notFound = (message: string): ServiceError => kmsError("NotFoundException", message);
export const keyNotFound = (keyArn: string): ServiceError => notFound(`Key '${keyArn}' does not exist`);
export const invalidKeyId = (keyId: string): ServiceError => notFound(`Invalid keyId '${keyId}'`);
export const aliasNotFound = (aliasArn: string): ServiceError => notFound(`Alias ${aliasArn} is not found.`);

/** Ciphertexts of key pairs do not name their key. */
export const keyIdRequired = (): ServiceError => validationError("KeyId must not be null");

export const contextWithKeyPair = (): ServiceError =>
  validationError("EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.");

export const plaintextTooLong = (algorithm: string, keySpec: string, bytesMax: number): ServiceError =>
  validationError(`Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${bytesMax} bytes.`);

export const digestLength = (algorithm: string): ServiceError =>
  validationError(`Digest is invalid length for algorithm ${algorithm}.`);

/** `of`: "algorithm A" or "key spec S", whichever AWS names. */
export const incompatibleMessageType = (messageType: string, of: string): ServiceError =>
  validationError(`Message type ${messageType} is incompatible with ${of}.`);

/** SM2 and what goes with it. */
export const specOutsideChina = (spec: string): ServiceError =>
  unsupported(`${spec} is supported in China Regions only.`);

/** What a peer sent as its public key is none of the same curve; without a message, as AWS gives it. */
export const invalidPeer = (): ServiceError => validationError("");

/** More private-key work waits than the workers take. Ours: SDKs try a throttled request again, a little later. */
export const overloaded = (): ServiceError =>
  kmsError("ThrottlingException", "Too many operations with key pairs are waiting. Try again later.");

/** Imported material that is not what the key needs, or not what it had before; the wording is ours. */
export const incorrectKeyMaterial = (message: string): ServiceError =>
  kmsError("IncorrectKeyMaterialException", message);

export const invalidImportToken = (): ServiceError => kmsError("InvalidImportTokenException", "Invalid import token.");

export const expiredImportToken = (): ServiceError =>
  kmsError("ExpiredImportTokenException", "The import token has expired.");

export const conflict = (message: string): ServiceError => kmsError("ConflictException", message);

export const unsupportedOrigin = (keyArn: string, origin: string): ServiceError =>
  unsupported(`${keyArn} origin is ${origin} which is not valid for this operation.`);

export const pendingRotation = (keyId: string, materialId: string, pendingId: string): ServiceError =>
  kmsError(
    "KMSInvalidStateException",
    `New key material (id: ${materialId}) cannot be imported into KMS key ${keyId}, ` +
      `because another key material (id: ${pendingId}) is pending rotation.`,
  );

export const nothingToRotateTo = (keyArn: string): ServiceError =>
  kmsError("KMSInvalidStateException", `No available key material pending rotation for the key: ${keyArn}.`);

export const customKeyStoreNotFound = (): ServiceError => kmsError("CustomKeyStoreNotFoundException");

export const tagError = (message: string): ServiceError => kmsError("TagException", message);

/** A plain refusal, without a message where AWS gives none. */
export const unsupported = (message = ""): ServiceError => kmsError("UnsupportedOperationException", message);

export const constraintError = (value: string, member: string, constraint: string): ServiceError =>
  validationError(
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: ${constraint}`,
  );
