import { createCipheriv, createDecipheriv } from "node:crypto";
import { equalInConstantTime } from "./equal.ts";
import { deriveBytes } from "./kdf.ts";
import { ownBytes, wipe } from "./wipe.ts";

export const KEY_BYTES = 32;
export const GCM_NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** The nonce of the committing form goes into the key derivation: 128 random bits never repeat in practice. */
export const COMMITTING_NONCE_BYTES = 16;
export const COMMITMENT_BYTES = 32;
/** What the committing form adds to a plaintext, its nonce not counted. */
export const COMMITTING_OVERHEAD_BYTES: number = COMMITMENT_BYTES + TAG_BYTES;

/** Every key of the committing form is used once, so its nonce may be constant. */
const ZERO_NONCE: Uint8Array = new Uint8Array(GCM_NONCE_BYTES);
const NO_HEADER: Uint8Array = new Uint8Array(0);

/** AES-256-GCM: ciphertext ‖ tag. The nonce must be new for this key. */
export function sealGcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const sealed = ownBytes(plaintext.byteLength + TAG_BYTES);
  sealGcmInto(sealed, 0, key, nonce, aad, plaintext);
  return sealed;
}

function sealGcmInto(
  target: Buffer,
  offset: number,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): void {
  // Of 16 bytes, its default, is the tag; naming the length costs a copy of the options.
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad);
  target.set(cipher.update(plaintext), offset);
  // GCM holds nothing back: `final` only computes the tag, and makes OpenSSL overwrite its key schedule.
  cipher.final();
  target.set(cipher.getAuthTag(), offset + plaintext.byteLength);
}

/** The plaintext, in memory of its own, or null: one answer for whatever does not fit. The caller wipes it. */
export function openGcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer | null {
  if (sealed.byteLength < TAG_BYTES) return null;
  const end = sealed.byteLength - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
    return null;
  }
}

/** What one message is sealed for: its key is derived from all of `label` and `kdfContext`; `aad` is authenticated. */
export interface CommittingUse {
  readonly label: string;
  /** Ends with the message's random nonce of COMMITTING_NONCE_BYTES. */
  readonly kdfContext: Uint8Array;
  readonly aad: Uint8Array;
}

/**
 * Key-committing encryption: a key and a commitment of 32 bytes each are derived for this one message, so that a sealed
 * message opens under no other key than the one that made it. Returns header ‖ commitment ‖ ciphertext ‖ tag; the header is
 * for the reader to find the key by, and authenticated only as far as `use` holds it.
 */
export function sealCommitting(
  key: Uint8Array,
  use: CommittingUse,
  plaintext: Uint8Array,
  header: Uint8Array = NO_HEADER,
): Buffer {
  const derived = deriveBytes(key, use.label, use.kdfContext, KEY_BYTES + COMMITMENT_BYTES);
  try {
    const start = header.byteLength;
    const sealed = Buffer.allocUnsafe(start + COMMITTING_OVERHEAD_BYTES + plaintext.byteLength);
    sealed.set(header);
    sealed.set(derived.subarray(KEY_BYTES), start);
    sealGcmInto(sealed, start + COMMITMENT_BYTES, derived.subarray(0, KEY_BYTES), ZERO_NONCE, use.aad, plaintext);
    return sealed;
  } finally {
    wipe(derived);
  }
}

/** Opens what `sealCommitting` made; null for whatever does not fit. The caller wipes the plaintext. */
export function openCommitting(key: Uint8Array, use: CommittingUse, sealed: Uint8Array): Buffer | null {
  if (sealed.byteLength < COMMITTING_OVERHEAD_BYTES) return null;
  const derived = deriveBytes(key, use.label, use.kdfContext, KEY_BYTES + COMMITMENT_BYTES);
  try {
    if (!equalInConstantTime(derived.subarray(KEY_BYTES), sealed.subarray(0, COMMITMENT_BYTES))) return null;
    return openGcm(derived.subarray(0, KEY_BYTES), ZERO_NONCE, use.aad, sealed.subarray(COMMITMENT_BYTES));
  } finally {
    wipe(derived);
  }
}
