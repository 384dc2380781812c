/** JSON Web Tokens (RFC 7519) signed by an identity provider: reading them, and checking a signature (RFC 7515, 7518). */
import { constants, createPublicKey, verify } from "node:crypto";
import type { KeyObject, VerifyKeyObjectInput } from "node:crypto";
import { notAToken } from "../errors.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Parsed, and nothing more: whoever sent it may have written it. */
export interface UnverifiedToken {
  readonly algorithm: Algorithm;
  /** Which of the provider's keys signed it, if it says so. */
  readonly keyId: string | null;
  readonly claims: JsonObject;
  readonly signingInput: string;
  readonly signature: Uint8Array;
}

export type Algorithm = "RS256" | "RS384" | "RS512" | "ES256" | "ES384" | "ES512";

interface AlgorithmRow {
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly keyType: "RSA" | "EC";
  readonly curve?: string;
  readonly options: Omit<VerifyKeyObjectInput, "key">;
}

const PKCS1 = { padding: constants.RSA_PKCS1_PADDING };
/** r and s side by side (RFC 7518, section 3.4), not as DER. */
const ECDSA = { dsaEncoding: "ieee-p1363" } as const;

/** What AssumeRoleWithWebIdentity takes (IAM User Guide). All are signatures by a private key: neither `none` nor an HMAC is here. */
const ALGORITHMS: Readonly<Record<Algorithm, AlgorithmRow>> = {
  RS256: { hash: "sha256", keyType: "RSA", options: PKCS1 },
  RS384: { hash: "sha384", keyType: "RSA", options: PKCS1 },
  RS512: { hash: "sha512", keyType: "RSA", options: PKCS1 },
  ES256: { hash: "sha256", keyType: "EC", curve: "P-256", options: ECDSA },
  ES384: { hash: "sha384", keyType: "EC", curve: "P-384", options: ECDSA },
  ES512: { hash: "sha512", keyType: "EC", curve: "P-521", options: ECDSA },
};

const PART = /^[A-Za-z0-9_-]+$/;
const KEY_ID_LENGTH_MAX = 512;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const decoder = new TextDecoder("utf-8", { fatal: true });

function jsonOf(part: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(Buffer.from(part, "base64url")));
  } catch {
    throw notAToken();
  }
  if (!isObject(value)) throw notAToken();
  return value;
}

/** Throws InvalidIdentityToken for what is no signed token, or signed in a way that is not taken. */
export function parseToken(text: string): UnverifiedToken {
  const parts = text.split(".", 4);
  const [header = "", payload = "", signature = ""] = parts;
  if (parts.length !== 3 || ![header, payload, signature].every((part) => PART.test(part))) throw notAToken();
  const { alg, kid, crit } = jsonOf(header);
  // RFC 7515, section 4.1.11: whoever does not know a critical extension must refuse the token. None is known here.
  if (crit !== undefined || typeof alg !== "string" || !Object.hasOwn(ALGORITHMS, alg)) throw notAToken();
  if (kid !== undefined && (typeof kid !== "string" || kid.length > KEY_ID_LENGTH_MAX)) throw notAToken();
  return {
    algorithm: alg as Algorithm,
    keyId: kid ?? null,
    claims: jsonOf(payload),
    signingInput: `${header}.${payload}`,
    signature: Buffer.from(signature, "base64url"),
  };
}

/** A public key of a provider, ready for use. */
export interface ProviderKey {
  readonly keyId: string | null;
  readonly keyType: "RSA" | "EC";
  readonly curve: string | null;
  /** The only algorithm that the provider uses it for; null: it does not say. */
  readonly algorithm: string | null;
  readonly key: KeyObject;
}

/** RSA keys below are too weak to take, above too slow to try. */
const MODULUS_BITS_MIN = 2_048;
const MODULUS_BITS_MAX = 8_192;

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** A key of a JSON Web Key Set (RFC 7517); null for one that is of no use for checking signatures. */
export function providerKey(jwk: unknown): ProviderKey | null {
  if (!isObject(jwk)) return null;
  const { kty, kid, use, alg, crv, n, e, x, y } = jwk;
  if (use !== undefined && use !== "sig") return null;
  if (kty !== "RSA" && kty !== "EC") return null;
  // Only the public members are handed on: a provider that publishes a private key is not to be helped.
  const parts = kty === "RSA" ? { kty, n, e } : { kty, crv, x, y };
  if (!Object.values(parts).every((part) => typeof part === "string" && part.length <= 2_048)) return null;
  try {
    const key = createPublicKey({ key: parts as Record<string, string>, format: "jwk" });
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (kty === "RSA" && (bits < MODULUS_BITS_MIN || bits > MODULUS_BITS_MAX)) return null;
    return { keyId: textOf(kid), keyType: kty, curve: kty === "EC" ? textOf(crv) : null, algorithm: textOf(alg), key };
  } catch {
    return null;
  }
}

/** Keys of a token that names none are tried one after the other, up to so many: anybody can send one, unsigned. */
const KEYS_TRIED_MAX = 4;

/** Those of a provider's keys that may have signed the token. */
export function candidates(token: UnverifiedToken, keys: readonly ProviderKey[]): readonly ProviderKey[] {
  const row = ALGORITHMS[token.algorithm];
  return keys
    .filter(
      ({ keyId, keyType, curve, algorithm }) =>
        keyType === row.keyType &&
        (row.curve === undefined || curve === row.curve) &&
        (algorithm === null || algorithm === token.algorithm) &&
        (token.keyId === null || keyId === token.keyId),
    )
    .slice(0, KEYS_TRIED_MAX);
}

export function isSignedBy(token: UnverifiedToken, { key }: ProviderKey): boolean {
  const { hash, options } = ALGORITHMS[token.algorithm];
  return verify(hash, Buffer.from(token.signingInput, "latin1"), { key, ...options }, token.signature);
}
