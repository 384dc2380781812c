import { beforeAll, expect, test } from "vitest";
import { type OperationName, MODELLED } from "./modelled.ts";
import {
  HOME_REGION,
  type Kind,
  KINDS,
  makeSubject,
  SAMPLE_ALIAS,
  SAMPLED,
  type SampledOperation,
  sampleOf,
  type Subject,
  TWO_REGIONS,
} from "./samples.ts";
import { bytes, type Caller, expectRefusal, kmsSuite, refusalOf } from "./suite.ts";

const suite = kmsSuite({ args: TWO_REGIONS });
const { kms, refuses } = suite;

const subjects = {} as Record<Kind, Subject>;
let stranger: Caller;
beforeAll(async () => {
  for (const kind of Object.keys(KINDS) as Kind[]) subjects[kind] = await makeSubject(kms(), kind);
  await kms().createAlias({ AliasName: SAMPLE_ALIAS, TargetKeyId: subjects.symmetric.id });
  stranger = await suite.user("stranger", []);
});

const ABSENT = "11111111-2222-4333-8444-555555555555";
const subjectOf = (operation: SampledOperation): Subject => subjects[sampleOf(operation).kind];
const models = (operation: OperationName, code: string): boolean =>
  (MODELLED[operation] as readonly string[]).includes(code);
const send = async (
  operation: SampledOperation,
  KeyId: string,
  shared: { readonly DryRun?: boolean; readonly GrantTokens?: string[] } = {},
  caller = kms(),
): Promise<unknown> => sampleOf(operation).send(caller, KeyId, subjectOf(operation), shared);

/** Operations that take aliases: all uses of keys, and DescribeKey (each operation's KeyId in the API reference). */
const TAKE_ALIASES = new Set<SampledOperation>([
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "DescribeKey",
  "Encapsulate",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "GetPublicKey",
  "ReEncrypt",
  "Sign",
  "Verify",
  "VerifyMac",
]);

for (const operation of SAMPLED) {
  refuses(
    operation,
    "NotFoundException",
    "a key that is not there",
    async () => send(operation, ABSENT),
    () => `Key 'arn:aws:kms:${HOME_REGION}:${suite.server().accountId}:key/${ABSENT}' does not exist`,
  );
  refuses(
    operation,
    "NotFoundException",
    "what is no key id",
    async () => send(operation, "fake-key-id"),
    "Invalid keyId 'fake-key-id'",
  );
  refuses(
    operation,
    "NotFoundException",
    "an ARN of a Region that is not served",
    async () => send(operation, subjectOf(operation).arn.replace(HOME_REGION, "ap-south-1")),
    "Invalid arn ap-south-1",
  );
  if (operation === "CreateAlias" || operation === "UpdateAlias") {
    refuses(operation, "ValidationException", "an alias of an alias", async () => send(operation, SAMPLE_ALIAS));
  } else if (!TAKE_ALIASES.has(operation)) {
    refuses(
      operation,
      "NotFoundException",
      "an alias in place of a key id",
      async () => send(operation, SAMPLE_ALIAS),
      `Invalid keyId '${SAMPLE_ALIAS}'`,
    );
  }
  if (models(operation, "InvalidArnException")) {
    refuses(operation, "InvalidArnException", "an ARN that is none of KMS", async () =>
      send(operation, `arn:aws:s3:${HOME_REGION}:${suite.server().accountId}:key/${ABSENT}`),
    );
  }
  if (models(operation, "DryRunOperationException") && operation !== "RevokeGrant") {
    const name = operation === "Verify" || operation === "VerifyMac" ? null : operation;
    if (name !== null) {
      refuses(
        name,
        "DryRunOperationException",
        "what would have succeeded",
        async () => send(name, subjectOf(name).id, { DryRun: true }),
        "The request would have succeeded, but the DryRun option is set.",
      );
    }
  }
  if (models(operation, "InvalidGrantTokenException") || operation === "DescribeKey") {
    refuses(operation, "InvalidGrantTokenException", "a token that nobody issued", async () =>
      send(operation, subjectOf(operation).id, { GrantTokens: ["AQpAbogus"] }),
    );
  }
  refuses(
    operation,
    "AccessDeniedException",
    "a caller whom nothing allows it",
    async () => send(operation, subjectOf(operation).id, {}, stranger.kms),
    /is not authorized to perform: kms:\w+/,
  );
}

/** Which kind of key an operation refuses for its usage. */
const OTHER_USAGE = {
  Decapsulate: "symmetric",
  DeriveSharedSecret: "symmetric",
  Encapsulate: "signing",
  Encrypt: "signing",
  GenerateDataKey: "hmac",
  GenerateDataKeyPair: "signing",
  GenerateDataKeyPairWithoutPlaintext: "signing",
  GenerateDataKeyWithoutPlaintext: "kem",
  GenerateMac: "symmetric",
  ReEncrypt: "agreement",
  Sign: "hmac",
  Verify: "symmetric",
  VerifyMac: "signing",
} as const satisfies Partial<Record<SampledOperation, Kind>>;

for (const [operation, kind] of Object.entries(OTHER_USAGE) as [keyof typeof OTHER_USAGE, Kind][]) {
  refuses(
    operation,
    "InvalidKeyUsageException",
    `a key for another use (${kind})`,
    async () => send(operation, subjects[kind].id),
    // ReEncrypt was not recorded with such a key.
    operation === "ReEncrypt"
      ? undefined
      : new RegExp(`^arn:aws:kms:\\S+ key usage is [A-Z_]+ which is not valid for ${operation}\\.$`),
  );
}

/** Who lists pages refuses a marker that it did not make. */
for (const [operation, call] of Object.entries({
  ListAliases: (Marker: string) => kms().listAliases({ Marker }),
  ListGrants: (Marker: string) => kms().listGrants({ KeyId: subjects.symmetric.id, Marker }),
  ListKeyRotations: (Marker: string) => kms().listKeyRotations({ KeyId: subjects.symmetric.id, Marker }),
  ListKeys: (Marker: string) => kms().listKeys({ Marker }),
  ListResourceTags: (Marker: string) => kms().listResourceTags({ KeyId: subjects.symmetric.id, Marker }),
  ListRetirableGrants: (Marker: string) => kms().listRetirableGrants({ RetiringPrincipal: stranger.arn, Marker }),
}) as [OperationName, (marker: string) => Promise<unknown>][]) {
  refuses(operation, "InvalidMarkerException", "a marker that was never given out", async () => call("bm9uc2Vuc2U!"));
  refuses(operation, "ValidationException", "an empty marker", async () => call(""), /at 'marker'/);
}

test("a caller whom nothing allows anything learns nothing of what exists: keys there and not there, in words alike", async () => {
  // Within the account KMS says that a key does not exist before it asks who may use it, as it does on AWS: so what is
  // compared are keys of another account, where neither may be told apart.
  const foreign = (id: string): string => `arn:aws:kms:${HOME_REGION}:999988887777:key/${id}`;
  const one = await refusalOf(kms().encrypt({ KeyId: foreign(ABSENT), Plaintext: bytes("x") }));
  const two = await refusalOf(kms().encrypt({ KeyId: foreign(subjects.symmetric.id), Plaintext: bytes("x") }));
  expect(one).toMatchObject({ code: "AccessDeniedException", status: 400 });
  expect(two.message.replace(subjects.symmetric.id, "")).toBe(one.message.replace(ABSENT, ""));
});

/** Operations that name no key. */
const OTHERS: Readonly<Partial<Record<OperationName, () => Promise<unknown>>>> = {
  CreateKey: () => stranger.kms.createKey({}),
  DeleteAlias: () => stranger.kms.deleteAlias({ AliasName: SAMPLE_ALIAS }),
  GenerateRandom: () => stranger.kms.generateRandom({ NumberOfBytes: 1 }),
  ListKeys: () => stranger.kms.listKeys({}),
  ListRetirableGrants: () => stranger.kms.listRetirableGrants({ RetiringPrincipal: stranger.arn }),
};
for (const [operation, call] of Object.entries(OTHERS) as [OperationName, () => Promise<unknown>][]) {
  refuses(operation, "AccessDeniedException", "a caller whom nothing allows it", call, /is not authorized to perform/);
}

test("an answer carries the code in its header and body, and no stack, path or version", async () => {
  await expectRefusal(kms().describeKey({ KeyId: ABSENT }), "NotFoundException");
  const refused = await refusalOf(kms().describeKey({ KeyId: ABSENT }));
  expect(refused.message).not.toMatch(/node|\/src\/|\.ts|\.js/);
});
