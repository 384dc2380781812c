import { validationError } from "../../../base/errors.ts";
import { factsOf } from "../key-specs.ts";
import type { KeyRecord } from "../records.ts";
import type { GrantOperation, KeyUsageType } from "../shapes.generated.ts";

/** In a fixed order, which a set of them is written in (`operationsMask`). Add new ones at the end. */
const GRANT_OPERATIONS: readonly GrantOperation[] = [
  "CreateGrant",
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "DescribeKey",
  "Encapsulate",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "GetPublicKey",
  "ReEncryptFrom",
  "ReEncryptTo",
  "RetireGrant",
  "Sign",
  "Verify",
  "VerifyMac",
];

const BY_ACTION: ReadonlyMap<string, GrantOperation> = new Map(
  GRANT_OPERATIONS.map((operation) => [`kms:${operation}`, operation]),
);

/** The grant operation that an action is; undefined when no grant can allow it. */
export const grantOperationOf = (action: string): GrantOperation | undefined => BY_ACTION.get(action);

/** A set of operations in a few characters. */
export const operationsMask = (operations: readonly GrantOperation[]): string =>
  operations
    .reduce((mask, operation) => mask | (1 << GRANT_OPERATIONS.indexOf(operation)), 0)
    .toString(16)
    .padStart(5, "0");

/** Operations that every grant can have. */
const FOR_ALL_KEYS: ReadonlySet<GrantOperation> = new Set(["CreateGrant", "DescribeKey", "RetireGrant"]);

/** Those that take an encryption context, which are the ones that symmetric keys serve. */
const WITH_CONTEXT: readonly GrantOperation[] = [
  "Decrypt",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "ReEncryptFrom",
  "ReEncryptTo",
];

/** Of keys that are not symmetric. */
const BY_USAGE: Readonly<Record<KeyUsageType, readonly GrantOperation[]>> = {
  ENCRYPT_DECRYPT: ["Decrypt", "Encrypt", "GetPublicKey", "ReEncryptFrom", "ReEncryptTo"],
  SIGN_VERIFY: ["GetPublicKey", "Sign", "Verify"],
  GENERATE_VERIFY_MAC: ["GenerateMac", "VerifyMac"],
  KEY_AGREEMENT: ["DeriveSharedSecret", "GetPublicKey"],
  ENCAPSULATE_DECAPSULATE: ["Decapsulate", "Encapsulate", "GetPublicKey"],
};

/** Whether constraints on the encryption context have a say in this operation. */
export const takesContext = (operation: GrantOperation): boolean => WITH_CONTEXT.includes(operation);

export const isSymmetric = (key: KeyRecord): boolean => factsOf(key.keySpec).family === "symmetric";

/** Sorted and without repetitions. Throws ValidationException for what a grant of this key cannot have. */
export function operationsOf(key: KeyRecord, asked: readonly GrantOperation[]): readonly GrantOperation[] {
  const operations = [...new Set(asked)].sort();
  if (operations.length === 0) throw validationError("Operations must contain at least one grant operation.");
  const served = isSymmetric(key) ? WITH_CONTEXT : BY_USAGE[key.keyUsage];
  const alien = operations.find((operation) => !FOR_ALL_KEYS.has(operation) && !served.includes(operation));
  if (alien !== undefined) {
    throw validationError(
      `Operation ${alien} is not valid for a KMS key with key spec ${key.keySpec} and key usage ${key.keyUsage}.`,
    );
  }
  // Recorded of AWS.
  if (operations.length === 1 && operations[0] === "CreateGrant") {
    throw validationError("Grants must not contain only the CreateGrant operation.");
  }
  return operations;
}
