import type { CreateKeyCommandInput, KeySpec, KMS, SigningAlgorithmSpec } from "@aws-sdk/client-kms";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { eventually } from "../../support/wait.ts";
import { HOME_REGION, OTHER_REGION, TWO_REGIONS } from "./samples.ts";
import { bytes, expectRefusal, given, kmsSuite } from "./suite.ts";
import { importMaterial } from "./wrapping.ts";

/** The 62 error answers that were recorded from AWS between 2023 and 2025, each brought about once, to the letter. */
const suite = kmsSuite({ args: TWO_REGIONS });
const { kms } = suite;

const arnOf = (KeyId: string, region = HOME_REGION): string =>
  `arn:aws:kms:${region}:${suite.server().accountId}:key/${KeyId}`;
const made = new Map<string, Promise<string>>();
/** A key of these settings, made once. */
const key = async (input: CreateKeyCommandInput = {}): Promise<string> => {
  const name = JSON.stringify(input);
  const known = made.get(name) ?? newKey(input);
  made.set(name, known);
  return known;
};
const newKey = async (input: CreateKeyCommandInput = {}): Promise<string> =>
  given((await kms().createKey(input)).KeyMetadata?.KeyId);
const SIGNING = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" } as const;
const MAC = (bits: 224 | 256): CreateKeyCommandInput => ({
  KeySpec: `HMAC_${bits}`,
  KeyUsage: "GENERATE_VERIFY_MAC",
});
const MESSAGE = bytes("some important message");
const PEER = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({ type: "spki", format: "der" });
const away = (): KMS => suite.inRegion(OTHER_REGION);
const UUID = "11111111-2222-4333-8444-555555555555";

/** A recorded answer: code, message (a function when it names what the test made), and the call. */
interface Recorded {
  readonly code: string;
  readonly message: string | RegExp | ((arn: string) => string);
  /** Returns the call, and the ARN that the message names. */
  readonly call: () => Promise<{ readonly call: Promise<unknown>; readonly arn?: string }>;
}
const recorded = (code: string, message: Recorded["message"], call: () => Promise<unknown>): Recorded => ({
  code,
  message,
  call: async () => ({ call: call() }),
});
const aboutKey = (
  code: string,
  message: (arn: string) => string,
  input: CreateKeyCommandInput,
  call: (KeyId: string) => Promise<unknown>,
): Recorded => ({
  code,
  message,
  async call() {
    const KeyId = await key(input);
    return { call: call(KeyId), arn: arnOf(KeyId) };
  },
});
const derive = async (KeyId: string, algorithm = "ECDH", PublicKey: Uint8Array = PEER): Promise<unknown> =>
  kms().deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: algorithm as "ECDH", PublicKey });
const generateMac = async (KeyId: string, MacAlgorithm: string): Promise<unknown> =>
  kms().generateMac({ KeyId, Message: MESSAGE, MacAlgorithm: MacAlgorithm as "HMAC_SHA_256" });
const signDigest = async (KeySpec: KeySpec, SigningAlgorithm: SigningAlgorithmSpec): Promise<unknown> =>
  kms().sign({
    KeyId: await key({ KeySpec, KeyUsage: "SIGN_VERIFY" }),
    Message: bytes("not a digest"),
    MessageType: "DIGEST",
    SigningAlgorithm,
  });
const encryptTooMuch = (
  KeySpec: KeySpec,
  algorithm: "RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256",
  max: number,
): Recorded =>
  recorded(
    "ValidationException",
    `Algorithm ${algorithm} and key spec ${KeySpec} cannot encrypt data larger than ${max} bytes.`,
    async () => {
      const KeyId = await key({ KeySpec, KeyUsage: "ENCRYPT_DECRYPT" });
      const request = { KeyId, EncryptionAlgorithm: algorithm };
      expect((await kms().encrypt({ ...request, Plaintext: randomBytes(max) })).CiphertextBlob).toBeDefined();
      return kms().encrypt({ ...request, Plaintext: randomBytes(max + 1) });
    },
  );
const digest = (KeySpec: KeySpec, algorithm: SigningAlgorithmSpec): Recorded =>
  recorded("ValidationException", `Digest is invalid length for algorithm ${algorithm}.`, async () =>
    signDigest(KeySpec, algorithm),
  );
const usage = (
  use: string,
  operation: string,
  input: CreateKeyCommandInput,
  call: (KeyId: string) => Promise<unknown>,
): Recorded =>
  aboutKey(
    "InvalidKeyUsageException",
    (arn) => `${arn} key usage is ${use} which is not valid for ${operation}.`,
    input,
    call,
  );
const absent = (KeyId: string): Recorded =>
  recorded("NotFoundException", `Invalid keyId '${KeyId}'`, async () => kms().describeKey({ KeyId }));
const tags = (message: string, TagKeys: readonly string[]): Recorded =>
  recorded("TagException", message, async () =>
    kms().createKey({ Tags: TagKeys.map((TagKey) => ({ TagKey, TagValue: "v" })) }),
  );
const invalid = (message: string | RegExp, call: () => Promise<unknown>): Recorded =>
  recorded("ValidationException", message, call);

const RECORDED: Readonly<Record<string, Recorded>> = {
  "rotation on demand of a disabled key": {
    code: "DisabledException",
    message: (arn) => `${arn} is disabled.`,
    async call() {
      const KeyId = await newKey();
      await kms().disableKey({ KeyId });
      return { call: kms().rotateKeyOnDemand({ KeyId }), arn: arnOf(KeyId) };
    },
  },
  "a dry run": recorded(
    "DryRunOperationException",
    "The request would have succeeded, but the DryRun option is set.",
    async () => kms().generateDataKeyPair({ KeyId: await key(), KeyPairSpec: "ECC_NIST_P256", DryRun: true }),
  ),
  "Decrypt with another key": recorded(
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
    async () => {
      const { CiphertextBlob } = await kms().encrypt({ KeyId: await key(), Plaintext: MESSAGE });
      return kms().decrypt({ CiphertextBlob, KeyId: await newKey() });
    },
  ),
  "Decrypt with another context": recorded("InvalidCiphertextException", "", async () => {
    const { CiphertextBlob } = await kms().encrypt({
      KeyId: await key(),
      Plaintext: MESSAGE,
      EncryptionContext: { a: "b" },
    });
    return kms().decrypt({ CiphertextBlob, EncryptionContext: { not_same: "b" } });
  }),
  "DeriveSharedSecret with a symmetric key": usage("ENCRYPT_DECRYPT", "DeriveSharedSecret", {}, derive),
  "GenerateMac with a symmetric key": usage("ENCRYPT_DECRYPT", "GenerateMac", {}, async (KeyId) =>
    generateMac(KeyId, "HMAC_SHA_256"),
  ),
  "Verify with a symmetric key": usage("ENCRYPT_DECRYPT", "Verify", {}, async (KeyId) =>
    kms().verify({ KeyId, Message: MESSAGE, Signature: bytes("s"), SigningAlgorithm: "ECDSA_SHA_256" }),
  ),
  "Sign with an HMAC key": usage("GENERATE_VERIFY_MAC", "Sign", MAC(256), async (KeyId) =>
    kms().sign({ KeyId, Message: MESSAGE, SigningAlgorithm: "ECDSA_SHA_256" }),
  ),
  "DeriveSharedSecret with a signing key": usage("SIGN_VERIFY", "DeriveSharedSecret", SIGNING, derive),
  "Encrypt with a signing key": usage("SIGN_VERIFY", "Encrypt", SIGNING, async (KeyId) =>
    kms().encrypt({ KeyId, Plaintext: MESSAGE }),
  ),
  "GenerateMac, HMAC_SHA_256 with HMAC_224": recorded(
    "InvalidKeyUsageException",
    "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.",
    async () => generateMac(await key(MAC(224)), "HMAC_SHA_256"),
  ),
  "VerifyMac, HMAC_SHA_512 with HMAC_256": recorded(
    "InvalidKeyUsageException",
    "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.",
    async () =>
      kms().verifyMac({ KeyId: await key(MAC(256)), Message: MESSAGE, Mac: bytes("m"), MacAlgorithm: "HMAC_SHA_512" }),
  ),
  "VerifyMac of another message": recorded("KMSInvalidMacException", "", async () =>
    kms().verifyMac({
      KeyId: await key(MAC(256)),
      Message: bytes("some different important message"),
      Mac: randomBytes(32),
      MacAlgorithm: "HMAC_SHA_256",
    }),
  ),
  "Verify of another message": recorded("KMSInvalidSignatureException", "", async () =>
    kms().verify({
      KeyId: await key({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }),
      Message: MESSAGE,
      Signature: randomBytes(256),
      SigningAlgorithm: "RSASSA_PSS_SHA_256",
    }),
  ),
  "import of a third material": {
    code: "KMSInvalidStateException",
    message: new RegExp(
      "^New key material \\(id: [0-9a-f]{64}\\) cannot be imported into KMS key [0-9a-f-]{36}, " +
        "because another key material \\(id: [0-9a-f]{64}\\) is pending rotation\\.$",
    ),
    async call() {
      const KeyId = await newKey({ Origin: "EXTERNAL" });
      const NEW = { input: { ImportType: "NEW_KEY_MATERIAL" } } as const;
      await importMaterial(kms(), KeyId, randomBytes(32));
      await importMaterial(kms(), KeyId, randomBytes(32), NEW);
      return { call: importMaterial(kms(), KeyId, randomBytes(32), NEW) };
    },
  },
  "rotation on demand of imported material with nothing waiting": {
    code: "KMSInvalidStateException",
    message: (arn) => `No available key material pending rotation for the key: ${arn}.`,
    async call() {
      const KeyId = await newKey({ Origin: "EXTERNAL" });
      await importMaterial(kms(), KeyId, randomBytes(32));
      return { call: kms().rotateKeyOnDemand({ KeyId }), arn: arnOf(KeyId) };
    },
  },
  "use of a key without material": aboutKey(
    "KMSInvalidStateException",
    (arn) => `${arn} is pending import.`,
    { Origin: "EXTERNAL" },
    async (KeyId) => kms().encrypt({ KeyId, Plaintext: MESSAGE }),
  ),
  "the 26th rotation on demand": {
    code: "LimitExceededException",
    message: (arn) =>
      `The on-demand rotations limit has been reached for the given keyId. No more on-demand ` +
      `rotations can be performed for this key: ${arn}`,
    async call() {
      const KeyId = await newKey();
      for (let count = 0; count < 25; count += 1) await kms().rotateKeyOnDemand({ KeyId });
      return { call: kms().rotateKeyOnDemand({ KeyId }), arn: arnOf(KeyId) };
    },
  },
  "an ARN of another Region": recorded("NotFoundException", `Invalid arn ${OTHER_REGION}`, async () =>
    kms().describeKey({ KeyId: arnOf(await key(), OTHER_REGION) }),
  ),
  "an id without dashes": absent("134f2428cec14b25a1ae9048164dba47"),
  "an id that is none": absent("fake-key-id"),
  "a template's id": recorded("NotFoundException", "Invalid keyId 'key_id'", async () =>
    generateMac("key_id", "HMAC_SHA_224"),
  ),
  "a multi-Region id that is none": absent("mrk-fake-key-id"),
  "a key that is not there": recorded(
    "NotFoundException",
    () => `Key '${arnOf(UUID)}' does not exist`,
    async () => kms().describeKey({ KeyId: UUID }),
  ),
  "a multi-Region key that is not there": recorded(
    "NotFoundException",
    () => `Key '${arnOf(`mrk-${"1".repeat(32)}`)}' does not exist`,
    async () => kms().describeKey({ KeyId: `mrk-${"1".repeat(32)}` }),
  ),
  "a key's id in another Region": {
    code: "NotFoundException",
    message: (arn) => `Key '${arn}' does not exist`,
    async call() {
      const KeyId = await key();
      return { call: away().describeKey({ KeyId }), arn: arnOf(KeyId, OTHER_REGION) };
    },
  },
  "a multi-Region key where it has no replica": {
    code: "NotFoundException",
    message: (arn) => `Key '${arn}' does not exist`,
    async call() {
      const KeyId = await key({ MultiRegion: true });
      return { call: away().describeKey({ KeyId }), arn: arnOf(KeyId, OTHER_REGION) };
    },
  },
  "a tag twice": tags("Duplicate tag keys", ["a", "a"]),
  "a reserved tag": tags("Tags beginning with aws: are reserved", ["aws:mine"]),
  "51 tags": tags(
    "Too many tags",
    Array.from({ length: 51 }, (_, index) => `k${index}`),
  ),
  "rotation on demand of a signing key": recorded("UnsupportedOperationException", "", async () =>
    kms().rotateKeyOnDemand({ KeyId: await key(SIGNING) }),
  ),
  "import parameters for AWS's own material": aboutKey(
    "UnsupportedOperationException",
    (arn) => `${arn} origin is AWS_KMS which is not valid for this operation.`,
    {},
    async (KeyId) =>
      kms().getParametersForImport({ KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" }),
  ),
  // Recorded with RotateKeyOnDemand before imported keys could rotate; automatic rotation still answers so.
  "automatic rotation of imported material": {
    code: "UnsupportedOperationException",
    message: (arn) => `${arn} origin is EXTERNAL which is not valid for this operation.`,
    async call() {
      const KeyId = await newKey({ Origin: "EXTERNAL" });
      await importMaterial(kms(), KeyId, randomBytes(32));
      return { call: kms().enableKeyRotation({ KeyId }), arn: arnOf(KeyId) };
    },
  },
  "replication of a replica": {
    code: "UnsupportedOperationException",
    message: (arn) => `${arn} is not a multi-region primary key.`,
    async call() {
      const KeyId = await newKey({ MultiRegion: true });
      await kms().replicateKey({ KeyId, ReplicaRegion: OTHER_REGION });
      await eventually(async () => {
        const { KeyMetadata } = await away().describeKey({ KeyId });
        return KeyMetadata?.KeyState === "Enabled" ? KeyMetadata : null;
      });
      return { call: away().replicateKey({ KeyId, ReplicaRegion: HOME_REGION }), arn: arnOf(KeyId, OTHER_REGION) };
    },
  },
  "key agreement with another curve": invalid("", async () =>
    derive(
      await key({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" }),
      "ECDH",
      generateKeyPairSync("ec", { namedCurve: "secp384r1" }).publicKey.export({ type: "spki", format: "der" }),
    ),
  ),
  "0 random bytes": invalid(
    "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: " +
      "Member must have value greater than or equal to 1",
    async () => kms().generateRandom({ NumberOfBytes: 0 }),
  ),
  "1025 random bytes": invalid(
    "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy " +
      "constraint: Member must have value less than or equal to 1024",
    async () => kms().generateRandom({ NumberOfBytes: 1025 }),
  ),
  // The recording is older than some specs and usages: the set is as long as they are many now.
  "a key spec that is none": invalid(
    new RegExp(
      "^1 validation error detected: Value 'HMAC_random' at 'keySpec' failed to satisfy " +
        "constraint: Member must satisfy enum value set: \\[[A-Z0-9_, ]+\\]$",
    ),
    async () => kms().createKey({ KeySpec: "HMAC_random" as KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" }),
  ),
  "a key agreement algorithm that is none": invalid(
    "1 validation error detected: Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy " +
      "constraint: Member must satisfy enum value set: [ECDH]",
    async () => derive(await key({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" }), "INVALID"),
  ),
  "a MAC algorithm that is none": invalid(
    "1 validation error detected: Value 'INVALID' at 'macAlgorithm' failed to satisfy " +
      "constraint: Member must satisfy enum value set: [HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]",
    async () => generateMac(await key(MAC(256)), "INVALID"),
  ),
  "a key usage that is none": invalid(
    new RegExp(
      "^1 validation error detected: Value 'RANDOM' at 'keyUsage' failed to satisfy constraint: " +
        "Member must satisfy enum value set: \\[[A-Z_, ]+\\]$",
    ),
    async () => kms().createKey({ KeySpec: "HMAC_256", KeyUsage: "RANDOM" as "SIGN_VERIFY" }),
  ),
  "a tag key that is too long": invalid(
    new RegExp(
      `^1 validation error detected: Value '${"a".repeat(129)}' at 'tags\\.1\\.member\\.tagKey' ` +
        `failed to satisfy constraint: Member must have length less than or equal to 128$`,
    ),
    async () => kms().createKey({ Tags: [{ TagKey: "a".repeat(129), TagValue: "v" }] }),
  ),
  "a tag value that is too long": invalid(
    new RegExp(
      `^1 validation error detected: Value '${"v".repeat(257)}' at ` +
        `'tags\\.1\\.member\\.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256$`,
    ),
    async () => kms().createKey({ Tags: [{ TagKey: "k", TagValue: "v".repeat(257) }] }),
  ),
  "4097 bytes to encrypt": invalid(
    "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
    async () => kms().encrypt({ KeyId: await key(), Plaintext: randomBytes(4097) }),
  ),
  "an expiry without date": invalid(
    "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    async () =>
      importMaterial(kms(), await newKey({ Origin: "EXTERNAL" }), randomBytes(32), {
        input: { ExpirationModel: "KEY_MATERIAL_EXPIRES" },
      }),
  ),
  "RSA_2048 and SHA-1": encryptTooMuch("RSA_2048", "RSAES_OAEP_SHA_1", 214),
  "RSA_3072 and SHA-1": encryptTooMuch("RSA_3072", "RSAES_OAEP_SHA_1", 342),
  "RSA_4096 and SHA-1": encryptTooMuch("RSA_4096", "RSAES_OAEP_SHA_1", 470),
  "RSA_2048 and SHA-256": encryptTooMuch("RSA_2048", "RSAES_OAEP_SHA_256", 190),
  "RSA_3072 and SHA-256": encryptTooMuch("RSA_3072", "RSAES_OAEP_SHA_256", 318),
  "RSA_4096 and SHA-256": encryptTooMuch("RSA_4096", "RSAES_OAEP_SHA_256", 446),
  "an alias without prefix": invalid(
    'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    async () => kms().createAlias({ AliasName: "invalid", TargetKeyId: await key() }),
  ),
  "a digest for P-256": digest("ECC_NIST_P256", "ECDSA_SHA_256"),
  "a digest for P-384": digest("ECC_NIST_P384", "ECDSA_SHA_384"),
  "a digest for PKCS #1 and SHA-256": digest("RSA_4096", "RSASSA_PKCS1_V1_5_SHA_256"),
  "a digest for PKCS #1 and SHA-512": digest("RSA_4096", "RSASSA_PKCS1_V1_5_SHA_512"),
  "a digest for PSS and SHA-256": digest("RSA_2048", "RSASSA_PSS_SHA_256"),
  "a digest for PSS and SHA-384": digest("RSA_2048", "RSASSA_PSS_SHA_384"),
  "a digest for PSS and SHA-512": digest("RSA_2048", "RSASSA_PSS_SHA_512"),
  "key agreement with RSA": invalid("KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048", async () =>
    kms().createKey({ KeySpec: "RSA_2048", KeyUsage: "KEY_AGREEMENT" }),
  ),
  "no number of random bytes": invalid("NumberOfBytes is required.", async () => kms().generateRandom({})),
  "an HMAC key without usage": invalid(
    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    async () => kms().createKey({ KeySpec: "HMAC_256" }),
  ),
};

beforeAll(async () => {
  // One of each kind that takes long, for all tests that need it.
  await Promise.all([
    key({ KeySpec: "RSA_4096", KeyUsage: "ENCRYPT_DECRYPT" }),
    key({ KeySpec: "RSA_4096", KeyUsage: "SIGN_VERIFY" }),
  ]);
});

test("are all here", () => {
  expect(Object.keys(RECORDED)).toHaveLength(62);
});

test.each(Object.entries(RECORDED))("%s", async (_, { code, message, call }) => {
  const { call: answer, arn } = await call();
  await expectRefusal(answer, code, typeof message === "function" ? () => message(arn ?? "") : message);
});
