import { asBuffer } from "../../base/bytes.ts";
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { wipe } from "../wipe.ts";
import { join } from "./der.ts";
import { privateKeyBytes, publicKeyBytes } from "./key-encodings.ts";
import type {
  ImportWrapping,
  KeyPair,
  MessageKind,
  PairSpec,
  RsaEncryptionAlgorithm,
  SigningAlgorithm,
} from "./key-workers.ts";
import { isSoundRsaKey } from "./rsa-soundness.ts";

export type RsaSpec = Extract<PairSpec, `RSA_${string}`>;

export const isRsaSpec = (spec: PairSpec): spec is RsaSpec => spec.startsWith("RSA_");

const MODULUS_BITS: Readonly<Record<RsaSpec, number>> = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 };

/** Takes seconds for 4096 bits. */
export function generateRsa(spec: RsaSpec): KeyPair {
  return generateKeyPairSync("rsa", {
    modulusLength: MODULUS_BITS[spec],
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
}

/** All RSA specs are written down alike. */
const ANY_RSA: RsaSpec = "RSA_2048";

/** A private key to work with, of any length. Throws for what is no RSA key. The caller overwrites the DER. */
export function parseRsaPrivateKey(pkcs8: Uint8Array): KeyObject {
  privateKeyBytes(ANY_RSA, pkcs8);
  return createPrivateKey({ key: asBuffer(pkcs8), format: "der", type: "pkcs8" });
}

/** Of any length. Throws for what is no RSA key. */
export function parseRsaPublicKey(spki: Uint8Array): KeyObject {
  publicKeyBytes(ANY_RSA, spki);
  return createPublicKey({ key: asBuffer(spki), format: "der", type: "spki" });
}

/** The public half (SubjectPublicKeyInfo) of a key from outside, after every relation between its numbers was checked; else null. */
export function soundRsaPublicKey(spec: RsaSpec, pkcs8: Uint8Array): Uint8Array | null {
  const privateKey = parseRsaPrivateKey(pkcs8);
  if (modulusBitsOf(privateKey) !== MODULUS_BITS[spec] || !isSoundRsaKey(privateKeyBytes(spec, pkcs8))) return null;
  const publicKey = createPublicKey(privateKey);
  const message = randomBytes(32);
  const signature = sign("sha256", message, privateKey);
  return verify("sha256", message, publicKey, signature) ? publicKey.export({ type: "spki", format: "der" }) : null;
}

interface RsaScheme {
  readonly pss: boolean;
  readonly hash: "sha256" | "sha384" | "sha512";
  /** DigestInfo up to the digest (RFC 8017, section 9.2, note 1). */
  readonly digestInfo: Uint8Array;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

const digestInfo = (lastOidByte: number, digestBytes: number): Uint8Array =>
  Buffer.from(
    [`30${hex(17 + digestBytes)}300d0609`, `6086480165030402${hex(lastOidByte)}`, `050004${hex(digestBytes)}`].join(""),
    "hex",
  );

const SHA_256 = { hash: "sha256", digestInfo: digestInfo(1, 32) } as const;
const SHA_384 = { hash: "sha384", digestInfo: digestInfo(2, 48) } as const;
const SHA_512 = { hash: "sha512", digestInfo: digestInfo(3, 64) } as const;

const SCHEMES: Readonly<Partial<Record<SigningAlgorithm, RsaScheme>>> = {
  RSASSA_PSS_SHA_256: { pss: true, ...SHA_256 },
  RSASSA_PSS_SHA_384: { pss: true, ...SHA_384 },
  RSASSA_PSS_SHA_512: { pss: true, ...SHA_512 },
  RSASSA_PKCS1_V1_5_SHA_256: { pss: false, ...SHA_256 },
  RSASSA_PKCS1_V1_5_SHA_384: { pss: false, ...SHA_384 },
  RSASSA_PKCS1_V1_5_SHA_512: { pss: false, ...SHA_512 },
};

export function signRsa(
  key: KeyObject,
  algorithm: SigningAlgorithm,
  kind: MessageKind,
  message: Uint8Array,
): Uint8Array {
  const scheme = schemeOf(algorithm);
  if (kind === "RAW") return sign(scheme.hash, message, { key, ...openSslScheme(scheme) });
  requireDigest(scheme, message);
  // OpenSSL's one-shot calls hash what they are given: the encoding of a digest is ours, the RSA under it OpenSSL's.
  const encoded = scheme.pss
    ? pssEncode(scheme, message, modulusBitsOf(key) - 1)
    : pkcs1Encode(scheme, message, modulusBytesOf(key));
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
}

export function verifyRsa(
  key: KeyObject,
  algorithm: SigningAlgorithm,
  kind: MessageKind,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const scheme = schemeOf(algorithm);
  if (signature.byteLength !== modulusBytesOf(key)) return false;
  if (kind === "RAW") return verify(scheme.hash, message, { key, ...openSslScheme(scheme) }, signature);
  requireDigest(scheme, message);
  const encoded = opened(key, signature);
  if (encoded === null) return false;
  return scheme.pss
    ? pssVerify(scheme, message, encoded, modulusBitsOf(key) - 1)
    : timingSafeEqual(encoded, pkcs1Encode(scheme, message, modulusBytesOf(key)));
}

/** What the signature encodes; null for a number that is not below the modulus. */
function opened(key: KeyObject, signature: Uint8Array): Uint8Array | null {
  try {
    return publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature);
  } catch {
    return null;
  }
}

/** Throws when the plaintext is too long for the key. */
export const encryptOaep = (key: KeyObject, algorithm: RsaEncryptionAlgorithm, plaintext: Uint8Array): Uint8Array =>
  publicEncrypt({ key, ...oaep(algorithm) }, plaintext);

/** The plaintext, which the caller overwrites, or null for whatever does not open: one answer, from OpenSSL in constant time. */
export function decryptOaep(
  key: KeyObject,
  algorithm: RsaEncryptionAlgorithm,
  ciphertext: Uint8Array,
): Uint8Array | null {
  if (ciphertext.byteLength !== modulusBytesOf(key)) return null;
  try {
    return privateDecrypt({ key, ...oaep(algorithm) }, ciphertext);
  } catch {
    return null;
  }
}

const WRAPPINGS: Readonly<
  Record<ImportWrapping, { readonly oaep: RsaEncryptionAlgorithm; readonly keyWrap: boolean }>
> = {
  RSAES_OAEP_SHA_1: { oaep: "RSAES_OAEP_SHA_1", keyWrap: false },
  RSAES_OAEP_SHA_256: { oaep: "RSAES_OAEP_SHA_256", keyWrap: false },
  RSA_AES_KEY_WRAP_SHA_1: { oaep: "RSAES_OAEP_SHA_1", keyWrap: true },
  RSA_AES_KEY_WRAP_SHA_256: { oaep: "RSAES_OAEP_SHA_256", keyWrap: true },
};

const KEY_WRAP_KEY_BYTES = 32;
/** The alternative initial value of AES key wrap with padding (RFC 5649, section 3). */
const KEY_WRAP_IV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);

/** What was wrapped under this key, which the caller overwrites, or null for whatever does not open. */
export function unwrapImported(key: KeyObject, wrapping: ImportWrapping, wrapped: Uint8Array): Uint8Array | null {
  const { oaep: algorithm, keyWrap } = WRAPPINGS[wrapping];
  if (!keyWrap) return decryptOaep(key, algorithm, wrapped);
  const head = modulusBytesOf(key);
  const wrappingKey = decryptOaep(key, algorithm, wrapped.subarray(0, head));
  try {
    if (wrappingKey?.byteLength !== KEY_WRAP_KEY_BYTES) return null;
    return unwrapPadded(wrappingKey, wrapped.subarray(head));
  } finally {
    wipe(wrappingKey);
  }
}

function unwrapPadded(wrappingKey: Uint8Array, wrapped: Uint8Array): Uint8Array | null {
  if (wrapped.byteLength < 16 || wrapped.byteLength % 8 !== 0) return null;
  try {
    const decipher = createDecipheriv("id-aes256-wrap-pad", wrappingKey, KEY_WRAP_IV);
    const material = decipher.update(wrapped);
    decipher.final();
    return material;
  } catch {
    return null;
  }
}

const modulusBitsOf = (key: KeyObject): number => key.asymmetricKeyDetails?.modulusLength ?? 0;
const modulusBytesOf = (key: KeyObject): number => Math.ceil(modulusBitsOf(key) / 8);

function schemeOf(algorithm: SigningAlgorithm): RsaScheme {
  const scheme = SCHEMES[algorithm];
  if (scheme === undefined) throw new Error(`${algorithm} is not for RSA keys`);
  return scheme;
}

function requireDigest({ digestInfo: prefix }: RsaScheme, digest: Uint8Array): void {
  if (digest.byteLength !== prefix.at(-1)) throw new RangeError("the digest has another length");
}

const openSslScheme = ({ pss }: RsaScheme): { readonly padding: number; readonly saltLength?: number } =>
  pss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { padding: constants.RSA_PKCS1_PADDING };

const oaep = (algorithm: RsaEncryptionAlgorithm): { readonly padding: number; readonly oaepHash: string } => ({
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: algorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256",
});

/** EMSA-PKCS1-v1_5 of a digest (RFC 8017, section 9.2). */
function pkcs1Encode({ digestInfo: prefix }: RsaScheme, digest: Uint8Array, encodedBytes: number): Uint8Array {
  const encoded = new Uint8Array(encodedBytes).fill(0xff);
  const tail = join(prefix, digest);
  encoded.set([0, 1]);
  encoded[encodedBytes - tail.byteLength - 1] = 0;
  encoded.set(tail, encodedBytes - tail.byteLength);
  return encoded;
}

/** What makes the hash that a PSS encoding carries (RFC 8017, section 9.1). */
const PSS_PADDING = new Uint8Array(8);
const PSS_TRAILER = 0xbc;

const pssHash = (hash: string, digest: Uint8Array, salt: Uint8Array): Uint8Array =>
  createHash(hash).update(PSS_PADDING).update(digest).update(salt).digest();

/** EMSA-PSS of a digest, with a salt of the digest's length (RFC 8017, section 9.1.1). */
function pssEncode({ hash }: RsaScheme, digest: Uint8Array, encodedBits: number): Uint8Array {
  const encoded = new Uint8Array(Math.ceil(encodedBits / 8));
  const salt = randomBytes(digest.byteLength);
  const inner = pssHash(hash, digest, salt);
  const maskedBytes = encoded.byteLength - inner.byteLength - 1;
  encoded[maskedBytes - salt.byteLength - 1] = 1;
  encoded.set(salt, maskedBytes - salt.byteLength);
  mask(hash, inner, encoded.subarray(0, maskedBytes), encodedBits);
  encoded.set(inner, maskedBytes);
  encoded[encoded.byteLength - 1] = PSS_TRAILER;
  return encoded;
}

/** EMSA-PSS-VERIFY with a salt of the digest's length (RFC 8017, section 9.1.2). */
function pssVerify({ hash }: RsaScheme, digest: Uint8Array, encoded: Uint8Array, encodedBits: number): boolean {
  const maskedBytes = encoded.byteLength - digest.byteLength - 1;
  const masked = Uint8Array.from(encoded.subarray(0, maskedBytes));
  const inner = encoded.subarray(maskedBytes, -1);
  const unusedBits = 8 * encoded.byteLength - encodedBits;
  if (encoded.at(-1) !== PSS_TRAILER || (masked[0] ?? 0) >> (8 - unusedBits) !== 0) return false;
  mask(hash, inner, masked, encodedBits);
  const saltStart = maskedBytes - digest.byteLength;
  const padded = masked.subarray(0, saltStart).every((byte, index) => byte === (index === saltStart - 1 ? 1 : 0));
  return padded && timingSafeEqual(inner, pssHash(hash, digest, masked.subarray(saltStart)));
}

/** Applies MGF1 of `seed` (RFC 8017, appendix B.2.1), and clears the bits that the modulus has no room for. */
function mask(hash: string, seed: Uint8Array, target: Uint8Array, encodedBits: number): void {
  const counter = new Uint8Array(4);
  for (let offset = 0; offset < target.byteLength; counter[3] = (counter[3] ?? 0) + 1) {
    const block = createHash(hash).update(seed).update(counter).digest();
    const end = Math.min(offset + block.byteLength, target.byteLength);
    for (let index = offset; index < end; index += 1) {
      target[index] = (target[index] ?? 0) ^ (block[index - offset] ?? 0);
    }
    offset = end;
  }
  target[0] = (target[0] ?? 0) & (0xff >> ((8 - (encodedBits % 8)) % 8));
}
