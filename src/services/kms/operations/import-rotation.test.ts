import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { materialTable } from "../records.ts";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";
import { importMaterial, importRequest } from "../testing/import.ts";

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

describe("a second material", () => {
  const first = randomBytes(32);
  const second = randomBytes(32);
  let KeyId = "";
  let oldId = "";
  let newId = "";
  beforeEach(async () => {
    KeyId = await newExternalKey();
    oldId = (await importMaterial(kms, KeyId, first))["KeyMaterialId"] as string;
    newId = (await importMaterial(kms, KeyId, second, { ImportType: "NEW_KEY_MATERIAL" }))["KeyMaterialId"] as string;
  });
  const rotate = async (): Promise<void> => void (await kms.run("RotateKeyOnDemand", { KeyId }));
  const listed = async (): Promise<object[]> =>
    (await kms.run("ListKeyRotations", { KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" }))["Rotations"] as object[];

  test("waits until the key is rotated, and then encrypts", async () => {
    expect(await listed()).toMatchObject([
      { KeyMaterialId: oldId, KeyMaterialState: "CURRENT", ImportState: "IMPORTED" },
      { KeyMaterialId: newId, KeyMaterialState: "PENDING_ROTATION", ImportState: "IMPORTED" },
    ]);
    const old = await encrypt(KeyId);
    await rotate();
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId });
    expect(KeyMetadata.CurrentKeyMaterialId).toBe(newId);
    expect(await kms.run("Decrypt", { CiphertextBlob: old })).toMatchObject({ KeyMaterialId: oldId });
    expect(await kms.run("Decrypt", { CiphertextBlob: await encrypt(KeyId) })).toMatchObject({ KeyMaterialId: newId });
    expect(await listed()).toMatchObject([
      { KeyMaterialId: oldId, KeyMaterialState: "NON_CURRENT" },
      { KeyMaterialId: newId, KeyMaterialState: "CURRENT", RotationType: "ON_DEMAND" },
    ]);
    expect((await kms.run("ListKeyRotations", { KeyId }))["Rotations"]).toMatchObject([{ KeyMaterialId: newId }]);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toBe(
      `KMSInvalidStateException: No available key material pending rotation for the key: ${arnOf(KeyId)}.`,
    );
  });

  test("keeps a third one out, in AWS's words", async () => {
    const failure = await importFailure(KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" });
    const [, thirdId = ""] = /\(id: ([0-9a-f]{64})\) cannot/.exec(failure) ?? [];
    expect(failure).toBe(
      `KMSInvalidStateException: New key material (id: ${thirdId}) cannot be imported into KMS key ${KeyId}, ` +
        `because another key material (id: ${newId}) is pending rotation.`,
    );
  });

  test("that waits can be deleted, which leaves the key as it is, and another one put in its place", async () => {
    await kms.run("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId: newId });
    expect(await stateOf(KeyId)).toBe("Enabled");
    expect(await listed()).toHaveLength(1);
    expect(await importFailure(KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })).toBe("none");
  });

  test("that waits may expire, which leaves the key as it is", async () => {
    await importMaterial(kms, KeyId, second, { ValidTo: kms.clock.wallMs() + DAY_MS });
    kms.clock.advance(DAY_MS);
    expect(await stateOf(KeyId)).toBe("Enabled");
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(/No available key material pending rotation/);
    await sweep();
    expect(await listed()).toHaveLength(1);
    expect(await stateOf(KeyId)).toBe("Enabled");
  });

  test("makes the key need both: without the older one it is pending import", async () => {
    const old = await encrypt(KeyId);
    await rotate();
    const fresh = await encrypt(KeyId);
    await kms.run("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId: oldId });
    expect(await stateOf(KeyId)).toBe("PendingImport");
    for (const CiphertextBlob of [old, fresh]) {
      expect(await kms.failure("Decrypt", { CiphertextBlob })).toMatch(/is pending import\.$/);
    }
    expect(await listed()).toMatchObject([{ ImportState: "PENDING_IMPORT" }, { ImportState: "IMPORTED" }]);
    const ValidTo = kms.clock.wallMs() + DAY_MS;
    await importMaterial(kms, KeyId, first, { ValidTo });
    const expiring = { ValidTo, ExpirationModel: "KEY_MATERIAL_EXPIRES", CurrentKeyMaterialId: newId };
    expect((await kms.run("DescribeKey", { KeyId }))["KeyMetadata"]).toMatchObject(expiring);
    await importMaterial(kms, KeyId, second, { ValidTo: ValidTo + DAY_MS });
    expect((await kms.run("DescribeKey", { KeyId }))["KeyMetadata"]).toMatchObject(expiring);
    for (const CiphertextBlob of [old, fresh]) {
      expect(await kms.run("Decrypt", { CiphertextBlob })).toMatchObject({ Plaintext });
    }
    kms.clock.advance(DAY_MS);
    expect(await stateOf(KeyId)).toBe("PendingImport");
    await sweep();
    expect(await stateOf(KeyId)).toBe("PendingImport");
  });

  test("of which two come at once is one", async () => {
    await kms.run("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId: newId });
    const requests = await Promise.all(
      [randomBytes(32), randomBytes(32)].map((material) =>
        importRequest(kms, KeyId, material, { ImportType: "NEW_KEY_MATERIAL" }),
      ),
    );
    const outcomes = await Promise.all(requests.map((request) => kms.failure("ImportKeyMaterial", request)));
    expect(outcomes.filter((outcome) => outcome === "none")).toHaveLength(1);
    expect(await listed()).toHaveLength(2);
  });

  test("is wrapped again with the first when domain keys rotate", async () => {
    const old = await encrypt(KeyId);
    await rotate();
    const stop = kms.service.start?.();
    await kms.keyring.rotate();
    const wrapped = (await kms.reader.list(materialTable, { prefix: [], limit: 10 })).map(({ value }) => value.wrapped);
    const numbers = wrapped.map((text) => Buffer.from(text ?? "", "base64").readUInt32BE(1));
    expect(numbers).toEqual([kms.keyring.activeDomainKey, kms.keyring.activeDomainKey]);
    await stop?.();
    await kms.keyring.seal();
    await kms.keyring.unseal(kms.sealProvider);
    expect(await kms.run("Decrypt", { CiphertextBlob: old })).toMatchObject({ Plaintext });
  });
});
