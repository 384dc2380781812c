import { asBuffer } from "../../base/bytes.ts";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { wipe } from "../wipe.ts";
import { join } from "./der.ts";
import { edwardsSeed, publicKeyBytes } from "./key-encodings.ts";
import type { KeyPair, SigningAlgorithm } from "./key-workers.ts";

const SPEC = "ECC_NIST_EDWARDS25519";
/** Of SHA-512: what callers send in the place of their message. */
const DIGEST_BYTES = 64;
const PUBLIC_KEY_BYTES = 32;

/** A private key to work with. */
export interface EdwardsPrivateKey {
  readonly spec: typeof SPEC;
  readonly key: KeyObject;
  /** In memory of its own; overwritten when the key is dropped. */
  readonly seed: Uint8Array;
}

export function generateEdwards(): KeyPair {
  return generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
}

/** Throws for what is no private key of Ed25519. The caller overwrites the DER. */
export function parseEdwardsPrivateKey(pkcs8: Uint8Array): EdwardsPrivateKey {
  const seed = edwardsSeed(SPEC, pkcs8);
  const key = createPrivateKey({ key: asBuffer(pkcs8), format: "der", type: "pkcs8" });
  return { spec: SPEC, key, seed: join(seed) };
}

/** Any seed is a sound key: the public half is computed from it. */
export function soundEdwardsPublicKey(pkcs8: Uint8Array): Uint8Array {
  const { key, seed } = parseEdwardsPrivateKey(pkcs8);
  wipe(seed);
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

/**
 * ED25519_SHA_512 takes the message. ED25519_PH_SHA_512 takes a SHA-512 digest as the message of Ed25519ph (RFC 8032, section
 * 5.1), which hashes it again: KMS does so (API reference of Sign, MessageType). OpenSSL 3.0 does not have it.
 */
export function signEdwards(
  privateKey: EdwardsPrivateKey,
  algorithm: SigningAlgorithm,
  message: Uint8Array,
): Uint8Array {
  if (algorithm === "ED25519_SHA_512") return sign(null, message, privateKey.key);
  requireDigest(algorithm, message);
  return ed25519ph.sign(message, privateKey.seed);
}

export function verifyEdwards(
  spki: Uint8Array,
  algorithm: SigningAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const publicKey = publicKeyBytes(SPEC, spki);
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) throw new RangeError("the public key has another length");
  if (algorithm === "ED25519_SHA_512") {
    const key = createPublicKey({ key: asBuffer(spki), format: "der", type: "spki" });
    return verify(null, message, key, signature);
  }
  requireDigest(algorithm, message);
  try {
    return ed25519ph.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}

function requireDigest(algorithm: SigningAlgorithm, digest: Uint8Array): void {
  if (algorithm !== "ED25519_PH_SHA_512") throw new Error(`${algorithm} is not for Ed25519 keys`);
  if (digest.byteLength !== DIGEST_BYTES) throw new RangeError("the digest has another length");
}
