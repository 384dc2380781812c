import { generateKeyPairSync, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KeyState } from "../model.ts";
import { type KeyRecord, keyTable } from "../records.ts";
import { ACCOUNT, type KmsHarness, OTHER_REGION, REGION, kmsHarness } from "../testing/harness.ts";
import { importMaterial, importRequest } from "../testing/import.ts";

/** In the order of the columns below, and what makes a key's record be in each. */
const STATES: Readonly<Record<KeyState, (nowMs: number) => Partial<KeyRecord>>> = {
  Enabled: () => ({}),
  Disabled: () => ({ enabled: false }),
  PendingDeletion: (nowMs) => ({ deletionDateMs: nowMs + 7 * 86_400_000 }),
  PendingReplicaDeletion: () => ({
    replicaDeletionDays: 7,
    multiRegion: { primaryRegion: REGION, replicaRegions: ["eu-west-1"] },
  }),
  PendingImport: () => ({ origin: "EXTERNAL", materialId: null }),
  Creating: (nowMs) => ({ transition: { state: "Creating", untilMs: nowMs + 1000 } }),
  Updating: (nowMs) => ({ transition: { state: "Updating", untilMs: nowMs + 1000 } }),
};

const STATE_NAMES = Object.keys(STATES) as readonly KeyState[];

/** What an answer is written as in the table. */
const ANSWERS: Readonly<Record<string, string>> = {
  ok: "none",
  D: "DisabledException: ARN is disabled.",
  P: "KMSInvalidStateException: ARN is pending deletion.",
  R: "KMSInvalidStateException: ARN is pending replica deletion.",
  N: "KMSInvalidStateException: ARN is not pending deletion.",
  I: "KMSInvalidStateException: ARN is pending import.",
  C: "KMSInvalidStateException: ARN is creating.",
  U: "KMSInvalidStateException: ARN is updating.",
  // The key is of the wrong origin for the operation, whatever its state.
  K: "UnsupportedOperationException: ARN origin is AWS_KMS which is not valid for this operation.",
  E: "UnsupportedOperationException: ARN origin is EXTERNAL which is not valid for this operation.",
  // It got as far as looking at the token, which is none.
  T: "InvalidImportTokenException: Invalid import token.",
};

const ANY = "ok ok ok ok ok ok ok";
const USABLE = "ok D P R I C ok";
const NOT_LEAVING = "ok ok P R ok ok ok";
const EXTERNAL = "E E E E E E E";

/**
 * The developer guide's table "Key states of KMS keys": per operation the answers in Enabled, Disabled, PendingDeletion,
 * PendingReplicaDeletion, PendingImport, Creating and Updating. "imported": with imported material, else made here; only keys
 * with imported material are ever PendingImport.
 */
const MATRIX: Readonly<Record<string, string>> = {
  CancelKeyDeletion: "N N ok ok N N N",
  CreateAlias: NOT_LEAVING,
  CreateGrant: USABLE,
  Decapsulate: USABLE,
  Decrypt: USABLE,
  "Decrypt imported": USABLE,
  DeleteAlias: ANY,
  DeleteImportedKeyMaterial: "K K K K ok K K",
  "DeleteImportedKeyMaterial imported": "ok ok ok ok ok C U",
  DeriveSharedSecret: USABLE,
  DescribeKey: ANY,
  DisableKey: "ok ok P R I C U",
  DisableKeyRotation: "ok D P R E C ok",
  "DisableKeyRotation imported": EXTERNAL,
  EnableKey: "ok ok P R I C U",
  EnableKeyRotation: "ok D P R E C ok",
  "EnableKeyRotation imported": EXTERNAL,
  Encapsulate: USABLE,
  Encrypt: USABLE,
  GenerateDataKey: USABLE,
  GenerateDataKeyPair: USABLE,
  GenerateDataKeyPairWithoutPlaintext: USABLE,
  GenerateDataKeyWithoutPlaintext: USABLE,
  GenerateMac: USABLE,
  GetKeyLastUsage: ANY,
  GetKeyPolicy: ANY,
  GetKeyRotationStatus: "ok ok ok ok E ok ok",
  "GetKeyRotationStatus imported": EXTERNAL,
  GetParametersForImport: "K K K K ok K K",
  "GetParametersForImport imported": "ok ok P R ok C U",
  GetPublicKey: USABLE,
  ImportKeyMaterial: "K K K K T K K",
  "ImportKeyMaterial imported": "ok ok P R ok C ok",
  ListAliases: ANY,
  ListGrants: ANY,
  ListKeyPolicies: ANY,
  ListKeyRotations: ANY,
  "ListKeyRotations imported": ANY,
  ListResourceTags: ANY,
  PutKeyPolicy: ANY,
  ReEncrypt: USABLE,
  "ReEncrypt to": USABLE,
  ReplicateKey: "ok D P R I C U",
  RetireGrant: ANY,
  RevokeGrant: ANY,
  RotateKeyOnDemand: "ok D P R I C U",
  "RotateKeyOnDemand imported": "ok D P R I C U",
  ScheduleKeyDeletion: "ok ok P R ok ok U",
  Sign: USABLE,
  TagResource: NOT_LEAVING,
  UntagResource: NOT_LEAVING,
  UpdateAlias: NOT_LEAVING,
  "UpdateAlias from": ANY,
  UpdateKeyDescription: NOT_LEAVING,
  UpdatePrimaryRegion: USABLE,
  Verify: USABLE,
  VerifyMac: USABLE,
};

const ON_NO_KEY = /^(?:CreateKey|GenerateRandom|ListKeys|ListRetirableGrants|.*CustomKeyStores?)$/;

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

const SIGNING = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" };
const MAC = { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" };
const KEM = { KeySpec: "ML_KEM_512", KeyUsage: "ENCAPSULATE_DECAPSULATE" };

/** The kind of key that an operation wants, where it is not a symmetric one. */
const KINDS: Readonly<Record<string, object>> = {
  Decapsulate: KEM,
  DeriveSharedSecret: { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" },
  Encapsulate: KEM,
  GenerateMac: MAC,
  GetPublicKey: SIGNING,
  ReplicateKey: { MultiRegion: true },
  Sign: SIGNING,
  UpdatePrimaryRegion: { MultiRegion: true },
  Verify: SIGNING,
  VerifyMac: MAC,
};

const Message = Buffer.from("x");
const MATERIAL = randomBytes(32);
const NO_IMPORT = {
  ImportToken: Message,
  EncryptedKeyMaterial: Message,
  ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
};
const WRAPPING = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" };
const GRANTEE = `arn:aws:iam::${ACCOUNT}:user/ann`;

/** A key of the kind that the row is about, enabled. */
async function newKeyFor(row: string): Promise<string> {
  const [operation = "", kind] = row.split(" ");
  if (kind !== "imported") return await kms.newKey(KINDS[operation]);
  const KeyId = await kms.newKey({ Origin: "EXTERNAL" });
  await importMaterial(kms, KeyId, MATERIAL);
  return KeyId;
}

/** The request of a row about `KeyId`, made while the key is enabled. */
async function requestOf(row: string, KeyId: string, other: string): Promise<object> {
  const encryptUnder = async (id: string): Promise<Uint8Array> =>
    (await kms.run("Encrypt", { KeyId: id, Plaintext: Message }))["CiphertextBlob"] as Uint8Array;
  const sent = { KeyId, Message };
  const grant = async (): Promise<object> => {
    const { GrantId } = await kms.run("CreateGrant", { KeyId, GranteePrincipal: GRANTEE, Operations: ["Decrypt"] });
    return { KeyId: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`, GrantId };
  };
  const requests: Readonly<Record<string, () => object | Promise<object>>> = {
    CreateAlias: () => ({ AliasName: `alias/new-${KeyId}`, TargetKeyId: KeyId }),
    CreateGrant: () => ({ KeyId, GranteePrincipal: GRANTEE, Operations: ["Decrypt"] }),
    Decapsulate: async () => {
      const made = await kms.run("Encapsulate", { KeyId, EncapsulationAlgorithm: "ML_KEM" });
      const { SharedSecretCiphertextBlob } = made;
      return { KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob };
    },
    Decrypt: async () => ({ CiphertextBlob: await encryptUnder(KeyId) }),
    "Decrypt imported": async () => ({ CiphertextBlob: await encryptUnder(KeyId) }),
    DeleteAlias: () => ({ AliasName: `alias/of-${KeyId}` }),
    DeriveSharedSecret: () => {
      const peer = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
      return { KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: peer.export({ format: "der", type: "spki" }) };
    },
    Encapsulate: () => ({ KeyId, EncapsulationAlgorithm: "ML_KEM" }),
    Encrypt: () => ({ KeyId, Plaintext: Message }),
    GenerateDataKey: () => ({ KeyId, KeySpec: "AES_256" }),
    GenerateDataKeyPair: () => ({ KeyId, KeyPairSpec: "ECC_NIST_P256" }),
    GenerateDataKeyPairWithoutPlaintext: () => ({ KeyId, KeyPairSpec: "ECC_NIST_P256" }),
    GenerateDataKeyWithoutPlaintext: () => ({ KeyId, NumberOfBytes: 64 }),
    GenerateMac: () => ({ ...sent, MacAlgorithm: "HMAC_SHA_256" }),
    GetParametersForImport: () => ({ KeyId, ...WRAPPING }),
    "GetParametersForImport imported": () => ({ KeyId, ...WRAPPING }),
    ImportKeyMaterial: () => ({ KeyId, ...NO_IMPORT }),
    "ImportKeyMaterial imported": () => importRequest(kms, KeyId, MATERIAL),
    PutKeyPolicy: () => ({ KeyId, Policy: JSON.stringify({ Statement: [] }) }),
    ReEncrypt: async () => ({ CiphertextBlob: await encryptUnder(KeyId), DestinationKeyId: other }),
    "ReEncrypt to": async () => ({ CiphertextBlob: await encryptUnder(other), DestinationKeyId: KeyId }),
    ReplicateKey: () => ({ KeyId, ReplicaRegion: OTHER_REGION }),
    RetireGrant: grant,
    RevokeGrant: grant,
    "RotateKeyOnDemand imported": async () => {
      await importMaterial(kms, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" });
      return { KeyId };
    },
    Sign: () => ({ ...sent, SigningAlgorithm: "ECDSA_SHA_256" }),
    TagResource: () => ({ KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] }),
    UntagResource: () => ({ KeyId, TagKeys: ["a"] }),
    UpdateAlias: () => ({ AliasName: `alias/of-${other}`, TargetKeyId: KeyId }),
    "UpdateAlias from": () => ({ AliasName: `alias/of-${KeyId}`, TargetKeyId: other }),
    UpdateKeyDescription: () => ({ KeyId, Description: "new" }),
    UpdatePrimaryRegion: async () => {
      await kms.run("ReplicateKey", { KeyId, ReplicaRegion: OTHER_REGION });
      kms.clock.advance(1000);
      return { KeyId, PrimaryRegion: OTHER_REGION };
    },
    Verify: async () => {
      const { Signature } = await kms.run("Sign", { ...sent, SigningAlgorithm: "ECDSA_SHA_256" });
      return { ...sent, SigningAlgorithm: "ECDSA_SHA_256", Signature };
    },
    VerifyMac: async () => {
      const { Mac } = await kms.run("GenerateMac", { ...sent, MacAlgorithm: "HMAC_SHA_256" });
      return { ...sent, MacAlgorithm: "HMAC_SHA_256", Mac };
    },
  };
  return (await requests[row]?.()) ?? { KeyId };
}

async function putInState(KeyId: string, state: KeyState): Promise<void> {
  const id = [ACCOUNT, REGION, KeyId];
  const record = await kms.reader.get(keyTable, id);
  if (record === null) throw new Error("no key");
  const changed = { ...record, ...STATES[state](kms.clock.wallMs()) };
  await kms.store.commit({ expect: [], writes: [keyTable.put(id, changed)] });
}

describe.each(STATE_NAMES)("a key that is %s", (state) => {
  test.each(Object.entries(MATRIX))("answers %s as AWS does", async (row, answers) => {
    const operation = row.split(" ")[0] ?? "";
    const KeyId = await newKeyFor(row);
    const other = await kms.newKey(KINDS[operation]);
    for (const id of [KeyId, other]) await kms.run("CreateAlias", { AliasName: `alias/of-${id}`, TargetKeyId: id });
    const request = await requestOf(row, KeyId, other);
    await putInState(KeyId, state);
    const expected = ANSWERS[answers.split(" ")[STATE_NAMES.indexOf(state)] ?? ""] ?? "no such answer";
    expect(await kms.failure(operation, request)).toBe(
      expected.replace("ARN", `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`),
    );
  });
});

test("the table covers every operation on a key that is served", () => {
  const rows = new Set(Object.keys(MATRIX).map((row) => row.split(" ")[0]));
  const missing = Object.keys(kms.service.operations).filter((name) => !ON_NO_KEY.test(name) && !rows.has(name));
  expect(missing).toEqual([]);
});

test("a refusal because of state also holds when only permission is asked for", async () => {
  const KeyId = await kms.newKey();
  await expect(kms.authorize("GenerateDataKey", { KeyId, KeySpec: "AES_256" })).resolves.toBeUndefined();
  await kms.run("DisableKey", { KeyId });
  await expect(kms.authorize("GenerateDataKey", { KeyId, KeySpec: "AES_256" })).rejects.toMatchObject({
    code: "DisabledException",
  });
});
