import type { AccessCheck, AuditDetails, OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { auditedKeys, keyAccess } from "../access.ts";
import { CIPHERTEXT_BYTES_MAX, type CiphertextHeader, sealCiphertext } from "../ciphertext.ts";
import { COMMITTING_NONCE_BYTES } from "../../../crypto/aead.ts";
import { type EncryptionContext, canonicalContext, contextConditions } from "../encryption-context.ts";
import { incompatibleAlgorithm, internal, unsupported } from "../errors.ts";
import { SYMMETRIC_DEFAULT } from "../model.ts";
import { createKey } from "../new-key.ts";
import { requireMaterialId } from "../materials.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";

/** May the caller use this key for this encryption context? */
export function cryptoAccess(
  kms: KmsParts,
  context: OperationContext,
  named: NamedKey,
  action: string,
  use: {
    readonly EncryptionContext?: EncryptionContext | undefined;
    readonly GrantTokens?: readonly string[] | undefined;
  },
  conditions: Readonly<Record<string, string>> = {},
): AccessCheck {
  return keyAccess(kms, context, named, action, {
    conditions: () => ({
      "kms:EncryptionAlgorithm": SYMMETRIC_DEFAULT,
      ...contextConditions(use.EncryptionContext),
      ...conditions,
    }),
    encryptionContext: use.EncryptionContext,
    grantTokens: use.GrantTokens,
  });
}

export function requireAlgorithm(algorithm: string | undefined, key: KeyRecord): void {
  if ((algorithm ?? SYMMETRIC_DEFAULT) !== SYMMETRIC_DEFAULT) {
    throw incompatibleAlgorithm(algorithm ?? "", key.keySpec);
  }
}

/** Answering in clear what was asked for an enclave only would be worse than refusing. */
export function requireNoRecipient(recipient: object | undefined): void {
  if (recipient !== undefined)
    throw unsupported("Recipient is not supported: attestation documents cannot be verified here.");
}

/**
 * Encrypts under the key's current material. For an AWS managed key that does not exist yet the material is made here,
 * and the writes create the key.
 */
export async function encryptUnder(
  kms: KmsParts,
  { read }: OperationContext,
  named: NamedKey,
  key: KeyRecord,
  context: EncryptionContext | undefined,
  plaintext: Uint8Array,
): Promise<{ readonly ciphertext: Uint8Array; readonly writes: readonly Write[] }> {
  const canonical = canonicalContext(context);
  const nonce = kms.random.bytes(COMMITTING_NONCE_BYTES);
  const { keyId, accountId, region } = key;
  const materialId = requireMaterialId(key);
  const header: CiphertextHeader = { keyId, accountId, region, materialId, nonce };
  const run = (material: Uint8Array): Uint8Array => sealCiphertext(material, header, canonical, plaintext);
  const made = named.isNew ? createKey(kms, key, run) : { ...(await useCurrent(kms, read, key, run)), writes: [] };
  if (made.value.byteLength > CIPHERTEXT_BYTES_MAX) throw internal(new Error("a ciphertext is longer than KMS allows"));
  return { ciphertext: made.value, writes: made.writes };
}

async function useCurrent<T>(
  kms: KmsParts,
  read: OperationContext["read"],
  key: KeyRecord,
  run: (material: Uint8Array) => T,
): Promise<{ readonly value: T }> {
  const used = await kms.materials.use(read, key, requireMaterialId(key), run);
  if (used === null) throw internal(new Error(`key ${key.keyId} has no material ${key.materialId}`));
  return used;
}

/** What the event of a use of key material says beside its request parameters. */
export const usedMaterial = (key: KeyRecord, materialId: string): AuditDetails => ({
  ...auditedKeys(key),
  additionalEventData: { keyMaterialId: materialId },
});

/** Request parameters as the trail keeps them: never plaintext, never ciphertext. */
export const describeCrypto = (
  keyId: string | undefined,
  context: EncryptionContext | undefined,
  others: Readonly<Record<string, unknown>> = {},
): AuditDetails => ({
  requestParameters: {
    ...(keyId === undefined ? {} : { keyId }),
    ...(context === undefined ? {} : { encryptionContext: context }),
    ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)),
  },
});
