import { validationError } from "../../../base/errors.ts";
import type { LentPrivateKey } from "../../../crypto/asymmetric/key-workers.ts";
import { ownCopy, wipe } from "../../../crypto/wipe.ts";
import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { lowerCamel } from "../access.ts";
import {
  expiredImportToken,
  incorrectKeyMaterial,
  invalidCiphertext,
  invalidImportToken,
  pendingRotation,
  unsupported,
} from "../errors.ts";
import { eventDate } from "../event-members.ts";
import { offMainThread } from "../key-pairs.ts";
import { factsOf, isPairSpec } from "../key-specs.ts";
import { addWaiting, restore } from "../material-family.ts";
import {
  type MaterialChange,
  type MaterialSet,
  changeMaterials,
  findMaterial,
  isWaiting,
  materialsOf,
} from "../material-set.ts";
import { isPrimary, keyArnOf, keyStateOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyMaterialRecord, KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type { ImportKeyMaterialRequest, ImportKeyMaterialResponse } from "../shapes.generated.ts";
import { requireImported } from "./import-parameters.ts";
import { keyOperation } from "./key-operation.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** The latest ValidTo (API reference of ImportKeyMaterial). */
const VALID_TO_DAYS_MAX = 365;

export const importKeyMaterial = (
  kms: KmsParts,
): Operation<ImportKeyMaterialRequest, ImportKeyMaterialResponse, NamedKey> =>
  keyOperation<ImportKeyMaterialRequest, ImportKeyMaterialResponse>(kms, {
    name: "ImportKeyMaterial",
    readOnly: false,
    requires: requireImported,
    conditions: (input) => ({
      "kms:ExpirationModel": expirationModelOf(input),
      ...(input.ValidTo === undefined ? {} : { "kms:ValidTo": new Date(input.ValidTo).toISOString() }),
    }),
    describe: ({ ImportToken: _token, EncryptedKeyMaterial: _material, ValidTo, ...shown }) =>
      lowerCamel({ ...shown, ...(ValidTo === undefined ? {} : { ValidTo: eventDate(ValidTo) }) }),

    async handle(context, input, key) {
      const expiresMs = expiryOf(input, context.call.nowMs);
      requireMembersFor(key, input);
      context.willWait?.();
      const plaintext = await unwrap(kms, context, input, key);
      try {
        const publicKey = await requireFit(kms, key, plaintext);
        const materialId = kms.materials.importedId(key, publicKey ?? plaintext);
        const set = await materialsOf(context.read, key);
        const decided = decide(set, input, materialId);
        const material: KeyMaterialRecord = {
          createdMs: decided.known?.createdMs ?? context.call.nowMs,
          state: decided.known?.state ?? "CURRENT",
          rotation: decided.known?.rotation ?? null,
          imported: {
            description: input.KeyMaterialDescription ?? decided.known?.imported?.description ?? null,
            expiresMs,
          },
          // Last, because it overwrites the plaintext.
          wrapped: kms.materials.wrap(key, materialId, plaintext),
        };
        const change = await applied(context, set, decided.as, materialId, material);
        const wasPendingImport = keyStateOf(key, context.call.nowMs) === "PendingImport";
        const changed: KeyRecord = {
          ...change.key,
          // A key becomes usable with its material; importing does not lift what an administrator disabled.
          enabled: key.enabled || wasPendingImport,
          publicKey: publicKey === null ? null : Buffer.from(publicKey).toString("base64"),
        };
        const symmetric = factsOf(key.keySpec).family === "symmetric";
        const output = { KeyId: keyArnOf(key), ...(symmetric ? { KeyMaterialId: materialId } : {}) };
        return { output, changed, writes: change.writes, responseElements: lowerCamel(output) };
      } finally {
        wipe(plaintext);
      }
    },
  });

const expirationModelOf = (input: ImportKeyMaterialRequest): string => input.ExpirationModel ?? "KEY_MATERIAL_EXPIRES";

/** When the material expires; null: never. */
function expiryOf(input: ImportKeyMaterialRequest, nowMs: number): number | null {
  const { ValidTo } = input;
  if (expirationModelOf(input) === "KEY_MATERIAL_DOES_NOT_EXPIRE") {
    if (ValidTo === undefined) return null;
    throw validationError("A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE");
  }
  if (ValidTo === undefined) {
    throw validationError("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
  }
  if (ValidTo <= nowMs) throw validationError("The validTo date must be in the future");
  if (ValidTo > nowMs + VALID_TO_DAYS_MAX * DAY_MS) {
    throw validationError(`The validTo date must be at most ${VALID_TO_DAYS_MAX} days from now`);
  }
  return Math.floor(ValidTo);
}

/** Only symmetric keys have several materials; what tells them apart is refused for others. */
function requireMembersFor(key: KeyRecord, input: ImportKeyMaterialRequest): void {
  const { ImportType, KeyMaterialDescription, KeyMaterialId } = input;
  if (factsOf(key.keySpec).family !== "symmetric") {
    if (ImportType !== undefined || KeyMaterialDescription !== undefined || KeyMaterialId !== undefined) {
      throw unsupported(
        "ImportType, KeyMaterialDescription and KeyMaterialId are only supported for symmetric encryption keys.",
      );
    }
  }
  if (ImportType === "NEW_KEY_MATERIAL" && KeyMaterialId !== undefined) {
    throw validationError("A KeyMaterialId cannot be specified when the ImportType is NEW_KEY_MATERIAL");
  }
}

/** What was wrapped outside, in memory of its own, which the caller overwrites. */
async function unwrap(
  kms: KmsParts,
  { call }: OperationContext,
  input: ImportKeyMaterialRequest,
  key: KeyRecord,
): Promise<Uint8Array> {
  const token = kms.importTokens.open(keyArnOf(key), input.ImportToken);
  if (token === null) throw invalidImportToken();
  try {
    if (token.validToMs <= call.nowMs) throw expiredImportToken();
    const plaintext = await lending(
      kms,
      () => token.privateKey.use(ownCopy),
      (wrappingKey) => kms.keyWorkers.unwrapImport(wrappingKey, token.algorithm, input.EncryptedKeyMaterial),
    );
    if (plaintext === null) throw invalidCiphertext();
    return plaintext;
  } finally {
    token.privateKey.destroy();
  }
}

/** Lends a private key that is not, or not yet, a KMS key's, and sees to it that no worker keeps it. */
async function lending<T>(
  kms: KmsParts,
  copy: LentPrivateKey["copy"],
  run: (lent: LentPrivateKey) => Promise<T>,
): Promise<T> {
  const id = `import ${kms.random.uuid()}`;
  try {
    return await offMainThread(run({ id, copy }));
  } finally {
    kms.keyWorkers.forget(id);
  }
}

/** Throws unless the material is what keys of this spec are made of. Answers the public key of a pair, else null. */
async function requireFit(kms: KmsParts, key: KeyRecord, plaintext: Uint8Array): Promise<Uint8Array | null> {
  const { keySpec } = key;
  if (!isPairSpec(keySpec)) {
    const { materialBytes } = factsOf(keySpec);
    if (plaintext.byteLength === materialBytes) return null;
    throw incorrectKeyMaterial(`Key material of key spec ${keySpec} has ${materialBytes} bytes.`);
  }
  const publicKey = await lending(
    kms,
    () => ownCopy(plaintext),
    (lent) => kms.keyWorkers.publicKeyOf(keySpec, lent),
  );
  if (publicKey === null) {
    throw incorrectKeyMaterial(`Key material of key spec ${keySpec} is such a private key in PKCS#8 DER form.`);
  }
  return publicKey;
}

interface Decided {
  readonly as: "first" | "waiting" | "known";
  /** Null when the material is new. */
  readonly known: KeyMaterialRecord | null;
}

/** Whether the material may come in, and as what. */
function decide(set: MaterialSet, input: ImportKeyMaterialRequest, materialId: string): Decided {
  const { key, materials } = set;
  const known = materials.get(materialId) ?? null;
  const asNew =
    (input.ImportType ?? (materials.size === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL")) === "NEW_KEY_MATERIAL";
  if (input.KeyMaterialId !== undefined && (known === null || input.KeyMaterialId !== materialId)) {
    throw incorrectKeyMaterial("The key material does not have the given KeyMaterialId.");
  }
  if (!asNew) {
    if (known === null) throw incorrectKeyMaterial("The key material is not one that the KMS key had before.");
    return { as: "known", known };
  }
  if (key.multiRegion !== null && !isPrimary(key)) {
    throw unsupported(`${keyArnOf(key)} is not a multi-region primary key.`);
  }
  if (known !== null) throw incorrectKeyMaterial("The key material is associated with the KMS key already.");
  if (materials.size === 0) return { as: "first", known };
  const waiting = findMaterial(set, isWaiting);
  if (waiting !== null) throw pendingRotation(key.keyId, materialId, waiting[0]);
  return { as: "waiting", known };
}

async function applied(
  { call, read }: OperationContext,
  set: MaterialSet,
  as: Decided["as"],
  materialId: string,
  material: KeyMaterialRecord,
): Promise<MaterialChange> {
  if (as === "first") return changeMaterials(set, new Map([[materialId, material]]));
  if (as === "waiting") return await addWaiting(read, set, materialId, material);
  return await restore(read, set, materialId, material, call.nowMs);
}
