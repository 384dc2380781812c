import { formatArn } from "../../base/arn.ts";
import { accessDenied, disabled, invalidState } from "./errors.ts";
import type { KeyRecord } from "./records.ts";
import type { KeyMetadata } from "./shapes.generated.ts";

/** Length of the material of a symmetric key. */
export const MATERIAL_BYTES = 32;

/** What this server makes: all other specs are refused. */
export const KEY_SPEC = "SYMMETRIC_DEFAULT";
export const ENCRYPTION_ALGORITHM = "SYMMETRIC_DEFAULT";

/** Most aliases of one key (KMS quotas). */
export const ALIASES_PER_KEY_MAX = 50;

/** The states that a key with material of its own can be in. */
export type KeyState = "Enabled" | "Disabled" | "PendingDeletion";

export const keyArnOf = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">): string =>
  formatArn("kms", key.region, key.accountId, `key/${key.keyId}`);

export const aliasArnOf = (region: string, accountId: string, aliasName: string): string =>
  formatArn("kms", region, accountId, aliasName);

/** A UUID, or the form of multi-Region keys. */
export const isKeyId = (text: string): boolean =>
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/.test(text);

export function keyStateOf(key: KeyRecord): KeyState {
  if (key.deletionDateMs !== null) return "PendingDeletion";
  return key.enabled ? "Enabled" : "Disabled";
}

/** Deletion takes effect at its date, whether or not the record has been removed yet. */
export const isDeleted = (key: KeyRecord, nowMs: number): boolean =>
  key.deletionDateMs !== null && key.deletionDateMs <= nowMs;

/**
 * Which states an operation works in: the developer guide's table "Key states of KMS keys", for the states that exist here.
 * "usable": Enabled only. "kept": all but PendingDeletion. "leaving": PendingDeletion only.
 */
const STATES_BY_OPERATION = {
  CancelKeyDeletion: "leaving",
  CreateAlias: "kept",
  Decrypt: "usable",
  DeleteAlias: "any",
  DescribeKey: "any",
  DisableKey: "kept",
  EnableKey: "kept",
  Encrypt: "usable",
  GenerateDataKey: "usable",
  GenerateDataKeyWithoutPlaintext: "usable",
  GetKeyPolicy: "any",
  GetKeyRotationStatus: "any",
  ListKeyPolicies: "any",
  ListResourceTags: "any",
  PutKeyPolicy: "any",
  ReEncrypt: "usable",
  ScheduleKeyDeletion: "kept",
  TagResource: "kept",
  UntagResource: "kept",
  UpdateAlias: "kept",
  UpdateKeyDescription: "kept",
} as const;

/** Operations on one key whose state decides. */
export type KeyOperationName = keyof typeof STATES_BY_OPERATION;

/** Throws what AWS answers when the key's state does not allow the operation. */
export function requireState(key: KeyRecord, operation: KeyOperationName): void {
  const needed = STATES_BY_OPERATION[operation];
  const state = keyStateOf(key);
  if (needed === "any") return;
  if (needed === "leaving") {
    if (state !== "PendingDeletion") throw invalidState(keyArnOf(key), "not pending deletion");
    return;
  }
  if (state === "PendingDeletion") throw invalidState(keyArnOf(key), "pending deletion");
  if (needed === "usable" && state === "Disabled") throw disabled(keyArnOf(key));
}

/** AWS managed keys are nobody's to manage. Their policy says so already; this holds even if it were wrong. */
export function requireCustomerManaged(key: KeyRecord, operation: KeyOperationName): void {
  if (key.manager === "AWS") throw accessDenied(`kms:${operation}`, keyArnOf(key));
}

export function keyMetadata(key: KeyRecord): KeyMetadata {
  return {
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: keyArnOf(key),
    CreationDate: key.createdMs,
    Enabled: keyStateOf(key) === "Enabled",
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: keyStateOf(key),
    ...(key.deletionDateMs === null ? {} : { DeletionDate: key.deletionDateMs }),
    Origin: key.origin,
    KeyManager: key.manager,
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    EncryptionAlgorithms: [ENCRYPTION_ALGORITHM],
    MultiRegion: false,
    CurrentKeyMaterialId: key.materialId,
  };
}
