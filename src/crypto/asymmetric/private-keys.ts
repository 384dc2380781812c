import type { KeyObject } from "node:crypto";
import { wipe } from "../wipe.ts";
import { type EdwardsPrivateKey, generateEdwards, parseEdwardsPrivateKey, soundEdwardsPublicKey } from "./edwards.ts";
import {
  type CurvePrivateKey,
  generateCurve,
  isCurveSpec,
  parseCurvePrivateKey,
  soundCurvePublicKey,
} from "./elliptic.ts";
import type { KeyPair, PairSpec } from "./key-workers.ts";
import {
  generateLattice,
  isDsaSpec,
  isKemSpec,
  type LatticePrivateKey,
  parseLatticePrivateKey,
  soundLatticePublicKey,
} from "./lattice.ts";
import { generateRsa, isRsaSpec, parseRsaPrivateKey, soundRsaPublicKey } from "./rsa.ts";

/** A private key of any spec, ready to work with. */
export type PrivateKey =
  | { readonly family: "rsa"; readonly key: KeyObject }
  | ({ readonly family: "curve" } & CurvePrivateKey)
  | ({ readonly family: "edwards" } & EdwardsPrivateKey)
  | ({ readonly family: "lattice" } & LatticePrivateKey);

export function generatePair(spec: PairSpec): KeyPair {
  if (isRsaSpec(spec)) return generateRsa(spec);
  if (isCurveSpec(spec)) return generateCurve(spec);
  if (isDsaSpec(spec) || isKemSpec(spec)) return generateLattice(spec);
  return generateEdwards();
}

/** Throws for what is no private key of this spec. The caller overwrites the DER. */
export function parsePrivateKey(spec: PairSpec, pkcs8: Uint8Array): PrivateKey {
  if (isRsaSpec(spec)) return { family: "rsa", key: parseRsaPrivateKey(pkcs8) };
  if (isCurveSpec(spec)) return { family: "curve", ...parseCurvePrivateKey(spec, pkcs8) };
  if (isDsaSpec(spec) || isKemSpec(spec)) return { family: "lattice", ...parseLatticePrivateKey(spec, pkcs8) };
  return { family: "edwards", ...parseEdwardsPrivateKey(pkcs8) };
}

/** The public half of a private key from outside; null unless it is a sound key of this spec. The caller overwrites the DER. */
export function soundPublicKey(spec: PairSpec, pkcs8: Uint8Array): Uint8Array | null {
  try {
    if (isRsaSpec(spec)) return soundRsaPublicKey(spec, pkcs8);
    if (isCurveSpec(spec)) return soundCurvePublicKey(spec, pkcs8);
    if (isDsaSpec(spec) || isKemSpec(spec)) return soundLatticePublicKey(spec, pkcs8);
    return soundEdwardsPublicKey(pkcs8);
  } catch {
    // Whatever OpenSSL or the DER says against it: it is no sound key.
    return null;
  }
}

/** Overwrites what can be; OpenSSL overwrites its own when the KeyObject goes. */
export function destroyPrivateKey(privateKey: PrivateKey): void {
  if (privateKey.family === "curve") wipe(privateKey.scalar);
  if (privateKey.family === "edwards") wipe(privateKey.seed);
  if (privateKey.family === "lattice") wipe(privateKey.secretKey);
}
