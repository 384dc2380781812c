import type { KeyObject } from "node:crypto";
import { wipe } from "../wipe.ts";
import { join } from "./der.ts";
import { signEdwards, verifyEdwards } from "./edwards.ts";
import { agreeEcdh, isCurveSpec, signEcdsa, verifyEcdsa } from "./elliptic.ts";
import type { Job, Outcome } from "./jobs.ts";
import { decapsulateKem, encapsulateKem, isDsaSpec, isKemSpec, signDsa, verifyDsa } from "./lattice.ts";
import { generatePair, type PrivateKey, soundPublicKey } from "./private-keys.ts";
import { decryptOaep, encryptOaep, isRsaSpec, parseRsaPublicKey, signRsa, unwrapImported, verifyRsa } from "./rsa.ts";

/** Does one job, whose bytes are this thread's own. `privateKey` is asked for by jobs that need one. */
export function execute(job: Job, privateKey: () => PrivateKey): Outcome {
  switch (job.do) {
    case "generate": {
      const pair = generatePair(job.spec);
      return [handedOver(pair.privateKey), handedOver(pair.publicKey)];
    }
    case "publicKeyOf":
      return handedOver(soundPublicKey(job.spec, job.privateKey));
    case "sign":
      return handedOver(sign(job, privateKey()));
    case "verify":
      return verify(job);
    case "encrypt":
      return handedOver(encryptOaep(parseRsaPublicKey(job.publicKey), job.algorithm, job.plaintext));
    case "decrypt":
      return handedOver(decryptOaep(rsaKey(privateKey()), job.algorithm, job.ciphertext));
    case "agree":
      return handedOver(agree(job, privateKey()));
    case "encapsulate": {
      if (!isKemSpec(job.spec)) throw wrongKey();
      const { ciphertext, sharedSecret } = encapsulateKem(job.spec, job.publicKey);
      return [handedOver(ciphertext), handedOver(sharedSecret)];
    }
    case "decapsulate":
      return handedOver(decapsulate(job, privateKey()));
    case "unwrapImport":
      return handedOver(unwrapImported(rsaKey(privateKey()), job.wrapping, job.wrapped));
  }
}

function sign(job: Job & { readonly do: "sign" }, privateKey: PrivateKey): Uint8Array {
  const { spec, algorithm, kind, message } = job;
  switch (privateKey.family) {
    case "rsa":
      return signRsa(privateKey.key, algorithm, kind, message);
    case "curve":
      return signEcdsa(privateKey, kind, message);
    case "edwards":
      return signEdwards(privateKey, algorithm, message);
    case "lattice":
      if (!isDsaSpec(spec)) throw wrongKey();
      return signDsa(spec, privateKey.secretKey, kind, message);
  }
}

/** The public key is the caller's own, so an unsound one is an error; whatever is wrong with the signature makes it false. */
function verify(job: Job & { readonly do: "verify" }): boolean {
  const { spec, publicKey, algorithm, kind, message, signature } = job;
  if (isRsaSpec(spec)) return verifyRsa(parseRsaPublicKey(publicKey), algorithm, kind, message, signature);
  if (isCurveSpec(spec)) return verifyEcdsa(spec, publicKey, kind, message, signature);
  if (isDsaSpec(spec)) return verifyDsa(spec, publicKey, kind, message, signature);
  if (isKemSpec(spec)) throw wrongKey();
  return verifyEdwards(publicKey, algorithm, message, signature);
}

function agree(job: Job & { readonly do: "agree" }, privateKey: PrivateKey): Uint8Array | null {
  if (privateKey.family !== "curve") throw wrongKey();
  return agreeEcdh(privateKey, job.peer);
}

function decapsulate(job: Job & { readonly do: "decapsulate" }, privateKey: PrivateKey): Uint8Array | null {
  if (privateKey.family !== "lattice" || !isKemSpec(job.spec)) throw wrongKey();
  return decapsulateKem(job.spec, privateKey.secretKey, job.ciphertext);
}

function rsaKey(privateKey: PrivateKey): KeyObject {
  if (privateKey.family !== "rsa") throw wrongKey();
  return privateKey.key;
}

const wrongKey = (): Error => new Error("the key is not for this work");

/** In memory of its own, ready to be transferred; what it was copied from is overwritten, as most results are secret. */
function handedOver(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
function handedOver(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null;
function handedOver(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null {
  if (bytes === null) return null;
  const own = join(bytes);
  wipe(bytes);
  return own;
}
