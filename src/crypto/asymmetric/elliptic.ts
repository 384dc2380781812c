import { asBuffer } from "../../base/bytes.ts";
import {
  createECDH,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { ownBytes, wipe } from "../wipe.ts";
import { element, integer, SEQUENCE } from "./der.ts";
import { publicKeyBytes, publicKeyInfo, scalarBytes } from "./key-encodings.ts";
import type { KeyPair, MessageKind, PairSpec } from "./key-workers.ts";

export type CurveSpec = Exclude<Extract<PairSpec, `ECC_${string}`>, "ECC_NIST_EDWARDS25519">;

interface Curve {
  /** By its name in OpenSSL. */
  readonly name: string;
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly fieldBytes: number;
  readonly digestBytes: number;
  readonly noble: typeof p256;
}

const CURVES: Readonly<Record<CurveSpec, Curve>> = {
  ECC_NIST_P256: { name: "prime256v1", hash: "sha256", fieldBytes: 32, digestBytes: 32, noble: p256 },
  ECC_NIST_P384: { name: "secp384r1", hash: "sha384", fieldBytes: 48, digestBytes: 48, noble: p384 },
  ECC_NIST_P521: { name: "secp521r1", hash: "sha512", fieldBytes: 66, digestBytes: 64, noble: p521 },
  ECC_SECG_P256K1: { name: "secp256k1", hash: "sha256", fieldBytes: 32, digestBytes: 32, noble: secp256k1 },
};

export const isCurveSpec = (spec: PairSpec): spec is CurveSpec => Object.hasOwn(CURVES, spec);

/** A private key to work with. */
export interface CurvePrivateKey {
  readonly spec: CurveSpec;
  readonly key: KeyObject;
  /** Of the field's length, in memory of its own; overwritten when the key is dropped. */
  readonly scalar: Uint8Array;
}

export function generateCurve(spec: CurveSpec): KeyPair {
  return generateKeyPairSync("ec", {
    namedCurve: CURVES[spec].name,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  });
}

/** Throws for what is no private key of this curve. The caller overwrites the DER. */
export function parseCurvePrivateKey(spec: CurveSpec, pkcs8: Uint8Array): CurvePrivateKey {
  const scalar = scalarBytes(spec, pkcs8, CURVES[spec].fieldBytes);
  try {
    return { spec, key: createPrivateKey({ key: asBuffer(pkcs8), format: "der", type: "pkcs8" }), scalar };
  } catch (error) {
    wipe(scalar);
    throw error;
  }
}

/** Throws for what is no point of this curve, in a form that has one. */
export function parseCurvePublicKey(spec: CurveSpec, spki: Uint8Array): KeyObject {
  const point = publicKeyBytes(spec, spki);
  const { fieldBytes } = CURVES[spec];
  const whole = point[0] === 4 && point.byteLength === 1 + 2 * fieldBytes;
  const compressed = (point[0] === 2 || point[0] === 3) && point.byteLength === 1 + fieldBytes;
  if (!whole && !compressed) throw new RangeError("no point of this curve");
  return createPublicKey({ key: asBuffer(spki), format: "der", type: "spki" });
}

/** The public half, made of the scalar alone: what a PKCS#8 says of it need not be true. Null if the two do not fit together. */
export function soundCurvePublicKey(spec: CurveSpec, pkcs8: Uint8Array): Uint8Array | null {
  const { key, scalar } = parseCurvePrivateKey(spec, pkcs8);
  try {
    const spki = publicKeyInfo(spec, multiplyGenerator(CURVES[spec], scalar));
    const message = randomBytes(32);
    const { hash } = CURVES[spec];
    const verified = verify(hash, message, parseCurvePublicKey(spec, spki), sign(hash, message, key));
    return verified && createPublicKey(key).equals(parseCurvePublicKey(spec, spki)) ? spki : null;
  } finally {
    wipe(scalar);
  }
}

/** The curve's own hash is the only one that KMS has with it. The signature is DER. */
export function signEcdsa(privateKey: CurvePrivateKey, kind: MessageKind, message: Uint8Array): Uint8Array {
  const curve = CURVES[privateKey.spec];
  if (kind === "RAW") return sign(curve.hash, message, { key: privateKey.key, dsaEncoding: "der" });
  requireDigest(curve, message);
  return signDigest(curve, privateKey.scalar, message);
}

export function verifyEcdsa(
  spec: CurveSpec,
  spki: Uint8Array,
  kind: MessageKind,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const curve = CURVES[spec];
  const key = parseCurvePublicKey(spec, spki);
  if (kind === "RAW") return verify(curve.hash, message, { key, dsaEncoding: "der" }, signature);
  requireDigest(curve, message);
  // OpenSSL's one-shot call would hash the digest again. Nothing here is secret.
  try {
    const options = { prehash: false, lowS: false, format: "der" } as const;
    return curve.noble.verify(signature, message, publicKeyBytes(spec, spki), options);
  } catch {
    return false;
  }
}

/** The x-coordinate of the shared point, which the caller overwrites; null when the peer's key is no sound one of this curve. */
export function agreeEcdh(privateKey: CurvePrivateKey, peerSpki: Uint8Array): Uint8Array | null {
  try {
    return diffieHellman({
      privateKey: privateKey.key,
      publicKey: parseCurvePublicKey(privateKey.spec, peerSpki),
    });
  } catch {
    return null;
  }
}

function requireDigest({ digestBytes }: Curve, digest: Uint8Array): void {
  if (digest.byteLength !== digestBytes) throw new RangeError("the digest has another length");
}

/**
 * ECDSA over a digest (FIPS 186-5, section 6.4.1), which Node has no call for. What must take constant time, the
 * multiplication of the nonce with the generator, is OpenSSL's. The equation that follows is arithmetic of JavaScript, whose
 * time depends on its numbers: so each is multiplied by a random factor before, which cancels out. `@noble` would do without
 * either, and leaves copies of the scalar in memory that outlive its thread.
 */
function signDigest(curve: Curve, scalar: Uint8Array, digest: Uint8Array): Uint8Array {
  const order = curve.noble.Point.Fn.ORDER;
  const invert = (value: bigint): bigint => curve.noble.Point.Fn.inv(value);
  const z = numberOf(digest);
  for (;;) {
    const nonceBytes = randomScalar(curve, order, scalar, digest);
    const factorBytes = randomScalar(curve, order, scalar, digest);
    try {
      const point = multiplyGenerator(curve, nonceBytes);
      const r = numberOf(point.subarray(1, 1 + curve.fieldBytes)) % order;
      const factor = numberOf(factorBytes);
      const blindedScalar = (numberOf(scalar) * factor) % order;
      const blindedNonce = (numberOf(nonceBytes) * factor) % order;
      const s = (invert(blindedNonce) * ((z * factor + r * blindedScalar) % order)) % order;
      if (r !== 0n && s !== 0n) return element(SEQUENCE, integer(bytesOf(r, curve)), integer(bytesOf(s, curve)));
    } finally {
      wipe(nonceBytes, factorBytes);
    }
  }
}

/** The point, uncompressed. Throws unless 0 < scalar < order. */
function multiplyGenerator(curve: Curve, scalar: Uint8Array): Uint8Array {
  const ecdh = createECDH(curve.name);
  ecdh.setPrivateKey(scalar);
  return ecdh.getPublicKey();
}

/**
 * A number between 0 and the order, both excluded, each as likely: candidates are drawn until one fits. Drawn from randomness
 * together with the key and the digest (as RFC 6979, section 3.6, allows), so that a generator that repeats itself does not
 * give the key away.
 */
function randomScalar(curve: Curve, order: bigint, scalar: Uint8Array, digest: Uint8Array): Uint8Array {
  const candidate = ownBytes(curve.fieldBytes);
  const unusedBits = 8 * curve.fieldBytes - order.toString(2).length;
  for (;;) {
    const randomness = randomBytes(64);
    for (let offset = 0, block = 0; offset < candidate.byteLength; block += 1) {
      const hmac = createHmac("sha512", scalar).update(randomness).update(digest);
      const part = hmac.update(Uint8Array.of(block)).digest();
      candidate.set(part.subarray(0, candidate.byteLength - offset), offset);
      offset += part.byteLength;
      wipe(part);
    }
    wipe(randomness);
    candidate[0] = (candidate[0] ?? 0) & (0xff >> unusedBits);
    const value = numberOf(candidate);
    if (value > 0n && value < order) return candidate;
  }
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${asBuffer(bytes).toString("hex")}`);

const bytesOf = (value: bigint, { fieldBytes }: Curve): Uint8Array =>
  Buffer.from(value.toString(16).padStart(2 * fieldBytes, "0"), "hex");
