import { timingSafeEqual } from "node:crypto";
import { BIT_STRING, DerError, DerReader, element, INTEGER, join, OCTET_STRING, SEQUENCE } from "./der.ts";
import type { PairSpec } from "./key-workers.ts";

/** How keys are written down: SubjectPublicKeyInfo (RFC 5280) and PKCS#8 (RFC 5958), each with one spec's identifier. */

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

const EC = "06072a8648ce3d0201";
/** 2.16.840.1.101.3.4, the arc of NIST's algorithms. */
const NIST = "060960864801650304";

const rsa = fromHex("300d06092a864886f70d0101010500");

/** AlgorithmIdentifier, whole: RFC 3279 (RSA), RFC 5480 and SEC 2 (curves), RFC 8410, RFC 9881, RFC 9935. */
const IDENTIFIERS: Readonly<Record<PairSpec, Uint8Array>> = {
  RSA_2048: rsa,
  RSA_3072: rsa,
  RSA_4096: rsa,
  ECC_NIST_P256: fromHex(`3013${EC}06082a8648ce3d030107`),
  ECC_NIST_P384: fromHex(`3010${EC}06052b81040022`),
  ECC_NIST_P521: fromHex(`3010${EC}06052b81040023`),
  ECC_SECG_P256K1: fromHex(`3010${EC}06052b8104000a`),
  ECC_NIST_EDWARDS25519: fromHex("300506032b6570"),
  ML_DSA_44: fromHex(`300b${NIST}0311`),
  ML_DSA_65: fromHex(`300b${NIST}0312`),
  ML_DSA_87: fromHex(`300b${NIST}0313`),
  ML_KEM_512: fromHex(`300b${NIST}0401`),
  ML_KEM_768: fromHex(`300b${NIST}0402`),
  ML_KEM_1024: fromHex(`300b${NIST}0403`),
};

const VERSION = fromHex("020100");
const NO_UNUSED_BITS = Uint8Array.of(0);

/** SubjectPublicKeyInfo around the bytes of a public key. */
export const publicKeyInfo = (spec: PairSpec, publicKey: Uint8Array): Uint8Array<ArrayBuffer> =>
  element(SEQUENCE, IDENTIFIERS[spec], element(BIT_STRING, NO_UNUSED_BITS, publicKey));

/** The bytes of the public key in a SubjectPublicKeyInfo, as a view; throws a DerError if it is not of this spec. */
export function publicKeyBytes(spec: PairSpec, info: Uint8Array): Uint8Array {
  const outer = new DerReader(info);
  const content = outer.read(SEQUENCE);
  outer.requireEnd();
  const reader = new DerReader(content);
  requireIdentifier(spec, content, reader);
  const bits = reader.read(BIT_STRING);
  reader.requireEnd();
  if (bits[0] !== 0) throw new DerError("the bits of a key fill whole bytes");
  return bits.subarray(1);
}

/** PKCS#8 around a private key in its own form. The inner bytes are copied: their owner overwrites them. */
export function privateKeyInfo(spec: PairSpec, privateKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const inner = element(OCTET_STRING, privateKey);
  try {
    return element(SEQUENCE, VERSION, IDENTIFIERS[spec], inner);
  } finally {
    inner.fill(0);
  }
}

/** What PKCS#8 says of the private key, as a view; throws a DerError if it is not of this spec. */
export function privateKeyBytes(spec: PairSpec, info: Uint8Array): Uint8Array {
  const outer = new DerReader(info);
  const content = outer.read(SEQUENCE);
  outer.requireEnd();
  const reader = new DerReader(content);
  const version = reader.read(INTEGER);
  if (version.byteLength !== 1 || (version[0] ?? 2) > 1) throw new DerError("this version of PKCS#8 is not known");
  requireIdentifier(spec, content, reader);
  // Attributes and a public key may follow (RFC 5958, section 2): what counts is derived from the private key.
  return reader.read(OCTET_STRING);
}

function requireIdentifier(spec: PairSpec, content: Uint8Array, reader: DerReader): void {
  const start = reader.offset;
  reader.read(SEQUENCE);
  const found = content.subarray(start, reader.offset);
  const wanted = IDENTIFIERS[spec];
  if (found.byteLength !== wanted.byteLength || !timingSafeEqual(found, wanted)) {
    throw new DerError("the key is of another kind");
  }
}

/** Form [0] of the private keys of ML-DSA and ML-KEM: the seed alone, implicitly tagged (RFC 9881 and RFC 9935, section 6). */
const SEED = 0x80;

export function seedKeyInfo(spec: PairSpec, seed: Uint8Array): Uint8Array<ArrayBuffer> {
  const inner = element(SEED, seed);
  try {
    return privateKeyInfo(spec, inner);
  } finally {
    inner.fill(0);
  }
}

/** The seed in a PKCS#8 of seed form, as a view; throws a DerError for any other. */
export function seedBytes(spec: PairSpec, info: Uint8Array, seedLengthBytes: number): Uint8Array {
  const reader = new DerReader(privateKeyBytes(spec, info));
  const seed = reader.read(SEED);
  reader.requireEnd();
  if (seed.byteLength !== seedLengthBytes) throw new DerError("the seed has another length");
  return seed;
}

/** The private scalar in a PKCS#8 of an elliptic curve (ECPrivateKey, RFC 5915): a copy of exactly `lengthBytes`. */
export function scalarBytes(spec: PairSpec, info: Uint8Array, lengthBytes: number): Uint8Array<ArrayBuffer> {
  const outer = new DerReader(privateKeyBytes(spec, info));
  const reader = new DerReader(outer.read(SEQUENCE));
  outer.requireEnd();
  const version = reader.read(INTEGER);
  const scalar = reader.read(OCTET_STRING);
  if (version[0] !== 1 || scalar.byteLength > lengthBytes) throw new DerError("this form of scalar is not known");
  return join(new Uint8Array(lengthBytes - scalar.byteLength), scalar);
}

/** The seed in a PKCS#8 of Ed25519 (CurvePrivateKey, RFC 8410): a view. */
export function edwardsSeed(spec: PairSpec, info: Uint8Array): Uint8Array {
  const reader = new DerReader(privateKeyBytes(spec, info));
  const seed = reader.read(OCTET_STRING);
  reader.requireEnd();
  if (seed.byteLength !== 32) throw new DerError("the seed has another length");
  return seed;
}
