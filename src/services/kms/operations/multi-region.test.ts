import { createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { REGION_TRANSITION_MS } from "../multi-region.ts";
import { ACCOUNT, type Answer, type KmsHarness, OTHER_REGION, REGION, kmsHarness } from "../testing/harness.ts";

const THIRD_REGION = "ap-southeast-2";
const DAY_MS = 24 * 60 * 60 * 1000;

let kms: KmsHarness;
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

const there = { region: OTHER_REGION };
const arnIn = (region: string, keyId: string): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${keyId}`;
const describeIn = async (region: string, KeyId: string): Promise<Answer> =>
  (await kms.run("DescribeKey", { KeyId }, { region }))["KeyMetadata"] as Answer;
const stateIn = async (region: string, keyId: string): Promise<string> =>
  (await describeIn(region, keyId))["KeyState"] as string;
/** Lets time go by and the service do what has fallen due. */
async function sweepAfter(ms: number): Promise<void> {
  kms.clock.advance(ms);
  // At the first start domain keys rotate, too: what conflicts with that is done at the next.
  for (let round = 0; round < 2; round += 1) {
    const stop = kms.service.start?.();
    await stop?.();
  }
  expect(kms.errors).toEqual([]);
}
const settle = (): void => kms.clock.advance(REGION_TRANSITION_MS);

/** A primary here with replicas in these Regions, all in use. */
async function family(input: object = {}, regions: readonly string[] = [OTHER_REGION]): Promise<string> {
  const KeyId = await kms.newKey({ MultiRegion: true, ...input });
  for (const ReplicaRegion of regions) await kms.run("ReplicateKey", { KeyId, ReplicaRegion });
  settle();
  return KeyId;
}

async function importMaterial(region: string, KeyId: string, material: Uint8Array): Promise<void> {
  const wrapping = { KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" };
  const { PublicKey, ImportToken } = await kms.run("GetParametersForImport", wrapping, { region });
  const key = createPublicKey({ key: Buffer.from(PublicKey as Uint8Array), format: "der", type: "spki" });
  const EncryptedKeyMaterial = publicEncrypt({ key, oaepHash: "sha256" }, material);
  const ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE";
  await kms.run("ImportKeyMaterial", { KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel }, { region });
}

describe("ReplicateKey", () => {
  test("answers a replica that is being made, with the default policy, and in use a little later", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true, Description: "of the primary" });
    const answer = await kms.run("ReplicateKey", {
      KeyId,
      ReplicaRegion: OTHER_REGION,
      Description: "of the replica",
      Tags: [{ TagKey: "team", TagValue: "a" }],
    });
    expect(answer["ReplicaKeyMetadata"]).toMatchObject({
      KeyId,
      Arn: arnIn(OTHER_REGION, KeyId),
      Description: "of the replica",
      KeyState: "Creating",
      Enabled: false,
      MultiRegion: true,
      MultiRegionConfiguration: {
        MultiRegionKeyType: "REPLICA",
        PrimaryKey: { Arn: arnIn(REGION, KeyId), Region: REGION },
        ReplicaKeys: [{ Arn: arnIn(OTHER_REGION, KeyId), Region: OTHER_REGION }],
      },
    });
    expect(answer["ReplicaPolicy"]).toContain("key-default-1");
    expect(answer["ReplicaTags"]).toEqual([{ TagKey: "team", TagValue: "a" }]);
    expect(await kms.failure("Encrypt", { KeyId, Plaintext: Buffer.from("x") }, there)).toBe(
      `KMSInvalidStateException: ${arnIn(OTHER_REGION, KeyId)} is creating.`,
    );
    settle();
    expect(await describeIn(OTHER_REGION, KeyId)).toMatchObject({ KeyState: "Enabled", Enabled: true });
    expect(await describeIn(REGION, KeyId)).toMatchObject({
      KeyState: "Enabled",
      Description: "of the primary",
      MultiRegionConfiguration: { MultiRegionKeyType: "PRIMARY", ReplicaKeys: [{ Region: OTHER_REGION }] },
    });
  });

  test("is refused for a replica, a key of one Region, a Region with one already, and Regions that are not served", async () => {
    const KeyId = await family();
    const replicate = (keyId: string, ReplicaRegion: string, region = REGION): Promise<string> =>
      kms.failure("ReplicateKey", { KeyId: keyId, ReplicaRegion }, { region });
    expect(await replicate(KeyId, THIRD_REGION, OTHER_REGION)).toBe(
      `UnsupportedOperationException: ${arnIn(OTHER_REGION, KeyId)} is not a multi-region primary key.`,
    );
    const single = await kms.newKey();
    expect(await replicate(single, OTHER_REGION)).toBe(
      `UnsupportedOperationException: ${arnIn(REGION, single)} is not a multi-region primary key.`,
    );
    expect(await replicate(KeyId, OTHER_REGION)).toMatch(/^AlreadyExistsException: /);
    expect(await replicate(KeyId, REGION)).toMatch(/^AlreadyExistsException: /);
    expect(await replicate(KeyId, "sa-east-1")).toMatch(/^UnsupportedOperationException: .* not served/);
    expect(await replicate(KeyId, "cn-north-1")).toMatch(/^UnsupportedOperationException: .* partition/);
    await kms.run("DisableKey", { KeyId });
    expect(await replicate(KeyId, THIRD_REGION)).toBe(`DisabledException: ${arnIn(REGION, KeyId)} is disabled.`);
  });

  test("needs permission on the primary here, and to make and tag a key there", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true });
    await kms.run("ReplicateKey", { KeyId, ReplicaRegion: OTHER_REGION, Tags: [{ TagKey: "a", TagValue: "b" }] });
    const [replicate, create, tag] = kms.last.checks;
    expect(replicate).toMatchObject({ action: "kms:ReplicateKey", resource: arnIn(REGION, KeyId) });
    expect(replicate).not.toHaveProperty("region");
    expect(replicate?.context).toMatchObject({
      "kms:ReplicaRegion": OTHER_REGION,
      "kms:MultiRegionKeyType": "PRIMARY",
    });
    expect(create).toMatchObject({ action: "kms:CreateKey", resource: "*", region: OTHER_REGION });
    expect(create?.context).toMatchObject({ "kms:MultiRegion": "true", "kms:MultiRegionKeyType": "REPLICA" });
    expect(tag).toMatchObject({
      action: "kms:TagResource",
      resource: arnIn(OTHER_REGION, KeyId),
      region: OTHER_REGION,
    });
  });

  test("checks the replica's own policy, unless told not to", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true });
    const locked = { KeyId, ReplicaRegion: OTHER_REGION, Policy: JSON.stringify({ Id: "nobody", Statement: [] }) };
    expect(await kms.failure("ReplicateKey", locked)).toMatch(/^MalformedPolicyDocumentException: /);
    const answer = await kms.run("ReplicateKey", { ...locked, BypassPolicyLockoutSafetyCheck: true });
    expect(answer["ReplicaPolicy"]).toBe(locked.Policy);
    expect((await kms.run("GetKeyPolicy", { KeyId }))["Policy"]).not.toBe(locked.Policy);
  });

  test("leaves an event in each Region, and one of the material's way", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true });
    const before = kms.events.length;
    await kms.run("ReplicateKey", { KeyId, ReplicaRegion: OTHER_REGION });
    const multiRegionConfiguration = {
      multiRegionKeyType: "REPLICA",
      primaryKey: { arn: arnIn(REGION, KeyId), region: REGION },
      replicaKeys: [{ arn: arnIn(OTHER_REGION, KeyId), region: OTHER_REGION }],
    };
    expect(kms.last.audit).toMatchObject({
      requestParameters: {
        keyId: KeyId,
        replicaRegion: OTHER_REGION,
        bypassPolicyLockoutSafetyCheck: false,
        description: "",
      },
      resources: [{ arn: arnIn(REGION, KeyId) }],
      responseElements: { replicaKeyMetadata: { aWSAccountId: ACCOUNT, multiRegionConfiguration } },
    });
    expect(kms.last.furtherEvents).toMatchObject([
      {
        region: OTHER_REGION,
        operation: "CreateKey",
        details: {
          resources: [{ arn: arnIn(OTHER_REGION, KeyId) }],
          requestParameters: { multiRegion: true, customerMasterKeySpec: "SYMMETRIC_DEFAULT" },
          responseElements: { keyMetadata: { AWSAccountId: ACCOUNT, multiRegionConfiguration } },
        },
      },
    ]);
    expect(kms.events.slice(before)).toMatchObject([
      {
        eventName: "SynchronizeMultiRegionKey",
        awsRegion: REGION,
        responseElements: { keyId: arnIn(REGION, KeyId) },
        resources: [{ ARN: arnIn(REGION, KeyId) }],
      },
    ]);
  });
});

describe("related keys", () => {
  test("open each other's ciphertexts, whichever Region made them, and are named by their own ARN", async () => {
    const KeyId = await family();
    const EncryptionContext = { for: "both" };
    for (const [from, to] of [
      [REGION, OTHER_REGION],
      [OTHER_REGION, REGION],
    ] as const) {
      const input = { KeyId, Plaintext: Buffer.from(from), EncryptionContext };
      const { CiphertextBlob } = await kms.run("Encrypt", input, { region: from });
      const opened = await kms.run("Decrypt", { CiphertextBlob, EncryptionContext }, { region: to });
      expect(opened).toMatchObject({ KeyId: arnIn(to, KeyId), Plaintext: Buffer.from(from) });
      const named = await kms.run("Decrypt", { CiphertextBlob, EncryptionContext, KeyId }, { region: to });
      expect(named["KeyMaterialId"]).toBe(opened["KeyMaterialId"]);
      expect(await kms.failure("Decrypt", { CiphertextBlob }, { region: to })).toBe("InvalidCiphertextException");
      expect(await kms.failure("Decrypt", { CiphertextBlob, EncryptionContext }, { region: THIRD_REGION })).toBe(
        "InvalidCiphertextException",
      );
    }
  });

  test("a ciphertext of a key of one Region is nobody's in another", async () => {
    const KeyId = await kms.newKey();
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x") });
    expect(await kms.failure("Decrypt", { CiphertextBlob }, there)).toBe("InvalidCiphertextException");
    const { KeyMetadata } = await kms.run("CreateKey", {}, there);
    const named = { CiphertextBlob, KeyId: KeyMetadata.KeyId as string };
    expect(await kms.failure("Decrypt", named, there)).toBe("InvalidCiphertextException");
    expect(await kms.failure("DescribeKey", { KeyId: arnIn(REGION, KeyId) }, there)).toBe(
      `NotFoundException: Invalid arn ${REGION}`,
    );
  });

  test("have policy, description, tags, aliases and state each for itself", async () => {
    const KeyId = await family();
    await kms.run("CreateAlias", { AliasName: "alias/there", TargetKeyId: KeyId }, there);
    await kms.run("TagResource", { KeyId, Tags: [{ TagKey: "where", TagValue: "there" }] }, there);
    await kms.run("UpdateKeyDescription", { KeyId, Description: "there" }, there);
    await kms.run("DisableKey", { KeyId }, there);
    expect(await describeIn(OTHER_REGION, KeyId)).toMatchObject({ KeyState: "Disabled", Description: "there" });
    expect(await describeIn(REGION, KeyId)).toMatchObject({ KeyState: "Enabled", Description: "" });
    expect(await kms.run("ListResourceTags", { KeyId })).toMatchObject({ Tags: [] });
    expect(await kms.failure("Encrypt", { KeyId: "alias/there", Plaintext: Buffer.from("x") })).toMatch(/NotFound/);
  });

  test("rotate together: new material in both Regions, and old ciphertexts of both still open in both", async () => {
    const KeyId = await family();
    const old = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("old") });
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    expect(await kms.run("GetKeyRotationStatus", { KeyId }, there)).toMatchObject({
      KeyRotationEnabled: true,
      RotationPeriodInDays: 90,
    });
    expect(await kms.failure("EnableKeyRotation", { KeyId }, there)).toMatch(/is not a multi-region primary key/);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId }, there)).toMatch(/is not a multi-region primary key/);
    await kms.run("RotateKeyOnDemand", { KeyId });
    const [here, replica] = [await describeIn(REGION, KeyId), await describeIn(OTHER_REGION, KeyId)];
    expect(replica["CurrentKeyMaterialId"]).toBe(here["CurrentKeyMaterialId"]);
    const fresh = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("new") }, there);
    for (const region of [REGION, OTHER_REGION]) {
      for (const [{ CiphertextBlob }, text] of [
        [old, "old"],
        [fresh, "new"],
      ] as const) {
        const { Plaintext } = await kms.run("Decrypt", { CiphertextBlob }, { region });
        expect(Plaintext).toEqual(Buffer.from(text));
      }
    }
    expect((await kms.run("ListKeyRotations", { KeyId }, there))["Rotations"]).toHaveLength(1);
  });

  test("a replica made after a rotation has all materials", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true });
    const old = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("old") });
    await kms.run("RotateKeyOnDemand", { KeyId });
    await kms.run("ReplicateKey", { KeyId, ReplicaRegion: OTHER_REGION });
    settle();
    const { Plaintext } = await kms.run("Decrypt", { CiphertextBlob: old["CiphertextBlob"] }, there);
    expect(Plaintext).toEqual(Buffer.from("old"));
  });

  test.each([
    ["HMAC_256", "GENERATE_VERIFY_MAC"],
    ["ECC_NIST_P256", "SIGN_VERIFY"],
  ])("of spec %s share their material, too", async (KeySpec, KeyUsage) => {
    const KeyId = await family({ KeySpec, KeyUsage });
    const Message = Buffer.from("message");
    if (KeyUsage === "SIGN_VERIFY") {
      const signed = await kms.run("Sign", { KeyId, Message, SigningAlgorithm: "ECDSA_SHA_256" });
      const { Signature } = signed;
      const verify = { KeyId, Message, Signature, SigningAlgorithm: "ECDSA_SHA_256" };
      expect(await kms.run("Verify", verify, there)).toMatchObject({ SignatureValid: true });
      const [here, replica] = [
        await kms.run("GetPublicKey", { KeyId }),
        await kms.run("GetPublicKey", { KeyId }, there),
      ];
      expect(replica["PublicKey"]).toEqual(here["PublicKey"]);
    } else {
      const { Mac } = await kms.run("GenerateMac", { KeyId, Message, MacAlgorithm: "HMAC_SHA_256" });
      const verify = { KeyId, Message, Mac, MacAlgorithm: "HMAC_SHA_256" };
      expect(await kms.run("VerifyMac", verify, there)).toMatchObject({ MacValid: true });
    }
  });

  test("whose material is imported begin without it, and take the same only", async () => {
    const KeyId = await kms.newKey({ MultiRegion: true, Origin: "EXTERNAL" });
    const replicate = { KeyId, ReplicaRegion: OTHER_REGION };
    expect(await kms.failure("ReplicateKey", replicate)).toBe(
      `KMSInvalidStateException: ${arnIn(REGION, KeyId)} is pending import.`,
    );
    const material = randomBytes(32);
    await importMaterial(REGION, KeyId, material);
    await kms.run("ReplicateKey", replicate);
    settle();
    expect(await stateIn(OTHER_REGION, KeyId)).toBe("PendingImport");
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x") });
    await expect(importMaterial(OTHER_REGION, KeyId, randomBytes(32))).rejects.toMatchObject({
      code: "IncorrectKeyMaterialException",
    });
    await importMaterial(OTHER_REGION, KeyId, material);
    expect(await stateIn(OTHER_REGION, KeyId)).toBe("Enabled");
    const { Plaintext } = await kms.run("Decrypt", { CiphertextBlob }, there);
    expect(Plaintext).toEqual(Buffer.from("x"));
  });
});

describe("UpdatePrimaryRegion", () => {
  test("swaps primary and replica; both are Updating for a while, and in use meanwhile", async () => {
    const KeyId = await family({}, [OTHER_REGION, THIRD_REGION]);
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x") });
    await kms.run("UpdatePrimaryRegion", { KeyId, PrimaryRegion: OTHER_REGION });
    expect(await stateIn(REGION, KeyId)).toBe("Updating");
    expect(await stateIn(OTHER_REGION, KeyId)).toBe("Updating");
    expect(await stateIn(THIRD_REGION, KeyId)).toBe("Enabled");
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toBe("none");
    expect(await kms.failure("DisableKey", { KeyId })).toBe(
      `KMSInvalidStateException: ${arnIn(REGION, KeyId)} is updating.`,
    );
    settle();
    for (const [region, MultiRegionKeyType] of [
      [REGION, "REPLICA"],
      [OTHER_REGION, "PRIMARY"],
      [THIRD_REGION, "REPLICA"],
    ] as const) {
      const metadata = await describeIn(region, KeyId);
      expect(metadata).toMatchObject({
        KeyState: "Enabled",
        MultiRegionConfiguration: { MultiRegionKeyType, PrimaryKey: { Region: OTHER_REGION } },
      });
      expect(metadata["MultiRegionConfiguration"].ReplicaKeys).toHaveLength(2);
    }
    expect(await kms.failure("UpdatePrimaryRegion", { KeyId, PrimaryRegion: OTHER_REGION })).toBe(
      `UnsupportedOperationException: ${arnIn(REGION, KeyId)} is not a multi-region primary key.`,
    );
    expect(await kms.failure("RotateKeyOnDemand", { KeyId }, there)).toBe("none");
  });

  test("needs permission on both keys, and says so in both Regions", async () => {
    const KeyId = await family();
    await kms.run("UpdatePrimaryRegion", { KeyId, PrimaryRegion: OTHER_REGION });
    expect(kms.last.checks).toMatchObject([
      { action: "kms:UpdatePrimaryRegion", resource: arnIn(REGION, KeyId) },
      { action: "kms:UpdatePrimaryRegion", resource: arnIn(OTHER_REGION, KeyId), region: OTHER_REGION },
    ]);
    for (const { context } of kms.last.checks) expect(context).toMatchObject({ "kms:PrimaryRegion": OTHER_REGION });
    expect(kms.last.furtherEvents).toMatchObject([{ region: OTHER_REGION, operation: "UpdatePrimaryRegion" }]);
  });

  test("is refused where there is no replica, and while one of the two is not in use", async () => {
    const KeyId = await family();
    const update = (PrimaryRegion: string): Promise<string> =>
      kms.failure("UpdatePrimaryRegion", { KeyId, PrimaryRegion });
    expect(await update(THIRD_REGION)).toBe(`NotFoundException: Key '${arnIn(THIRD_REGION, KeyId)}' does not exist`);
    expect(await update(REGION)).toMatch(/^UnsupportedOperationException: /);
    await kms.run("DisableKey", { KeyId }, there);
    expect(await update(OTHER_REGION)).toBe(`DisabledException: ${arnIn(OTHER_REGION, KeyId)} is disabled.`);
    await kms.run("EnableKey", { KeyId }, there);
    await kms.run("DisableKey", { KeyId });
    expect(await update(OTHER_REGION)).toBe(`DisabledException: ${arnIn(REGION, KeyId)} is disabled.`);
  });

  test("takes the schedule of rotation along", async () => {
    const KeyId = await family();
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    await kms.run("UpdatePrimaryRegion", { KeyId, PrimaryRegion: OTHER_REGION });
    const before = (await describeIn(REGION, KeyId))["CurrentKeyMaterialId"] as string;
    const rotated = async (): Promise<number> =>
      ((await kms.run("ListKeyRotations", { KeyId }, there))["Rotations"] as unknown[]).length;
    expect(await rotated()).toBe(0);
    await sweepAfter(90 * DAY_MS);
    expect(await rotated()).toBe(1);
    const after = (await describeIn(REGION, KeyId))["CurrentKeyMaterialId"] as string;
    expect(after).not.toBe(before);
    expect((await describeIn(OTHER_REGION, KeyId))["CurrentKeyMaterialId"]).toBe(after);
  });
});

describe("deletion", () => {
  test("of a primary waits for its last replica, and its waiting period begins then", async () => {
    const KeyId = await family();
    const scheduled = await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 10 });
    expect(scheduled).toEqual({
      KeyId: arnIn(REGION, KeyId),
      KeyState: "PendingReplicaDeletion",
      PendingWindowInDays: 10,
    });
    const waiting = await describeIn(REGION, KeyId);
    expect(waiting).toMatchObject({ KeyState: "PendingReplicaDeletion", PendingDeletionWindowInDays: 10 });
    expect(waiting).not.toHaveProperty("DeletionDate");
    expect(await stateIn(OTHER_REGION, KeyId)).toBe("Enabled");
    expect(await kms.failure("Encrypt", { KeyId, Plaintext: Buffer.from("x") }, there)).toBe("none");

    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 }, there);
    await sweepAfter(7 * DAY_MS);
    expect(await stateIn(REGION, KeyId)).toBe("PendingDeletion");
    expect(await kms.failure("DescribeKey", { KeyId }, there)).toMatch(/does not exist/);
    const { DeletionDate, MultiRegionConfiguration } = await describeIn(REGION, KeyId);
    expect(MultiRegionConfiguration.ReplicaKeys).toEqual([]);
    expect(DeletionDate).toBe(kms.clock.wallMs() + 10 * DAY_MS);
    await sweepAfter(10 * DAY_MS);
    expect(await kms.failure("DescribeKey", { KeyId })).toMatch(/does not exist/);
  });

  test("of a primary can be taken back while it waits", async () => {
    const KeyId = await family();
    await kms.run("ScheduleKeyDeletion", { KeyId });
    expect(await kms.failure("ScheduleKeyDeletion", { KeyId })).toMatch(/^KMSInvalidStateException: .* is pending /);
    await kms.run("CancelKeyDeletion", { KeyId });
    expect(await stateIn(REGION, KeyId)).toBe("Disabled");
    expect(await describeIn(REGION, KeyId)).not.toHaveProperty("PendingDeletionWindowInDays");
  });

  test("of a replica is its own; afterwards the Region can have another", async () => {
    const KeyId = await family({}, [OTHER_REGION, THIRD_REGION]);
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x") }, there);
    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 }, there);
    await sweepAfter(7 * DAY_MS);
    const { MultiRegionConfiguration } = await describeIn(REGION, KeyId);
    expect(MultiRegionConfiguration.ReplicaKeys).toMatchObject([{ Region: THIRD_REGION }]);
    expect(await stateIn(THIRD_REGION, KeyId)).toBe("Enabled");
    await kms.run("ReplicateKey", { KeyId, ReplicaRegion: OTHER_REGION });
    settle();
    expect(await kms.failure("Decrypt", { CiphertextBlob }, there)).toBe("none");
  });
});
