import { asBuffer } from "../../base/bytes.ts";
import {
  COMMITTING_NONCE_BYTES,
  COMMITTING_OVERHEAD_BYTES,
  openCommitting,
  sealCommitting,
} from "../../crypto/aead.ts";
import type { KeyRecord } from "./records.ts";

/**
 * The ciphertext blob of symmetric keys. Byte layout and example: docs/formats/kms-ciphertext.md.
 *
 *   version (1) ‖ suite (1) ‖ form of key id (1) ‖ key id (16) ‖ account (6) ‖ length of Region (1) ‖ Region
 *     ‖ material id (32) ‖ nonce (16) ‖ commitment (32) ‖ ciphertext ‖ tag (16)
 *
 * Everything up to the nonce is the header. It names the key, goes into the tag, and is trusted only once that fits.
 */
export interface CiphertextHeader {
  readonly keyId: string;
  readonly accountId: string;
  readonly region: string;
  /** 64 hexadecimal digits. */
  readonly materialId: string;
  readonly nonce: Uint8Array;
}

export interface ParsedCiphertext {
  readonly header: CiphertextHeader;
  readonly headerBytes: Uint8Array;
  /** Commitment, ciphertext and tag. */
  readonly body: Uint8Array;
}

const VERSION = 0x01;
/** SP 800-108 counter mode with HMAC-SHA-256, then AES-256-GCM, key-committing. */
const SUITE = 0x01;
const FORM_UUID = 0x01;
const FORM_MULTI_REGION = 0x02;
const MULTI_REGION_PREFIX = "mrk-";
const KEY_ID_OFFSET = 3;
const ACCOUNT_OFFSET = 19;
const REGION_LENGTH_OFFSET = 25;
const REGION_OFFSET = 26;
const MATERIAL_ID_BYTES = 32;
const ACCOUNT_MAX = 999_999_999_999;
const REGION_PATTERN = /^[a-z0-9-]{1,32}$/;
const LABEL = "waxseal kms ciphertext v1";

/** CiphertextType of the service model. */
export const CIPHERTEXT_BYTES_MAX = 6144;

/** Encrypts under a key's material. `context` is the canonical encryption context. */
export const sealCiphertext = (
  material: Uint8Array,
  { nonce, ...start }: CiphertextHeader,
  context: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array => sealBehind(material, encodeHeaderStart(start), nonce, context, plaintext);

/** The same for a header of which all but the nonce is encoded already. */
export function sealBehind(
  material: Uint8Array,
  headerStart: Uint8Array,
  nonce: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  if (nonce.byteLength !== COMMITTING_NONCE_BYTES) throw new RangeError("not a ciphertext's nonce");
  const aad = Buffer.allocUnsafe(headerStart.byteLength + nonce.byteLength + context.byteLength);
  aad.set(headerStart);
  aad.set(nonce, headerStart.byteLength);
  aad.set(context, headerStart.byteLength + nonce.byteLength);
  const header = aad.subarray(0, headerStart.byteLength + nonce.byteLength);
  return sealCommitting(material, { label: LABEL, kdfContext: nonce, aad }, plaintext, header);
}

/** The plaintext, in memory of its own; null for whatever does not fit. The caller overwrites it. */
export function openCiphertext(material: Uint8Array, parsed: ParsedCiphertext, context: Uint8Array): Buffer | null {
  return openCommitting(material, useOf(parsed.header, parsed.headerBytes, context), parsed.body);
}

/** Null when the bytes have not the form of a blob. Nothing in the answer is authentic until `openCiphertext` succeeds. */
export function parseCiphertext(blob: Uint8Array): ParsedCiphertext | null {
  const bytes = asBuffer(blob);
  if (bytes.byteLength < REGION_OFFSET || bytes.byteLength > CIPHERTEXT_BYTES_MAX) return null;
  if (bytes[0] !== VERSION || bytes[1] !== SUITE) return null;
  const regionEnd = REGION_OFFSET + bytes.readUInt8(REGION_LENGTH_OFFSET);
  const headerEnd = regionEnd + MATERIAL_ID_BYTES + COMMITTING_NONCE_BYTES;
  if (bytes.byteLength < headerEnd + COMMITTING_OVERHEAD_BYTES) return null;
  const keyId = decodeKeyId(bytes.readUInt8(2), bytes.toString("hex", KEY_ID_OFFSET, ACCOUNT_OFFSET));
  const account = bytes.readUIntBE(ACCOUNT_OFFSET, 6);
  const region = bytes.toString("latin1", REGION_OFFSET, regionEnd);
  if (keyId === null || account > ACCOUNT_MAX || !REGION_PATTERN.test(region)) return null;
  const nonceOffset = headerEnd - COMMITTING_NONCE_BYTES;
  return {
    header: {
      keyId,
      accountId: String(account).padStart(12, "0"),
      region,
      materialId: bytes.toString("hex", regionEnd, nonceOffset),
      nonce: bytes.subarray(nonceOffset, headerEnd),
    },
    headerBytes: bytes.subarray(0, headerEnd),
    body: bytes.subarray(headerEnd),
  };
}

/**
 * Whether a header names this key. The keys that are related to a multi-Region key have its id and its material, and open
 * each other's ciphertexts; for all others the Region is part of the name.
 */
export const namesKey = (
  header: CiphertextHeader,
  key: { readonly keyId: string; readonly accountId: string; readonly region: string },
): boolean =>
  header.keyId === key.keyId &&
  header.accountId === key.accountId &&
  (header.region === key.region || header.keyId.startsWith(MULTI_REGION_PREFIX));

/** The beginning of the ciphertexts of keys' current materials, encoded once for each version of a key's record. */
export class HeaderStarts {
  readonly #known = new WeakMap<KeyRecord, Uint8Array>();

  of(key: KeyRecord, materialId: string): Uint8Array {
    const known = this.#known.get(key);
    if (known !== undefined && key.materialId === materialId) return known;
    const { keyId, accountId, region } = key;
    const start = encodeHeaderStart({ keyId, accountId, region, materialId });
    if (key.materialId === materialId) this.#known.set(key, start);
    return start;
  }
}

/** All of a header but its nonce: the same for every ciphertext of a material. */
function encodeHeaderStart({ keyId, accountId, region, materialId }: Omit<CiphertextHeader, "nonce">): Buffer {
  if (!REGION_PATTERN.test(region)) throw new RangeError("not a ciphertext header");
  const multiRegion = keyId.startsWith(MULTI_REGION_PREFIX);
  const bytes = Buffer.alloc(REGION_OFFSET + region.length + MATERIAL_ID_BYTES);
  bytes.set([VERSION, SUITE, multiRegion ? FORM_MULTI_REGION : FORM_UUID]);
  bytes.write(keyId.replace(/^mrk-|-/g, ""), KEY_ID_OFFSET, "hex");
  bytes.writeUIntBE(Number(accountId), ACCOUNT_OFFSET, 6);
  bytes.writeUInt8(region.length, REGION_LENGTH_OFFSET);
  bytes.write(region, REGION_OFFSET, "latin1");
  bytes.write(materialId, REGION_OFFSET + region.length, "hex");
  return bytes;
}

function decodeKeyId(form: number, hex: string): string | null {
  if (form === FORM_MULTI_REGION) return MULTI_REGION_PREFIX + hex;
  if (form !== FORM_UUID) return null;
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function useOf(
  header: CiphertextHeader,
  headerBytes: Uint8Array,
  context: Uint8Array,
): { label: string; kdfContext: Uint8Array; aad: Uint8Array } {
  return { label: LABEL, kdfContext: header.nonce, aad: Buffer.concat([headerBytes, context]) };
}
