import { randomBytes } from "node:crypto";
import type { CreateKeyCommandInput, WrappingKeySpec } from "@aws-sdk/client-kms";
import { beforeAll, expect } from "vitest";
import { advanceClock } from "../../support/server.ts";
import { bytes, expectRefusal, given, kmsSuite } from "./suite.ts";
import { importMaterial, wrap, WRAPPING_ALGORITHMS } from "./wrapping.ts";

/** Imported key material and rotation. The clock moves, so this server is nobody else's. */
const suite = kmsSuite({ testHooks: true });
const { kms, works, refuses } = suite;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const newKey = async (input: CreateKeyCommandInput = {}): Promise<string> =>
  given((await kms().createKey(input)).KeyMetadata?.KeyId);
const external = async (): Promise<string> => newKey({ Origin: "EXTERNAL" });
const describeKey = async (KeyId: string): Promise<Record<string, unknown>> => ({
  ...(await kms().describeKey({ KeyId })).KeyMetadata,
});
const seal = async (KeyId: string): Promise<Uint8Array> =>
  given((await kms().encrypt({ KeyId, Plaintext: bytes("plain") })).CiphertextBlob);
const open = async (CiphertextBlob: Uint8Array): Promise<unknown> => kms().decrypt({ CiphertextBlob });

/** The server's time: test hooks move it, so it comes from what the server says. */
const serverNow = async (): Promise<number> => given((await kms().createKey({})).KeyMetadata?.CreationDate).getTime();

let internalId = "";
beforeAll(async () => {
  internalId = await newKey();
});

const RSA_KEYS: readonly WrappingKeySpec[] = ["RSA_2048", "RSA_3072", "RSA_4096"];
for (const algorithm of WRAPPING_ALGORITHMS) {
  // RSA-4096 takes seconds to make: once is enough to show that it is made.
  for (const wrappingKeySpec of algorithm === "RSAES_OAEP_SHA_256" ? RSA_KEYS : (["RSA_2048"] as const)) {
    works("GetParametersForImport", `${algorithm} with ${wrappingKeySpec}`, async () => {
      const KeyId = await external();
      const answer = await kms().getParametersForImport({
        KeyId,
        WrappingAlgorithm: algorithm,
        WrappingKeySpec: wrappingKeySpec,
      });
      const arn = (await describeKey(KeyId))["Arn"];
      expect(answer.KeyId).toBe(arn);
      const leftMs = given(answer.ParametersValidTo).getTime() - (await serverNow());
      expect(Math.abs(leftMs - DAY_MS)).toBeLessThan(60_000);
      const material = randomBytes(32);
      const imported = await kms().importKeyMaterial({
        KeyId,
        ImportToken: answer.ImportToken,
        EncryptedKeyMaterial: wrap(algorithm, given(answer.PublicKey), material),
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      });
      expect(imported.KeyId).toBe(arn);
      expect(imported.KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    });
  }
}
works("ImportKeyMaterial", "the key is Enabled and says what it has", async () => {
  const KeyId = await external();
  const id = await importMaterial(kms(), KeyId, randomBytes(32));
  expect(await describeKey(KeyId)).toMatchObject({
    KeyState: "Enabled",
    Origin: "EXTERNAL",
    ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    CurrentKeyMaterialId: id,
  });
  expect(await open(await seal(KeyId))).toMatchObject({ Plaintext: bytes("plain"), KeyMaterialId: id });
});
works("ImportKeyMaterial", "that expires: the key waits for import again, and the same material mends it", async () => {
  const KeyId = await external();
  const material = randomBytes(32);
  const ValidTo = new Date((await serverNow()) + 2 * HOUR_MS);
  const expiring = { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo } as const;
  await importMaterial(kms(), KeyId, material, { input: expiring });
  const sealed = await seal(KeyId);
  const described = await describeKey(KeyId);
  expect(described["ExpirationModel"]).toBe("KEY_MATERIAL_EXPIRES");
  expect(Math.abs((described["ValidTo"] as Date).getTime() - ValidTo.getTime())).toBeLessThan(1_000);
  await advanceClock(suite.server(), 3 * HOUR_MS);
  expect(await describeKey(KeyId)).toMatchObject({ KeyState: "PendingImport", Enabled: false });
  await expectRefusal(open(sealed), "KMSInvalidStateException", /is pending import\.$/);
  await importMaterial(kms(), KeyId, material);
  expect(await open(sealed)).toMatchObject({ Plaintext: bytes("plain") });
});
works("DeleteImportedKeyMaterial", "and importing it again opens what was sealed", async () => {
  const KeyId = await external();
  const material = randomBytes(32);
  const KeyMaterialId = await importMaterial(kms(), KeyId, material);
  const sealed = await seal(KeyId);
  const answer = await kms().deleteImportedKeyMaterial({ KeyId });
  expect(answer).toMatchObject({ KeyMaterialId });
  expect(await describeKey(KeyId)).toMatchObject({ KeyState: "PendingImport" });
  await expectRefusal(open(sealed), "KMSInvalidStateException", /is pending import\.$/);
  expect(await importMaterial(kms(), KeyId, material)).toBe(KeyMaterialId);
  expect(await open(sealed)).toMatchObject({ Plaintext: bytes("plain") });
});
works("DeleteImportedKeyMaterial", "a key that has none", async () => {
  await kms().deleteImportedKeyMaterial({ KeyId: await external() });
});
refuses("DeleteImportedKeyMaterial", "UnsupportedOperationException", "a key of AWS's own material", async () =>
  kms().deleteImportedKeyMaterial({ KeyId: internalId }),
);
refuses(
  "GetParametersForImport",
  "UnsupportedOperationException",
  "a key of AWS's own material",
  async () =>
    kms().getParametersForImport({
      KeyId: internalId,
      WrappingAlgorithm: "RSAES_OAEP_SHA_256",
      WrappingKeySpec: "RSA_2048",
    }),
  /^arn:aws:kms:\S+ origin is AWS_KMS which is not valid for this operation\.$/,
);
refuses("GetParametersForImport", "UnsupportedOperationException", "PKCS #1 v1.5, which AWS gave up", async () =>
  kms().getParametersForImport({
    KeyId: await external(),
    WrappingAlgorithm: "RSAES_PKCS1_V1_5",
    WrappingKeySpec: "RSA_2048",
  }),
);
refuses(
  "GetParametersForImport",
  "ValidationException",
  "a wrapping key that is none",
  async () =>
    kms().getParametersForImport({
      KeyId: await external(),
      WrappingAlgorithm: "RSAES_OAEP_SHA_256",
      WrappingKeySpec: "RSA_1024" as WrappingKeySpec,
    }),
  /at 'wrappingKeySpec' failed to satisfy constraint/,
);

const parameters = async (KeyId: string): Promise<{ ImportToken: Uint8Array; PublicKey: Uint8Array }> => {
  const { ImportToken, PublicKey } = await kms().getParametersForImport({
    KeyId,
    WrappingAlgorithm: "RSAES_OAEP_SHA_256",
    WrappingKeySpec: "RSA_2048",
  });
  return { ImportToken: given(ImportToken), PublicKey: given(PublicKey) };
};
const importWith = async (
  KeyId: string,
  ImportToken: Uint8Array,
  EncryptedKeyMaterial: Uint8Array,
  others: object = { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" },
): Promise<unknown> => kms().importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...others });

refuses("ImportKeyMaterial", "InvalidImportTokenException", "a token of another key", async () => {
  const { ImportToken, PublicKey } = await parameters(await external());
  return importWith(await external(), ImportToken, wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32)));
});
refuses("ImportKeyMaterial", "InvalidImportTokenException", "a token that nobody issued", async () => {
  const KeyId = await external();
  const { PublicKey } = await parameters(KeyId);
  return importWith(KeyId, randomBytes(400), wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32)));
});
refuses("ImportKeyMaterial", "ExpiredImportTokenException", "a token after 24 hours", async () => {
  const KeyId = await external();
  const { ImportToken, PublicKey } = await parameters(KeyId);
  await advanceClock(suite.server(), 24 * HOUR_MS + 1_000);
  return importWith(KeyId, ImportToken, wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32)));
});
refuses("ImportKeyMaterial", "InvalidCiphertextException", "what was not wrapped with the key", async () => {
  const KeyId = await external();
  const { ImportToken } = await parameters(KeyId);
  return importWith(KeyId, ImportToken, randomBytes(256));
});
refuses("ImportKeyMaterial", "InvalidCiphertextException", "wrapped in another way than asked for", async () => {
  const KeyId = await external();
  const { ImportToken, PublicKey } = await parameters(KeyId);
  return importWith(KeyId, ImportToken, wrap("RSAES_OAEP_SHA_1", PublicKey, randomBytes(32)));
});
for (const length of [16, 31, 33, 64])
  refuses("ImportKeyMaterial", "IncorrectKeyMaterialException", `${length} bytes for a symmetric key`, async () => {
    const KeyId = await external();
    const { ImportToken, PublicKey } = await parameters(KeyId);
    return importWith(KeyId, ImportToken, wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(length)));
  });
refuses("ImportKeyMaterial", "IncorrectKeyMaterialException", "other material than before", async () => {
  const KeyId = await external();
  await importMaterial(kms(), KeyId, randomBytes(32));
  await kms().deleteImportedKeyMaterial({ KeyId });
  return importMaterial(kms(), KeyId, randomBytes(32));
});
refuses(
  "ImportKeyMaterial",
  "ValidationException",
  "an expiry without date",
  async () => {
    const KeyId = await external();
    const { ImportToken, PublicKey } = await parameters(KeyId);
    const wrapped = wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32));
    return importWith(KeyId, ImportToken, wrapped, { ExpirationModel: "KEY_MATERIAL_EXPIRES" });
  },
  "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
);
for (const [how, offsetMs] of [
  ["in the past", -HOUR_MS],
  ["more than a year away", 366 * DAY_MS],
] as const)
  refuses("ImportKeyMaterial", "ValidationException", `an expiry ${how}`, async () => {
    const KeyId = await external();
    const { ImportToken, PublicKey } = await parameters(KeyId);
    const wrapped = wrap("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32));
    const ValidTo = new Date((await serverNow()) + offsetMs);
    return importWith(KeyId, ImportToken, wrapped, { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo });
  });

const NEW = { input: { ImportType: "NEW_KEY_MATERIAL", KeyMaterialDescription: "second" } } as const;
works("ImportKeyMaterial", "new material waits for rotation, then old and new both open", async () => {
  const KeyId = await external();
  const first = await importMaterial(kms(), KeyId, randomBytes(32));
  const old = await seal(KeyId);
  const second = await importMaterial(kms(), KeyId, randomBytes(32), NEW);
  expect(second).not.toBe(first);
  const states = async (): Promise<unknown> => {
    const { Rotations } = await kms().listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
    return Object.fromEntries((Rotations ?? []).map((one) => [one.KeyMaterialId, one.KeyMaterialState]));
  };
  expect(await states()).toEqual({ [given(first)]: "CURRENT", [given(second)]: "PENDING_ROTATION" });
  await kms().rotateKeyOnDemand({ KeyId });
  expect(await states()).toEqual({ [given(first)]: "NON_CURRENT", [given(second)]: "CURRENT" });
  const fresh = await seal(KeyId);
  expect(await open(old)).toMatchObject({ KeyMaterialId: first });
  expect(await open(fresh)).toMatchObject({ KeyMaterialId: second });
  // Losing one of them makes the whole key unusable, as AWS says.
  await kms().deleteImportedKeyMaterial({ KeyId, KeyMaterialId: given(first) });
  await expectRefusal(open(old), "KMSInvalidStateException", /is pending import\.$/);
});
refuses("ImportKeyMaterial", "KMSInvalidStateException", "a third while a second waits", async () => {
  const KeyId = await external();
  await importMaterial(kms(), KeyId, randomBytes(32));
  await importMaterial(kms(), KeyId, randomBytes(32), NEW);
  return importMaterial(kms(), KeyId, randomBytes(32), NEW);
});
refuses("ImportKeyMaterial", "UnsupportedOperationException", "new material for an HMAC key", async () => {
  const KeyId = await newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC", Origin: "EXTERNAL" });
  await importMaterial(kms(), KeyId, randomBytes(32));
  return importMaterial(kms(), KeyId, randomBytes(32), NEW);
});

works("EnableKeyRotation", "every 365 days unless said otherwise, and old ciphertexts still open", async () => {
  const KeyId = await newKey();
  await kms().enableKeyRotation({ KeyId });
  const status = await kms().getKeyRotationStatus({ KeyId });
  expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
  expect(status.KeyId).toMatch(/^arn:aws:kms:/);
  expect(status.NextRotationDate).toBeInstanceOf(Date);
});
works("EnableKeyRotation", "by the clock: new material for new ciphertexts", async () => {
  const KeyId = await newKey();
  await kms().enableKeyRotation({ KeyId, RotationPeriodInDays: 90 });
  const old = await seal(KeyId);
  const { KeyMaterialId: first } = await kms().decrypt({ CiphertextBlob: old });
  await advanceClock(suite.server(), 90 * DAY_MS + 2 * 60_000);
  const { Rotations } = await kms().listKeyRotations({ KeyId });
  expect(Rotations).toMatchObject([{ RotationType: "AUTOMATIC" }]);
  const fresh = await kms().decrypt({ CiphertextBlob: await seal(KeyId) });
  expect(fresh.KeyMaterialId).not.toBe(first);
  expect(await open(old)).toMatchObject({ Plaintext: bytes("plain"), KeyMaterialId: first });
  expect((await describeKey(KeyId))["CurrentKeyMaterialId"]).toBe(fresh.KeyMaterialId);
});
for (const RotationPeriodInDays of [89, 2561])
  refuses("EnableKeyRotation", "ValidationException", `${RotationPeriodInDays} days`, async () =>
    kms().enableKeyRotation({ KeyId: internalId, RotationPeriodInDays }),
  );
works("DisableKeyRotation", "ends it", async () => {
  const KeyId = await newKey();
  await kms().enableKeyRotation({ KeyId });
  await kms().disableKeyRotation({ KeyId });
  expect(await kms().getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: false });
});
works("GetKeyRotationStatus", "off for a new key", async () => {
  const status = await kms().getKeyRotationStatus({ KeyId: await newKey() });
  expect(status.KeyRotationEnabled).toBe(false);
  expect(status.NextRotationDate).toBeUndefined();
});
works("RotateKeyOnDemand", "is in the history, and old ciphertexts still open", async () => {
  const KeyId = await newKey();
  const old = await seal(KeyId);
  const answer = await kms().rotateKeyOnDemand({ KeyId });
  expect(answer.KeyId).toMatch(new RegExp(`${KeyId}$`));
  const { Rotations } = await kms().listKeyRotations({ KeyId });
  expect(Rotations).toMatchObject([{ RotationType: "ON_DEMAND" }]);
  expect(Rotations?.[0]?.RotationDate).toBeInstanceOf(Date);
  const [before, after] = [
    await kms().decrypt({ CiphertextBlob: old }),
    await kms().decrypt({ CiphertextBlob: await seal(KeyId) }),
  ];
  expect(before.KeyMaterialId).not.toBe(after.KeyMaterialId);
});
works("ListKeyRotations", "page by page, with the first material if asked for", async () => {
  const KeyId = await newKey();
  for (let index = 0; index < 3; index += 1) await kms().rotateKeyOnDemand({ KeyId });
  const first = await kms().listKeyRotations({ KeyId, Limit: 2 });
  expect([first.Rotations?.length, first.Truncated]).toEqual([2, true]);
  const rest = await kms().listKeyRotations({ KeyId, Limit: 2, Marker: given(first.NextMarker) });
  expect([rest.Rotations?.length, rest.Truncated]).toEqual([1, false]);
  const all = await kms().listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
  expect(all.Rotations).toHaveLength(4);
  expect(all.Rotations?.filter((one) => one.KeyMaterialState === "CURRENT")).toHaveLength(1);
});
refuses(
  "RotateKeyOnDemand",
  "LimitExceededException",
  "a 26th time",
  async () => {
    const KeyId = await newKey();
    for (let index = 0; index < 25; index += 1) await kms().rotateKeyOnDemand({ KeyId });
    return kms().rotateKeyOnDemand({ KeyId });
  },
  new RegExp(
    "^The on-demand rotations limit has been reached for the given keyId\\. No more on-demand " +
      "rotations can be performed for this key: arn:aws:kms:\\S+$",
  ),
);
const ROTATION = {
  EnableKeyRotation: (KeyId: string) => kms().enableKeyRotation({ KeyId }),
  DisableKeyRotation: (KeyId: string) => kms().disableKeyRotation({ KeyId }),
  GetKeyRotationStatus: (KeyId: string) => kms().getKeyRotationStatus({ KeyId }),
  RotateKeyOnDemand: (KeyId: string) => kms().rotateKeyOnDemand({ KeyId }),
  ListKeyRotations: (KeyId: string) => kms().listKeyRotations({ KeyId }),
} as const;
for (const [operation, call] of Object.entries(ROTATION) as [
  keyof typeof ROTATION,
  (id: string) => Promise<unknown>,
][]) {
  refuses(
    operation,
    "UnsupportedOperationException",
    "a key that signs",
    async () => call(await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" })),
    "",
  );
}
