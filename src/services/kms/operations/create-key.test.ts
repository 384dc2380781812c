import { createPublicKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isPairSpec } from "../key-specs.ts";
import { materialTable } from "../records.ts";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

const ECDSA = ["ECDSA_SHA_256"];
const RSA_SIGNING = [
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
];
const OAEP = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];

/** Spec, usage, and the member of the metadata that lists its algorithms. */
const KINDS = [
  ["RSA_2048", "ENCRYPT_DECRYPT", { EncryptionAlgorithms: OAEP }],
  ["RSA_2048", "SIGN_VERIFY", { SigningAlgorithms: RSA_SIGNING }],
  ["RSA_3072", "SIGN_VERIFY", { SigningAlgorithms: RSA_SIGNING }],
  ["RSA_4096", "ENCRYPT_DECRYPT", { EncryptionAlgorithms: OAEP }],
  ["ECC_NIST_P256", "SIGN_VERIFY", { SigningAlgorithms: ECDSA }],
  ["ECC_NIST_P256", "KEY_AGREEMENT", { KeyAgreementAlgorithms: ["ECDH"] }],
  ["ECC_NIST_P384", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_384"] }],
  ["ECC_NIST_P521", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_512"] }],
  ["ECC_SECG_P256K1", "SIGN_VERIFY", { SigningAlgorithms: ECDSA }],
  ["ECC_NIST_EDWARDS25519", "SIGN_VERIFY", { SigningAlgorithms: ["ED25519_SHA_512", "ED25519_PH_SHA_512"] }],
  ["HMAC_224", "GENERATE_VERIFY_MAC", { MacAlgorithms: ["HMAC_SHA_224"] }],
  ["HMAC_256", "GENERATE_VERIFY_MAC", { MacAlgorithms: ["HMAC_SHA_256"] }],
  ["HMAC_384", "GENERATE_VERIFY_MAC", { MacAlgorithms: ["HMAC_SHA_384"] }],
  ["HMAC_512", "GENERATE_VERIFY_MAC", { MacAlgorithms: ["HMAC_SHA_512"] }],
  ["ML_DSA_44", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }],
  ["ML_DSA_65", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }],
  ["ML_DSA_87", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }],
  ["ML_KEM_512", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }],
  ["ML_KEM_768", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }],
  ["ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }],
] as const;

const ALGORITHM_MEMBERS: ReadonlySet<string> = new Set([
  "EncryptionAlgorithms",
  "SigningAlgorithms",
  "KeyAgreementAlgorithms",
  "MacAlgorithms",
  "EncapsulationAlgorithms",
]);

describe.each(KINDS)("a %s key for %s", (KeySpec, KeyUsage, algorithms) => {
  test(
    "is made enabled, says its algorithms, and gives its public half if it has one",
    { timeout: 60_000 },
    async () => {
      const { KeyMetadata } = await kms.run("CreateKey", { KeySpec, KeyUsage });
      expect(KeyMetadata).toMatchObject({
        KeySpec,
        CustomerMasterKeySpec: KeySpec,
        KeyUsage,
        Origin: "AWS_KMS",
        KeyState: "Enabled",
        Enabled: true,
        MultiRegion: false,
        ...algorithms,
      });
      // Only symmetric keys tell the id of their material, and no key tells algorithms of another usage.
      expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId");
      const told = Object.keys(KeyMetadata as object).filter((name) => ALGORITHM_MEMBERS.has(name));
      expect(told).toEqual(Object.keys(algorithms));
      expect(JSON.stringify(kms.last.audit)).not.toContain("publicKey");

      const { KeyId } = KeyMetadata;
      if (!isPairSpec(KeySpec)) {
        expect(await kms.failure("GetPublicKey", { KeyId })).toBe("UnsupportedOperationException");
        return;
      }
      const answer = await kms.run("GetPublicKey", { KeyId });
      expect(answer).toMatchObject({
        KeyId: KeyMetadata.Arn,
        KeySpec,
        CustomerMasterKeySpec: KeySpec,
        KeyUsage,
        ...("MacAlgorithms" in algorithms ? {} : algorithms),
      });
      if (KeySpec.startsWith("ML_")) expect(answer["PublicKey"].byteLength).toBeGreaterThan(800);
      else expect(() => createPublicKey({ key: answer["PublicKey"], format: "der", type: "spki" })).not.toThrow();
    },
  );
});

test("every usage of every spec but its own is refused", async () => {
  const usages = [...new Set(KINDS.map(([, usage]) => usage))];
  for (const KeySpec of new Set(KINDS.map(([spec]) => spec))) {
    const own = new Set<string>(KINDS.filter(([spec]) => spec === KeySpec).map(([, usage]) => usage));
    const others = usages.filter((usage) => !own.has(usage) && !hasMoreUsages(KeySpec, usage));
    for (const KeyUsage of others) {
      expect(await kms.failure("CreateKey", { KeySpec, KeyUsage })).toBe(
        `ValidationException: KeyUsage ${KeyUsage} is not compatible with KeySpec ${KeySpec}`,
      );
    }
  }
});

/** Usages that exist and are not in the table above, where one spec of a family stands for all. */
const hasMoreUsages = (spec: string, usage: string): boolean =>
  (spec.startsWith("RSA") && (usage === "ENCRYPT_DECRYPT" || usage === "SIGN_VERIFY")) ||
  (spec.startsWith("ECC_NIST_P") && usage === "KEY_AGREEMENT");

test("the old name of KeySpec makes the same keys", async () => {
  const { KeyMetadata } = await kms.run("CreateKey", {
    CustomerMasterKeySpec: "ECC_NIST_P256",
    KeyUsage: "SIGN_VERIFY",
  });
  expect(KeyMetadata).toMatchObject({ KeySpec: "ECC_NIST_P256", SigningAlgorithms: ECDSA });
});

test("a key with imported material waits for it, without any of its own", async () => {
  for (const kind of [
    {},
    { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" },
    { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
    { KeySpec: "ECC_NIST_EDWARDS25519", KeyUsage: "SIGN_VERIFY" },
    { KeySpec: "ML_DSA_65", KeyUsage: "SIGN_VERIFY" },
  ]) {
    const { KeyMetadata } = await kms.run("CreateKey", { ...kind, Origin: "EXTERNAL" });
    expect(KeyMetadata).toMatchObject({ Origin: "EXTERNAL", KeyState: "PendingImport", Enabled: false });
    expect(KeyMetadata).not.toHaveProperty("ExpirationModel");
    expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId");
    expect(
      await kms.reader.list(materialTable, { prefix: [ACCOUNT, REGION, KeyMetadata.KeyId as string], limit: 1 }),
    ).toEqual([]);
    expect(kms.last.checks[0]?.context).toMatchObject({ "kms:KeyOrigin": "EXTERNAL" });
  }
});

test("a multi-Region key has an id of its own form and is a primary without replicas", async () => {
  const { KeyMetadata } = await kms.run("CreateKey", { MultiRegion: true });
  expect(KeyMetadata.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
  expect(KeyMetadata).toMatchObject({
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: "PRIMARY",
      PrimaryKey: { Arn: KeyMetadata.Arn, Region: REGION },
      ReplicaKeys: [],
    },
  });
  expect(kms.last.checks[0]?.context).toMatchObject({ "kms:MultiRegion": "true", "kms:MultiRegionKeyType": "PRIMARY" });
  const { CiphertextBlob } = await kms.run("Encrypt", { KeyId: KeyMetadata.KeyId, Plaintext: Buffer.from("x") });
  expect(await kms.run("Decrypt", { CiphertextBlob })).toMatchObject({ KeyId: KeyMetadata.Arn });
});

test("conditions see the kind that is asked for", async () => {
  await kms.run("CreateKey", { KeySpec: "HMAC_384", KeyUsage: "GENERATE_VERIFY_MAC" });
  expect(kms.last.checks[0]?.context).toMatchObject({
    "kms:KeySpec": "HMAC_384",
    "kms:KeyUsage": "GENERATE_VERIFY_MAC",
    "kms:KeyOrigin": "AWS_KMS",
    "kms:MultiRegion": "false",
  });
});
