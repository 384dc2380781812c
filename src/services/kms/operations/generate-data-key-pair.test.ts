import { createPrivateKey, createPublicKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { KeyMaterials } from "../materials.ts";
import { DELEGATE, ROOT, authorizedRoom, userOf } from "../testing/authorized-room.ts";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
let KeyId = "";
beforeAll(async () => {
  kms = await kmsHarness();
  KeyId = await kms.newKey();
});
afterAll(async () => kms.close());

const OPENSSL_SPECS = [
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "ECC_NIST_EDWARDS25519",
];
const SEED_SPECS = ["ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"];
const EncryptionContext = { purpose: "test" };

describe.each([...OPENSSL_SPECS, ...SEED_SPECS])("a %s data key pair", (KeyPairSpec) => {
  test("comes with its private key in clear and encrypted, which Decrypt opens", { timeout: 60_000 }, async () => {
    const pair = await kms.run("GenerateDataKeyPair", { KeyId, KeyPairSpec, EncryptionContext });
    expect(pair).toMatchObject({
      KeyId: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`,
      KeyPairSpec,
      KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    const { PrivateKeyCiphertextBlob: CiphertextBlob, PrivateKeyPlaintext, PublicKey } = pair;
    const opened = await kms.run("Decrypt", { CiphertextBlob, EncryptionContext });
    expect(Buffer.from(opened["Plaintext"] as Uint8Array)).toEqual(Buffer.from(PrivateKeyPlaintext as Uint8Array));
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toBe("InvalidCiphertextException");
    if (SEED_SPECS.includes(KeyPairSpec)) {
      // RFC 9935: version, algorithm, and a [0] of 64 bytes: one length whatever the spec.
      expect(PrivateKeyPlaintext).toHaveLength(86);
      return;
    }
    const key = createPrivateKey({ key: Buffer.from(PrivateKeyPlaintext), format: "der", type: "pkcs8" });
    expect(createPublicKey(key).export({ format: "der", type: "spki" })).toEqual(Buffer.from(PublicKey));
  });
});

test("without plaintext carries none, and Decrypt opens the private key", async () => {
  const answer = await kms.run("GenerateDataKeyPairWithoutPlaintext", { KeyId, KeyPairSpec: "ECC_NIST_P256" });
  expect(Object.keys(answer).sort()).toEqual([
    "KeyId",
    "KeyMaterialId",
    "KeyPairSpec",
    "PrivateKeyCiphertextBlob",
    "PublicKey",
  ]);
  const { Plaintext } = await kms.run("Decrypt", { CiphertextBlob: answer["PrivateKeyCiphertextBlob"] });
  const key = createPrivateKey({ key: Buffer.from(Plaintext), format: "der", type: "pkcs8" });
  expect(createPublicKey(key).export({ format: "der", type: "spki" })).toEqual(Buffer.from(answer["PublicKey"]));
});

test.each(["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"])(
  "%s wants a symmetric key, a spec of this world, and no enclave",
  async (operation) => {
    const rsa = await kms.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const hmac = await kms.newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    expect(await kms.failure(operation, { KeyId: rsa, KeyPairSpec: "ECC_NIST_P256" })).toBe(
      "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
    );
    expect(await kms.failure(operation, { KeyId: hmac, KeyPairSpec: "ECC_NIST_P256" })).toMatch(
      new RegExp(`key usage is GENERATE_VERIFY_MAC which is not valid for ${operation}\\.$`),
    );
    expect(await kms.failure(operation, { KeyId, KeyPairSpec: "SM2" })).toMatch(/^UnsupportedOperationException/);
    expect(await kms.failure(operation, { KeyId, KeyPairSpec: "RSA_4096", DryRun: true })).toBe(
      "DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
    );
    if (operation === "GenerateDataKeyPair") {
      expect(await kms.failure(operation, { KeyId, KeyPairSpec: "ECC_NIST_P256", Recipient: {} })).toMatch(
        /^UnsupportedOperationException/,
      );
    }
  },
);

test("conditions and events see spec and context; the event names the material", async () => {
  const answer = await kms.run("GenerateDataKeyPair", { KeyId, KeyPairSpec: "ECC_NIST_P384", EncryptionContext });
  expect(kms.last.checks).toMatchObject([
    {
      action: "kms:GenerateDataKeyPair",
      context: {
        "kms:DataKeyPairSpec": "ECC_NIST_P384",
        "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "kms:EncryptionContext:purpose": "test",
      },
    },
  ]);
  expect(kms.last.audit).toMatchObject({
    requestParameters: { keyId: KeyId, keyPairSpec: "ECC_NIST_P384", encryptionContext: EncryptionContext },
    additionalEventData: { keyMaterialId: answer["KeyMaterialId"] as string },
  });
});

test("an AWS managed key is made by its first data key pair", async () => {
  const viaKinesis = { via: { service: "kinesis" } };
  const request = { KeyId: "alias/aws/kinesis", KeyPairSpec: "ECC_NIST_P256" };
  const pair = await kms.run("GenerateDataKeyPair", request, viaKinesis);
  const opened = await kms.run("Decrypt", { CiphertextBlob: pair["PrivateKeyCiphertextBlob"] }, viaKinesis);
  expect(opened["KeyId"]).toBe(pair["KeyId"]);
});

describe("what happens while the pair is made", () => {
  const ann = userOf("ann");

  test.each([
    ["the grant is revoked", "RevokeGrant", "AccessDeniedException"],
    ["the key is disabled", "DisableKey", "DisabledException"],
    ["the key's deletion is scheduled", "ScheduleKeyDeletion", "KMSInvalidStateException"],
  ])("decides: %s", async (_what, takeAway, refusal) => {
    const room = await authorizedRoom();
    try {
      const key = await room.newKey([DELEGATE]);
      const Operations = ["GenerateDataKeyPair"];
      const { GrantId } = await room.run(ROOT, "CreateGrant", { KeyId: key, GranteePrincipal: ann.arn, Operations });
      const opened = vi.spyOn(KeyMaterials.prototype, "use");
      const pair = room.outcome(ann, "GenerateDataKeyPair", { KeyId: key, KeyPairSpec: "RSA_3072" });
      await room.run(ROOT, takeAway, {
        KeyId: key,
        ...(takeAway === "RevokeGrant" ? { GrantId: GrantId as string } : {}),
      });
      expect(await pair).toBe(refusal);
      if (takeAway !== "RevokeGrant") expect(opened).not.toHaveBeenCalled();
    } finally {
      vi.restoreAllMocks();
      await room.harness.close();
    }
  });

  test("a signature or a plaintext of a key that is disabled meanwhile is not answered", async () => {
    const room = await authorizedRoom();
    try {
      const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
      const decrypts = await room.newKey([DELEGATE], { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
      const Plaintext = Buffer.from("attack at dawn");
      const { CiphertextBlob } = await room.run(ROOT, "Encrypt", { KeyId: decrypts, EncryptionAlgorithm, Plaintext });
      const signs = await room.newKey([DELEGATE], { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" });
      const SigningAlgorithm = "RSASSA_PSS_SHA_256";
      const outcomes = [
        room.outcome(ROOT, "Decrypt", { KeyId: decrypts, EncryptionAlgorithm, CiphertextBlob }),
        room.outcome(ROOT, "Sign", { KeyId: signs, SigningAlgorithm, Message: Plaintext }),
      ];
      for (const key of [decrypts, signs]) await room.run(ROOT, "DisableKey", { KeyId: key });
      expect(await Promise.all(outcomes)).toEqual(["DisabledException", "DisabledException"]);
    } finally {
      await room.harness.close();
    }
  });
});
