import { constants, createPublicKey, publicEncrypt } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
let symmetric = "";
let rsa = "";
beforeAll(async () => {
  kms = await kmsHarness();
  symmetric = await kms.newKey();
  rsa = await kms.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
});
afterAll(async () => kms.close());

const Plaintext = Buffer.from("attack at dawn");
const OAEP = "RSAES_OAEP_SHA_256";
const DRY_RUN = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
const CONTEXT_REFUSED =
  "ValidationException: EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.";
const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;

async function encrypt(KeyId: string, EncryptionAlgorithm?: string): Promise<Uint8Array> {
  const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext, EncryptionAlgorithm });
  return CiphertextBlob as Uint8Array;
}

describe.each(["RSAES_OAEP_SHA_1", OAEP])("%s", (EncryptionAlgorithm) => {
  test("round-trips, also for what was encrypted outside with the public key", async () => {
    const sealed = await kms.run("Encrypt", { KeyId: rsa, Plaintext, EncryptionAlgorithm });
    expect(sealed).toMatchObject({ KeyId: arnOf(rsa), EncryptionAlgorithm });
    expect(sealed["CiphertextBlob"]).toHaveLength(256);
    const { PublicKey } = await kms.run("GetPublicKey", { KeyId: rsa });
    const outside = publicEncrypt(
      {
        key: createPublicKey({ key: PublicKey, format: "der", type: "spki" }),
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: EncryptionAlgorithm === OAEP ? "sha256" : "sha1",
      },
      Plaintext,
    );
    for (const CiphertextBlob of [sealed["CiphertextBlob"], outside]) {
      const opened = await kms.run("Decrypt", { KeyId: rsa, CiphertextBlob, EncryptionAlgorithm });
      expect({ ...opened, Plaintext: Buffer.from(opened["Plaintext"] as Uint8Array) }).toEqual({
        KeyId: arnOf(rsa),
        Plaintext,
        EncryptionAlgorithm,
      });
    }
  });

  test("whatever is wrong with a ciphertext, the answer is the same", async () => {
    const whole = await encrypt(rsa, EncryptionAlgorithm);
    const other = await kms.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const broken = [
      Uint8Array.from(whole).with(0, (whole[0] ?? 0) ^ 1),
      Uint8Array.from(whole).with(255, (whole[255] ?? 0) ^ 1),
      whole.subarray(1),
      Buffer.concat([whole, Buffer.alloc(1)]),
      Buffer.alloc(256),
      Buffer.alloc(256, 0xff),
      Buffer.from("x"),
      await encrypt(rsa, EncryptionAlgorithm === OAEP ? "RSAES_OAEP_SHA_1" : OAEP),
      await encrypt(other, EncryptionAlgorithm),
      await encrypt(symmetric),
    ];
    for (const CiphertextBlob of broken) {
      expect(await kms.failure("Decrypt", { KeyId: rsa, CiphertextBlob, EncryptionAlgorithm })).toBe(
        "InvalidCiphertextException",
      );
    }
  });

  test("does not go with symmetric keys, nor with an encryption context", async () => {
    const refusal = `InvalidKeyUsageException: Algorithm ${EncryptionAlgorithm} is incompatible with key spec SYMMETRIC_DEFAULT.`;
    const CiphertextBlob = await encrypt(symmetric);
    expect(await kms.failure("Encrypt", { KeyId: symmetric, Plaintext, EncryptionAlgorithm })).toBe(refusal);
    expect(await kms.failure("Decrypt", { KeyId: symmetric, CiphertextBlob, EncryptionAlgorithm })).toBe(refusal);
    const EncryptionContext = { a: "b" };
    const request = { KeyId: rsa, EncryptionAlgorithm, EncryptionContext };
    expect(await kms.failure("Encrypt", { ...request, Plaintext })).toBe(CONTEXT_REFUSED);
    expect(await kms.failure("Decrypt", { ...request, CiphertextBlob })).toBe(CONTEXT_REFUSED);
  });
});

test("an RSA key wants its algorithm named", async () => {
  expect(await kms.failure("Encrypt", { KeyId: rsa, Plaintext })).toBe(
    "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
  );
  expect(await kms.failure("GenerateDataKey", { KeyId: rsa, KeySpec: "AES_256" })).toBe(
    "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
  );
  // Without one the ciphertext is taken for a symmetric key's, and has not the form of one.
  expect(await kms.failure("Decrypt", { KeyId: rsa, CiphertextBlob: await encrypt(rsa, OAEP) })).toBe(
    "InvalidCiphertextException",
  );
});

test("an RSA ciphertext names no key: without KeyId it is refused", async () => {
  const CiphertextBlob = await encrypt(rsa, OAEP);
  expect(await kms.failure("Decrypt", { CiphertextBlob, EncryptionAlgorithm: OAEP })).toBe(
    "ValidationException: KeyId must not be null",
  );
  expect(await kms.failure("Decrypt", { CiphertextBlob })).toBe("InvalidCiphertextException");
});

test("a symmetric ciphertext under an RSA key's name is for another key", async () => {
  expect(await kms.failure("Decrypt", { KeyId: rsa, CiphertextBlob: await encrypt(symmetric) })).toMatch(
    /^IncorrectKeyException/,
  );
});

test.each([
  ["RSA_2048", "RSAES_OAEP_SHA_1", 214],
  ["RSA_2048", OAEP, 190],
  ["RSA_3072", "RSAES_OAEP_SHA_1", 342],
  ["RSA_3072", OAEP, 318],
])("%s by %s encrypts %i bytes and no more", { timeout: 30_000 }, async (KeySpec, EncryptionAlgorithm, bytes) => {
  const KeyId = await kms.newKey({ KeySpec, KeyUsage: "ENCRYPT_DECRYPT" });
  await kms.run("Encrypt", { KeyId, EncryptionAlgorithm, Plaintext: Buffer.alloc(bytes) });
  expect(await kms.failure("Encrypt", { KeyId, EncryptionAlgorithm, Plaintext: Buffer.alloc(bytes + 1) })).toBe(
    `ValidationException: Algorithm ${EncryptionAlgorithm} and key spec ${KeySpec} cannot encrypt data larger than ${bytes} bytes.`,
  );
});

test("conditions and events see the algorithm, and no material id", async () => {
  const CiphertextBlob = await encrypt(rsa, OAEP);
  expect(kms.last.checks).toMatchObject([{ context: { "kms:EncryptionAlgorithm": OAEP } }]);
  await kms.run("Decrypt", { KeyId: rsa, CiphertextBlob, EncryptionAlgorithm: OAEP });
  expect(kms.last.checks).toMatchObject([{ action: "kms:Decrypt", context: { "kms:EncryptionAlgorithm": OAEP } }]);
  expect(kms.last.audit).toEqual({
    requestParameters: { keyId: rsa, encryptionAlgorithm: OAEP },
    resources: [{ type: "AWS::KMS::Key", arn: arnOf(rsa), accountId: ACCOUNT }],
  });
});

describe("ReEncrypt", () => {
  test("from a symmetric key to an RSA key and back", async () => {
    const there = await kms.run("ReEncrypt", {
      CiphertextBlob: await encrypt(symmetric),
      DestinationKeyId: rsa,
      DestinationEncryptionAlgorithm: OAEP,
    });
    expect(there).toMatchObject({
      SourceKeyId: arnOf(symmetric),
      KeyId: arnOf(rsa),
      SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      DestinationEncryptionAlgorithm: OAEP,
      SourceKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(there).not.toHaveProperty("DestinationKeyMaterialId");
    expect(kms.last.checks).toMatchObject([
      { action: "kms:ReEncryptFrom", context: { "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" } },
      { action: "kms:ReEncryptTo", context: { "kms:EncryptionAlgorithm": OAEP } },
    ]);
    const back = await kms.run("ReEncrypt", {
      CiphertextBlob: there["CiphertextBlob"],
      SourceKeyId: rsa,
      SourceEncryptionAlgorithm: OAEP,
      DestinationKeyId: symmetric,
      DestinationEncryptionContext: { a: "b" },
    });
    expect(back).not.toHaveProperty("SourceKeyMaterialId");
    expect(Object.keys(kms.last.audit.additionalEventData ?? {})).toEqual(["destinationKeyMaterialId"]);
    const { CiphertextBlob } = back;
    expect(await kms.run("Decrypt", { CiphertextBlob, EncryptionContext: { a: "b" } })).toMatchObject({ Plaintext });
  });

  test("refuses on each side what that side's key cannot do", async () => {
    const CiphertextBlob = await encrypt(symmetric);
    const request = { CiphertextBlob, DestinationKeyId: rsa, DestinationEncryptionAlgorithm: OAEP };
    expect(await kms.failure("ReEncrypt", { ...request, DestinationEncryptionAlgorithm: undefined })).toBe(
      "InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.",
    );
    expect(await kms.failure("ReEncrypt", { ...request, DestinationEncryptionContext: { a: "b" } })).toBe(
      CONTEXT_REFUSED,
    );
    expect(await kms.failure("ReEncrypt", { ...request, SourceEncryptionAlgorithm: OAEP })).toBe(
      "ValidationException: KeyId must not be null",
    );
    const long = await kms.run("Encrypt", { KeyId: symmetric, Plaintext: Buffer.alloc(191) });
    expect(await kms.failure("ReEncrypt", { ...request, CiphertextBlob: long["CiphertextBlob"] })).toBe(
      `ValidationException: Algorithm ${OAEP} and key spec RSA_2048 cannot encrypt data larger than 190 bytes.`,
    );
  });
});

describe("dry runs", () => {
  test("succeed without an answer, or fail as the request would", async () => {
    const CiphertextBlob = await encrypt(rsa, OAEP);
    const request = { KeyId: rsa, EncryptionAlgorithm: OAEP, DryRun: true };
    expect(await kms.failure("Encrypt", { ...request, Plaintext })).toBe(DRY_RUN);
    expect(await kms.failure("Encrypt", { ...request, Plaintext: Buffer.alloc(191) })).toMatch(/^ValidationException/);
    expect(await kms.failure("Decrypt", { ...request, CiphertextBlob })).toBe(DRY_RUN);
    expect(await kms.failure("Decrypt", { ...request, CiphertextBlob: Buffer.alloc(256) })).toBe(
      "InvalidCiphertextException",
    );
  });

  test("that ignore the ciphertext ask for permission on the named key only", async () => {
    const DryRunModifiers = ["IGNORE_CIPHERTEXT"];
    const ignoring = { DryRun: true, DryRunModifiers };
    expect(await kms.failure("Decrypt", { ...ignoring, KeyId: symmetric })).toBe(DRY_RUN);
    expect(await kms.failure("Decrypt", { ...ignoring, KeyId: symmetric, CiphertextBlob: Buffer.alloc(9) })).toBe(
      DRY_RUN,
    );
    expect(kms.last.checks).toMatchObject([{ action: "kms:Decrypt", resource: arnOf(symmetric) }]);
    expect(await kms.failure("Decrypt", ignoring)).toBe("ValidationException: KeyId must not be null");
    expect(await kms.failure("Decrypt", { ...ignoring, KeyId: rsa })).toMatch(/^InvalidKeyUsageException/);
    const DestinationKeyId = symmetric;
    expect(await kms.failure("ReEncrypt", { ...ignoring, SourceKeyId: symmetric, DestinationKeyId })).toBe(DRY_RUN);
    expect(kms.last.checks).toMatchObject([{ action: "kms:ReEncryptFrom" }, { action: "kms:ReEncryptTo" }]);
    const disabled = await kms.newKey();
    await kms.run("DisableKey", { KeyId: disabled });
    expect(await kms.failure("Decrypt", { ...ignoring, KeyId: disabled })).toMatch(/^DisabledException/);
  });

  test("are the only requests that modifiers apply to", async () => {
    const CiphertextBlob = await encrypt(symmetric);
    const DryRunModifiers = ["IGNORE_CIPHERTEXT"];
    expect(await kms.run("Decrypt", { CiphertextBlob, DryRunModifiers })).toMatchObject({ Plaintext });
    expect(await kms.failure("Decrypt", { KeyId: symmetric, DryRunModifiers })).toMatch(
      /'ciphertextBlob' failed to satisfy constraint: Member must not be null$/,
    );
  });
});
