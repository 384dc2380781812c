import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ACCOUNT, type Answer, type KmsHarness, OTHER_REGION, REGION, kmsHarness } from "../testing/harness.ts";
import { importMaterial, importRequest } from "../testing/import.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const THIRD_REGION = "ap-southeast-2";
const Plaintext = Buffer.from("attack at dawn");
const there = { region: OTHER_REGION };

let kms: KmsHarness;
let KeyId = "";
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

const replicate = async (ReplicaRegion: string): Promise<void> => {
  await kms.run("ReplicateKey", { KeyId, ReplicaRegion });
  kms.clock.advance(1000);
};
const encryptIn = async (region: string): Promise<Uint8Array> =>
  (await kms.run("Encrypt", { KeyId, Plaintext }, { region }))["CiphertextBlob"] as Uint8Array;
const metadataIn = async (region: string): Promise<Answer> =>
  (await kms.run("DescribeKey", { KeyId }, { region }))["KeyMetadata"] as Answer;
const materialsIn = async (region: string): Promise<Answer[]> =>
  (await kms.run("ListKeyRotations", { KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" }, { region }))[
    "Rotations"
  ] as Answer[];
const statesIn = async (region: string): Promise<unknown[]> =>
  (await materialsIn(region)).map((material) => [material["KeyMaterialState"], material["ImportState"]]);
/** Lets the background look once. */
const sweep = async (): Promise<void> => {
  const stop = kms.service.start?.();
  await stop?.();
  expect(kms.errors).toEqual([]);
};

describe("material that is made here", () => {
  beforeEach(async () => {
    KeyId = await kms.newKey({ MultiRegion: true });
  });

  test("comes to a replica with all that went before it", async () => {
    const old = await encryptIn(REGION);
    await kms.run("RotateKeyOnDemand", { KeyId });
    await replicate(OTHER_REGION);
    expect(await materialsIn(OTHER_REGION)).toEqual(await materialsIn(REGION));
    for (const CiphertextBlob of [old, await encryptIn(REGION)]) {
      expect(await kms.run("Decrypt", { KeyId, CiphertextBlob }, there)).toMatchObject({ Plaintext });
    }
  });

  test("is rotated in all Regions at once, on demand and by the clock, from the primary alone", async () => {
    await replicate(OTHER_REGION);
    const refusal = `UnsupportedOperationException: arn:aws:kms:${OTHER_REGION}:${ACCOUNT}:key/${KeyId} is not a multi-region primary key.`;
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"]) {
      expect(await kms.failure(operation, { KeyId }, there)).toBe(refusal);
    }
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    await kms.run("RotateKeyOnDemand", { KeyId });
    kms.clock.advance(90 * DAY_MS);
    await sweep();
    expect(await materialsIn(REGION)).toHaveLength(3);
    expect(await materialsIn(OTHER_REGION)).toEqual(await materialsIn(REGION));
    expect((await metadataIn(OTHER_REGION))["CurrentKeyMaterialId"]).toBe(
      (await metadataIn(REGION))["CurrentKeyMaterialId"],
    );
    const { KeyId: _arn, ...status } = await kms.run("GetKeyRotationStatus", { KeyId });
    expect(await kms.run("GetKeyRotationStatus", { KeyId }, there)).toMatchObject(status);
    const CiphertextBlob = await encryptIn(OTHER_REGION);
    expect(await kms.run("Decrypt", { KeyId, CiphertextBlob })).toMatchObject({ Plaintext });
    expect(kms.events.filter(({ eventName }) => eventName === "RotateKey")).toHaveLength(2);
  });

  test("is rotated on by the new primary when the primary moves", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    await replicate(OTHER_REGION);
    await kms.run("UpdatePrimaryRegion", { KeyId, PrimaryRegion: OTHER_REGION });
    kms.clock.advance(90 * DAY_MS);
    await sweep();
    expect(await materialsIn(OTHER_REGION)).toHaveLength(2);
    expect(await materialsIn(REGION)).toEqual(await materialsIn(OTHER_REGION));
    expect(kms.events.findLast(({ eventName }) => eventName === "RotateKey")?.awsRegion).toBe(OTHER_REGION);
  });
});

describe("imported material", () => {
  const first = randomBytes(32);
  const second = randomBytes(32);
  beforeEach(async () => {
    KeyId = await kms.newKey({ MultiRegion: true, Origin: "EXTERNAL" });
    await importMaterial(kms, KeyId, first);
    await replicate(OTHER_REGION);
  });

  test("has to be imported in each Region, the same there under the same id", async () => {
    expect((await metadataIn(OTHER_REGION))["KeyState"]).toBe("PendingImport");
    const request = await importRequest(kms, KeyId, second, {}, there);
    expect(await kms.failure("ImportKeyMaterial", request, there)).toMatch(/^IncorrectKeyMaterialException/);
    const { KeyMaterialId } = await importMaterial(kms, KeyId, first, {}, there);
    expect(KeyMaterialId).toBe((await metadataIn(REGION))["CurrentKeyMaterialId"]);
    const CiphertextBlob = await encryptIn(REGION);
    expect(await kms.run("Decrypt", { KeyId, CiphertextBlob }, there)).toMatchObject({ Plaintext });
  });

  test("a token of one Region does not open in another", async () => {
    const request = await importRequest(kms, KeyId, first);
    expect(await kms.failure("ImportKeyMaterial", request, there)).toMatch(/^InvalidImportTokenException/);
  });

  test("new material begins at the primary, and waits until all replicas have it", async () => {
    await importMaterial(kms, KeyId, first, {}, there);
    const asNew = { ImportType: "NEW_KEY_MATERIAL" };
    const request = await importRequest(kms, KeyId, second, asNew, there);
    expect(await kms.failure("ImportKeyMaterial", request, there)).toMatch(/is not a multi-region primary key\.$/);
    await importMaterial(kms, KeyId, second, asNew);
    const held = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
    expect(await statesIn(REGION)).toEqual([
      ["CURRENT", "IMPORTED"],
      [held, "IMPORTED"],
    ]);
    expect(await statesIn(OTHER_REGION)).toEqual([
      ["CURRENT", "IMPORTED"],
      [held, "PENDING_IMPORT"],
    ]);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(/No available key material pending rotation/);
    await importMaterial(kms, KeyId, second, {}, there);
    for (const region of [REGION, OTHER_REGION]) {
      expect(await statesIn(region)).toEqual([
        ["CURRENT", "IMPORTED"],
        ["PENDING_ROTATION", "IMPORTED"],
      ]);
    }
    const old = await encryptIn(OTHER_REGION);
    await kms.run("RotateKeyOnDemand", { KeyId });
    for (const region of [REGION, OTHER_REGION]) {
      expect(await statesIn(region)).toEqual([
        ["NON_CURRENT", "IMPORTED"],
        ["CURRENT", "IMPORTED"],
      ]);
      expect((await metadataIn(region))["KeyState"]).toBe("Enabled");
    }
    for (const CiphertextBlob of [old, await encryptIn(REGION)]) {
      expect(await kms.run("Decrypt", { KeyId, CiphertextBlob }, there)).toMatchObject({ Plaintext });
    }
  });

  test("a replica that comes meanwhile has to import it too", async () => {
    await importMaterial(kms, KeyId, first, {}, there);
    await importMaterial(kms, KeyId, second, { ImportType: "NEW_KEY_MATERIAL" });
    await importMaterial(kms, KeyId, second, {}, there);
    await replicate(THIRD_REGION);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(/No available key material pending rotation/);
    const third = { region: THIRD_REGION };
    await importMaterial(kms, KeyId, first, {}, third);
    await importMaterial(kms, KeyId, second, {}, third);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toBe("none");
    expect((await metadataIn(THIRD_REGION))["KeyState"]).toBe("Enabled");
  });

  test("that waits is dropped everywhere when the primary deletes it, and waited for again when a replica does", async () => {
    await importMaterial(kms, KeyId, first, {}, there);
    const { KeyMaterialId } = await importMaterial(kms, KeyId, second, { ImportType: "NEW_KEY_MATERIAL" });
    await importMaterial(kms, KeyId, second, {}, there);
    await kms.run("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId }, there);
    expect(await statesIn(OTHER_REGION)).toEqual([
      ["CURRENT", "IMPORTED"],
      ["PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "PENDING_IMPORT"],
    ]);
    expect(await statesIn(REGION)).toEqual([
      ["CURRENT", "IMPORTED"],
      ["PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED"],
    ]);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(/^KMSInvalidStateException: No available key/);
    expect((await metadataIn(OTHER_REGION))["KeyState"]).toBe("Enabled");
    await importMaterial(kms, KeyId, second, {}, there);
    expect((await statesIn(REGION))[1]).toEqual(["PENDING_ROTATION", "IMPORTED"]);
    await kms.run("DeleteImportedKeyMaterial", { KeyId, KeyMaterialId });
    for (const region of [REGION, OTHER_REGION]) expect(await statesIn(region)).toEqual([["CURRENT", "IMPORTED"]]);
  });

  test("that waits and expires in a replica is not rotated to, from its instant on", async () => {
    await importMaterial(kms, KeyId, first, {}, there);
    await importMaterial(kms, KeyId, second, { ImportType: "NEW_KEY_MATERIAL" });
    await importMaterial(kms, KeyId, second, { ValidTo: kms.clock.wallMs() + DAY_MS }, there);
    kms.clock.advance(DAY_MS);
    const refusal = /^KMSInvalidStateException: No available key material pending rotation/;
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(refusal);
    await sweep();
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(refusal);
    for (const [region, importState] of [
      [REGION, "IMPORTED"],
      [OTHER_REGION, "PENDING_IMPORT"],
    ] as const) {
      expect((await statesIn(region))[1]).toEqual(["PENDING_MULTI_REGION_IMPORT_AND_ROTATION", importState]);
      expect((await metadataIn(region))["KeyState"]).toBe("Enabled");
    }
  });
});
