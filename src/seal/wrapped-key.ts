import { asBuffer } from "../base/bytes.ts";
import { COMMITTING_NONCE_BYTES, COMMITTING_OVERHEAD_BYTES, openCommitting, sealCommitting } from "../crypto/aead.ts";
import type { SealedBytes } from "../base/brand.ts";

/**
 * A key wrapped under another one. Byte layout and example: docs/formats/wrapped-key.md.
 *
 *   version (1) ‖ number of the wrapping key (4) ‖ nonce (16) ‖ commitment (32) ‖ ciphertext ‖ tag (16)
 */
const VERSION = 0x01;
const NUMBER_OFFSET = 1;
const NONCE_OFFSET = 5;
const HEADER_BYTES = NONCE_OFFSET + COMMITTING_NONCE_BYTES;
const LABEL = "waxseal wrapped key v1";

/** In place of a domain key's number: wrapped under the root key, or under a key derived from a passphrase. */
export const ROOT_KEY_NUMBER = 0;

/** What a wrapped key is and whose: both are authenticated, neither is stored. */
export interface WrapBinding {
  readonly purpose: string;
  readonly binding: string;
}

export function wrap(
  wrappingKey: Uint8Array,
  keyNumber: number,
  nonce: Uint8Array,
  bound: WrapBinding,
  key: Uint8Array,
): SealedBytes {
  if (nonce.byteLength !== COMMITTING_NONCE_BYTES) throw new RangeError("a nonce has 16 bytes");
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION);
  header.writeUInt32BE(keyNumber, NUMBER_OFFSET);
  header.set(nonce, NONCE_OFFSET);
  return sealCommitting(wrappingKey, useOf(header, bound), key, header) as Uint8Array as SealedBytes;
}

/** The number of the key that wraps; null when the bytes are no wrapped key of this version. */
export function wrappingKeyNumber(wrapped: Uint8Array): number | null {
  if (wrapped.byteLength <= HEADER_BYTES + COMMITTING_OVERHEAD_BYTES || wrapped[0] !== VERSION) return null;
  return asBuffer(wrapped).readUInt32BE(NUMBER_OFFSET);
}

/** The key, in memory of its own, which the caller overwrites; null for whatever does not fit. */
export function unwrap(wrappingKey: Uint8Array, bound: WrapBinding, wrapped: Uint8Array): Buffer | null {
  if (wrappingKeyNumber(wrapped) === null) return null;
  const header = wrapped.subarray(0, HEADER_BYTES);
  return openCommitting(wrappingKey, useOf(header, bound), wrapped.subarray(HEADER_BYTES));
}

function useOf(header: Uint8Array, bound: WrapBinding): { label: string; kdfContext: Uint8Array; aad: Uint8Array } {
  return { label: LABEL, kdfContext: header.subarray(NONCE_OFFSET), aad: authenticated(header, bound) };
}

/** header ‖ length of purpose (4) ‖ purpose ‖ length of binding (4) ‖ binding: no two pairs give the same bytes. */
export function authenticated(header: Uint8Array, bound: WrapBinding): Buffer {
  const purpose = Buffer.from(bound.purpose, "utf8");
  const binding = Buffer.from(bound.binding, "utf8");
  const length = (bytes: Uint8Array): Buffer => {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(bytes.byteLength);
    return prefix;
  };
  return Buffer.concat([header, length(purpose), purpose, length(binding), binding]);
}
