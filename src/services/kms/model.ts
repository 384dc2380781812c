import { formatArn } from "../../base/arn.ts";
import { accessDenied, disabled, invalidState, invalidUsage } from "./errors.ts";
import { factsOf } from "./key-specs.ts";
import type { KeyRecord } from "./records.ts";
import type { KeyMetadata, KeyUsageType } from "./shapes.generated.ts";

/** Of symmetric keys; requests that name no algorithm mean it. */
export const SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT";

export type KeyState =
  | "Creating"
  | "Enabled"
  | "Disabled"
  | "PendingDeletion"
  | "PendingImport"
  | "PendingReplicaDeletion"
  | "Updating";

export const keyArnOf = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">): string =>
  formatArn("kms", key.region, key.accountId, `key/${key.keyId}`);

export const aliasArnOf = (region: string, accountId: string, aliasName: string): string =>
  formatArn("kms", region, accountId, aliasName);

/** A UUID, or the form of multi-Region keys. */
export const isKeyId = (text: string): boolean =>
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/.test(text);

export function keyStateOf(key: KeyRecord, nowMs: number): KeyState {
  if (key.replicaDeletionDays !== null) return "PendingReplicaDeletion";
  if (key.deletionDateMs !== null) return "PendingDeletion";
  const transition = key.transition !== null && nowMs < key.transition.untilMs ? key.transition.state : null;
  if (transition === "Creating") return transition;
  if (currentMaterialId(key, nowMs) === null || lacksOlderMaterial(key, nowMs)) return "PendingImport";
  return transition ?? (key.enabled ? "Enabled" : "Disabled");
}

/** The material that encrypts and signs now; null when there is none, or it has expired. */
export const currentMaterialId = (key: KeyRecord, nowMs: number): string | null =>
  key.materialExpiresMs !== null && key.materialExpiresMs <= nowMs ? null : key.materialId;

/** A key works only with all of its materials: else some ciphertexts would open and others not. */
const lacksOlderMaterial = (key: KeyRecord, nowMs: number): boolean =>
  key.olderMaterialsUntilMs !== null && key.olderMaterialsUntilMs <= nowMs;

/** Deletion takes effect at its date, whether or not the record has been removed yet. */
export const isDeleted = (key: KeyRecord, nowMs: number): boolean =>
  key.deletionDateMs !== null && key.deletionDateMs <= nowMs;

/** What an answer says of a state that does not allow the operation; "disabled" is an error of its own. */
type Refusal =
  | "disabled"
  | "pending deletion"
  | "pending replica deletion"
  | "not pending deletion"
  | "pending import"
  | "creating"
  | "updating";

/** States that do not allow an operation. Those that are not listed do. */
type StateRule = Readonly<Partial<Record<KeyState, Refusal>>>;

const LEAVING: StateRule = {
  PendingDeletion: "pending deletion",
  PendingReplicaDeletion: "pending replica deletion",
};
const USABLE: StateRule = {
  ...LEAVING,
  Disabled: "disabled",
  PendingImport: "pending import",
  Creating: "creating",
};
const SETTLED: StateRule = { ...LEAVING, Creating: "creating", Updating: "updating" };
const ONLY_LEAVING: StateRule = {
  Creating: "not pending deletion",
  Enabled: "not pending deletion",
  Disabled: "not pending deletion",
  PendingImport: "not pending deletion",
  Updating: "not pending deletion",
};
const ANY: StateRule = {};

/** Operations on one key whose state decides. */
export type KeyOperationName =
  | "CancelKeyDeletion"
  | "CreateAlias"
  | "CreateGrant"
  | "Decapsulate"
  | "Decrypt"
  | "DeleteAlias"
  | "DeleteImportedKeyMaterial"
  | "DeriveSharedSecret"
  | "DescribeKey"
  | "DisableKey"
  | "DisableKeyRotation"
  | "EnableKey"
  | "EnableKeyRotation"
  | "Encapsulate"
  | "Encrypt"
  | "GenerateDataKey"
  | "GenerateDataKeyPair"
  | "GenerateDataKeyPairWithoutPlaintext"
  | "GenerateDataKeyWithoutPlaintext"
  | "GenerateMac"
  | "GetKeyLastUsage"
  | "GetKeyPolicy"
  | "GetKeyRotationStatus"
  | "GetParametersForImport"
  | "GetPublicKey"
  | "ImportKeyMaterial"
  | "ListGrants"
  | "ListKeyPolicies"
  | "ListKeyRotations"
  | "ListResourceTags"
  | "PutKeyPolicy"
  | "ReEncrypt"
  | "ReplicateKey"
  | "RetireGrant"
  | "RevokeGrant"
  | "RotateKeyOnDemand"
  | "ScheduleKeyDeletion"
  | "Sign"
  | "TagResource"
  | "UntagResource"
  | "UpdateAlias"
  | "UpdateKeyDescription"
  | "UpdatePrimaryRegion"
  | "Verify"
  | "VerifyMac";

/** The developer guide's table "Key states of KMS keys". Origins and specs that an operation refuses are its own matter. */
const STATES_BY_OPERATION: Readonly<Record<KeyOperationName, StateRule>> = {
  CancelKeyDeletion: ONLY_LEAVING,
  CreateAlias: LEAVING,
  CreateGrant: USABLE,
  Decapsulate: USABLE,
  Decrypt: USABLE,
  DeleteAlias: ANY,
  DeleteImportedKeyMaterial: { Creating: "creating", Updating: "updating" },
  DeriveSharedSecret: USABLE,
  DescribeKey: ANY,
  DisableKey: { ...SETTLED, PendingImport: "pending import" },
  DisableKeyRotation: { ...LEAVING, Disabled: "disabled", Creating: "creating" },
  EnableKey: { ...SETTLED, PendingImport: "pending import" },
  EnableKeyRotation: { ...LEAVING, Disabled: "disabled", Creating: "creating" },
  Encapsulate: USABLE,
  Encrypt: USABLE,
  GenerateDataKey: USABLE,
  GenerateDataKeyPair: USABLE,
  GenerateDataKeyPairWithoutPlaintext: USABLE,
  GenerateDataKeyWithoutPlaintext: USABLE,
  GenerateMac: USABLE,
  GetKeyLastUsage: ANY,
  GetKeyPolicy: ANY,
  GetKeyRotationStatus: ANY,
  GetParametersForImport: SETTLED,
  GetPublicKey: USABLE,
  ImportKeyMaterial: { ...LEAVING, Creating: "creating" },
  ListGrants: ANY,
  ListKeyPolicies: ANY,
  ListKeyRotations: ANY,
  ListResourceTags: ANY,
  PutKeyPolicy: ANY,
  ReEncrypt: USABLE,
  ReplicateKey: { ...USABLE, Updating: "updating" },
  RetireGrant: ANY,
  RevokeGrant: ANY,
  RotateKeyOnDemand: { ...USABLE, Updating: "updating" },
  ScheduleKeyDeletion: { ...LEAVING, Updating: "updating" },
  Sign: USABLE,
  TagResource: LEAVING,
  UntagResource: LEAVING,
  UpdateAlias: LEAVING,
  UpdateKeyDescription: LEAVING,
  UpdatePrimaryRegion: USABLE,
  Verify: USABLE,
  VerifyMac: USABLE,
};

/** Throws what AWS answers when the key's state does not allow the operation. */
export function requireState(key: KeyRecord, operation: KeyOperationName, nowMs: number): void {
  const refusal = STATES_BY_OPERATION[operation][keyStateOf(key, nowMs)];
  if (refusal === undefined) return;
  throw refusal === "disabled" ? disabled(keyArnOf(key)) : invalidState(keyArnOf(key), refusal);
}

/** Throws unless keys of this usage can do the operation. */
export function requireUsage(key: KeyRecord, operation: KeyOperationName, usage: KeyUsageType): void {
  if (key.keyUsage !== usage) throw invalidUsage(keyArnOf(key), key.keyUsage, operation);
}

/** AWS managed keys are nobody's to manage. Their policy says so already; this holds even if it were wrong. */
export function requireCustomerManaged(key: KeyRecord, operation: KeyOperationName): void {
  if (key.manager === "AWS") throw accessDenied(`kms:${operation}`, keyArnOf(key));
}

export function keyMetadata(key: KeyRecord, nowMs: number): KeyMetadata {
  const state = keyStateOf(key, nowMs);
  const facts = factsOf(key.keySpec);
  const materialId = currentMaterialId(key, nowMs);
  const validToMs = earliestExpiryMs(key, nowMs);
  const usedFor = <T>(usage: KeyUsageType, algorithms: readonly T[] | undefined): readonly T[] | undefined =>
    key.keyUsage === usage ? algorithms : undefined;
  return defined<KeyMetadata>({
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: keyArnOf(key),
    CreationDate: key.createdMs,
    // A key is in use while a replica is made of it or its primary moves.
    Enabled: state === "Enabled" || state === "Updating",
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: state,
    DeletionDate: key.replicaDeletionDays === null ? (key.deletionDateMs ?? undefined) : undefined,
    PendingDeletionWindowInDays: key.replicaDeletionDays ?? undefined,
    ValidTo: validToMs ?? undefined,
    Origin: key.origin,
    ExpirationModel: expirationModelOf(key, materialId !== null, validToMs),
    KeyManager: key.manager,
    // The deprecated member has no names for specs that came after it.
    CustomerMasterKeySpec: key.keySpec as KeyMetadata["CustomerMasterKeySpec"],
    KeySpec: key.keySpec,
    EncryptionAlgorithms: usedFor("ENCRYPT_DECRYPT", facts.encryption),
    SigningAlgorithms: usedFor("SIGN_VERIFY", facts.signing),
    KeyAgreementAlgorithms: usedFor("KEY_AGREEMENT", facts.agreement),
    MacAlgorithms: usedFor("GENERATE_VERIFY_MAC", facts.mac),
    EncapsulationAlgorithms: usedFor("ENCAPSULATE_DECAPSULATE", facts.encapsulation),
    MultiRegion: key.multiRegion !== null,
    MultiRegionConfiguration: multiRegionConfiguration(key),
    // Also when the material itself is gone: its owner has to know which one to import again.
    CurrentKeyMaterialId: facts.family === "symmetric" ? (key.materialId ?? undefined) : undefined,
  });
}

/**
 * When the first of a key's materials expires, the current or an older one, since the key stops working without any of them.
 * Null: none does, or those that did are gone.
 */
function earliestExpiryMs(key: KeyRecord, nowMs: number): number | null {
  const expiries = [key.materialExpiresMs, key.olderMaterialsUntilMs].filter((ms) => ms !== null);
  const first = Math.min(...expiries.filter((ms) => ms > nowMs));
  return first === Number.POSITIVE_INFINITY ? null : first;
}

function expirationModelOf(
  key: KeyRecord,
  hasMaterial: boolean,
  validToMs: number | null,
): "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE" | undefined {
  if (validToMs !== null) return "KEY_MATERIAL_EXPIRES";
  return key.origin === "EXTERNAL" && hasMaterial ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : undefined;
}

export const isPrimary = (key: KeyRecord): boolean => key.multiRegion?.primaryRegion === key.region;

function multiRegionConfiguration(key: KeyRecord): KeyMetadata["MultiRegionConfiguration"] {
  if (key.multiRegion === null) return undefined;
  const { primaryRegion, replicaRegions } = key.multiRegion;
  const at = (region: string): { Arn: string; Region: string } => ({
    Arn: keyArnOf({ ...key, region }),
    Region: region,
  });
  return {
    MultiRegionKeyType: isPrimary(key) ? "PRIMARY" : "REPLICA",
    PrimaryKey: at(primaryRegion),
    ReplicaKeys: replicaRegions.map(at),
  };
}

/** Absent members are left out of answers, not sent as null. */
const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
