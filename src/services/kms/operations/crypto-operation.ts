import type { OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { CIPHERTEXT_BYTES_MAX, sealBehind } from "../ciphertext.ts";
import { COMMITTING_NONCE_BYTES } from "../../../crypto/aead.ts";
import { type EncryptionContext, canonicalContext } from "../encryption-context.ts";
import { internal, unsupported } from "../errors.ts";
import { createKey } from "../new-key.ts";
import { requireMaterialId } from "../materials.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";

/** Answering in clear what was asked for an enclave only would be worse than refusing. */
export function requireNoRecipient(recipient: object | undefined): void {
  if (recipient !== undefined)
    throw unsupported("Recipient is not supported: attestation documents cannot be verified here.");
}

/**
 * Encrypts under a symmetric key's current material. For an AWS managed key that does not exist yet the material is made
 * here, and the writes create the key.
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
  const materialId = requireMaterialId(key);
  const start = kms.headerStarts.of(key, materialId);
  const run = (material: Uint8Array): Uint8Array => sealBehind(material, start, nonce, canonical, plaintext);
  if (named.isNew) {
    const made = createKey(kms, key, run);
    return { ciphertext: withinLimit(made.value), writes: made.writes };
  }
  const used = await kms.materials.use(read, key, materialId, run);
  if (used === null) throw internal(new Error(`key ${key.keyId} has no material ${materialId}`));
  return { ciphertext: withinLimit(used.value), writes: NO_WRITES };
}

const NO_WRITES: readonly Write[] = [];

function withinLimit(ciphertext: Uint8Array): Uint8Array {
  if (ciphertext.byteLength > CIPHERTEXT_BYTES_MAX) throw internal(new Error("a ciphertext is longer than KMS allows"));
  return ciphertext;
}
