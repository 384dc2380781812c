import { beforeAll } from "vitest";
import type { OperationName } from "./modelled.ts";
import {
  HOME_REGION,
  type Kind,
  KINDS,
  makeSubject,
  OTHER_REGION,
  SAMPLE_ALIAS,
  SAMPLED,
  type SampledOperation,
  sampleOf,
  type Subject,
  TWO_REGIONS,
} from "./samples.ts";
import { expectRefusal, kmsSuite } from "./suite.ts";
import { eventually } from "../../support/wait.ts";

/**
 * The developer guide's table "Key states of AWS KMS keys", cell by cell: each operation on a key in each state that a
 * caller can bring about and that lasts.
 */
type State = "Disabled" | "PendingDeletion" | "PendingImport" | "PendingReplicaDeletion";
type Answer =
  | "works"
  | "DisabledException"
  | "KMSInvalidStateException"
  | "UnsupportedOperationException"
  /** The state lets it pass, and the sample request is wrong in another way. */
  | "passes";

const row = (
  Disabled: Answer,
  PendingDeletion: Answer,
  PendingImport: Answer,
): Readonly<Record<"Disabled" | "PendingDeletion" | "PendingImport", Answer>> => ({
  Disabled,
  PendingDeletion,
  PendingImport,
});
const INVALID = "KMSInvalidStateException";
const CRYPTO = row("DisabledException", INVALID, INVALID);
const ANY = row("works", "works", "works");
const LEAVING = row("works", INVALID, "works");
const UNSUPPORTED = "UnsupportedOperationException";

const STATES: Readonly<Record<SampledOperation, ReturnType<typeof row>>> = {
  CancelKeyDeletion: row(INVALID, "works", INVALID),
  CreateAlias: LEAVING,
  CreateGrant: CRYPTO,
  Decapsulate: CRYPTO,
  Decrypt: row("DisabledException", INVALID, "passes"),
  DeleteImportedKeyMaterial: row(UNSUPPORTED, UNSUPPORTED, "works"),
  DeriveSharedSecret: CRYPTO,
  DescribeKey: ANY,
  DisableKey: row("works", INVALID, INVALID),
  DisableKeyRotation: row("DisabledException", INVALID, UNSUPPORTED),
  EnableKey: row("works", INVALID, INVALID),
  EnableKeyRotation: row("DisabledException", INVALID, UNSUPPORTED),
  Encapsulate: CRYPTO,
  Encrypt: CRYPTO,
  GenerateDataKey: CRYPTO,
  GenerateDataKeyPair: CRYPTO,
  GenerateDataKeyPairWithoutPlaintext: CRYPTO,
  GenerateDataKeyWithoutPlaintext: CRYPTO,
  GenerateMac: CRYPTO,
  GetKeyLastUsage: ANY,
  GetKeyPolicy: ANY,
  GetKeyRotationStatus: row("works", "works", UNSUPPORTED),
  GetParametersForImport: row(UNSUPPORTED, INVALID, "works"),
  GetPublicKey: CRYPTO,
  ImportKeyMaterial: row(UNSUPPORTED, INVALID, "passes"),
  ListAliases: ANY,
  ListGrants: ANY,
  ListKeyPolicies: ANY,
  ListKeyRotations: ANY,
  ListResourceTags: ANY,
  PutKeyPolicy: ANY,
  ReEncrypt: CRYPTO,
  ReplicateKey: CRYPTO,
  RevokeGrant: row("passes", "passes", "passes"),
  RotateKeyOnDemand: CRYPTO,
  ScheduleKeyDeletion: LEAVING,
  Sign: CRYPTO,
  TagResource: LEAVING,
  UntagResource: LEAVING,
  UpdateAlias: LEAVING,
  UpdateKeyDescription: LEAVING,
  UpdatePrimaryRegion: CRYPTO,
  Verify: CRYPTO,
  VerifyMac: CRYPTO,
};

/** Which imported counterpart of a kind stands for PendingImport. */
const EXTERNAL_KINDS = {
  symmetric: { Origin: "EXTERNAL" },
  hmac: { ...KINDS.hmac, Origin: "EXTERNAL" },
  signing: { ...KINDS.signing, Origin: "EXTERNAL" },
  agreement: { ...KINDS.agreement, Origin: "EXTERNAL" },
  kem: { ...KINDS.kem, Origin: "EXTERNAL" },
  external: { Origin: "EXTERNAL" },
  primary: { Origin: "EXTERNAL", MultiRegion: true },
} as const;

/** What a state does to a key that is in it: the refusal's words. */
const WORDS: Readonly<Record<State, RegExp>> = {
  Disabled: /^arn:aws:kms:\S+ is disabled\.$/,
  PendingDeletion: /^arn:aws:kms:\S+ is pending deletion\.$/,
  PendingImport: /^arn:aws:kms:\S+ is pending import\.$/,
  PendingReplicaDeletion: /^arn:aws:kms:\S+ is pending replica deletion\.$/,
};

const suite = kmsSuite({ args: TWO_REGIONS });
const { kms } = suite;
const subjects = new Map<string, Subject>();

/** These end the state that they are tested in. */
const CHANGING = new Set<SampledOperation>(["CancelKeyDeletion", "EnableKey", "ScheduleKeyDeletion"]);

beforeAll(async () => {
  await kms().createAlias({ AliasName: SAMPLE_ALIAS, TargetKeyId: (await makeSubject(kms(), "symmetric")).id });
});

/** A key of this kind in this state; shared by the operations that leave it there. */
async function subjectIn(operation: SampledOperation, state: keyof ReturnType<typeof row>): Promise<Subject> {
  const { kind } = sampleOf(operation);
  const name = `${kind} ${state} ${CHANGING.has(operation) ? operation : ""}`;
  const known = subjects.get(name);
  if (known !== undefined) return known;
  const made = await makeIn(kind, state);
  subjects.set(name, made);
  return made;
}

async function makeIn(kind: Kind, state: keyof ReturnType<typeof row>): Promise<Subject> {
  if (state === "PendingImport") {
    const { KeyMetadata } = await kms().createKey(EXTERNAL_KINDS[kind]);
    const { ciphertext } = await makeSubject(kms(), kind);
    return { id: KeyMetadata?.KeyId ?? "", arn: KeyMetadata?.Arn ?? "", ciphertext };
  }
  // A key that could have material imported is refused for its state, not for its origin.
  const subject = await makeSubject(kms(), kind);
  if (state === "Disabled" && kind !== "external") await kms().disableKey({ KeyId: subject.id });
  if (state === "PendingDeletion") await kms().scheduleKeyDeletion({ KeyId: subject.id, PendingWindowInDays: 7 });
  return subject;
}

for (const operation of SAMPLED) {
  for (const state of ["Disabled", "PendingDeletion", "PendingImport"] as const) {
    const expected = STATES[operation][state];
    const { kind, send } = sampleOf(operation);
    if (state === "PendingImport" && kind === "kem") continue;
    const call = async (): Promise<unknown> => {
      // Operations of imported keys are refused on keys that have none of it: those are in the table's "9".
      const subject = await subjectIn(operation, state);
      if (kind === "external" && state === "Disabled") {
        const { KeyMetadata } = await kms().createKey({});
        await kms().disableKey({ KeyId: KeyMetadata?.KeyId ?? "" });
        return send(kms(), KeyMetadata?.KeyId ?? "", subject);
      }
      if (expected === UNSUPPORTED && kind === "external") {
        const { KeyMetadata } = await kms().createKey({});
        await kms().scheduleKeyDeletion({ KeyId: KeyMetadata?.KeyId ?? "", PendingWindowInDays: 7 });
        return send(kms(), KeyMetadata?.KeyId ?? "", subject);
      }
      return send(kms(), subject.id, subject);
    };
    if (expected === "works") suite.works(operation, `a key that is ${state}`, async () => void (await call()));
    else if (expected === "passes") {
      suite.passes(operation, `a key that is ${state}`, call);
    } else {
      const words =
        expected === UNSUPPORTED
          ? undefined
          : expected === INVALID && operation === "CancelKeyDeletion"
            ? /^arn:aws:kms:\S+ is not pending deletion\.$/
            : WORDS[state];
      suite.refuses(operation, expected, `a key that is ${state}`, call, words);
    }
  }
}

/** A primary whose deletion waits for its replica refuses like one that is pending deletion. */
const WAITING: readonly OperationName[] = ["Encrypt", "DisableKey", "TagResource", "ScheduleKeyDeletion"];
let waiting: Promise<string> | undefined;
const waitingPrimary = async (): Promise<string> => {
  const KeyId = (await makeSubject(kms(), "primary")).id;
  await kms().replicateKey({ KeyId, ReplicaRegion: OTHER_REGION });
  await eventually(async () => {
    const { KeyMetadata } = await suite.inRegion(OTHER_REGION).describeKey({ KeyId });
    return KeyMetadata?.KeyState === "Enabled" ? KeyMetadata : null;
  });
  await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  return KeyId;
};
for (const operation of WAITING as readonly SampledOperation[]) {
  suite.refuses(
    operation,
    INVALID,
    "a primary that waits for its replicas' deletion",
    async () => {
      waiting ??= waitingPrimary();
      const KeyId = await waiting;
      const arn = `arn:aws:kms:${HOME_REGION}:${suite.server().accountId}:key/${KeyId}`;
      return sampleOf(operation).send(kms(), KeyId, { id: KeyId, arn, ciphertext: new Uint8Array(100) });
    },
    WORDS.PendingReplicaDeletion,
  );
}

suite.works("CancelKeyDeletion", "a primary that waits for its replicas is Disabled afterwards", async () => {
  waiting ??= waitingPrimary();
  const KeyId = await waiting;
  await kms().cancelKeyDeletion({ KeyId });
  await expectRefusal(kms().encrypt({ KeyId, Plaintext: new Uint8Array(1) }), "DisabledException", WORDS.Disabled);
});
