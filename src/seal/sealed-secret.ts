import { asBuffer } from "../base/bytes.ts";
import type { SealedBytes } from "../base/brand.ts";
import { GCM_NONCE_BYTES, TAG_BYTES, openGcm, sealGcm } from "../crypto/aead.ts";
import { authenticated } from "./wrapped-key.ts";

/**
 * A small secret of the server under a domain key's subkey for its purpose. Layout and example: docs/formats/wrapped-key.md.
 *
 *   version (1) ‖ number of the domain key (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
 */
const VERSION = 0x02;
const NUMBER_OFFSET = 1;
const NONCE_OFFSET = 5;
const HEADER_BYTES = NONCE_OFFSET + GCM_NONCE_BYTES;

/** Names the subkey: derived from the domain key with this label and the purpose as context. */
export const SECRET_LABEL = "waxseal sealed secret v1";

export function sealSecret(
  subkey: Uint8Array,
  keyNumber: number,
  nonce: Uint8Array,
  purpose: string,
  binding: string,
  secret: Uint8Array,
): SealedBytes {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION);
  header.writeUInt32BE(keyNumber, NUMBER_OFFSET);
  header.set(nonce, NONCE_OFFSET);
  const sealed = sealGcm(subkey, nonce, authenticated(header, { purpose, binding }), secret);
  return Buffer.concat([header, sealed]) as Uint8Array as SealedBytes;
}

/** The number of the domain key; null when the bytes are no sealed secret of this version. */
export function sealedSecretKeyNumber(sealed: Uint8Array): number | null {
  if (sealed.byteLength < HEADER_BYTES + TAG_BYTES || sealed[0] !== VERSION) return null;
  return asBuffer(sealed).readUInt32BE(NUMBER_OFFSET);
}

/** Null for whatever does not fit. */
export function openSecret(subkey: Uint8Array, purpose: string, binding: string, sealed: Uint8Array): Buffer | null {
  if (sealedSecretKeyNumber(sealed) === null) return null;
  const header = sealed.subarray(0, HEADER_BYTES);
  const aad = authenticated(header, { purpose, binding });
  return openGcm(subkey, header.subarray(NONCE_OFFSET), aad, sealed.subarray(HEADER_BYTES));
}
