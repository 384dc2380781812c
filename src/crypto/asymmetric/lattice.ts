import { randomFillSync } from "node:crypto";
import { ml_dsa44, ml_dsa65, ml_dsa87, type DSA } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem1024, ml_kem512, ml_kem768, type MLKEM } from "@noble/post-quantum/ml-kem.js";
import { wipe } from "../wipe.ts";
import { publicKeyBytes, publicKeyInfo, seedBytes, seedKeyInfo } from "./key-encodings.ts";
import type { KeyPair, MessageKind, PairSpec } from "./key-workers.ts";

/** ML-DSA (FIPS 204) and ML-KEM (FIPS 203), which OpenSSL has from 3.5 on and Node 20 has not. */

export type DsaSpec = Extract<PairSpec, `ML_DSA_${string}`>;
export type KemSpec = Extract<PairSpec, `ML_KEM_${string}`>;

const DSAS: Readonly<Record<DsaSpec, DSA>> = { ML_DSA_44: ml_dsa44, ML_DSA_65: ml_dsa65, ML_DSA_87: ml_dsa87 };
const KEMS: Readonly<Record<KemSpec, MLKEM>> = {
  ML_KEM_512: ml_kem512,
  ML_KEM_768: ml_kem768,
  ML_KEM_1024: ml_kem1024,
};

export const isDsaSpec = (spec: PairSpec): spec is DsaSpec => Object.hasOwn(DSAS, spec);
export const isKemSpec = (spec: PairSpec): spec is KemSpec => Object.hasOwn(KEMS, spec);

/** 32 bytes (FIPS 204, algorithm 1), or d and z of 32 bytes each (FIPS 203, algorithm 19). */
const seedLength = (spec: DsaSpec | KemSpec): number => (isDsaSpec(spec) ? 32 : 64);

const schemeOf = (spec: DsaSpec | KemSpec): DSA | MLKEM => (isDsaSpec(spec) ? DSAS[spec] : KEMS[spec]);

/** A private key to work with, expanded from its seed. */
export interface LatticePrivateKey {
  readonly spec: DsaSpec | KemSpec;
  /** Overwritten when the key is dropped. */
  readonly secretKey: Uint8Array;
}

export function generateLattice(spec: DsaSpec | KemSpec): KeyPair {
  const seed = randomFillSync(new Uint8Array(new ArrayBuffer(seedLength(spec))));
  const { publicKey, secretKey } = schemeOf(spec).keygen(seed);
  wipe(secretKey);
  try {
    return { privateKey: seedKeyInfo(spec, seed), publicKey: publicKeyInfo(spec, publicKey) };
  } finally {
    wipe(seed);
  }
}

/** Throws for what is no private key of this spec in seed form. The caller overwrites the DER. */
export function parseLatticePrivateKey(spec: DsaSpec | KemSpec, pkcs8: Uint8Array): LatticePrivateKey {
  return { spec, secretKey: schemeOf(spec).keygen(seedBytes(spec, pkcs8, seedLength(spec))).secretKey };
}

/** Any seed is a sound key: the public half is computed from it. */
export function soundLatticePublicKey(spec: DsaSpec | KemSpec, pkcs8: Uint8Array): Uint8Array {
  const { publicKey, secretKey } = schemeOf(spec).keygen(seedBytes(spec, pkcs8, seedLength(spec)));
  wipe(secretKey);
  return publicKeyInfo(spec, publicKey);
}

/** The message with an empty context, or its mu. */
export function signDsa(spec: DsaSpec, secretKey: Uint8Array, kind: MessageKind, message: Uint8Array): Uint8Array {
  const scheme = DSAS[spec];
  if (kind === "RAW") return scheme.sign(message, secretKey);
  requireMu(kind);
  return scheme.internal.sign(message, secretKey, { externalMu: true });
}

export function verifyDsa(
  spec: DsaSpec,
  spki: Uint8Array,
  kind: MessageKind,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const scheme = DSAS[spec];
  const publicKey = publicKeyBytes(spec, spki);
  if (signature.byteLength !== scheme.lengths.signature) return false;
  if (kind === "RAW") return scheme.verify(signature, message, publicKey);
  requireMu(kind);
  return scheme.internal.verify(signature, message, publicKey, { externalMu: true });
}

function requireMu(kind: MessageKind): void {
  if (kind !== "EXTERNAL_MU") throw new Error(`${kind} is not for ML-DSA keys`);
}

/** Throws for a public key whose numbers are out of range (FIPS 203, section 7.2). The caller overwrites the secret. */
export function encapsulateKem(
  spec: KemSpec,
  spki: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } {
  const { cipherText, sharedSecret } = KEMS[spec].encapsulate(publicKeyBytes(spec, spki));
  return { ciphertext: cipherText, sharedSecret };
}

/** Null for a ciphertext of the wrong length; any other gives a secret (FIPS 203, section 6.3: implicit rejection). */
export function decapsulateKem(spec: KemSpec, secretKey: Uint8Array, ciphertext: Uint8Array): Uint8Array | null {
  const scheme = KEMS[spec];
  return ciphertext.byteLength === scheme.lengths.cipherText ? scheme.decapsulate(ciphertext, secretKey) : null;
}
