import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import type { Answer, KmsHarness } from "./harness.ts";

export type Wrapping =
  | "RSAES_OAEP_SHA_1"
  | "RSAES_OAEP_SHA_256"
  | "RSA_AES_KEY_WRAP_SHA_1"
  | "RSA_AES_KEY_WRAP_SHA_256";

/** Initial value of AES key wrap with padding (RFC 5649, section 3). */
const KWP_IV = Buffer.from("a65959a6", "hex");

/** Wraps key material as its owner does, with OpenSSL. `publicKey`: SubjectPublicKeyInfo DER. */
export function wrapForImport(publicKey: Uint8Array, wrapping: Wrapping, material: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const oaepHash = wrapping.endsWith("SHA_1") ? "sha1" : "sha256";
  const direct = (bytes: Uint8Array): Buffer =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (wrapping.startsWith("RSAES")) return direct(material);
  const aesKey = randomBytes(32);
  const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, KWP_IV);
  return Buffer.concat([direct(aesKey), cipher.update(material), cipher.final()]);
}

export interface ImportOptions {
  readonly wrapping?: Wrapping;
  readonly wrappingKeySpec?: string;
  readonly region?: string;
}

/** The members of an ImportKeyMaterial request that carry this material; it does not expire unless `input` says so. */
export async function importRequest(
  kms: KmsHarness,
  KeyId: string,
  material: Uint8Array,
  input: object = {},
  { wrapping = "RSAES_OAEP_SHA_256", wrappingKeySpec = "RSA_2048", region }: ImportOptions = {},
): Promise<{ readonly KeyId: string; readonly ImportToken: Uint8Array; readonly EncryptedKeyMaterial: Uint8Array }> {
  const parameters = await kms.run(
    "GetParametersForImport",
    { KeyId, WrappingAlgorithm: wrapping, WrappingKeySpec: wrappingKeySpec },
    region === undefined ? {} : { region },
  );
  return {
    KeyId,
    ImportToken: parameters["ImportToken"] as Uint8Array,
    EncryptedKeyMaterial: wrapForImport(parameters["PublicKey"] as Uint8Array, wrapping, material),
    ...("ExpirationModel" in input || "ValidTo" in input ? {} : { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }),
    ...input,
  };
}

/** Imports this material; answers what ImportKeyMaterial does. */
export async function importMaterial(
  kms: KmsHarness,
  KeyId: string,
  material: Uint8Array,
  input: object = {},
  options: ImportOptions = {},
): Promise<Answer> {
  const request = await importRequest(kms, KeyId, material, input, options);
  return await kms.run("ImportKeyMaterial", request, options.region === undefined ? {} : { region: options.region });
}
