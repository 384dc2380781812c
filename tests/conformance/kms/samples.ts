import { generateKeyPairSync } from "node:crypto";
import type { CreateKeyCommandInput, KMS } from "@aws-sdk/client-kms";
import type { OperationName } from "./modelled.ts";
import { bytes, given } from "./suite.ts";

/** The kinds of keys that between them serve every operation. */
export const KINDS = {
  symmetric: {},
  hmac: { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
  signing: { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
  agreement: { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" },
  kem: { KeySpec: "ML_KEM_768", KeyUsage: "ENCAPSULATE_DECAPSULATE" },
  external: { Origin: "EXTERNAL" },
  primary: { MultiRegion: true },
} as const satisfies Readonly<Record<string, CreateKeyCommandInput>>;

export type Kind = keyof typeof KINDS;

/** A key to make requests for. */
export interface Subject {
  readonly id: string;
  readonly arn: string;
  /** Made under the key while it was usable; of another key's form when this one has none. */
  readonly ciphertext: Uint8Array;
}

/** Makes a key of a kind, with a ciphertext of its own if it can have one. */
export async function makeSubject(kms: KMS, kind: Kind): Promise<Subject> {
  const { KeyMetadata } = await kms.createKey(KINDS[kind]);
  const id = given(KeyMetadata?.KeyId);
  const arn = given(KeyMetadata?.Arn);
  if (kind === "symmetric" || kind === "primary") {
    const { CiphertextBlob } = await kms.encrypt({ KeyId: id, Plaintext: bytes("plain") });
    return { id, arn, ciphertext: given(CiphertextBlob) };
  }
  if (kind === "kem") {
    const { SharedSecretCiphertextBlob } = await kms.encapsulate({ KeyId: id, EncapsulationAlgorithm: "ML_KEM" });
    return { id, arn, ciphertext: given(SharedSecretCiphertextBlob) };
  }
  return { id, arn, ciphertext: new Uint8Array(200) };
}

/** Members that many operations share. */
export interface Shared {
  readonly DryRun?: boolean;
  readonly GrantTokens?: string[];
}

export interface Sample {
  /** Of key that the operation is for. */
  readonly kind: Kind;
  /** `KeyId` may be any form of the subject's name. */
  readonly send: (kms: KMS, KeyId: string, subject: Subject, shared?: Shared) => Promise<unknown>;
}

const PEER = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({ type: "spki", format: "der" });
const MESSAGE = bytes("message");
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "kms:*", Resource: "*" }],
});

/** A request that is right, for each operation on one key that it names by KeyId (or, once, by its alias). */
export const SAMPLES = {
  CancelKeyDeletion: { kind: "symmetric", send: (kms, KeyId) => kms.cancelKeyDeletion({ KeyId }) },
  CreateAlias: {
    kind: "symmetric",
    send: (kms, KeyId, { id }) => kms.createAlias({ AliasName: `alias/sample-${id}`, TargetKeyId: KeyId }),
  },
  CreateGrant: {
    kind: "symmetric",
    send: (kms, KeyId, { arn }, shared) =>
      kms.createGrant({
        KeyId,
        GranteePrincipal: arn.replace(/^arn:aws:kms:[^:]*:(\d+):.*$/, "arn:aws:iam::$1:root"),
        Operations: ["DescribeKey"],
        ...shared,
      }),
  },
  Decapsulate: {
    kind: "kem",
    send: (kms, KeyId, { ciphertext }, shared) =>
      kms.decapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob: ciphertext, ...shared }),
  },
  Decrypt: {
    kind: "symmetric",
    send: (kms, KeyId, { ciphertext }, shared) => kms.decrypt({ KeyId, CiphertextBlob: ciphertext, ...shared }),
  },
  DeleteImportedKeyMaterial: { kind: "external", send: (kms, KeyId) => kms.deleteImportedKeyMaterial({ KeyId }) },
  DeriveSharedSecret: {
    kind: "agreement",
    send: (kms, KeyId, _, shared) =>
      kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: PEER, ...shared }),
  },
  DescribeKey: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) =>
      kms.describeKey({ KeyId, ...(shared?.GrantTokens === undefined ? {} : { GrantTokens: shared.GrantTokens }) }),
  },
  DisableKey: { kind: "symmetric", send: (kms, KeyId) => kms.disableKey({ KeyId }) },
  DisableKeyRotation: { kind: "symmetric", send: (kms, KeyId) => kms.disableKeyRotation({ KeyId }) },
  EnableKey: { kind: "symmetric", send: (kms, KeyId) => kms.enableKey({ KeyId }) },
  EnableKeyRotation: { kind: "symmetric", send: (kms, KeyId) => kms.enableKeyRotation({ KeyId }) },
  Encapsulate: {
    kind: "kem",
    send: (kms, KeyId, _, shared) => kms.encapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM", ...shared }),
  },
  Encrypt: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) => kms.encrypt({ KeyId, Plaintext: MESSAGE, ...shared }),
  },
  GenerateDataKey: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) => kms.generateDataKey({ KeyId, KeySpec: "AES_256", ...shared }),
  },
  GenerateDataKeyPair: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) => kms.generateDataKeyPair({ KeyId, KeyPairSpec: "ECC_NIST_P256", ...shared }),
  },
  GenerateDataKeyPairWithoutPlaintext: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) =>
      kms.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec: "ECC_NIST_P256", ...shared }),
  },
  GenerateDataKeyWithoutPlaintext: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) => kms.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: "AES_256", ...shared }),
  },
  GenerateMac: {
    kind: "hmac",
    send: (kms, KeyId, _, shared) =>
      kms.generateMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256", ...shared }),
  },
  GetKeyLastUsage: { kind: "symmetric", send: (kms, KeyId) => kms.getKeyLastUsage({ KeyId }) },
  GetKeyPolicy: { kind: "symmetric", send: (kms, KeyId) => kms.getKeyPolicy({ KeyId }) },
  GetKeyRotationStatus: { kind: "symmetric", send: (kms, KeyId) => kms.getKeyRotationStatus({ KeyId }) },
  GetParametersForImport: {
    kind: "external",
    send: (kms, KeyId) =>
      kms.getParametersForImport({ KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" }),
  },
  GetPublicKey: {
    kind: "signing",
    send: (kms, KeyId, _, shared) =>
      kms.getPublicKey({ KeyId, ...(shared?.GrantTokens === undefined ? {} : { GrantTokens: shared.GrantTokens }) }),
  },
  ImportKeyMaterial: {
    kind: "external",
    send: (kms, KeyId) =>
      kms.importKeyMaterial({
        KeyId,
        ImportToken: new Uint8Array(300).fill(1),
        EncryptedKeyMaterial: new Uint8Array(256).fill(1),
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      }),
  },
  ListAliases: { kind: "symmetric", send: (kms, KeyId) => kms.listAliases({ KeyId }) },
  ListGrants: { kind: "symmetric", send: (kms, KeyId) => kms.listGrants({ KeyId }) },
  ListKeyPolicies: { kind: "symmetric", send: (kms, KeyId) => kms.listKeyPolicies({ KeyId }) },
  ListKeyRotations: { kind: "symmetric", send: (kms, KeyId) => kms.listKeyRotations({ KeyId }) },
  ListResourceTags: { kind: "symmetric", send: (kms, KeyId) => kms.listResourceTags({ KeyId }) },
  PutKeyPolicy: { kind: "symmetric", send: (kms, KeyId) => kms.putKeyPolicy({ KeyId, Policy: POLICY }) },
  ReEncrypt: {
    kind: "symmetric",
    send: (kms, KeyId, { ciphertext }, shared) =>
      kms.reEncrypt({ CiphertextBlob: ciphertext, DestinationKeyId: KeyId, ...shared }),
  },
  ReplicateKey: {
    kind: "primary",
    send: (kms, KeyId) => kms.replicateKey({ KeyId, ReplicaRegion: OTHER_REGION }),
  },
  RevokeGrant: {
    kind: "symmetric",
    send: (kms, KeyId, _, shared) =>
      kms.revokeGrant({
        KeyId,
        GrantId: "0".repeat(64),
        ...(shared?.DryRun === undefined ? {} : { DryRun: shared.DryRun }),
      }),
  },
  RotateKeyOnDemand: { kind: "symmetric", send: (kms, KeyId) => kms.rotateKeyOnDemand({ KeyId }) },
  ScheduleKeyDeletion: {
    kind: "symmetric",
    send: (kms, KeyId) => kms.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 }),
  },
  Sign: {
    kind: "signing",
    send: (kms, KeyId, _, shared) =>
      kms.sign({ KeyId, Message: MESSAGE, SigningAlgorithm: "ECDSA_SHA_256", ...shared }),
  },
  TagResource: {
    kind: "symmetric",
    send: (kms, KeyId) => kms.tagResource({ KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] }),
  },
  UntagResource: { kind: "symmetric", send: (kms, KeyId) => kms.untagResource({ KeyId, TagKeys: ["a"] }) },
  UpdateAlias: {
    kind: "symmetric",
    send: (kms, KeyId) => kms.updateAlias({ AliasName: SAMPLE_ALIAS, TargetKeyId: KeyId }),
  },
  UpdateKeyDescription: {
    kind: "symmetric",
    send: (kms, KeyId) => kms.updateKeyDescription({ KeyId, Description: "sample" }),
  },
  UpdatePrimaryRegion: {
    kind: "primary",
    send: (kms, KeyId) => kms.updatePrimaryRegion({ KeyId, PrimaryRegion: OTHER_REGION }),
  },
  Verify: {
    kind: "signing",
    send: (kms, KeyId, _, shared) =>
      kms.verify({
        KeyId,
        Message: MESSAGE,
        Signature: new Uint8Array(64).fill(1),
        SigningAlgorithm: "ECDSA_SHA_256",
        ...shared,
      }),
  },
  VerifyMac: {
    kind: "hmac",
    send: (kms, KeyId, _, shared) =>
      kms.verifyMac({
        KeyId,
        Message: MESSAGE,
        Mac: new Uint8Array(32).fill(1),
        MacAlgorithm: "HMAC_SHA_256",
        ...shared,
      }),
  },
} as const satisfies Readonly<Partial<Record<OperationName, Sample>>>;

export type SampledOperation = keyof typeof SAMPLES;

export const SAMPLED: readonly SampledOperation[] = Object.keys(SAMPLES) as SampledOperation[];

export const sampleOf = (operation: SampledOperation): Sample => SAMPLES[operation];

/** The Regions of servers that serve two. */
export const HOME_REGION = "us-east-1";
export const OTHER_REGION = "eu-west-1";
export const TWO_REGIONS: readonly string[] = ["--region", HOME_REGION, "--region", OTHER_REGION];

/** An alias that a suite makes before it sends UpdateAlias. */
export const SAMPLE_ALIAS = "alias/sample";
