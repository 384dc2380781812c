import { afterAll, beforeAll, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "./testing/harness.ts";

/**
 * What AWS KMS was recorded to answer, word for word: a row each. Those that a request earns before any operation sees it
 * (lengths, ranges, enumerations) are tested with the protocols, in constraints.test.ts.
 */

const UUID = "134f2428-cec1-4b25-a1ae-9048164dba47";
const Plaintext = Buffer.from("x");
const Message = Buffer.from("some important message");
const arnOf = (id: string, region: string = REGION): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${id}`;

/** The keys that rows are about, by what they are for. */
const KINDS = {
  symmetric: {},
  disabled: {},
  imported: { Origin: "EXTERNAL" },
  hmac224: { KeySpec: "HMAC_224", KeyUsage: "GENERATE_VERIFY_MAC" },
  hmac256: { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" },
  p256: { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
  p384: { KeySpec: "ECC_NIST_P384", KeyUsage: "SIGN_VERIFY" },
  agreeing: { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" },
  rsa2048: { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" },
  rsa3072: { KeySpec: "RSA_3072", KeyUsage: "ENCRYPT_DECRYPT" },
  rsa4096: { KeySpec: "RSA_4096", KeyUsage: "ENCRYPT_DECRYPT" },
  signing2048: { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" },
  signing4096: { KeySpec: "RSA_4096", KeyUsage: "SIGN_VERIFY" },
} as const;

type Kind = keyof typeof KINDS;

let kms: KmsHarness;
let ids: Readonly<Record<Kind, string>>;

beforeAll(async () => {
  kms = await kmsHarness();
  const made = await Promise.all(
    Object.entries(KINDS).map(async ([kind, input]) => [kind, await kms.newKey(input)] as const),
  );
  ids = Object.fromEntries(made) as Record<Kind, string>;
  await kms.run("DisableKey", { KeyId: ids.disabled });
}, 120_000);
afterAll(async () => kms.close());

const aboutKey = (kind: Kind, of: (arn: string) => string): (() => string) => {
  return () => of(arnOf(ids[kind]));
};

interface Row {
  readonly operation: string;
  /** About which key; none: the request names what it is about. */
  readonly key?: Kind;
  readonly request?: object | (() => Promise<object>);
  readonly region?: string;
  readonly answer: string | (() => string);
}

const wrongUsage = (operation: string, key: Kind, usage: string, request: object): Row => ({
  operation,
  key,
  request,
  answer: aboutKey(
    key,
    (arn) => `InvalidKeyUsageException: ${arn} key usage is ${usage} which is not valid for ${operation}.`,
  ),
});

const tooLong = (key: Kind, keySpec: string, hash: string, bytes: number): Row => ({
  operation: "Encrypt",
  key,
  request: { Plaintext: Buffer.alloc(bytes + 1), EncryptionAlgorithm: `RSAES_OAEP_${hash}` },
  answer: `ValidationException: Algorithm RSAES_OAEP_${hash} and key spec ${keySpec} cannot encrypt data larger than ${bytes} bytes.`,
});

const wrongDigest = (key: Kind, SigningAlgorithm: string): Row => ({
  operation: "Sign",
  key,
  request: { Message: Buffer.alloc(17), MessageType: "DIGEST", SigningAlgorithm },
  answer: `ValidationException: Digest is invalid length for algorithm ${SigningAlgorithm}.`,
});

const invalidKeyId = (KeyId: string): Row => ({
  operation: "DescribeKey",
  request: { KeyId },
  answer: `NotFoundException: Invalid keyId '${KeyId}'`,
});

const ROWS: readonly Row[] = [
  // States.
  {
    operation: "Encrypt",
    key: "disabled",
    request: { Plaintext },
    answer: aboutKey("disabled", (arn) => `DisabledException: ${arn} is disabled.`),
  },
  {
    operation: "Encrypt",
    key: "imported",
    request: { Plaintext },
    answer: aboutKey("imported", (arn) => `KMSInvalidStateException: ${arn} is pending import.`),
  },
  {
    operation: "GenerateDataKeyPair",
    key: "symmetric",
    request: { KeyPairSpec: "RSA_2048", DryRun: true },
    answer: "DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
  },

  // Usage and algorithms.
  wrongUsage("DeriveSharedSecret", "symmetric", "ENCRYPT_DECRYPT", {
    KeyAgreementAlgorithm: "ECDH",
    PublicKey: Buffer.from("x"),
  }),
  wrongUsage("DeriveSharedSecret", "p256", "SIGN_VERIFY", {
    KeyAgreementAlgorithm: "ECDH",
    PublicKey: Buffer.from("x"),
  }),
  wrongUsage("GenerateMac", "symmetric", "ENCRYPT_DECRYPT", { Message, MacAlgorithm: "HMAC_SHA_256" }),
  wrongUsage("Verify", "symmetric", "ENCRYPT_DECRYPT", {
    Message,
    Signature: Buffer.from("x"),
    SigningAlgorithm: "ECDSA_SHA_256",
  }),
  wrongUsage("Sign", "hmac256", "GENERATE_VERIFY_MAC", { Message, SigningAlgorithm: "ECDSA_SHA_256" }),
  wrongUsage("Encrypt", "p256", "SIGN_VERIFY", { Plaintext }),
  {
    operation: "GenerateMac",
    key: "hmac224",
    request: { Message, MacAlgorithm: "HMAC_SHA_256" },
    answer: "InvalidKeyUsageException: Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.",
  },
  {
    operation: "VerifyMac",
    key: "hmac256",
    request: { Message, Mac: Buffer.from("some mac"), MacAlgorithm: "HMAC_SHA_512" },
    answer: "InvalidKeyUsageException: Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.",
  },

  // What does not fit has no message.
  {
    operation: "VerifyMac",
    key: "hmac256",
    request: { Message: Buffer.from("other"), Mac: Buffer.alloc(32), MacAlgorithm: "HMAC_SHA_256" },
    answer: "KMSInvalidMacException",
  },
  {
    operation: "Verify",
    key: "signing2048",
    request: { Message, Signature: Buffer.alloc(256), SigningAlgorithm: "RSASSA_PSS_SHA_256" },
    answer: "KMSInvalidSignatureException",
  },
  {
    operation: "DeriveSharedSecret",
    key: "agreeing",
    request: { KeyAgreementAlgorithm: "ECDH", PublicKey: Buffer.from("InvalidPublicKey") },
    answer: "ValidationException",
  },
  {
    operation: "Decrypt",
    request: async () => ({
      ...(await ciphertextOf("symmetric", { EncryptionContext: { a: "b" } })),
      EncryptionContext: { a: "c" },
    }),
    answer: "InvalidCiphertextException",
  },
  {
    operation: "Decrypt",
    key: "hmac256",
    request: async () => ciphertextOf("symmetric"),
    answer: "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.",
  },

  // Lengths.
  tooLong("rsa2048", "RSA_2048", "SHA_1", 214),
  tooLong("rsa3072", "RSA_3072", "SHA_1", 342),
  tooLong("rsa4096", "RSA_4096", "SHA_1", 470),
  tooLong("rsa2048", "RSA_2048", "SHA_256", 190),
  tooLong("rsa3072", "RSA_3072", "SHA_256", 318),
  tooLong("rsa4096", "RSA_4096", "SHA_256", 446),
  wrongDigest("p256", "ECDSA_SHA_256"),
  wrongDigest("p384", "ECDSA_SHA_384"),
  wrongDigest("signing4096", "RSASSA_PKCS1_V1_5_SHA_256"),
  wrongDigest("signing4096", "RSASSA_PKCS1_V1_5_SHA_512"),
  wrongDigest("signing2048", "RSASSA_PSS_SHA_256"),
  wrongDigest("signing2048", "RSASSA_PSS_SHA_384"),
  wrongDigest("signing2048", "RSASSA_PSS_SHA_512"),
  { operation: "GenerateRandom", answer: "ValidationException: NumberOfBytes is required." },

  // CreateKey.
  {
    operation: "CreateKey",
    request: { KeySpec: "RSA_2048", KeyUsage: "KEY_AGREEMENT" },
    answer: "ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
  },
  {
    operation: "CreateKey",
    request: { KeySpec: "HMAC_256" },
    answer:
      "ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
  },
  {
    operation: "CreateKey",
    request: { Tags: Array.from({ length: 51 }, (_, n) => ({ TagKey: `k${n}`, TagValue: "v" })) },
    answer: "TagException: Too many tags",
  },
  {
    operation: "TagResource",
    key: "symmetric",
    request: {
      Tags: [
        { TagKey: "a", TagValue: "1" },
        { TagKey: "a", TagValue: "2" },
      ],
    },
    answer: "TagException: Duplicate tag keys",
  },
  {
    operation: "TagResource",
    key: "symmetric",
    request: { Tags: [{ TagKey: "aws:a", TagValue: "1" }] },
    answer: "TagException: Tags beginning with aws: are reserved",
  },

  // Names that name nothing.
  invalidKeyId("134f2428cec14b25a1ae9048164dba47"),
  invalidKeyId("fake-key-id"),
  invalidKeyId("mrk-fake-key-id"),
  {
    operation: "GenerateMac",
    request: { KeyId: "key_id", Message, MacAlgorithm: "HMAC_SHA_224" },
    answer: "NotFoundException: Invalid keyId 'key_id'",
  },
  {
    operation: "DescribeKey",
    request: { KeyId: UUID },
    answer: `NotFoundException: Key '${arnOf(UUID)}' does not exist`,
  },
  {
    operation: "DescribeKey",
    request: { KeyId: `mrk-${"0".repeat(32)}` },
    answer: `NotFoundException: Key '${arnOf(`mrk-${"0".repeat(32)}`)}' does not exist`,
  },
  {
    operation: "DescribeKey",
    key: "symmetric",
    region: "ap-southeast-1",
    answer: () => `NotFoundException: Key '${arnOf(ids.symmetric, "ap-southeast-1")}' does not exist`,
  },
  {
    operation: "DescribeKey",
    request: { KeyId: arnOf(UUID, "us-west-1") },
    answer: "NotFoundException: Invalid arn us-west-1",
  },
  {
    operation: "CreateAlias",
    request: async () => ({ AliasName: "without-prefix", TargetKeyId: ids.symmetric }),
    answer:
      'ValidationException: Alias must start with the prefix "alias/". ' +
      "Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
  },
];

async function ciphertextOf(key: Kind, input: object = {}): Promise<{ readonly CiphertextBlob: Uint8Array }> {
  const { CiphertextBlob } = await kms.run("Encrypt", { KeyId: ids[key], Plaintext, ...input });
  return { CiphertextBlob: CiphertextBlob as Uint8Array };
}

test.each(ROWS.map((row, index) => [row.operation, row.key ?? "", index] as const))(
  "%s %s (row %i) answers as AWS was recorded to",
  async (operation, _key, index) => {
    const row = ROWS[index];
    if (row === undefined) throw new Error("no row");
    const request = typeof row.request === "function" ? await row.request() : row.request;
    const named = row.key === undefined ? {} : { KeyId: ids[row.key] };
    const where = row.region === undefined ? {} : { region: row.region };
    const answer = typeof row.answer === "function" ? row.answer() : row.answer;
    expect(await kms.failure(operation, { ...named, ...request }, where)).toBe(answer);
  },
);
