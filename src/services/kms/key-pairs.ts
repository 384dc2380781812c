import { ServiceError } from "../../base/errors.ts";
import { KeyWorkersError } from "../../crypto/asymmetric/key-workers-error.ts";
import type { LentPrivateKey, PairSpec } from "../../crypto/asymmetric/key-workers.ts";
import type { OperationContext } from "../../gateway/contract.ts";
import { internal, overloaded } from "./errors.ts";
import { isPairSpec } from "./key-specs.ts";
import { requireMaterialId } from "./materials.ts";
import type { KmsParts } from "./parts.ts";
import type { KeyRecord } from "./records.ts";

/** The spec of a key whose usage says that it is a pair. */
export function pairSpecOf(key: KeyRecord): PairSpec {
  if (!isPairSpec(key.keySpec)) throw internal(new Error(`key ${key.keyId} is no key pair`));
  return key.keySpec;
}

/** SubjectPublicKeyInfo DER of a pair whose state says that its material is there. */
export function publicKeyOf(key: KeyRecord): Buffer {
  if (key.publicKey === null) throw internal(new Error(`key ${key.keyId} has no public key`));
  return Buffer.from(key.publicKey, "base64");
}

/** The private half, for one call of the workers. */
export async function lendPrivateKey(
  kms: KmsParts,
  { read }: OperationContext,
  key: KeyRecord,
): Promise<LentPrivateKey> {
  const materialId = requireMaterialId(key);
  const lent = await kms.materials.lend(read, key, materialId);
  if (lent === null) throw internal(new Error(`key ${key.keyId} has no material ${materialId}`));
  return lent;
}

const ended = (): ServiceError =>
  new ServiceError("ServiceUnavailableException", "The server is sealed, or is being stopped.", { status: 503 });

/** The caller learns what became of the key when it asks again. */
const forgotten = (): ServiceError =>
  new ServiceError("KMSInvalidStateException", "The state of the KMS key changed while the request waited.");

/**
 * Waits for the workers, and says in KMS's words why no answer came: too much waits already, the key was disabled or lost its
 * material meanwhile, or the server was sealed or is being stopped.
 */
export async function offMainThread<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof KeyWorkersError)) throw error;
    if (error.reason === "busy") throw overloaded();
    if (error.reason === "forgotten") throw forgotten();
    throw error.reason === "ended" ? ended() : internal(error);
  }
}
