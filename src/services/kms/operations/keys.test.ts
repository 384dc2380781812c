import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventDate } from "../event-members.ts";
import { ACCOUNT, type KmsHarness, OTHER_ACCOUNT, REGION, kmsHarness, rootOf } from "../testing/harness.ts";
import { keyTable } from "../records.ts";

let kms: KmsHarness;
const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;
const aliasArn = (name: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:${name}`;
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

describe("CreateKey", () => {
  test("answers the metadata of a symmetric key and gives it the default policy", async () => {
    const { KeyMetadata } = await kms.run("CreateKey", {
      Description: "orders",
      Tags: [{ TagKey: "a", TagValue: "1" }],
    });
    expect(KeyMetadata).toEqual({
      AWSAccountId: ACCOUNT,
      KeyId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      Arn: arnOf(KeyMetadata.KeyId),
      CreationDate: kms.clock.wallMs(),
      Enabled: true,
      Description: "orders",
      KeyUsage: "ENCRYPT_DECRYPT",
      KeyState: "Enabled",
      Origin: "AWS_KMS",
      KeyManager: "CUSTOMER",
      CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
      KeySpec: "SYMMETRIC_DEFAULT",
      EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
      MultiRegion: false,
      CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(kms.last.checks.map(({ action, resource }) => [action, resource])).toEqual([
      ["kms:CreateKey", "*"],
      ["kms:TagResource", KeyMetadata.Arn],
    ]);
    expect(kms.last.checks[0]?.context).toMatchObject({
      "aws:RequestTag/a": "1",
      "aws:TagKeys": ["a"],
      "kms:KeySpec": "SYMMETRIC_DEFAULT",
    });
    expect(kms.last.audit.responseElements).toMatchObject({
      keyMetadata: { AWSAccountId: ACCOUNT, keyState: "Enabled", creationDate: eventDate(kms.clock.wallMs()) },
    });
    const { Policy } = await kms.run("GetKeyPolicy", { KeyId: KeyMetadata.KeyId });
    expect(JSON.parse(Policy as string)).toMatchObject({
      Id: "key-default-1",
      Statement: [{ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: "kms:*" }],
    });
  });

  test.each([
    [
      { KeySpec: "RSA_2048" },
      "ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    ],
    [
      { KeyUsage: "SIGN_VERIFY" },
      "ValidationException: KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
    ],
    [
      { KeySpec: "RSA_2048", KeyUsage: "KEY_AGREEMENT" },
      "ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
    ],
    [
      { KeySpec: "ECC_SECG_P256K1", KeyUsage: "KEY_AGREEMENT" },
      "ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_SECG_P256K1",
    ],
    [
      { KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" },
      "UnsupportedOperationException: SM2 is supported in China Regions only.",
    ],
    [{ Origin: "AWS_CLOUDHSM" }, "UnsupportedOperationException: Keys in custom key stores are not supported yet."],
    [
      { Origin: "EXTERNAL_KEY_STORE" },
      "UnsupportedOperationException: Keys in custom key stores are not supported yet.",
    ],
    [{ XksKeyId: "key-1" }, "UnsupportedOperationException: Keys in custom key stores are not supported yet."],
    [{ CustomKeyStoreId: "cks-1" }, "CustomKeyStoreNotFoundException"],
    [
      { KeySpec: "SYMMETRIC_DEFAULT", CustomerMasterKeySpec: "SYMMETRIC_DEFAULT" },
      "ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    ],
    [
      {
        Tags: [
          { TagKey: "a", TagValue: "" },
          { TagKey: "a", TagValue: "x" },
        ],
      },
      "TagException: Duplicate tag keys",
    ],
    [{ Tags: [{ TagKey: "AWS:x", TagValue: "" }] }, "TagException: Tags beginning with aws: are reserved"],
    [
      { Tags: Array.from({ length: 51 }, (_, n) => ({ TagKey: `k${n}`, TagValue: "" })) },
      "TagException: Too many tags",
    ],
    [{ Policy: "{" }, expect.stringMatching(/^MalformedPolicyDocumentException: ./)],
    [
      { Policy: '{"Statement":"nobody"}' },
      "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.",
    ],
    [{ Policy: '{"Statement":"nobody"}', BypassPolicyLockoutSafetyCheck: true }, "none"],
    [{ Policy: JSON.stringify({ Statement: "x".repeat(32_768) }) }, expect.stringMatching(/^LimitExceededException/)],
  ])("%j is answered as AWS does", async (input, expected) => {
    expect(await kms.failure("CreateKey", input)).toEqual(expected);
  });
});

describe("a KeyId", () => {
  test("takes the forms of its operation, and fails in AWS's words", async () => {
    const KeyId = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/x", TargetKeyId: KeyId });
    const missing = "00000000-0000-4000-8000-000000000000";
    for (const form of [KeyId, arnOf(KeyId), "alias/x", aliasArn("alias/x")]) {
      expect((await kms.run("DescribeKey", { KeyId: form }))["KeyMetadata"].KeyId).toBe(KeyId);
    }
    for (const [operation, id, expected] of [
      ["DescribeKey", missing, `NotFoundException: Key '${arnOf(missing)}' does not exist`],
      ["DescribeKey", arnOf(missing), `NotFoundException: Key '${arnOf(missing)}' does not exist`],
      [
        "DescribeKey",
        "134f2428cec14b25a1ae9048164dba47",
        "NotFoundException: Invalid keyId '134f2428cec14b25a1ae9048164dba47'",
      ],
      ["DescribeKey", "mrk-fake-key-id", "NotFoundException: Invalid keyId 'mrk-fake-key-id'"],
      ["DescribeKey", arnOf(KeyId).replace(REGION, "us-west-2"), "NotFoundException: Invalid arn us-west-2"],
      ["DescribeKey", "alias/none", `NotFoundException: Alias ${aliasArn("alias/none")} is not found.`],
      ["DescribeKey", "arn:aws:s3:::bucket", "InvalidArnException: Invalid arn arn:aws:s3:::bucket"],
      [
        "DescribeKey",
        arnOf(KeyId).replace("aws", "evil"),
        `InvalidArnException: Invalid arn ${arnOf(KeyId).replace("aws", "evil")}`,
      ],
      ["DisableKey", "alias/x", "NotFoundException: Invalid keyId 'alias/x'"],
      ["DisableKey", aliasArn("alias/x"), `NotFoundException: Invalid keyId '${aliasArn("alias/x")}'`],
      ["DescribeKey", "alias/\u0001", "NotFoundException: Invalid keyId 'alias/\u0001'"],
    ] as const) {
      expect(await kms.failure(operation, { KeyId: id })).toBe(expected);
    }
  });

  test("of another account is denied where the operation does not cross accounts", async () => {
    const KeyId = await kms.newKey();
    const stranger = { principal: rootOf(OTHER_ACCOUNT) };
    expect(await kms.failure("DisableKey", { KeyId: arnOf(KeyId) }, stranger)).toMatch(/^AccessDeniedException/);
    expect(kms.last.checks).toMatchObject([
      { resource: arnOf(KeyId), resourcePolicy: null, resourcePolicyMode: "required" },
    ]);
    expect(await kms.failure("DescribeKey", { KeyId: arnOf(KeyId) }, stranger)).toBe("none");
  });
});

describe("lists", () => {
  test("page through all keys, each once", async () => {
    const made = new Set<string>();
    for (let count = 0; count < 7; count += 1) made.add(await kms.newKey());
    const seen: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await kms.run("ListKeys", { Limit: 3, Marker });
      seen.push(...page["Keys"].map((key: { KeyId: string }) => key.KeyId));
      Marker = page["NextMarker"] as string | undefined;
      expect(page["Truncated"]).toBe(Marker !== undefined);
    } while (Marker !== undefined);
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(made);
  });

  test("show the reserved alias even before its key exists, in its place among the others", async () => {
    const KeyId = await kms.newKey();
    for (const AliasName of ["alias/a", "alias/b", "alias/z"])
      await kms.run("CreateAlias", { AliasName, TargetKeyId: KeyId });
    const names = async (input: object): Promise<string[]> =>
      (await kms.run("ListAliases", input))["Aliases"].map((alias: { AliasName: string }) => alias.AliasName);
    expect(await names({})).toEqual(["alias/a", "alias/aws/kinesis", "alias/b", "alias/z"]);
    expect(await names({ KeyId })).toEqual(["alias/a", "alias/b", "alias/z"]);
    const first = await kms.run("ListAliases", { Limit: 2 });
    expect(first["Aliases"][1]).toEqual({ AliasName: "alias/aws/kinesis", AliasArn: aliasArn("alias/aws/kinesis") });
    expect(await names({ Limit: 2, Marker: first["NextMarker"] })).toEqual(["alias/b", "alias/z"]);
  });

  test("refuse markers that they did not give", async () => {
    const KeyId = await kms.newKey();
    for (const Marker of ["x", "\u00ff", "YWxpYXMveA", Buffer.from("alias/x\u0001").toString("base64url")]) {
      expect(await kms.failure("ListKeys", { Marker })).toBe("InvalidMarkerException: Invalid marker.");
      expect(await kms.failure("ListKeyPolicies", { KeyId, Marker })).toBe("InvalidMarkerException: Invalid marker.");
    }
  });
});

describe("aliases", () => {
  test("move from key to key and disappear", async () => {
    const [one, two] = [await kms.newKey(), await kms.newKey()];
    await kms.run("CreateAlias", { AliasName: "alias/x", TargetKeyId: one });
    expect(
      kms.last.checks.map(({ action, resource, resourcePolicyMode }) => [action, resource, resourcePolicyMode]),
    ).toEqual([
      ["kms:CreateAlias", aliasArn("alias/x"), undefined],
      ["kms:CreateAlias", arnOf(one), "required"],
    ]);
    await kms.run("UpdateAlias", { AliasName: "alias/x", TargetKeyId: arnOf(two) });
    expect(kms.last.checks.map(({ resource }) => resource)).toEqual([aliasArn("alias/x"), arnOf(one), arnOf(two)]);
    expect((await kms.run("DescribeKey", { KeyId: "alias/x" }))["KeyMetadata"].KeyId).toBe(two);
    expect((await kms.run("ListAliases", { KeyId: one }))["Aliases"]).toEqual([]);
    await kms.run("UpdateAlias", { AliasName: "alias/x", TargetKeyId: two });
    await kms.run("DeleteAlias", { AliasName: "alias/x" });
    expect(await kms.failure("DescribeKey", { KeyId: "alias/x" })).toMatch(/is not found/);
  });

  test.each([
    ["CreateAlias", { AliasName: "x" }, /^ValidationException: Alias must start with the prefix "alias\/"/],
    ["CreateAlias", { AliasName: "alias/aws/mine" }, /^NotAuthorizedException$/],
    ["DeleteAlias", { AliasName: "alias/aws/kinesis" }, /^NotAuthorizedException$/],
    ["UpdateAlias", { AliasName: "alias/aws/kinesis" }, /^NotAuthorizedException$/],
    ["CreateAlias", { AliasName: "alias/a:b" }, /^ValidationException: alias\/a:b contains invalid characters/],
    [
      "CreateAlias",
      { AliasName: "alias/taken" },
      /^AlreadyExistsException: An alias with the name arn:aws:kms:\S+alias\/taken already exists$/,
    ],
    [
      "CreateAlias",
      { AliasName: "alias/y", TargetKeyId: "alias/taken" },
      /^ValidationException: Aliases must refer to keys/,
    ],
    ["UpdateAlias", { AliasName: "alias/none" }, /^NotFoundException: Alias \S+ is not found\.$/],
    ["DeleteAlias", { AliasName: "alias/none" }, /^NotFoundException: Alias \S+ is not found\.$/],
  ])("%s %j is refused", async (operation, input, expected) => {
    const TargetKeyId = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/taken", TargetKeyId });
    expect(await kms.failure(operation, { TargetKeyId, ...input })).toMatch(expected);
  });

  test("are at most 50 on one key", async () => {
    const TargetKeyId = await kms.newKey();
    for (let count = 0; count < 50; count += 1)
      await kms.run("CreateAlias", { AliasName: `alias/${count}`, TargetKeyId });
    expect(await kms.failure("CreateAlias", { AliasName: "alias/50", TargetKeyId })).toMatch(/^LimitExceededException/);
  });
});

describe("tags and policies", () => {
  test("tags are laid over each other, removed and paged", async () => {
    const KeyId = await kms.newKey({ Tags: [{ TagKey: "a", TagValue: "1" }] });
    await kms.run("TagResource", {
      KeyId,
      Tags: [
        { TagKey: "a", TagValue: "2" },
        { TagKey: "b", TagValue: "3" },
        { TagKey: "__proto__", TagValue: "4" },
      ],
    });
    await kms.run("UntagResource", { KeyId, TagKeys: ["b", "none"] });
    const first = await kms.run("ListResourceTags", { KeyId, Limit: 1 });
    expect(first).toMatchObject({ Tags: [{ TagKey: "__proto__", TagValue: "4" }], Truncated: true });
    expect(await kms.run("ListResourceTags", { KeyId, Marker: first["NextMarker"] })).toEqual({
      Tags: [{ TagKey: "a", TagValue: "2" }],
      Truncated: false,
    });
    const many = Array.from({ length: 49 }, (_, n) => ({ TagKey: `k${n}`, TagValue: "" }));
    expect(await kms.failure("TagResource", { KeyId, Tags: many })).toBe("TagException: Too many tags");
    expect(await kms.failure("UntagResource", { KeyId, TagKeys: ["aws:x"] })).toBe(
      "TagException: Tags beginning with aws: are reserved",
    );
  });

  test("a policy is kept as it was put, under its only name", async () => {
    const KeyId = await kms.newKey();
    const Policy = '{ "Statement" : [] }';
    await kms.run("PutKeyPolicy", { KeyId, Policy });
    expect(await kms.run("GetKeyPolicy", { KeyId, PolicyName: "default" })).toEqual({ Policy, PolicyName: "default" });
    expect(await kms.failure("GetKeyPolicy", { KeyId, PolicyName: "other" })).toBe(
      "NotFoundException: No such policy exists",
    );
    expect(await kms.failure("PutKeyPolicy", { KeyId, Policy: "no" })).toMatch(/^MalformedPolicyDocumentException/);
    expect(await kms.run("ListKeyPolicies", { KeyId })).toEqual({ PolicyNames: ["default"], Truncated: false });
  });
});

test("unwrapped material is dropped when its key is disabled, and when the keyring is sealed", async () => {
  const { KeyMaterials } = await import("../materials.ts");
  const { systemRandom } = await import("../../../base/random.ts");
  const forgotten: string[] = [];
  const forget = (prefix: string): void => void forgotten.push(prefix);
  const materials = new KeyMaterials(kms.keyring, systemRandom(), { forget }, kms.clock);
  const KeyId = await kms.newKey();
  const record = await kms.reader.get(keyTable, [ACCOUNT, REGION, KeyId]);
  if (record === null) throw new Error("no key");
  await materials.use(kms.reader, record, record.materialId ?? "", () => undefined);
  expect(materials.openCount).toBe(1);
  materials.forget(arnOf("00000000-0000-4000-8000-000000000000"));
  expect(materials.openCount).toBe(1);
  materials.forget(arnOf(KeyId));
  expect(materials.openCount).toBe(0);
  expect(forgotten.at(-1)).toBe(`${arnOf(KeyId)} `);
  expect(await materials.use(kms.reader, record, "00".repeat(32), () => undefined)).toBeNull();
});
