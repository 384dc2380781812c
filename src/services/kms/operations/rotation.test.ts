import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keyTable, materialTable, rotationTable } from "../records.ts";
import { ACCOUNT, type Answer, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const Plaintext = Buffer.from("attack at dawn");
const arnOf = (id: string, region: string = REGION): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${id}`;

let kms: KmsHarness;
let KeyId = "";
beforeEach(async () => {
  kms = await kmsHarness();
  KeyId = await kms.newKey();
});
afterEach(async () => kms.close());

const status = async (): Promise<Answer> => await kms.run("GetKeyRotationStatus", { KeyId });
const materialIdOf = async (id: string): Promise<string> =>
  (await kms.run("DescribeKey", { KeyId: id }))["KeyMetadata"].CurrentKeyMaterialId as string;
const encrypt = async (): Promise<Uint8Array> =>
  (await kms.run("Encrypt", { KeyId, Plaintext }))["CiphertextBlob"] as Uint8Array;
const rotations = async (input: object = {}): Promise<Answer[]> =>
  (await kms.run("ListKeyRotations", { KeyId, ...input }))["Rotations"] as Answer[];
const rows = async (): Promise<number> => (await kms.reader.list(rotationTable, { prefix: [], limit: 10 })).length;
/** Lets the background look once. */
const sweep = async (): Promise<void> => {
  const stop = kms.service.start?.();
  await stop?.();
  expect(kms.errors).toEqual([]);
};

describe("the schedule", () => {
  test("is off at first, a year unless said otherwise, and off again", async () => {
    expect(await status()).toEqual({ KeyId: arnOf(KeyId), KeyRotationEnabled: false });
    await kms.run("EnableKeyRotation", { KeyId });
    expect(kms.last.checks[0]?.context).toMatchObject({ "kms:RotationPeriodInDays": "365" });
    expect(await status()).toEqual({
      KeyId: arnOf(KeyId),
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
      NextRotationDate: kms.clock.wallMs() + 365 * DAY_MS,
    });
    kms.clock.advance(DAY_MS);
    await kms.run("EnableKeyRotation", { KeyId });
    expect((await status())["NextRotationDate"]).toBe(kms.clock.wallMs() + 364 * DAY_MS);
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    expect((await status())["NextRotationDate"]).toBe(kms.clock.wallMs() + 90 * DAY_MS);
    expect(await rows()).toBe(1);
    await kms.run("DisableKeyRotation", { KeyId });
    expect(await status()).toEqual({ KeyId: arnOf(KeyId), KeyRotationEnabled: false });
    expect(await rows()).toBe(0);
  });

  test("is kept by the clock, with an event, and old ciphertexts stay readable", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    const before = await materialIdOf(KeyId);
    const old = await encrypt();
    kms.clock.advance(90 * DAY_MS - 1);
    await sweep();
    expect(await materialIdOf(KeyId)).toBe(before);
    kms.clock.advance(1);
    const rotatedMs = kms.clock.wallMs();
    await sweep();
    const after = await materialIdOf(KeyId);
    expect(after).not.toBe(before);
    expect(await kms.run("Decrypt", { CiphertextBlob: old })).toMatchObject({ Plaintext, KeyMaterialId: before });
    expect(await kms.run("Decrypt", { CiphertextBlob: await encrypt() })).toMatchObject({ KeyMaterialId: after });
    expect((await status())["NextRotationDate"]).toBe(rotatedMs + 90 * DAY_MS);
    expect(kms.events).toMatchObject([
      { eventName: "RotateKey", eventType: "AwsServiceEvent", resources: [{ ARN: arnOf(KeyId) }] },
    ]);
    expect(await rotations()).toEqual([
      {
        KeyId,
        KeyMaterialId: after,
        KeyMaterialState: "CURRENT",
        RotationDate: rotatedMs,
        RotationType: "AUTOMATIC",
      },
    ]);
    expect(await rotations({ IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).toMatchObject([
      { KeyMaterialId: before, KeyMaterialState: "NON_CURRENT" },
      { KeyMaterialId: after, KeyMaterialState: "CURRENT" },
    ]);
  });

  test("does not make up for dates that went by, and keeps its rhythm", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 100 });
    const startMs = kms.clock.wallMs();
    kms.clock.advance(350 * DAY_MS);
    await sweep();
    await sweep();
    expect(await rotations()).toHaveLength(1);
    expect((await status())["NextRotationDate"]).toBe(startMs + 400 * DAY_MS);
  });

  test("rests while the key is disabled or about to go, and says so only in the second case", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    await kms.run("DisableKey", { KeyId });
    expect((await status())["KeyRotationEnabled"]).toBe(true);
    kms.clock.advance(91 * DAY_MS);
    await sweep();
    expect(await rotations()).toEqual([]);
    await kms.run("EnableKey", { KeyId });
    await sweep();
    expect(await rotations()).toHaveLength(1);
    await kms.run("ScheduleKeyDeletion", { KeyId });
    expect((await status())["KeyRotationEnabled"]).toBe(false);
    expect(await rows()).toBe(0);
    await kms.run("CancelKeyDeletion", { KeyId });
    expect((await status())["KeyRotationEnabled"]).toBe(true);
    await kms.run("EnableKey", { KeyId });
    expect(await rows()).toBe(1);
  });

  test("of an AWS managed key is there from the start, a year long", async () => {
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId: "alias/aws/kinesis" });
    KeyId = KeyMetadata.KeyId as string;
    expect(await status()).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
    expect(await kms.failure("DisableKeyRotation", { KeyId })).toMatch(/^AccessDeniedException/);
    kms.clock.advance(365 * DAY_MS);
    await sweep();
    expect(await materialIdOf(KeyId)).not.toBe(KeyMetadata.CurrentKeyMaterialId);
  });

  test("goes with its key", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    await kms.run("RotateKeyOnDemand", { KeyId });
    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
    kms.clock.advance(7 * DAY_MS);
    await sweep();
    expect(await rows()).toBe(0);
    expect(await kms.reader.list(materialTable, { prefix: [], limit: 10 })).toEqual([]);
  });
});

describe("on demand", () => {
  test("takes effect at once, with an event, and leaves the schedule alone", async () => {
    await kms.run("EnableKeyRotation", { KeyId });
    const before = await status();
    const materialId = await materialIdOf(KeyId);
    expect(await kms.run("RotateKeyOnDemand", { KeyId })).toEqual({ KeyId: arnOf(KeyId) });
    expect(await materialIdOf(KeyId)).not.toBe(materialId);
    expect(await status()).toEqual(before);
    const serviceEventDetails = {
      rotationType: "ON_DEMAND",
      keyOrigin: "AWS_KMS",
      previousKeyMaterialId: materialId,
      currentKeyMaterialId: await materialIdOf(KeyId),
      keyId: KeyId,
    };
    expect(kms.events).toMatchObject([{ eventName: "RotateKey", responseElements: null, serviceEventDetails }]);
    expect(await rotations()).toMatchObject([{ RotationType: "ON_DEMAND", RotationDate: kms.clock.wallMs() }]);
  });

  test("works 25 times; every ciphertext stays readable, and the list comes in pages", async () => {
    const ciphertexts = [await encrypt()];
    for (let count = 0; count < 25; count += 1) {
      kms.clock.advance(1000);
      await kms.run("RotateKeyOnDemand", { KeyId });
      ciphertexts.push(await encrypt());
    }
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toBe(
      "LimitExceededException: The on-demand rotations limit has been reached for the given keyId. " +
        `No more on-demand rotations can be performed for this key: ${arnOf(KeyId)}`,
    );
    const used = new Set<string>();
    for (const CiphertextBlob of ciphertexts) {
      const opened = await kms.run("Decrypt", { CiphertextBlob });
      expect(opened["Plaintext"]).toEqual(Plaintext);
      used.add(opened["KeyMaterialId"] as string);
    }
    expect(used.size).toBe(26);
    const listed: string[] = [];
    let Marker: string | undefined;
    do {
      const page: Answer = await kms.run("ListKeyRotations", {
        KeyId,
        IncludeKeyMaterial: "ALL_KEY_MATERIAL",
        Limit: 10,
        ...(Marker === undefined ? {} : { Marker }),
      });
      listed.push(...(page["Rotations"] as Answer[]).map((entry) => entry["KeyMaterialId"] as string));
      Marker = page["NextMarker"] as string | undefined;
      expect(page["Truncated"]).toBe(Marker !== undefined);
    } while (Marker !== undefined);
    expect(listed).toEqual([...used]);
    expect(await kms.failure("ListKeyRotations", { KeyId, Marker: "no" })).toMatch(/^InvalidMarkerException/);
  });

  test("is refused within 20 minutes of an automatic rotation", async () => {
    await kms.run("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
    kms.clock.advance(90 * DAY_MS - 20 * 60_000 - 1);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toBe("none");
    kms.clock.advance(1);
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toMatch(/^ConflictException/);
  });

  test("by two at once is done twice, and neither material is lost", async () => {
    await Promise.all([kms.run("RotateKeyOnDemand", { KeyId }), kms.run("RotateKeyOnDemand", { KeyId })]);
    const all = await rotations({ IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
    expect(all.map((entry) => entry["KeyMaterialState"] as string)).toEqual(["NON_CURRENT", "NON_CURRENT", "CURRENT"]);
  });
});

describe("what is not rotated", () => {
  test.each([
    ["HMAC_256", "GENERATE_VERIFY_MAC"],
    ["ECC_NIST_P256", "SIGN_VERIFY"],
  ])("%s keys, without a word as to why", async (KeySpec, KeyUsage) => {
    KeyId = await kms.newKey({ KeySpec, KeyUsage });
    for (const operation of [
      "EnableKeyRotation",
      "DisableKeyRotation",
      "GetKeyRotationStatus",
      "ListKeyRotations",
      "RotateKeyOnDemand",
    ]) {
      expect(await kms.failure(operation, { KeyId })).toBe("UnsupportedOperationException");
    }
  });

  test("imported material, by the clock", async () => {
    KeyId = await kms.newKey({ Origin: "EXTERNAL" });
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus"]) {
      expect(await kms.failure(operation, { KeyId })).toBe(
        `UnsupportedOperationException: ${arnOf(KeyId)} origin is EXTERNAL which is not valid for this operation.`,
      );
    }
    expect(await kms.failure("RotateKeyOnDemand", { KeyId })).toBe(
      `KMSInvalidStateException: ${arnOf(KeyId)} is pending import.`,
    );
    expect(await kms.run("ListKeyRotations", { KeyId })).toEqual({ Rotations: [], Truncated: false });
  });
});

test("a key that was stored before rotation existed reads as one that never was rotated", async () => {
  const id = [ACCOUNT, REGION, KeyId];
  const [key, [material]] = [
    await kms.reader.get(keyTable, id),
    await kms.reader.list(materialTable, { prefix: id, limit: 1 }),
  ];
  if (key === null || material === undefined) throw new Error("no key");
  const { rotation: _rotation, olderMaterialsUntilMs: _until, materialsRevision: _revision, ...oldKey } = key;
  const { createdMs, wrapped } = material.value;
  await kms.store.commit({
    expect: [],
    writes: [keyTable.put(id, oldKey as typeof key), materialTable.put(material.id, { createdMs, wrapped } as never)],
  });
  const old = await encrypt();
  await kms.run("RotateKeyOnDemand", { KeyId });
  expect(await kms.run("Decrypt", { CiphertextBlob: old })).toMatchObject({ Plaintext });
  expect(await rotations()).toHaveLength(1);
});
