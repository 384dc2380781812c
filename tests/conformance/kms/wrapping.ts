import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import type { AlgorithmSpec, KMS, ImportKeyMaterialCommandInput, WrappingKeySpec } from "@aws-sdk/client-kms";
import { given } from "./suite.ts";

/** AES key wrap with padding (RFC 5649), as OpenSSL has it. */
export function wrapWithPadding(wrappingKey: Uint8Array, key: Uint8Array): Buffer {
  const cipher = createCipheriv("id-aes256-wrap-pad", wrappingKey, Buffer.from("a65959a6", "hex"));
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** Wraps material for import, as its owner does outside. `publicKey`: SubjectPublicKeyInfo DER. */
export function wrap(algorithm: AlgorithmSpec, publicKey: Uint8Array, material: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const oaep = (bytes: Uint8Array): Buffer =>
    publicEncrypt(
      { key, oaepHash: algorithm.endsWith("SHA_1") ? "sha1" : "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING },
      bytes,
    );
  if (algorithm.startsWith("RSAES")) return oaep(material);
  const ephemeral = randomBytes(32);
  return Buffer.concat([oaep(ephemeral), wrapWithPadding(ephemeral, material)]);
}

export const WRAPPING_ALGORITHMS = [
  "RSAES_OAEP_SHA_1",
  "RSAES_OAEP_SHA_256",
  "RSA_AES_KEY_WRAP_SHA_1",
  "RSA_AES_KEY_WRAP_SHA_256",
] as const satisfies readonly AlgorithmSpec[];

export interface ImportHow {
  readonly algorithm?: AlgorithmSpec;
  readonly wrappingKeySpec?: WrappingKeySpec;
  readonly input?: Partial<ImportKeyMaterialCommandInput>;
}

/** The whole of an import: parameters, wrapping, import. Returns the id of the material. */
export async function importMaterial(
  kms: KMS,
  KeyId: string,
  material: Uint8Array,
  { algorithm = "RSAES_OAEP_SHA_256", wrappingKeySpec = "RSA_2048", input = {} }: ImportHow = {},
): Promise<string | undefined> {
  const { PublicKey, ImportToken } = await kms.getParametersForImport({
    KeyId,
    WrappingAlgorithm: algorithm,
    WrappingKeySpec: wrappingKeySpec,
  });
  const answer = await kms.importKeyMaterial({
    KeyId,
    ImportToken,
    EncryptedKeyMaterial: wrap(algorithm, given(PublicKey), material),
    ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    ...input,
  });
  return answer.KeyMaterialId;
}
