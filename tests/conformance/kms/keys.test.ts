import type { CreateKeyCommandInput } from "@aws-sdk/client-kms";
import { beforeAll, expect } from "vitest";
import { HOME_REGION, KINDS, TWO_REGIONS } from "./samples.ts";
import { bytes, expectRefusal, given, kmsSuite } from "./suite.ts";
import { policyDocument } from "../../support/clients.ts";

/** Keys themselves: making, describing, listing, naming, tagging, switching and deleting them, and their policies. */
const suite = kmsSuite({ args: TWO_REGIONS });
const { kms, works, refuses } = suite;

let keyId = "";
let keyArn = "";
const newKey = async (input: CreateKeyCommandInput = {}): Promise<string> =>
  given((await kms().createKey(input)).KeyMetadata?.KeyId);
beforeAll(async () => {
  const { KeyMetadata } = await kms().createKey({});
  keyId = given(KeyMetadata?.KeyId);
  keyArn = given(KeyMetadata?.Arn);
});

const openPolicy = (account: string, action = "kms:*"): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: action, Resource: "*" }],
  });

/** Every key spec with every usage that AWS gives it, and the algorithms that the metadata then lists. */
const RSA_ENCRYPTION = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const RSA_SIGNING = ["PKCS1_V1_5", "PSS"].flatMap((padding) =>
  ["SHA_256", "SHA_384", "SHA_512"].map((hash) => `RSASSA_${padding}_${hash}`),
);
const SPECS: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", ["SYMMETRIC_DEFAULT"]],
  ["RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", RSA_ENCRYPTION],
  ["RSA_2048", "SIGN_VERIFY", "SigningAlgorithms", RSA_SIGNING],
  ["RSA_3072", "SIGN_VERIFY", "SigningAlgorithms", RSA_SIGNING],
  ["RSA_4096", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", RSA_ENCRYPTION],
  ["ECC_NIST_P256", "SIGN_VERIFY", "SigningAlgorithms", ["ECDSA_SHA_256"]],
  ["ECC_NIST_P384", "SIGN_VERIFY", "SigningAlgorithms", ["ECDSA_SHA_384"]],
  ["ECC_NIST_P521", "SIGN_VERIFY", "SigningAlgorithms", ["ECDSA_SHA_512"]],
  ["ECC_NIST_P256", "KEY_AGREEMENT", "KeyAgreementAlgorithms", ["ECDH"]],
  ["ECC_NIST_P384", "KEY_AGREEMENT", "KeyAgreementAlgorithms", ["ECDH"]],
  ["ECC_NIST_P521", "KEY_AGREEMENT", "KeyAgreementAlgorithms", ["ECDH"]],
  ["ECC_SECG_P256K1", "SIGN_VERIFY", "SigningAlgorithms", ["ECDSA_SHA_256"]],
  ["ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "SigningAlgorithms", ["ED25519_PH_SHA_512", "ED25519_SHA_512"]],
  ["HMAC_224", "GENERATE_VERIFY_MAC", "MacAlgorithms", ["HMAC_SHA_224"]],
  ["HMAC_256", "GENERATE_VERIFY_MAC", "MacAlgorithms", ["HMAC_SHA_256"]],
  ["HMAC_384", "GENERATE_VERIFY_MAC", "MacAlgorithms", ["HMAC_SHA_384"]],
  ["HMAC_512", "GENERATE_VERIFY_MAC", "MacAlgorithms", ["HMAC_SHA_512"]],
  ["ML_DSA_44", "SIGN_VERIFY", "SigningAlgorithms", ["ML_DSA_SHAKE_256"]],
  ["ML_DSA_65", "SIGN_VERIFY", "SigningAlgorithms", ["ML_DSA_SHAKE_256"]],
  ["ML_DSA_87", "SIGN_VERIFY", "SigningAlgorithms", ["ML_DSA_SHAKE_256"]],
  ["ML_KEM_512", "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithms", ["ML_KEM"]],
  ["ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithms", ["ML_KEM"]],
  ["ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithms", ["ML_KEM"]],
];
for (const [KeySpec, KeyUsage, member, algorithms] of SPECS) {
  works("CreateKey", `${KeySpec} for ${KeyUsage}`, async () => {
    const { KeyMetadata } = await kms().createKey({ KeySpec, KeyUsage } as CreateKeyCommandInput);
    const metadata = given(KeyMetadata);
    expect(metadata).toMatchObject({
      AWSAccountId: suite.server().accountId,
      Arn: `arn:aws:kms:${HOME_REGION}:${suite.server().accountId}:key/${metadata.KeyId}`,
      CustomerMasterKeySpec: KeySpec,
      Enabled: true,
      KeyManager: "CUSTOMER",
      KeySpec,
      KeyState: "Enabled",
      KeyUsage,
      MultiRegion: false,
      Origin: "AWS_KMS",
    });
    expect(metadata.KeyId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    const lists = Object.entries(metadata).filter(([name]) => name.endsWith("Algorithms"));
    expect(lists.map(([name, list]) => [name, (list as string[]).toSorted()])).toEqual([
      [member, algorithms.toSorted()],
    ]);
    expect(metadata.CurrentKeyMaterialId !== undefined).toBe(KeySpec === "SYMMETRIC_DEFAULT");
    expect(metadata.MultiRegionConfiguration).toBeUndefined();
  });
}
works("CreateKey", "with description, tags, policy and imported origin", async () => {
  const Policy = openPolicy(suite.server().accountId);
  const Tags = [{ TagKey: "team", TagValue: "a" }];
  const { KeyMetadata } = await kms().createKey({ Description: "first", Tags, Policy, Origin: "EXTERNAL" });
  expect(KeyMetadata).toMatchObject({ Description: "first", KeyState: "PendingImport", Enabled: false });
  expect(KeyMetadata?.ExpirationModel).toBeUndefined();
  expect(KeyMetadata?.CurrentKeyMaterialId).toBeUndefined();
  const KeyId = given(KeyMetadata?.KeyId);
  expect(JSON.parse(given((await kms().getKeyPolicy({ KeyId })).Policy))).toEqual(JSON.parse(Policy));
  expect((await kms().listResourceTags({ KeyId })).Tags).toEqual(Tags);
});
works("CreateKey", "a multi-Region primary", async () => {
  const { KeyMetadata } = await kms().createKey(KINDS.primary);
  expect(KeyMetadata?.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
  expect(KeyMetadata).toMatchObject({
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: "PRIMARY",
      PrimaryKey: { Arn: KeyMetadata?.Arn, Region: HOME_REGION },
      ReplicaKeys: [],
    },
  });
});
for (const [how, input] of Object.entries({
  "SM2, as outside China": { KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" },
  "an external key store": { Origin: "EXTERNAL_KEY_STORE" },
} as const)) {
  refuses("CreateKey", "UnsupportedOperationException", how, async () => kms().createKey(input));
}
for (const [how, input, message] of [
  ["a usage that the spec has not", { KeySpec: "RSA_2048", KeyUsage: "KEY_AGREEMENT" }, /is not compatible with/],
  ["an HMAC key without usage", { KeySpec: "HMAC_256" }, /^You must specify a KeyUsage value/],
  ["a usage that no key has", { KeyUsage: "RANDOM" }, /at 'keyUsage' failed to satisfy constraint/],
  ["a description that is too long", { Description: "x".repeat(8193) }, /at 'description'/],
  ["an empty policy", { Policy: "" }, /at 'policy'/],
] as const) {
  refuses(
    "CreateKey",
    "ValidationException",
    how,
    async () => kms().createKey(input as unknown as CreateKeyCommandInput),
    message,
  );
}
const own = (): string => suite.server().accountId;
const INVALID_PRINCIPALS = "Policy contains a statement with one or more invalid principals.";
for (const [how, policy, message] of [
  ["what is no JSON", () => "not a policy", /not valid JSON/],
  ["a statement without principal", () => policyDocument({ Effect: "Allow", Action: "kms:*", Resource: "*" }), /./],
  [
    "a policy that locks its author out",
    () => openPolicy(own(), "kms:Encrypt"),
    "The new key policy will not allow you to update the key policy in the future.",
  ],
  ["a user who is not there", () => openPolicy(own()).replace(":root", ":user/nobody"), INVALID_PRINCIPALS],
] as const) {
  const refused = (operation: "CreateKey" | "PutKeyPolicy", call: (Policy: string) => Promise<unknown>): void =>
    refuses(operation, "MalformedPolicyDocumentException", how, async () => call(policy()), message);
  refused("CreateKey", (Policy) => kms().createKey({ Policy }));
  refused("PutKeyPolicy", (Policy) => kms().putKeyPolicy({ KeyId: keyId, Policy }));
}
const bigPolicy = (): string =>
  JSON.stringify({ ...(JSON.parse(openPolicy(suite.server().accountId)) as object), Id: "x".repeat(32 * 1024) });
refuses("CreateKey", "LimitExceededException", "a policy of more than 32 KB", async () =>
  kms().createKey({ Policy: bigPolicy() }),
);
refuses("PutKeyPolicy", "LimitExceededException", "a policy of more than 32 KB", async () =>
  kms().putKeyPolicy({ KeyId: keyId, Policy: bigPolicy() }),
);

works("DescribeKey", "by id, ARN, alias and alias ARN", async () => {
  await kms().createAlias({ AliasName: "alias/described", TargetKeyId: keyId });
  const aliasArn = keyArn.replace(/key\/.*/, "alias/described");
  for (const KeyId of [keyId, keyArn, "alias/described", aliasArn])
    expect((await kms().describeKey({ KeyId })).KeyMetadata).toMatchObject({ Arn: keyArn, KeyState: "Enabled" });
});
works("DescribeKey", "an AWS managed key", async () => {
  const { KeyMetadata } = await kms().describeKey({ KeyId: "alias/aws/kinesis" });
  expect(KeyMetadata).toMatchObject({ KeyManager: "AWS", Origin: "AWS_KMS", KeyState: "Enabled" });
});
works("ListKeys", "page by page, each once", async () => {
  const listed: string[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms().listKeys({ Limit: 7, Marker });
    expect(page.Keys?.length).toBeLessThanOrEqual(7);
    listed.push(...(page.Keys ?? []).map((key) => given(key.KeyArn)));
    Marker = page.Truncated === true ? given(page.NextMarker) : undefined;
  } while (Marker !== undefined);
  expect(listed).toContain(keyArn);
  expect(new Set(listed).size).toBe(listed.length);
});
refuses("ListKeys", "ValidationException", "a limit of 0", async () => kms().listKeys({ Limit: 0 }), /at 'limit'/);

works("CreateAlias", "names a key, and ListAliases shows it", async () => {
  await kms().createAlias({ AliasName: "alias/made", TargetKeyId: keyId });
  const { Aliases } = await kms().listAliases({ KeyId: keyId });
  expect(Aliases).toContainEqual(
    expect.objectContaining({
      AliasName: "alias/made",
      AliasArn: keyArn.replace(/key\/.*/, "alias/made"),
      TargetKeyId: keyId,
    }),
  );
});
works("ListAliases", "of the account, with those of AWS that have no key yet", async () => {
  const { Aliases } = await kms().listAliases({});
  expect(Aliases?.map(({ AliasName }) => AliasName)).toContain("alias/aws/kinesis");
});
refuses(
  "CreateAlias",
  "AlreadyExistsException",
  "a name that is taken",
  async () => {
    await kms().createAlias({ AliasName: "alias/taken", TargetKeyId: keyId });
    return kms().createAlias({ AliasName: "alias/taken", TargetKeyId: keyId });
  },
  () => `An alias with the name ${keyArn.replace(/key\/.*/, "alias/taken")} already exists`,
);
refuses(
  "CreateAlias",
  "ValidationException",
  "a name without prefix",
  async () => kms().createAlias({ AliasName: "nothing", TargetKeyId: keyId }),
  'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
);
refuses("CreateAlias", "ValidationException", "a prefix and nothing", async () =>
  kms().createAlias({ AliasName: "alias/", TargetKeyId: keyId }),
);
refuses("CreateAlias", "NotAuthorizedException", "a name of AWS's", async () =>
  kms().createAlias({ AliasName: "alias/aws/mine", TargetKeyId: keyId }),
);
refuses("CreateAlias", "LimitExceededException", "the 51st alias of a key", async () => {
  const TargetKeyId = await newKey();
  for (let index = 0; index < 50; index += 1)
    await kms().createAlias({ AliasName: `alias/many-${index}`, TargetKeyId });
  return kms().createAlias({ AliasName: "alias/many-50", TargetKeyId });
});
works("UpdateAlias", "moves the name to another key", async () => {
  await kms().createAlias({ AliasName: "alias/moving", TargetKeyId: keyId });
  const other = await newKey();
  await kms().updateAlias({ AliasName: "alias/moving", TargetKeyId: other });
  expect((await kms().describeKey({ KeyId: "alias/moving" })).KeyMetadata?.KeyId).toBe(other);
});
refuses("UpdateAlias", "NotFoundException", "a name that is not there", async () =>
  kms().updateAlias({ AliasName: "alias/absent", TargetKeyId: keyId }),
);
refuses("UpdateAlias", "ValidationException", "a key of another kind", async () => {
  await kms().createAlias({ AliasName: "alias/settled", TargetKeyId: keyId });
  return kms().updateAlias({ AliasName: "alias/settled", TargetKeyId: await newKey(KINDS.signing) });
});
refuses("UpdateAlias", "LimitExceededException", "a 51st alias moved to a key", async () => {
  const TargetKeyId = await newKey();
  for (let index = 0; index < 50; index += 1)
    await kms().createAlias({ AliasName: `alias/full-${index}`, TargetKeyId });
  await kms().createAlias({ AliasName: "alias/one-more", TargetKeyId: keyId });
  return kms().updateAlias({ AliasName: "alias/one-more", TargetKeyId });
});
works("DeleteAlias", "the name names nothing afterwards", async () => {
  await kms().createAlias({ AliasName: "alias/going", TargetKeyId: keyId });
  await kms().deleteAlias({ AliasName: "alias/going" });
  await expectRefusal(kms().describeKey({ KeyId: "alias/going" }), "NotFoundException", /alias\/going is not found\.$/);
});
refuses(
  "DeleteAlias",
  "NotFoundException",
  "a name that is not there",
  async () => kms().deleteAlias({ AliasName: "alias/absent" }),
  /alias\/absent is not found\.$/,
);

works("TagResource", "adds and replaces", async () => {
  const KeyId = await newKey({ Tags: [{ TagKey: "a", TagValue: "1" }] });
  await kms().tagResource({
    KeyId,
    Tags: [
      { TagKey: "a", TagValue: "2" },
      { TagKey: "b", TagValue: "" },
    ],
  });
  expect((await kms().listResourceTags({ KeyId })).Tags).toEqual([
    { TagKey: "a", TagValue: "2" },
    { TagKey: "b", TagValue: "" },
  ]);
});
works("UntagResource", "removes, and does not mind what is not there", async () => {
  const KeyId = await newKey({ Tags: [{ TagKey: "a", TagValue: "1" }] });
  await kms().untagResource({ KeyId, TagKeys: ["a", "absent"] });
  expect((await kms().listResourceTags({ KeyId })).Tags).toEqual([]);
});
works("ListResourceTags", "page by page", async () => {
  const Tags = Array.from({ length: 5 }, (_, index) => ({ TagKey: `k${index}`, TagValue: "v" }));
  const KeyId = await newKey({ Tags });
  const first = await kms().listResourceTags({ KeyId, Limit: 3 });
  expect(first).toMatchObject({ Tags: Tags.slice(0, 3), Truncated: true });
  const rest = await kms().listResourceTags({ KeyId, Limit: 3, Marker: given(first.NextMarker) });
  expect(rest).toMatchObject({ Tags: Tags.slice(3), Truncated: false });
});
const tag = (TagKey: string, TagValue = "v"): { TagKey: string; TagValue: string } => ({ TagKey, TagValue });
const manyTags = Array.from({ length: 51 }, (_, index) => tag(`k${index}`));
for (const [how, Tags, message] of [
  ["a key twice", [tag("a"), tag("a")], "Duplicate tag keys"],
  ["a reserved key", [tag("aws:mine")], "Tags beginning with aws: are reserved"],
  ["51 of them", manyTags, "Too many tags"],
] as const) {
  refuses("CreateKey", "TagException", how, async () => kms().createKey({ Tags: [...Tags] }), message);
  refuses(
    "TagResource",
    "TagException",
    how,
    async () => kms().tagResource({ KeyId: keyId, Tags: [...Tags] }),
    message,
  );
}
refuses("UntagResource", "TagException", "a reserved key", async () =>
  kms().untagResource({ KeyId: keyId, TagKeys: ["aws:mine"] }),
);
refuses(
  "TagResource",
  "ValidationException",
  "a key that is too long",
  async () => kms().tagResource({ KeyId: keyId, Tags: [tag("x".repeat(129))] }),
  /tagKey' failed to satisfy constraint: Member must have length less than or equal to 128$/,
);

works("UpdateKeyDescription", "is described afterwards", async () => {
  await kms().updateKeyDescription({ KeyId: keyId, Description: "second" });
  expect((await kms().describeKey({ KeyId: keyId })).KeyMetadata?.Description).toBe("second");
});
works("DisableKey", "no more encryption", async () => {
  const KeyId = await newKey();
  await kms().disableKey({ KeyId });
  expect((await kms().describeKey({ KeyId })).KeyMetadata).toMatchObject({ Enabled: false, KeyState: "Disabled" });
  await expectRefusal(kms().encrypt({ KeyId, Plaintext: bytes("x") }), "DisabledException");
});
works("EnableKey", "encryption again", async () => {
  const KeyId = await newKey();
  await kms().disableKey({ KeyId });
  await kms().enableKey({ KeyId });
  expect((await kms().encrypt({ KeyId, Plaintext: bytes("x") })).CiphertextBlob).toBeInstanceOf(Uint8Array);
});
works("ScheduleKeyDeletion", "30 days unless fewer are named", async () => {
  const KeyId = await newKey();
  const scheduled = await kms().scheduleKeyDeletion({ KeyId });
  expect(scheduled).toMatchObject({ KeyState: "PendingDeletion", PendingWindowInDays: 30 });
  expect(scheduled.KeyId).toMatch(/^arn:aws:kms:/);
  const days = (given(scheduled.DeletionDate).getTime() - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
});
for (const PendingWindowInDays of [6, 31]) {
  refuses("ScheduleKeyDeletion", "ValidationException", `${PendingWindowInDays} days`, async () =>
    kms().scheduleKeyDeletion({ KeyId: await newKey(), PendingWindowInDays }),
  );
}
works("CancelKeyDeletion", "the key is Disabled afterwards", async () => {
  const KeyId = await newKey();
  await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  const cancelled = await kms().cancelKeyDeletion({ KeyId });
  expect(cancelled.KeyId).toMatch(new RegExp(`:key/${KeyId}$`));
  const { KeyMetadata } = await kms().describeKey({ KeyId });
  expect(KeyMetadata).toMatchObject({ KeyState: "Disabled", Enabled: false });
  expect(KeyMetadata?.DeletionDate).toBeUndefined();
});

works("GetKeyPolicy", "the default one delegates to the account", async () => {
  const { Policy, PolicyName } = await kms().getKeyPolicy({ KeyId: keyId, PolicyName: "default" });
  expect(PolicyName).toBe("default");
  expect(JSON.parse(given(Policy))).toEqual({
    Version: "2012-10-17",
    Id: "key-default-1",
    Statement: [
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${suite.server().accountId}:root` },
        Action: "kms:*",
        Resource: "*",
      },
    ],
  });
});
refuses(
  "GetKeyPolicy",
  "NotFoundException",
  "another policy name",
  async () => kms().getKeyPolicy({ KeyId: keyId, PolicyName: "other" }),
  "No such policy exists",
);
works("PutKeyPolicy", "decides who may use the key", async () => {
  const KeyId = await newKey();
  const user = await suite.user("named", []);
  await expectRefusal(user.kms.describeKey({ KeyId }), "AccessDeniedException");
  const Statement = [user.arn, `arn:aws:iam::${suite.server().accountId}:root`].map((AWS) => ({
    Effect: "Allow",
    Principal: { AWS },
    Action: "kms:*",
    Resource: "*",
  }));
  await kms().putKeyPolicy({ KeyId, Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
  expect((await user.kms.describeKey({ KeyId })).KeyMetadata?.KeyId).toBe(KeyId);
});
works("PutKeyPolicy", "a policy that locks out, if its author insists", async () => {
  const KeyId = await newKey();
  const Policy = openPolicy(own(), "kms:Encrypt");
  await kms().putKeyPolicy({ KeyId, Policy, BypassPolicyLockoutSafetyCheck: true });
  await expectRefusal(kms().describeKey({ KeyId }), "AccessDeniedException");
});
works("ListKeyPolicies", "there is one name", async () => {
  expect(await kms().listKeyPolicies({ KeyId: keyId })).toMatchObject({ PolicyNames: ["default"], Truncated: false });
});

/** Custom key stores are not served: every operation on them says so. */
const STORE = { CustomKeyStoreId: "cks-1234567890abcdef0" };
refuses("ConnectCustomKeyStore", "UnsupportedOperationException", "custom key stores", async () =>
  kms().connectCustomKeyStore(STORE),
);
refuses("CreateCustomKeyStore", "UnsupportedOperationException", "custom key stores", async () =>
  kms().createCustomKeyStore({ CustomKeyStoreName: "store" }),
);
refuses("DeleteCustomKeyStore", "UnsupportedOperationException", "custom key stores", async () =>
  kms().deleteCustomKeyStore(STORE),
);
refuses("DescribeCustomKeyStores", "UnsupportedOperationException", "custom key stores", async () =>
  kms().describeCustomKeyStores({}),
);
refuses("DisconnectCustomKeyStore", "UnsupportedOperationException", "custom key stores", async () =>
  kms().disconnectCustomKeyStore(STORE),
);
refuses("UpdateCustomKeyStore", "UnsupportedOperationException", "custom key stores", async () =>
  kms().updateCustomKeyStore(STORE),
);

works("GetKeyLastUsage", "names the last use, and the event that recorded it", async () => {
  const KeyId = await newKey();
  const before = await kms().getKeyLastUsage({ KeyId });
  expect(before.KeyLastUsage?.Operation).toBeUndefined();
  expect(before.KeyCreationDate).toBeInstanceOf(Date);
  await kms().encrypt({ KeyId, Plaintext: bytes("x") });
  const used = await kms().generateDataKey({ KeyId, KeySpec: "AES_256" });
  const { KeyLastUsage, TrackingStartDate } = await kms().getKeyLastUsage({ KeyId });
  expect(KeyLastUsage).toMatchObject({ Operation: "GenerateDataKey", KmsRequestId: used.$metadata.requestId });
  expect(KeyLastUsage?.CloudTrailEventId).toMatch(/^[0-9a-f-]{36}$/);
  expect(Math.abs(given(KeyLastUsage?.Timestamp).getTime() - Date.now())).toBeLessThan(60_000);
  expect(TrackingStartDate).toBeInstanceOf(Date);
});
