import type { RsaEncryptionAlgorithm } from "../../../crypto/asymmetric/key-workers.ts";
import type { OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { EncryptionContext } from "../encryption-context.ts";
import { contextWithKeyPair, incompatibleAlgorithm, internal, invalidCiphertext, plaintextTooLong } from "../errors.ts";
import { lendPrivateKey, offMainThread, publicKeyOf } from "../key-pairs.ts";
import type { ServedSpec } from "../key-specs.ts";
import { requireMaterialId } from "../materials.ts";
import { SYMMETRIC_DEFAULT } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type { EncryptionAlgorithmSpec } from "../shapes.generated.ts";
import { encryptUnder } from "./crypto-operation.ts";

/** Under which key, by which algorithm and for which context something is encrypted. */
export interface EncryptionTarget {
  readonly named: NamedKey;
  readonly key: KeyRecord;
  readonly algorithm: EncryptionAlgorithmSpec;
  readonly encryptionContext: EncryptionContext | undefined;
}

export interface Encrypted {
  readonly ciphertext: Uint8Array;
  readonly writes: readonly Write[];
  /** Of symmetric keys alone. */
  readonly materialId?: string;
}

const MODULUS_BYTES: Readonly<Partial<Record<ServedSpec, number>>> = { RSA_2048: 256, RSA_3072: 384, RSA_4096: 512 };
const HASH_BYTES: Readonly<Record<RsaEncryptionAlgorithm, number>> = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 };

/** Encrypts by whatever algorithm the key has. The caller has asked `requireNoKeyPairContext` and `requireFits` before. */
export async function encryptFor(
  kms: KmsParts,
  context: OperationContext,
  { named, key, algorithm, encryptionContext }: EncryptionTarget,
  plaintext: Uint8Array,
): Promise<Encrypted> {
  if (algorithm === SYMMETRIC_DEFAULT) {
    const { ciphertext, writes } = await encryptUnder(kms, context, named, key, encryptionContext, plaintext);
    return { ciphertext, writes, materialId: requireMaterialId(key) };
  }
  const rsa = requireRsaAlgorithm(algorithm, key);
  context.willWait?.();
  return { ciphertext: await offMainThread(kms.keyWorkers.encrypt(publicKeyOf(key), rsa, plaintext)), writes: [] };
}

/** Opens an RSA ciphertext. The caller overwrites the plaintext. */
export async function decryptWithRsa(
  kms: KmsParts,
  context: OperationContext,
  key: KeyRecord,
  algorithm: EncryptionAlgorithmSpec,
  ciphertext: Uint8Array,
): Promise<Uint8Array> {
  const rsa = requireRsaAlgorithm(algorithm, key);
  const lent = await lendPrivateKey(kms, context, key);
  const plaintext = await offMainThread(kms.keyWorkers.decrypt(lent, rsa, ciphertext));
  if (plaintext === null) throw invalidCiphertext();
  return plaintext;
}

/** RSA ciphertexts have no place for it. */
export function requireNoKeyPairContext(
  algorithm: EncryptionAlgorithmSpec,
  context: EncryptionContext | undefined,
): void {
  if (algorithm !== SYMMETRIC_DEFAULT && Object.keys(context ?? {}).length > 0) throw contextWithKeyPair();
}

/** OAEP leaves room for the modulus less two hashes and two bytes (RFC 8017, section 7.1.1). */
export function requireFits(key: KeyRecord, algorithm: EncryptionAlgorithmSpec, plaintextBytes: number): void {
  if (algorithm === SYMMETRIC_DEFAULT) return;
  const modulusBytes = MODULUS_BYTES[key.keySpec];
  if (modulusBytes === undefined) throw internal(new Error(`${key.keySpec} is no RSA spec`));
  const bytesMax = modulusBytes - 2 * HASH_BYTES[requireRsaAlgorithm(algorithm, key)] - 2;
  if (plaintextBytes > bytesMax) throw plaintextTooLong(algorithm, key.keySpec, bytesMax);
}

function requireRsaAlgorithm(algorithm: EncryptionAlgorithmSpec, key: KeyRecord): RsaEncryptionAlgorithm {
  if (algorithm === "RSAES_OAEP_SHA_1" || algorithm === "RSAES_OAEP_SHA_256") return algorithm;
  throw incompatibleAlgorithm(algorithm, key.keySpec);
}
