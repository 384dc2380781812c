import { constants, createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt } from "node:crypto";
import type { DataKeyPairSpec } from "@aws-sdk/client-kms";
import { beforeAll, expect } from "vitest";
import { bytes, given, kmsSuite } from "./suite.ts";

/** Encrypt, Decrypt, ReEncrypt, data keys and pairs, random bytes. */
const suite = kmsSuite();
const { kms, works, refuses } = suite;

const PLAIN = bytes("plain");
let keyId = "";
let keyArn = "";
let materialId = "";
let otherId = "";
let otherArn = "";
let rsaId = "";
let signingId = "";
beforeAll(async () => {
  const [one, two, rsa, signing] = await Promise.all([
    kms().createKey({}),
    kms().createKey({}),
    kms().createKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" }),
    kms().createKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" }),
  ]);
  keyId = given(one.KeyMetadata?.KeyId);
  keyArn = given(one.KeyMetadata?.Arn);
  materialId = given(one.KeyMetadata?.CurrentKeyMaterialId);
  otherId = given(two.KeyMetadata?.KeyId);
  otherArn = given(two.KeyMetadata?.Arn);
  rsaId = given(rsa.KeyMetadata?.KeyId);
  signingId = given(signing.KeyMetadata?.KeyId);
});
const sealed = async (KeyId = keyId, EncryptionContext?: Record<string, string>): Promise<Uint8Array> =>
  given((await kms().encrypt({ KeyId, Plaintext: PLAIN, EncryptionContext })).CiphertextBlob);

works("Encrypt", "under a symmetric key", async () => {
  const answer = await kms().encrypt({ KeyId: keyId, Plaintext: PLAIN });
  expect(answer).toMatchObject({ KeyId: keyArn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
});
works("Encrypt", "4096 bytes become at most 6144", async () => {
  const { CiphertextBlob } = await kms().encrypt({ KeyId: keyId, Plaintext: new Uint8Array(4096) });
  expect(CiphertextBlob?.length).toBeLessThanOrEqual(6144);
});
works("Encrypt", "the same twice gives two ciphertexts", async () => {
  expect(await sealed()).not.toEqual(await sealed());
});
works("Decrypt", "with and without naming the key", async () => {
  const CiphertextBlob = await sealed(keyId, { a: "b", c: "d" });
  const EncryptionContext = { c: "d", a: "b" };
  for (const KeyId of [undefined, keyId, keyArn]) {
    expect(await kms().decrypt({ KeyId, CiphertextBlob, EncryptionContext })).toMatchObject({
      KeyId: keyArn,
      Plaintext: PLAIN,
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      KeyMaterialId: materialId,
    });
  }
});
for (const algorithm of ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] as const) {
  works("Encrypt", `under an RSA key, ${algorithm}`, async () => {
    const { CiphertextBlob, ...answer } = await kms().encrypt({
      KeyId: rsaId,
      Plaintext: PLAIN,
      EncryptionAlgorithm: algorithm,
    });
    expect(answer.EncryptionAlgorithm).toBe(algorithm);
    expect(CiphertextBlob).toHaveLength(256);
    const opened = await kms().decrypt({ KeyId: rsaId, CiphertextBlob, EncryptionAlgorithm: algorithm });
    expect(opened.Plaintext).toEqual(PLAIN);
    expect(opened.KeyMaterialId).toBeUndefined();
  });
  works("Decrypt", `what was encrypted outside with the public key, ${algorithm}`, async () => {
    const { PublicKey } = await kms().getPublicKey({ KeyId: rsaId });
    const key = createPublicKey({ key: Buffer.from(given(PublicKey)), format: "der", type: "spki" });
    const oaepHash = algorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256";
    const CiphertextBlob = publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, PLAIN);
    const opened = await kms().decrypt({ KeyId: rsaId, CiphertextBlob, EncryptionAlgorithm: algorithm });
    expect(opened.Plaintext).toEqual(PLAIN);
  });
}
refuses("Encrypt", "ValidationException", "an empty plaintext", async () =>
  kms().encrypt({ KeyId: keyId, Plaintext: new Uint8Array(0) }),
);
refuses("Encrypt", "ValidationException", "an encryption context with an RSA key", async () =>
  kms().encrypt({
    KeyId: rsaId,
    Plaintext: PLAIN,
    EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
    EncryptionContext: { a: "b" },
  }),
);
refuses("Encrypt", "InvalidKeyUsageException", "an RSA algorithm with a symmetric key", async () =>
  kms().encrypt({ KeyId: keyId, Plaintext: PLAIN, EncryptionAlgorithm: "RSAES_OAEP_SHA_256" }),
);
refuses("Decrypt", "InvalidCiphertextException", "an RSA key, without naming the algorithm", async () =>
  kms().decrypt({ KeyId: rsaId, CiphertextBlob: new Uint8Array(256).fill(1) }),
);
refuses("Decrypt", "InvalidKeyUsageException", "a key that signs", async () =>
  kms().decrypt({
    KeyId: signingId,
    CiphertextBlob: new Uint8Array(256).fill(1),
    EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
  }),
);
refuses("Decrypt", "IncorrectKeyException", "a key that signs, in place of the one that sealed it", async () =>
  kms().decrypt({ KeyId: signingId, CiphertextBlob: await sealed() }),
);
refuses("Decrypt", "InvalidCiphertextException", "another encryption context", async () =>
  kms().decrypt({ CiphertextBlob: await sealed(keyId, { a: "b" }), EncryptionContext: { a: "c" } }),
);
refuses("Decrypt", "InvalidCiphertextException", "what KMS never made", async () =>
  kms().decrypt({ CiphertextBlob: new Uint8Array(200).fill(7) }),
);
refuses("Decrypt", "InvalidCiphertextException", "RSA with the other hash", async () => {
  const { CiphertextBlob } = await kms().encrypt({
    KeyId: rsaId,
    Plaintext: PLAIN,
    EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
  });
  return kms().decrypt({ KeyId: rsaId, CiphertextBlob, EncryptionAlgorithm: "RSAES_OAEP_SHA_1" });
});
refuses(
  "Decrypt",
  "IncorrectKeyException",
  "another key than the one that sealed it",
  async () => kms().decrypt({ KeyId: otherId, CiphertextBlob: await sealed() }),
  "The key ID in the request does not identify a CMK that can perform this operation.",
);

works("ReEncrypt", "from one key and context to others", async () => {
  const moved = await kms().reEncrypt({
    CiphertextBlob: await sealed(keyId, { from: "here" }),
    SourceEncryptionContext: { from: "here" },
    DestinationKeyId: otherId,
    DestinationEncryptionContext: { to: "there" },
  });
  expect(moved).toMatchObject({
    SourceKeyId: keyArn,
    KeyId: otherArn,
    SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    DestinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    SourceKeyMaterialId: materialId,
  });
  const opened = await kms().decrypt({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { to: "there" } });
  expect(opened).toMatchObject({ KeyId: otherArn, Plaintext: PLAIN });
});
works("ReEncrypt", "from a symmetric key to an RSA key and back", async () => {
  const away = await kms().reEncrypt({
    CiphertextBlob: await sealed(),
    DestinationKeyId: rsaId,
    DestinationEncryptionAlgorithm: "RSAES_OAEP_SHA_1",
  });
  const back = await kms().reEncrypt({
    CiphertextBlob: away.CiphertextBlob,
    SourceKeyId: rsaId,
    SourceEncryptionAlgorithm: "RSAES_OAEP_SHA_1",
    DestinationKeyId: keyId,
  });
  expect((await kms().decrypt({ CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(PLAIN);
});
refuses("ReEncrypt", "InvalidCiphertextException", "another source context", async () =>
  kms().reEncrypt({
    CiphertextBlob: await sealed(keyId, { a: "b" }),
    SourceEncryptionContext: { a: "c" },
    DestinationKeyId: otherId,
  }),
);
refuses("ReEncrypt", "IncorrectKeyException", "another source key than the one that sealed it", async () =>
  kms().reEncrypt({ CiphertextBlob: await sealed(), SourceKeyId: otherId, DestinationKeyId: otherId }),
);

const SIZES = [
  [{ KeySpec: "AES_256" }, 32],
  [{ KeySpec: "AES_128" }, 16],
  [{ NumberOfBytes: 64 }, 64],
  [{ NumberOfBytes: 1024 }, 1024],
] as const;
for (const [size, length] of SIZES) {
  const how = `${length} bytes`;
  works("GenerateDataKey", how, async () => {
    const EncryptionContext = { x: "y" };
    const made = await kms().generateDataKey({ KeyId: keyId, ...size, EncryptionContext });
    expect(made).toMatchObject({ KeyId: keyArn, KeyMaterialId: materialId });
    expect(made.Plaintext).toHaveLength(length);
    const opened = await kms().decrypt({ CiphertextBlob: made.CiphertextBlob, EncryptionContext });
    expect(opened.Plaintext).toEqual(made.Plaintext);
  });
  works("GenerateDataKeyWithoutPlaintext", how, async () => {
    const made = await kms().generateDataKeyWithoutPlaintext({ KeyId: keyId, ...size });
    expect(made).toMatchObject({ KeyId: keyArn, KeyMaterialId: materialId });
    expect(Object.keys(made)).not.toContain("Plaintext");
    const opened = await kms().decrypt({ CiphertextBlob: made.CiphertextBlob });
    expect(opened.Plaintext).toHaveLength(length);
  });
}
for (const [how, size] of [
  ["no length", {}],
  ["a spec and a length", { KeySpec: "AES_256", NumberOfBytes: 32 }],
  ["1025 bytes", { NumberOfBytes: 1025 }],
  ["0 bytes", { NumberOfBytes: 0 }],
] as const) {
  refuses("GenerateDataKey", "ValidationException", how, async () => kms().generateDataKey({ KeyId: keyId, ...size }));
  refuses("GenerateDataKeyWithoutPlaintext", "ValidationException", how, async () =>
    kms().generateDataKeyWithoutPlaintext({ KeyId: keyId, ...size }),
  );
}

works("GenerateRandom", "as many bytes as asked for, never the same", async () => {
  const one = await kms().generateRandom({ NumberOfBytes: 1024 });
  const two = await kms().generateRandom({ NumberOfBytes: 1024 });
  expect(one.Plaintext).toHaveLength(1024);
  expect(one.Plaintext).not.toEqual(two.Plaintext);
});
refuses(
  "GenerateRandom",
  "ValidationException",
  "no number",
  async () => kms().generateRandom({}),
  "NumberOfBytes is required.",
);
for (const NumberOfBytes of [0, 1025])
  refuses(
    "GenerateRandom",
    "ValidationException",
    `${NumberOfBytes} bytes`,
    async () => kms().generateRandom({ NumberOfBytes }),
    new RegExp(`^1 validation error detected: Value '${NumberOfBytes}' at 'numberOfBytes' failed`),
  );

refuses("GenerateRandom", "UnsupportedOperationException", "bytes for an enclave", async () =>
  kms().generateRandom({
    NumberOfBytes: 32,
    Recipient: { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: bytes("document") },
  }),
);

const PAIR_SPECS: readonly DataKeyPairSpec[] = [
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "ECC_NIST_EDWARDS25519",
  "ML_KEM_512",
  "ML_KEM_768",
  "ML_KEM_1024",
];
for (const KeyPairSpec of PAIR_SPECS) {
  works("GenerateDataKeyPair", `${KeyPairSpec}: the private key is what the ciphertext opens to`, async () => {
    const EncryptionContext = { pair: KeyPairSpec };
    const made = await kms().generateDataKeyPair({ KeyId: keyId, KeyPairSpec, EncryptionContext });
    expect(made).toMatchObject({ KeyId: keyArn, KeyPairSpec, KeyMaterialId: materialId });
    const opened = await kms().decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob, EncryptionContext });
    expect(opened.Plaintext).toEqual(made.PrivateKeyPlaintext);
    if (KeyPairSpec.startsWith("ML_KEM")) {
      // PKCS#8 in seed form (RFC 9935): 64 bytes in an implicitly tagged octet string, behind 20 bytes of structure.
      expect(made.PrivateKeyPlaintext).toHaveLength(86);
      return;
    }
    const key = createPrivateKey({ key: Buffer.from(given(made.PrivateKeyPlaintext)), format: "der", type: "pkcs8" });
    const publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
    expect(Buffer.from(given(made.PublicKey))).toEqual(publicKey);
    if (!KeyPairSpec.startsWith("RSA")) return;
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(Number(KeyPairSpec.slice(4)));
    expect(privateDecrypt(key, publicEncrypt(createPublicKey(key), PLAIN))).toEqual(Buffer.from(PLAIN));
  });
}
works("GenerateDataKeyPairWithoutPlaintext", "a public key, and a private key that only Decrypt shows", async () => {
  const made = await kms().generateDataKeyPairWithoutPlaintext({ KeyId: keyId, KeyPairSpec: "ECC_NIST_P384" });
  expect(made).toMatchObject({ KeyId: keyArn, KeyPairSpec: "ECC_NIST_P384", KeyMaterialId: materialId });
  expect(Object.keys(made)).not.toContain("PrivateKeyPlaintext");
  const { Plaintext } = await kms().decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob });
  const key = createPrivateKey({ key: Buffer.from(given(Plaintext)), format: "der", type: "pkcs8" });
  expect(createPublicKey(key).export({ format: "der", type: "spki" })).toEqual(Buffer.from(given(made.PublicKey)));
});
for (const operation of ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] as const) {
  const call = async (KeyId: string, KeyPairSpec: DataKeyPairSpec): Promise<unknown> =>
    operation === "GenerateDataKeyPair"
      ? kms().generateDataKeyPair({ KeyId, KeyPairSpec })
      : kms().generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec });
  refuses(operation, "UnsupportedOperationException", "SM2, as outside China", async () => call(keyId, "SM2"));
  refuses(operation, "InvalidKeyUsageException", "an RSA key to seal it with", async () => call(signingId, "RSA_2048"));
  refuses(
    operation,
    "ValidationException",
    "a spec that is none",
    async () => call(keyId, "HMAC_256" as DataKeyPairSpec),
    /at 'keyPairSpec' failed to satisfy constraint/,
  );
}
