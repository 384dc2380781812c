import { createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { ml_kem1024, ml_kem512, ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;
const bytes = (value: unknown): Buffer => Buffer.from(value as Uint8Array);
const DRY_RUN = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

describe.each([
  ["ECC_NIST_P256", "P-256"],
  ["ECC_NIST_P384", "P-384"],
  ["ECC_NIST_P521", "P-521"],
])("DeriveSharedSecret with %s", (KeySpec, namedCurve) => {
  const agreeing = async (): Promise<string> => await kms.newKey({ KeySpec, KeyUsage: "KEY_AGREEMENT" });
  const KeyAgreementAlgorithm = "ECDH";

  test("gives both sides the same secret, with a key from outside or one of KMS", async () => {
    const KeyId = await agreeing();
    const peer = generateKeyPairSync("ec", { namedCurve });
    const peerKey = peer.publicKey.export({ format: "der", type: "spki" });
    const ours = await kms.run("DeriveSharedSecret", { KeyId, KeyAgreementAlgorithm, PublicKey: peerKey });
    expect(ours).toMatchObject({ KeyId: arnOf(KeyId), KeyAgreementAlgorithm, KeyOrigin: "AWS_KMS" });
    const { PublicKey } = await kms.run("GetPublicKey", { KeyId });
    const publicKey = createPublicKey({ key: bytes(PublicKey), format: "der", type: "spki" });
    expect(bytes(ours["SharedSecret"])).toEqual(diffieHellman({ privateKey: peer.privateKey, publicKey }));

    const other = await agreeing();
    const { PublicKey: otherPublicKey } = await kms.run("GetPublicKey", { KeyId: other });
    const there = await kms.run("DeriveSharedSecret", { KeyId, KeyAgreementAlgorithm, PublicKey: otherPublicKey });
    const back = await kms.run("DeriveSharedSecret", { KeyId: other, KeyAgreementAlgorithm, PublicKey });
    expect(bytes(there["SharedSecret"])).toEqual(bytes(back["SharedSecret"]));
  });

  test("refuses what is no public key of its curve, without saying why, in dry runs too", async () => {
    const KeyId = await agreeing();
    const otherCurve = generateKeyPairSync("ec", { namedCurve: namedCurve === "P-256" ? "P-384" : "P-256" });
    const sound = generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "der", type: "spki" });
    const offCurve = Buffer.from(sound);
    offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
    const refused = [
      otherCurve.publicKey.export({ format: "der", type: "spki" }),
      generateKeyPairSync("x25519").publicKey.export({ format: "der", type: "spki" }),
      offCurve,
      sound.subarray(0, -1),
      Buffer.concat([sound, Buffer.alloc(1)]),
      Buffer.from("not a key"),
      Buffer.alloc(8192, 0x30),
    ];
    for (const PublicKey of refused) {
      const request = { KeyId, KeyAgreementAlgorithm, PublicKey };
      expect(await kms.failure("DeriveSharedSecret", request)).toBe("ValidationException");
      expect(await kms.failure("DeriveSharedSecret", { ...request, DryRun: true })).toBe("ValidationException");
    }
    const request = { KeyId, KeyAgreementAlgorithm, PublicKey: sound };
    expect(await kms.failure("DeriveSharedSecret", { ...request, DryRun: true })).toBe(DRY_RUN);
    expect(await kms.failure("DeriveSharedSecret", { ...request, Recipient: {} })).toMatch(/^Unsupported/);
  });
});

test("a signing key of the same curve agrees on nothing", async () => {
  const KeyId = await kms.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
  const { PublicKey } = await kms.run("GetPublicKey", { KeyId });
  expect(await kms.failure("DeriveSharedSecret", { KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey })).toBe(
    `InvalidKeyUsageException: ${arnOf(KeyId)} key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret.`,
  );
});

describe.each([
  ["ML_KEM_512", ml_kem512, 800, 768],
  ["ML_KEM_768", ml_kem768, 1184, 1088],
  ["ML_KEM_1024", ml_kem1024, 1568, 1568],
] as const)("%s", (KeySpec, outside, publicKeyBytes, ciphertextBytes) => {
  const EncapsulationAlgorithm = "ML_KEM";
  const pair = async (): Promise<string> => await kms.newKey({ KeySpec, KeyUsage: "ENCAPSULATE_DECAPSULATE" });

  test("decapsulates what was encapsulated inside and outside", async () => {
    const KeyId = await pair();
    const inside = await kms.run("Encapsulate", { KeyId, EncapsulationAlgorithm });
    expect(inside).toMatchObject({ KeyId: arnOf(KeyId), EncapsulationAlgorithm });
    expect(inside["SharedSecret"]).toHaveLength(32);
    expect(inside["SharedSecretCiphertextBlob"]).toHaveLength(ciphertextBytes);
    const { PublicKey } = await kms.run("GetPublicKey", { KeyId });
    const made = outside.encapsulate(Uint8Array.from(PublicKey as Uint8Array).subarray(-publicKeyBytes));
    for (const [SharedSecretCiphertextBlob, secret] of [
      [inside["SharedSecretCiphertextBlob"], inside["SharedSecret"]],
      [made.cipherText, made.sharedSecret],
    ]) {
      const opened = await kms.run("Decapsulate", { KeyId, EncapsulationAlgorithm, SharedSecretCiphertextBlob });
      expect(opened).toMatchObject({ KeyId: arnOf(KeyId), EncapsulationAlgorithm });
      expect(bytes(opened["SharedSecret"])).toEqual(bytes(secret));
    }
  });

  test("a changed ciphertext, or another key's, gives another secret and no error", async () => {
    const [KeyId, other] = [await pair(), await pair()];
    const made = await kms.run("Encapsulate", { KeyId, EncapsulationAlgorithm });
    const whole = made["SharedSecretCiphertextBlob"] as Uint8Array;
    const changed = Uint8Array.from(whole).with(0, (whole[0] ?? 0) ^ 1);
    for (const request of [
      { KeyId, SharedSecretCiphertextBlob: changed },
      { KeyId: other, SharedSecretCiphertextBlob: whole },
    ]) {
      const first = await kms.run("Decapsulate", { ...request, EncapsulationAlgorithm });
      const second = await kms.run("Decapsulate", { ...request, EncapsulationAlgorithm });
      expect(first["SharedSecret"]).toHaveLength(32);
      expect(bytes(first["SharedSecret"])).toEqual(bytes(second["SharedSecret"]));
      expect(bytes(first["SharedSecret"])).not.toEqual(bytes(made["SharedSecret"]));
    }
  });

  test("only a wrong length is InvalidCiphertextException, in dry runs too", async () => {
    const KeyId = await pair();
    for (const length of [1, ciphertextBytes - 1, ciphertextBytes + 1, 6144]) {
      const request = { KeyId, EncapsulationAlgorithm, SharedSecretCiphertextBlob: Buffer.alloc(length) };
      expect(await kms.failure("Decapsulate", request)).toBe("InvalidCiphertextException");
      expect(await kms.failure("Decapsulate", { ...request, DryRun: true })).toBe("InvalidCiphertextException");
    }
    const SharedSecretCiphertextBlob = Buffer.alloc(ciphertextBytes);
    const request = { KeyId, EncapsulationAlgorithm, DryRun: true };
    expect(await kms.failure("Decapsulate", { ...request, SharedSecretCiphertextBlob })).toBe(DRY_RUN);
    expect(await kms.failure("Encapsulate", request)).toBe(DRY_RUN);
  });
});

test("conditions and events see the algorithms, and neither secrets nor ciphertexts", async () => {
  const KeyId = await kms.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
  const { PublicKey } = await kms.run("GetPublicKey", { KeyId });
  await kms.run("DeriveSharedSecret", { KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey });
  expect(kms.last.checks).toMatchObject([{ context: { "kms:KeyAgreementAlgorithm": "ECDH" } }]);
  expect(kms.last.audit.requestParameters).toEqual({ keyId: KeyId, keyAgreementAlgorithm: "ECDH" });
  const kem = await kms.newKey({ KeySpec: "ML_KEM_512", KeyUsage: "ENCAPSULATE_DECAPSULATE" });
  await kms.run("Encapsulate", { KeyId: kem, EncapsulationAlgorithm: "ML_KEM" });
  expect(kms.last.audit).toEqual({
    requestParameters: { keyId: kem, encapsulationAlgorithm: "ML_KEM" },
    resources: [expect.objectContaining({ arn: arnOf(kem) })],
  });
});
