/** Each condition key of KMS, on each operation that has it: what a policy would see. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServiceError } from "../../base/errors.ts";
import type { Call } from "../../gateway/contract.ts";
import { ACCOUNT, type KmsHarness, kmsHarness, REGION } from "./testing/harness.ts";
import { authorizedRoom, DELEGATE, OTHER_ROOT, ROOT, sessionOf, userOf } from "./testing/authorized-room.ts";

let kms: KmsHarness;
const keys = { symmetric: "", rsa: "", signing: "", agreement: "", mac: "", imported: "", primary: "", grantId: "" };
let ciphertext: Uint8Array = new Uint8Array();

const arnOf = (keyId: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${keyId}`;
const TAGS = [{ TagKey: "team", TagValue: "red" }];
const CONTEXT = { Department: "IT", b: "2" };
const CONTEXT_SEEN = {
  "kms:EncryptionContext:Department": "IT",
  "kms:EncryptionContext:b": "2",
  "kms:EncryptionContextKeys": ["Department", "b"],
};
const BYTES = Buffer.from("0123456789abcdef");
const SOURCE = `arn:aws:rds:${REGION}:${ACCOUNT}:db:orders`;

beforeAll(async () => {
  kms = await kmsHarness();
  keys.symmetric = await kms.newKey({ Tags: TAGS });
  await kms.run("CreateAlias", { AliasName: "alias/named", TargetKeyId: keys.symmetric });
  keys.rsa = await kms.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
  keys.signing = await kms.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
  keys.agreement = await kms.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
  keys.mac = await kms.newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
  keys.imported = await kms.newKey({ Origin: "EXTERNAL" });
  keys.primary = await kms.newKey({ MultiRegion: true });
  const made = await kms.run("CreateGrant", {
    KeyId: keys.symmetric,
    GranteePrincipal: ROOT.arn,
    Operations: ["Encrypt"],
  });
  keys.grantId = made["GrantId"] as string;
  const sealed = await kms.run("Encrypt", { KeyId: keys.symmetric, Plaintext: BYTES, EncryptionContext: CONTEXT });
  ciphertext = sealed["CiphertextBlob"] as Uint8Array;
});
afterAll(() => kms.close());

/** What the checks of a request see, whether or not it would succeed. */
async function seen(operation: string, input: object, who: Partial<Call> = {}): Promise<readonly object[]> {
  try {
    await kms.authorize(operation, input, who);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
  }
  return kms.last.checks.map(({ context }) => context ?? {});
}

const symmetric = (): object => ({ KeyId: keys.symmetric });

describe("condition keys of the request", () => {
  test.each<[string, () => object, object, number?]>([
    [
      "Encrypt",
      () => ({ ...symmetric(), Plaintext: BYTES, EncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" },
    ],
    [
      "Encrypt",
      () => ({ KeyId: keys.rsa, Plaintext: BYTES, EncryptionAlgorithm: "RSAES_OAEP_SHA_256" }),
      { "kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256" },
    ],
    [
      "Decrypt",
      () => ({ CiphertextBlob: ciphertext, EncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" },
    ],
    [
      "GenerateDataKey",
      () => ({ ...symmetric(), NumberOfBytes: 32, EncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" },
    ],
    [
      "GenerateDataKeyWithoutPlaintext",
      () => ({ ...symmetric(), NumberOfBytes: 32, EncryptionContext: CONTEXT }),
      CONTEXT_SEEN,
    ],
    [
      "GenerateDataKeyPair",
      () => ({ ...symmetric(), KeyPairSpec: "ECC_NIST_P384", EncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:DataKeyPairSpec": "ECC_NIST_P384" },
    ],
    [
      "GenerateDataKeyPairWithoutPlaintext",
      () => ({ ...symmetric(), KeyPairSpec: "RSA_2048", EncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:DataKeyPairSpec": "RSA_2048" },
    ],
    [
      "ReEncrypt",
      () => ({ CiphertextBlob: ciphertext, SourceEncryptionContext: CONTEXT, DestinationKeyId: keys.symmetric }),
      { ...CONTEXT_SEEN, "kms:ReEncryptOnSameKey": "true" },
    ],
    [
      "ReEncrypt",
      () => ({ CiphertextBlob: ciphertext, DestinationKeyId: keys.primary, DestinationEncryptionContext: CONTEXT }),
      { ...CONTEXT_SEEN, "kms:ReEncryptOnSameKey": "false" },
      1,
    ],
    [
      "Sign",
      () => ({ KeyId: keys.signing, Message: BYTES, SigningAlgorithm: "ECDSA_SHA_256" }),
      { "kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW" },
    ],
    [
      "Verify",
      () => ({
        KeyId: keys.signing,
        Message: BYTES,
        Signature: BYTES,
        MessageType: "DIGEST",
        SigningAlgorithm: "ECDSA_SHA_256",
      }),
      { "kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST" },
    ],
    [
      "GenerateMac",
      () => ({ KeyId: keys.mac, Message: BYTES, MacAlgorithm: "HMAC_SHA_256" }),
      { "kms:MacAlgorithm": "HMAC_SHA_256" },
    ],
    [
      "VerifyMac",
      () => ({ KeyId: keys.mac, Message: BYTES, Mac: BYTES, MacAlgorithm: "HMAC_SHA_256" }),
      { "kms:MacAlgorithm": "HMAC_SHA_256" },
    ],
    [
      "DeriveSharedSecret",
      () => ({ KeyId: keys.agreement, KeyAgreementAlgorithm: "ECDH", PublicKey: BYTES }),
      { "kms:KeyAgreementAlgorithm": "ECDH" },
    ],
    [
      "CreateKey",
      () => ({}),
      {
        "kms:KeySpec": "SYMMETRIC_DEFAULT",
        "kms:KeyUsage": "ENCRYPT_DECRYPT",
        "kms:KeyOrigin": "AWS_KMS",
        "kms:MultiRegion": "false",
        "kms:BypassPolicyLockoutSafetyCheck": "false",
        "kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "kms:CustomerMasterKeyUsage": "ENCRYPT_DECRYPT",
      },
    ],
    [
      "CreateKey",
      () => ({ MultiRegion: true, Origin: "EXTERNAL", BypassPolicyLockoutSafetyCheck: true, Tags: TAGS }),
      {
        "kms:KeyOrigin": "EXTERNAL",
        "kms:MultiRegion": "true",
        "kms:MultiRegionKeyType": "PRIMARY",
        "kms:BypassPolicyLockoutSafetyCheck": "true",
        "aws:RequestTag/team": "red",
        "aws:TagKeys": ["team"],
      },
    ],
    ["PutKeyPolicy", () => ({ ...symmetric(), Policy: "{}" }), { "kms:BypassPolicyLockoutSafetyCheck": "false" }],
    ["ReplicateKey", () => ({ KeyId: keys.primary, ReplicaRegion: "eu-west-1" }), { "kms:ReplicaRegion": "eu-west-1" }],
    [
      "UpdatePrimaryRegion",
      () => ({ KeyId: keys.primary, PrimaryRegion: "eu-west-1" }),
      { "kms:PrimaryRegion": "eu-west-1" },
    ],
    [
      "GetParametersForImport",
      () => ({ KeyId: keys.imported, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_3072" }),
      { "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256", "kms:WrappingKeySpec": "RSA_3072" },
    ],
    [
      "ImportKeyMaterial",
      () => ({ KeyId: keys.imported, ImportToken: BYTES, EncryptedKeyMaterial: BYTES, ValidTo: 1_700_000_100_000 }),
      { "kms:ExpirationModel": "KEY_MATERIAL_EXPIRES", "kms:ValidTo": "2023-11-14T22:15:00.000Z" },
    ],
    [
      "ImportKeyMaterial",
      () => ({
        KeyId: keys.imported,
        ImportToken: BYTES,
        EncryptedKeyMaterial: BYTES,
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      }),
      { "kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE" },
    ],
    ["EnableKeyRotation", () => ({ ...symmetric(), RotationPeriodInDays: 100 }), { "kms:RotationPeriodInDays": "100" }],
    ["EnableKeyRotation", symmetric, { "kms:RotationPeriodInDays": "365" }],
    [
      "ScheduleKeyDeletion",
      () => ({ ...symmetric(), PendingWindowInDays: 9 }),
      { "kms:ScheduleKeyDeletionPendingWindowInDays": "9" },
    ],
    ["ScheduleKeyDeletion", symmetric, { "kms:ScheduleKeyDeletionPendingWindowInDays": "30" }],
    ["TagResource", () => ({ ...symmetric(), Tags: TAGS }), { "aws:RequestTag/team": "red", "aws:TagKeys": ["team"] }],
    ["UntagResource", () => ({ ...symmetric(), TagKeys: ["team"] }), { "aws:TagKeys": ["team"] }],
    ["ListGrants", symmetric, { "kms:GrantIsForAWSResource": "false" }],
    ["RevokeGrant", () => ({ ...symmetric(), GrantId: keys.grantId }), { "kms:GrantIsForAWSResource": "false" }],
    [
      "CreateGrant",
      () => ({
        ...symmetric(),
        GranteePrincipal: ROOT.arn,
        RetiringPrincipal: OTHER_ROOT.arn,
        Operations: ["Encrypt", "Decrypt"],
        Constraints: { EncryptionContextSubset: CONTEXT, SourceArn: SOURCE },
      }),
      {
        ...CONTEXT_SEEN,
        "kms:GranteePrincipal": ROOT.arn,
        "kms:RetiringPrincipal": OTHER_ROOT.arn,
        "kms:GrantOperations": ["Decrypt", "Encrypt"],
        "kms:GrantConstraintType": "EncryptionContextSubset",
        "kms:GrantConstraintSourceArn": SOURCE,
        "kms:GrantIsForAWSResource": "false",
      },
    ],
    [
      "CreateGrant",
      () => ({
        ...symmetric(),
        GranteeServicePrincipal: "rds.amazonaws.com",
        RetiringServicePrincipal: "s3.amazonaws.com",
        Operations: ["Encrypt"],
        Constraints: { EncryptionContextEquals: CONTEXT, SourceArn: SOURCE },
      }),
      {
        "kms:GranteeServicePrincipal": "rds.amazonaws.com",
        "kms:RetiringServicePrincipal": "s3.amazonaws.com",
        "kms:GrantConstraintType": "EncryptionContextEquals",
      },
    ],
  ])("%s %#", async (operation, input, expected, at = 0) => {
    expect((await seen(operation, input()))[at]).toMatchObject(expected);
  });

  test("what a request does not say is absent", async () => {
    const [grant] = await seen("CreateGrant", { ...symmetric(), GranteePrincipal: ROOT.arn, Operations: ["Encrypt"] });
    const [encrypt] = await seen("Encrypt", { ...symmetric(), Plaintext: BYTES });
    for (const name of Object.keys({ ...grant, ...encrypt })) {
      expect(name).not.toMatch(/Constraint|Retiring|Service|kms:EncryptionContext|RequestAlias|MultiRegionKeyType/);
    }
  });

  test("a service that calls for somebody is seen", async () => {
    const via = { via: { service: "kinesis" } };
    const expected = { "kms:ViaService": `kinesis.${REGION}.amazonaws.com`, "kms:CallerAccount": ACCOUNT };
    expect((await seen("Encrypt", { ...symmetric(), Plaintext: BYTES }, via))[0]).toMatchObject(expected);
    expect((await seen("ListKeys", {}, via))[0]).toMatchObject(expected);
    for (const [operation, input] of [
      ["CreateGrant", { GranteePrincipal: ROOT.arn, Operations: ["Encrypt"] }],
      ["ListGrants", {}],
      ["RevokeGrant", { GrantId: keys.grantId }],
    ] as const) {
      const [context] = await seen(operation, { ...symmetric(), ...input }, via);
      expect(context).toMatchObject({ ...expected, "kms:GrantIsForAWSResource": "true" });
    }
  });
});

describe("condition keys of the key", () => {
  const OF_SYMMETRIC = {
    "kms:KeySpec": "SYMMETRIC_DEFAULT",
    "kms:KeyUsage": "ENCRYPT_DECRYPT",
    "kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "kms:CustomerMasterKeyUsage": "ENCRYPT_DECRYPT",
    "kms:KeyOrigin": "AWS_KMS",
    "kms:MultiRegion": "false",
    "kms:ResourceAliases": ["alias/named"],
    "kms:CallerAccount": ACCOUNT,
    "aws:ResourceTag/team": "red",
  };

  test.each<[string, () => object]>([
    ["CancelKeyDeletion", () => ({})],
    ["CreateGrant", () => ({ GranteePrincipal: ROOT.arn, Operations: ["Encrypt"] })],
    ["DeleteImportedKeyMaterial", () => ({})],
    ["DescribeKey", () => ({})],
    ["DisableKey", () => ({})],
    ["DisableKeyRotation", () => ({})],
    ["EnableKey", () => ({})],
    ["EnableKeyRotation", () => ({})],
    ["Encrypt", () => ({ Plaintext: BYTES })],
    ["Decrypt", () => ({ CiphertextBlob: ciphertext })],
    ["GenerateDataKey", () => ({ NumberOfBytes: 32 })],
    ["GenerateDataKeyPair", () => ({ KeyPairSpec: "ECC_NIST_P256" })],
    ["GenerateDataKeyPairWithoutPlaintext", () => ({ KeyPairSpec: "ECC_NIST_P256" })],
    ["GenerateDataKeyWithoutPlaintext", () => ({ NumberOfBytes: 32 })],
    ["GenerateMac", () => ({ Message: BYTES, MacAlgorithm: "HMAC_SHA_256" })],
    ["GetKeyLastUsage", () => ({})],
    ["GetKeyPolicy", () => ({})],
    ["GetKeyRotationStatus", () => ({})],
    ["GetParametersForImport", () => ({ WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" })],
    ["GetPublicKey", () => ({})],
    ["ImportKeyMaterial", () => ({ ImportToken: BYTES, EncryptedKeyMaterial: BYTES })],
    ["ListGrants", () => ({})],
    ["ListKeyPolicies", () => ({})],
    ["ListKeyRotations", () => ({})],
    ["ListResourceTags", () => ({})],
    ["PutKeyPolicy", () => ({ Policy: "{}" })],
    ["ReplicateKey", () => ({ ReplicaRegion: "eu-west-1" })],
    ["RetireGrant", () => ({ GrantId: keys.grantId })],
    ["RevokeGrant", () => ({ GrantId: keys.grantId })],
    ["RotateKeyOnDemand", () => ({})],
    ["ScheduleKeyDeletion", () => ({})],
    ["Sign", () => ({ Message: BYTES, SigningAlgorithm: "ECDSA_SHA_256" })],
    ["TagResource", () => ({ Tags: TAGS })],
    ["UntagResource", () => ({ TagKeys: ["x"] })],
    ["UpdateKeyDescription", () => ({ Description: "" })],
    ["UpdatePrimaryRegion", () => ({ PrimaryRegion: "eu-west-1" })],
    ["Verify", () => ({ Message: BYTES, Signature: BYTES, SigningAlgorithm: "ECDSA_SHA_256" })],
    ["VerifyMac", () => ({ Message: BYTES, Mac: BYTES, MacAlgorithm: "HMAC_SHA_256" })],
    ["DeriveSharedSecret", () => ({ KeyAgreementAlgorithm: "ECDH", PublicKey: BYTES })],
    ["Encapsulate", () => ({ EncapsulationAlgorithm: "ML_KEM" })],
    ["Decapsulate", () => ({ EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob: BYTES })],
  ])("%s", async (operation, input) => {
    expect((await seen(operation, { KeyId: keys.symmetric, ...input() }))[0]).toMatchObject(OF_SYMMETRIC);
  });

  test.each([
    ["CreateAlias", "alias/another"],
    ["UpdateAlias", "alias/named"],
    ["DeleteAlias", "alias/named"],
  ])("%s sees them with the key, not with the alias", async (operation, AliasName) => {
    const [ofAlias, ofKey] = await seen(operation, { AliasName, TargetKeyId: keys.symmetric });
    expect(ofAlias).not.toHaveProperty("kms:KeySpec");
    expect(ofKey).toMatchObject(OF_SYMMETRIC);
  });

  test("of multi-Region and imported keys", async () => {
    expect((await seen("DescribeKey", { KeyId: keys.primary }))[0]).toMatchObject({
      "kms:MultiRegion": "true",
      "kms:MultiRegionKeyType": "PRIMARY",
    });
    expect((await seen("DescribeKey", { KeyId: keys.imported }))[0]).toMatchObject({ "kms:KeyOrigin": "EXTERNAL" });
    expect((await seen("DescribeKey", { KeyId: keys.mac }))[0]).toMatchObject({
      "kms:KeySpec": "HMAC_256",
      "kms:KeyUsage": "GENERATE_VERIFY_MAC",
    });
  });

  test("the alias that a request names is seen where aliases may be named", async () => {
    for (const [operation, input] of [
      ["DescribeKey", {}],
      ["Encrypt", { Plaintext: BYTES }],
      ["GenerateDataKey", { NumberOfBytes: 32 }],
      ["GetPublicKey", {}],
    ] as const) {
      const named = { "kms:RequestAlias": "alias/named" };
      expect((await seen(operation, { KeyId: "alias/named", ...input }))[0]).toMatchObject(named);
      const aliasArn = `arn:aws:kms:${REGION}:${ACCOUNT}:alias/named`;
      expect((await seen(operation, { KeyId: aliasArn, ...input }))[0]).toMatchObject(named);
    }
  });

  test("Decrypt and ReEncrypt see the key that the ciphertext names", async () => {
    await seen("Decrypt", { CiphertextBlob: ciphertext });
    expect(kms.last.checks).toMatchObject([{ resource: arnOf(keys.symmetric), context: OF_SYMMETRIC }]);
    await seen("ReEncrypt", { CiphertextBlob: ciphertext, DestinationKeyId: keys.primary });
    expect(kms.last.checks).toMatchObject([
      { action: "kms:ReEncryptFrom", resource: arnOf(keys.symmetric), context: OF_SYMMETRIC },
      { action: "kms:ReEncryptTo", resource: arnOf(keys.primary), context: { "kms:MultiRegion": "true" } },
    ]);
  });
});

describe("the lock-out check", () => {
  const policyOf = (...statements: readonly object[]): string =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: statements.map((statement) => ({ Effect: "Allow", Action: "kms:*", Resource: "*", ...statement })),
    });
  const ann = { AWS: userOf("ann").arn };

  test.each<[string, string, string]>([
    ["allows what delegates to the account", policyOf(DELEGATE), "done"],
    ["allows what names the author", policyOf({ Principal: ann }), "done"],
    [
      "refuses what names somebody else",
      policyOf({ Principal: { AWS: userOf("bob").arn } }),
      "MalformedPolicyDocumentException",
    ],
    [
      "refuses what allows all but PutKeyPolicy",
      policyOf({ Principal: ann, Action: ["kms:Get*", "kms:Encrypt"] }),
      "MalformedPolicyDocumentException",
    ],
    [
      "refuses what denies the author",
      policyOf(DELEGATE, { Principal: ann, Effect: "Deny" }),
      "MalformedPolicyDocumentException",
    ],
    [
      "allows on a condition that the request meets",
      policyOf({ Principal: "*", Condition: { IpAddress: { "aws:SourceIp": "192.0.2.0/24" } } }),
      "done",
    ],
    [
      "refuses on one that it does not meet",
      policyOf({ Principal: "*", Condition: { IpAddress: { "aws:SourceIp": "198.51.100.0/24" } } }),
      "MalformedPolicyDocumentException",
    ],
    [
      "knows the condition keys of the key",
      policyOf({
        Principal: "*",
        Condition: { StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:CallerAccount": ACCOUNT } },
      }),
      "done",
    ],
    [
      "knows that the check was not to be bypassed",
      policyOf({ Principal: "*", Condition: { Bool: { "kms:BypassPolicyLockoutSafetyCheck": "true" } } }),
      "MalformedPolicyDocumentException",
    ],
    [
      "knows over which service the request came",
      policyOf({ Principal: "*", Condition: { StringEquals: { "kms:ViaService": "ec2.eu-central-1.amazonaws.com" } } }),
      "MalformedPolicyDocumentException",
    ],
  ])("%s", async (_what, Policy, expected) => {
    const room = await authorizedRoom();
    try {
      const KeyId = await room.newKey([DELEGATE]);
      for (const author of [userOf("ann"), userOf("admin")]) room.carry(author, { identity: [{}] });
      expect(await room.outcome(userOf("ann"), "PutKeyPolicy", { KeyId, Policy })).toBe(expected);
      expect(await room.outcome(userOf("ann"), "CreateKey", { Policy })).toBe(expected);
      expect(await room.outcome(userOf("ann"), "CreateKey", { Policy, BypassPolicyLockoutSafetyCheck: true })).toBe(
        "done",
      );
    } finally {
      await room.harness.close();
    }
  });

  test("refuses single-valued keys under ForAllValues, which hold when they are missing", async () => {
    const room = await authorizedRoom();
    const Policy = policyOf(DELEGATE, {
      Principal: { AWS: sessionOf("app", "one").arn },
      Condition: { "ForAllValues:StringEquals": { "kms:EncryptionContext:a": "b" } },
    });
    const KeyId = await room.newKey([DELEGATE]);
    expect(await room.outcome(ROOT, "PutKeyPolicy", { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true })).toBe(
      "MalformedPolicyDocumentException",
    );
    await room.harness.close();
  });
});
