import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { creationParameters, eventDate, metadataElements, replicaElements } from "./event-members.ts";
import { ACCOUNT, REGION, type KmsHarness, kmsHarness } from "./testing/harness.ts";

describe("eventDate writes an instant as CloudTrail does", () => {
  test.each([
    ["2022-08-10T22:38:27.999Z", "Aug 10, 2022, 10:38:27 PM"],
    ["2020-11-18T01:29:08Z", "Nov 18, 2020, 1:29:08 AM"],
    ["2025-01-01T00:00:00Z", "Jan 1, 2025, 12:00:00 AM"],
    ["2025-12-31T12:05:00Z", "Dec 31, 2025, 12:05:00 PM"],
  ])("%s: %s", (instant, written) => expect(eventDate(Date.parse(instant))).toBe(written));
});

test("a key's metadata is in camel case on all levels, but for AWSAccountId", () => {
  const primary = { Arn: "arn:primary", Region: "eu-central-1" };
  const metadata = {
    AWSAccountId: ACCOUNT,
    KeyId: "k",
    CreationDate: 0,
    DeletionDate: 1000,
    ValidTo: 2000,
    MultiRegionConfiguration: {
      MultiRegionKeyType: "PRIMARY" as const,
      PrimaryKey: primary,
      ReplicaKeys: [{ Arn: "arn:replica", Region: "us-west-2" }],
    },
  };
  const rest = {
    keyId: "k",
    creationDate: "Jan 1, 1970, 12:00:00 AM",
    deletionDate: "Jan 1, 1970, 12:00:01 AM",
    validTo: "Jan 1, 1970, 12:00:02 AM",
    multiRegionConfiguration: {
      multiRegionKeyType: "PRIMARY",
      primaryKey: { arn: "arn:primary", region: "eu-central-1" },
      replicaKeys: [{ arn: "arn:replica", region: "us-west-2" }],
    },
  };
  expect(metadataElements(metadata)).toEqual({ AWSAccountId: ACCOUNT, ...rest });
  expect(replicaElements(metadata)).toEqual({ aWSAccountId: ACCOUNT, ...rest });
});

test("CreateKey's parameters have their defaults", () => {
  const defaults = {
    description: "",
    origin: "AWS_KMS",
    bypassPolicyLockoutSafetyCheck: false,
    customerMasterKeySpec: "SYMMETRIC_DEFAULT",
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
  };
  expect(creationParameters({})).toEqual(defaults);
  expect(creationParameters({ MultiRegion: false })).toEqual(defaults);
  const given = {
    MultiRegion: true,
    Policy: "{}",
    Tags: [{ TagKey: "a", TagValue: "1" }],
    KeySpec: "RSA_2048",
  } as const;
  expect(creationParameters(given)).toEqual({
    ...defaults,
    customerMasterKeySpec: "RSA_2048",
    keySpec: "RSA_2048",
    multiRegion: true,
    policy: "{}",
    tags: [{ tagKey: "a", tagValue: "1" }],
  });
});

describe("the event of a change that answers nothing", () => {
  let kms: KmsHarness;
  let KeyId: string;
  const keyArn = (): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`;
  beforeEach(async () => {
    kms = await kmsHarness();
    KeyId = await kms.newKey();
  });
  afterEach(async () => kms.close());

  test.each([
    ["TagResource", { Tags: [{ TagKey: "a", TagValue: "1" }] }],
    ["UntagResource", { TagKeys: ["a"] }],
    ["EnableKeyRotation", {}],
    ["DisableKeyRotation", {}],
    ["UpdateKeyDescription", { Description: "x" }],
    ["EnableKey", {}],
    ["DisableKey", {}],
  ])("%s names the key", async (operation, input) => {
    await kms.run(operation, { KeyId, ...input });
    expect(kms.last.audit.responseElements).toEqual({ keyId: keyArn() });
  });

  test("PutKeyPolicy names the key", async () => {
    const { Policy } = await kms.run("GetKeyPolicy", { KeyId });
    expect(kms.last.audit.responseElements).toBeUndefined();
    await kms.run("PutKeyPolicy", { KeyId, Policy: Policy as string });
    expect(kms.last.audit.responseElements).toEqual({ keyId: keyArn() });
  });

  test("ScheduleKeyDeletion's says when, in words", async () => {
    const { DeletionDate } = await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
    expect(kms.last.audit.responseElements).toMatchObject({ deletionDate: eventDate(DeletionDate as number) });
  });

  test("those of aliases are found by the key and by the alias", async () => {
    const AliasName = "alias/x";
    const expected = {
      resources: [
        { type: "AWS::KMS::Key", arn: keyArn(), accountId: ACCOUNT },
        { type: "AWS::KMS::Key", arn: `arn:aws:kms:${REGION}:${ACCOUNT}:${AliasName}`, accountId: ACCOUNT },
      ],
      responseElements: { keyId: keyArn() },
    };
    await kms.run("CreateAlias", { AliasName, TargetKeyId: KeyId });
    expect(kms.last.audit).toMatchObject(expected);
    await kms.run("UpdateAlias", { AliasName, TargetKeyId: KeyId });
    expect(kms.last.audit).toMatchObject(expected);
    await kms.run("DeleteAlias", { AliasName });
    expect(kms.last.audit).toMatchObject(expected);
  });
});
