import { createHmac, createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { materialExpiryTable, materialTable } from "../records.ts";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";
import { type Wrapping, importMaterial, importRequest } from "../testing/import.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const Plaintext = Buffer.from("attack at dawn");
const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;

let kms: KmsHarness;
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

const newExternalKey = async (input: object = {}): Promise<string> =>
  await kms.newKey({ Origin: "EXTERNAL", ...input });
const stateOf = async (KeyId: string): Promise<string> =>
  (await kms.run("DescribeKey", { KeyId }))["KeyMetadata"].KeyState as string;
const encrypt = async (KeyId: string): Promise<Uint8Array> =>
  (await kms.run("Encrypt", { KeyId, Plaintext }))["CiphertextBlob"] as Uint8Array;
const importFailure = async (KeyId: string, material: Uint8Array, input: object = {}): Promise<string> =>
  await kms.failure("ImportKeyMaterial", await importRequest(kms, KeyId, material, input));
/** Lets the background look once. */
const sweep = async (): Promise<void> => {
  const stop = kms.service.start?.();
  await stop?.();
  expect(kms.errors).toEqual([]);
};

describe("GetParametersForImport", () => {
  test("answers a wrapping key and a token for 24 hours, and asks for conditions on both", async () => {
    const KeyId = await newExternalKey();
    const input = { KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_4096" };
    const answer = await kms.run("GetParametersForImport", input);
    expect(answer).toMatchObject({ KeyId: arnOf(KeyId), ParametersValidTo: kms.clock.wallMs() + DAY_MS });
    expect((answer["ImportToken"] as Uint8Array).byteLength).toBeLessThan(6144);
    expect(kms.last.checks[0]?.context).toMatchObject({
      "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256",
      "kms:WrappingKeySpec": "RSA_4096",
    });
    expect(JSON.stringify(kms.last.audit)).not.toContain("ImportToken");
  });

  test.each([
    ["SYMMETRIC_DEFAULT", "RSAES_PKCS1_V1_5", "RSA_2048"],
    ["SYMMETRIC_DEFAULT", "SM2PKE", "RSA_2048"],
    ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256", "SM2"],
    ["RSA_2048", "RSAES_OAEP_SHA_256", "RSA_4096"],
    ["RSA_3072", "RSAES_OAEP_SHA_1", "RSA_4096"],
    ["ECC_NIST_P521", "RSAES_OAEP_SHA_1", "RSA_2048"],
  ])("refuses to wrap %s material with %s under %s", async (KeySpec, WrappingAlgorithm, WrappingKeySpec) => {
    const usage = KeySpec === "SYMMETRIC_DEFAULT" ? {} : { KeyUsage: "SIGN_VERIFY" };
    const KeyId = await newExternalKey({ KeySpec, ...usage });
    expect(await kms.failure("GetParametersForImport", { KeyId, WrappingAlgorithm, WrappingKeySpec })).toMatch(
      /^UnsupportedOperationException/,
    );
  });

  test("refuses a key whose material is made here, in AWS's words", async () => {
    const KeyId = await kms.newKey();
    const input = { KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" };
    const refusal = `UnsupportedOperationException: ${arnOf(KeyId)} origin is AWS_KMS which is not valid for this operation.`;
    expect(await kms.failure("GetParametersForImport", input)).toBe(refusal);
    expect(await kms.failure("DeleteImportedKeyMaterial", { KeyId })).toBe(refusal);
    const request = { KeyId, ImportToken: Buffer.alloc(32), EncryptedKeyMaterial: Buffer.alloc(32) };
    expect(await kms.failure("ImportKeyMaterial", request)).toBe(refusal);
  });
});

describe("imported material is what its owner made", () => {
  const WRAPPINGS: readonly Wrapping[] = [
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256",
  ];

  test.each(WRAPPINGS)("a symmetric key wrapped with %s", async (wrapping) => {
    const KeyId = await newExternalKey();
    expect(await stateOf(KeyId)).toBe("PendingImport");
    const answer = await importMaterial(kms, KeyId, randomBytes(32), {}, { wrapping });
    expect(answer["KeyId"]).toBe(arnOf(KeyId));
    expect(answer["KeyMaterialId"]).toMatch(/^[0-9a-f]{64}$/);
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId });
    expect(KeyMetadata).toMatchObject({
      KeyState: "Enabled",
      Enabled: true,
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      CurrentKeyMaterialId: answer["KeyMaterialId"],
    });
    expect(await kms.run("Decrypt", { CiphertextBlob: await encrypt(KeyId) })).toMatchObject({ Plaintext });
  });

  test.each([
    ["HMAC_224", 28, "sha224"],
    ["HMAC_256", 32, "sha256"],
    ["HMAC_384", 48, "sha384"],
    ["HMAC_512", 64, "sha512"],
  ])("an %s key of %d bytes computes the owner's MACs", async (KeySpec, length, hash) => {
    const KeyId = await newExternalKey({ KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" });
    const material = randomBytes(length);
    expect(await importMaterial(kms, KeyId, material)).toEqual({ KeyId: arnOf(KeyId) });
    const MacAlgorithm = KeySpec.replace("_", "_SHA_");
    const { Mac } = await kms.run("GenerateMac", { KeyId, Message: Plaintext, MacAlgorithm });
    expect(Buffer.from(Mac as Uint8Array)).toEqual(createHmac(hash, material).update(Plaintext).digest());
  });

  test("an RSA private key verifies the owner's signatures", async () => {
    const KeyId = await newExternalKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" });
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const der = privateKey.export({ format: "der", type: "pkcs8" });
    await importMaterial(kms, KeyId, der, {}, { wrapping: "RSA_AES_KEY_WRAP_SHA_256" });
    const { PublicKey } = await kms.run("GetPublicKey", { KeyId });
    expect(Buffer.from(PublicKey as Uint8Array)).toEqual(publicKey.export({ format: "der", type: "spki" }));
    const SigningAlgorithm = "RSASSA_PKCS1_V1_5_SHA_256";
    const Signature = createSign("sha256").update(Plaintext).sign(privateKey);
    expect(await kms.run("Verify", { KeyId, Message: Plaintext, Signature, SigningAlgorithm })).toMatchObject({
      SignatureValid: true,
    });
    const signed = await kms.run("Sign", { KeyId, Message: Plaintext, SigningAlgorithm });
    expect(Buffer.from(signed["Signature"] as Uint8Array)).toEqual(Signature);
  });

  test.each([
    ["ECC_NIST_P256", "P-256", "ECDSA_SHA_256", "sha256", "RSAES_OAEP_SHA_256"],
    ["ECC_NIST_P521", "P-521", "ECDSA_SHA_512", "sha512", "RSA_AES_KEY_WRAP_SHA_1"],
    ["ECC_SECG_P256K1", "secp256k1", "ECDSA_SHA_256", "sha256", "RSAES_OAEP_SHA_1"],
  ] as const)(
    "an %s private key verifies the owner's signatures",
    async (KeySpec, namedCurve, SigningAlgorithm, hash, wrapping) => {
      const KeyId = await newExternalKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
      const { privateKey } = generateKeyPairSync("ec", { namedCurve });
      await importMaterial(kms, KeyId, privateKey.export({ format: "der", type: "pkcs8" }), {}, { wrapping });
      const Signature = createSign(hash).update(Plaintext).sign(privateKey);
      expect(await kms.run("Verify", { KeyId, Message: Plaintext, Signature, SigningAlgorithm })).toMatchObject({
        SignatureValid: true,
      });
    },
  );

  test("an Ed25519 private key is taken", async () => {
    const KeyId = await newExternalKey({ KeySpec: "ECC_NIST_EDWARDS25519", KeyUsage: "SIGN_VERIFY" });
    const { privateKey } = generateKeyPairSync("ed25519");
    await importMaterial(kms, KeyId, privateKey.export({ format: "der", type: "pkcs8" }));
    expect(await stateOf(KeyId)).toBe("Enabled");
  });
});

describe("what is not imported", () => {
  test("material that is not of the key's kind", async () => {
    const symmetric = await newExternalKey();
    expect(await importFailure(symmetric, randomBytes(31))).toMatch(/^IncorrectKeyMaterialException/);
    const hmac = await newExternalKey({ KeySpec: "HMAC_384", KeyUsage: "GENERATE_VERIFY_MAC" });
    expect(await importFailure(hmac, randomBytes(32))).toMatch(/^IncorrectKeyMaterialException/);
    const pair = await newExternalKey({ KeySpec: "ECC_NIST_P384", KeyUsage: "SIGN_VERIFY" });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const der = privateKey.export({ format: "der", type: "pkcs8" });
    expect(await importFailure(pair, der)).toMatch(/^IncorrectKeyMaterialException/);
    expect(await importFailure(pair, randomBytes(100))).toMatch(/^IncorrectKeyMaterialException/);
    for (const KeyId of [symmetric, hmac, pair]) expect(await stateOf(KeyId)).toBe("PendingImport");
  });

  test("what the token's private key does not unwrap", async () => {
    const KeyId = await newExternalKey();
    const request = await importRequest(kms, KeyId, randomBytes(32));
    const other = await importRequest(kms, KeyId, randomBytes(32));
    const broken = Buffer.from(request.EncryptedKeyMaterial);
    broken[7] = (broken[7] ?? 0) ^ 1;
    for (const EncryptedKeyMaterial of [broken, other.EncryptedKeyMaterial, Buffer.from("x")]) {
      expect(await kms.failure("ImportKeyMaterial", { ...request, EncryptedKeyMaterial })).toBe(
        "InvalidCiphertextException",
      );
    }
  });

  test("a token of another key, a forged one, and one that is over 24 hours old", async () => {
    const KeyId = await newExternalKey();
    const request = await importRequest(kms, KeyId, randomBytes(32));
    const other = await importRequest(kms, await newExternalKey(), randomBytes(32));
    expect(await kms.failure("ImportKeyMaterial", { ...request, ImportToken: other.ImportToken })).toMatch(
      /^InvalidImportTokenException/,
    );
    const forged = Buffer.from(request.ImportToken);
    forged[9] = (forged[9] ?? 0) ^ 1;
    expect(await kms.failure("ImportKeyMaterial", { ...request, ImportToken: forged })).toMatch(
      /^InvalidImportTokenException/,
    );
    kms.clock.advance(DAY_MS - 1);
    expect(await kms.failure("ImportKeyMaterial", request)).toBe("none");
    kms.clock.advance(1);
    expect(await kms.failure("ImportKeyMaterial", request)).toMatch(/^ExpiredImportTokenException/);
  });

  test("with dates that do not fit the expiration model", async () => {
    const KeyId = await newExternalKey();
    const request = await importRequest(kms, KeyId, randomBytes(32));
    const failure = (input: object): Promise<string> => kms.failure("ImportKeyMaterial", { ...request, ...input });
    const nowMs = kms.clock.wallMs();
    expect(await failure({ ExpirationModel: "KEY_MATERIAL_EXPIRES" })).toBe(
      "ValidationException: A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    );
    expect(await failure({ ExpirationModel: undefined })).toMatch(/^ValidationException: A validTo date must be set/);
    expect(await failure({ ValidTo: nowMs + DAY_MS })).toMatch(/^ValidationException/);
    const expires = { ExpirationModel: "KEY_MATERIAL_EXPIRES" };
    expect(await failure({ ...expires, ValidTo: nowMs })).toMatch(/^ValidationException/);
    expect(await failure({ ...expires, ValidTo: nowMs + 365 * DAY_MS + 1 })).toMatch(/^ValidationException/);
    expect(await failure({ ...expires, ValidTo: nowMs + 365 * DAY_MS })).toBe("none");
    expect(kms.last.checks[0]?.context).toMatchObject({
      "kms:ExpirationModel": "KEY_MATERIAL_EXPIRES",
      "kms:ValidTo": new Date(nowMs + 365 * DAY_MS).toISOString(),
    });
  });

  test("what only symmetric keys have", async () => {
    const KeyId = await newExternalKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    for (const input of [
      { ImportType: "NEW_KEY_MATERIAL" },
      { KeyMaterialDescription: "mine" },
      { KeyMaterialId: "00".repeat(32) },
    ]) {
      expect(await importFailure(KeyId, randomBytes(32), input)).toMatch(/^UnsupportedOperationException/);
    }
  });
});

describe("material that comes back", () => {
  test("is the same or is refused, whatever became of the first one", async () => {
    const KeyId = await newExternalKey();
    const material = randomBytes(32);
    const { KeyMaterialId } = await importMaterial(kms, KeyId, material);
    const CiphertextBlob = await encrypt(KeyId);
    expect(await importFailure(KeyId, randomBytes(32))).toMatch(/^IncorrectKeyMaterialException/);
    expect(await kms.run("DeleteImportedKeyMaterial", { KeyId })).toEqual({ KeyId: arnOf(KeyId), KeyMaterialId });
    expect(await stateOf(KeyId)).toBe("PendingImport");
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toBe(
      `KMSInvalidStateException: ${arnOf(KeyId)} is pending import.`,
    );
    expect(await importFailure(KeyId, randomBytes(32))).toMatch(/^IncorrectKeyMaterialException/);
    expect(await importFailure(KeyId, material, { ImportType: "NEW_KEY_MATERIAL" })).toMatch(
      /^IncorrectKeyMaterialException/,
    );
    expect(await importMaterial(kms, KeyId, material, { KeyMaterialId })).toMatchObject({ KeyMaterialId });
    expect(await kms.run("Decrypt", { CiphertextBlob })).toMatchObject({ Plaintext });
  });

  test("has another id in another key", async () => {
    const material = randomBytes(32);
    const first = await importMaterial(kms, await newExternalKey(), material);
    const second = await importMaterial(kms, await newExternalKey(), material);
    expect(first["KeyMaterialId"]).not.toBe(second["KeyMaterialId"]);
  });

  test("may be a private key in another encoding", async () => {
    const KeyId = await newExternalKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const der = privateKey.export({ format: "der", type: "pkcs8" });
    await importMaterial(kms, KeyId, der);
    const { privateKey: other } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(await importFailure(KeyId, other.export({ format: "der", type: "pkcs8" }))).toMatch(
      /^IncorrectKeyMaterialException/,
    );
    await kms.run("DeleteImportedKeyMaterial", { KeyId });
    expect(await importFailure(KeyId, der)).toBe("none");
    expect(await stateOf(KeyId)).toBe("Enabled");
  });

  test("keeps its description and takes a new date, and does not enable a disabled key", async () => {
    const KeyId = await newExternalKey();
    const material = randomBytes(32);
    await importMaterial(kms, KeyId, material, { KeyMaterialDescription: "from the safe" });
    await kms.run("DisableKey", { KeyId });
    const ValidTo = kms.clock.wallMs() + DAY_MS;
    await importMaterial(kms, KeyId, material, { ValidTo });
    expect(await stateOf(KeyId)).toBe("Disabled");
    const { Rotations } = await kms.run("ListKeyRotations", { KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
    expect(Rotations).toMatchObject([
      { KeyMaterialDescription: "from the safe", ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo },
    ]);
    await importMaterial(kms, KeyId, material);
    expect(await kms.reader.list(materialExpiryTable, { prefix: [], limit: 10 })).toEqual([]);
  });
});

describe("expiry", () => {
  test("takes effect at its instant, and destroys the material in the background with an event", async () => {
    const KeyId = await newExternalKey();
    const ValidTo = kms.clock.wallMs() + DAY_MS;
    const { KeyMaterialId } = await importMaterial(kms, KeyId, randomBytes(32), { ValidTo });
    expect((await kms.run("DescribeKey", { KeyId }))["KeyMetadata"]).toMatchObject({ ValidTo });
    kms.clock.advance(DAY_MS - 1);
    await sweep();
    const CiphertextBlob = await encrypt(KeyId);
    kms.clock.advance(1);
    expect(await stateOf(KeyId)).toBe("PendingImport");
    const gone = async (): Promise<void> => {
      const { KeyMetadata } = await kms.run("DescribeKey", { KeyId });
      expect(KeyMetadata).toMatchObject({ KeyState: "PendingImport", CurrentKeyMaterialId: KeyMaterialId as string });
      expect(KeyMetadata).not.toHaveProperty("ValidTo");
      expect(KeyMetadata).not.toHaveProperty("ExpirationModel");
    };
    await gone();
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toMatch(/is pending import\.$/);
    const wrapped = async (): Promise<unknown> =>
      (await kms.reader.get(materialTable, [ACCOUNT, REGION, KeyId, KeyMaterialId as string]))?.wrapped;
    expect(await wrapped()).not.toBeNull();
    await sweep();
    expect(await wrapped()).toBeNull();
    await gone();
    expect(kms.events).toMatchObject([
      {
        eventName: "DeleteExpiredKeyMaterial",
        eventType: "AwsServiceEvent",
        resources: [{ ARN: arnOf(KeyId) }],
        serviceEventDetails: { keyId: KeyId, keyMaterialId: KeyMaterialId },
      },
    ]);
    await sweep();
    expect(kms.events).toHaveLength(1);
  });
});

test("deleting material that is not there has no effect, and one that never was is not found", async () => {
  const KeyId = await newExternalKey();
  expect(await kms.run("DeleteImportedKeyMaterial", { KeyId })).toEqual({ KeyId: arnOf(KeyId) });
  expect(await kms.failure("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId: "00".repeat(32) })).toMatch(
    /^NotFoundException/,
  );
});

test("a key that is deleted takes all of its materials with it", async () => {
  const KeyId = await newExternalKey();
  await importMaterial(kms, KeyId, randomBytes(32), { ValidTo: kms.clock.wallMs() + 100 * DAY_MS });
  await importMaterial(kms, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" });
  await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
  expect(await kms.run("DeleteImportedKeyMaterial", { KeyId })).toMatchObject({ KeyId: arnOf(KeyId) });
  expect(await stateOf(KeyId)).toBe("PendingDeletion");
  kms.clock.advance(7 * DAY_MS);
  await sweep();
  for (const table of [materialTable, materialExpiryTable]) {
    expect(await kms.reader.list<unknown>(table, { prefix: [], limit: 10 })).toEqual([]);
  }
});
