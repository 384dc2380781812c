import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

/**
 * The developer guide's table "Key states of KMS keys" for what is served: per operation the answers in Enabled, Disabled
 * and PendingDeletion. ok: succeeds; D: DisabledException; P: KMSInvalidStateException, pending deletion; N: not pending.
 */
const MATRIX: Readonly<Record<string, readonly [enabled: string, disabled: string, pendingDeletion: string]>> = {
  CancelKeyDeletion: ["N", "N", "ok"],
  CreateAlias: ["ok", "ok", "P"],
  Decrypt: ["ok", "D", "P"],
  DeleteAlias: ["ok", "ok", "ok"],
  DescribeKey: ["ok", "ok", "ok"],
  DisableKey: ["ok", "ok", "P"],
  EnableKey: ["ok", "ok", "P"],
  Encrypt: ["ok", "D", "P"],
  GenerateDataKey: ["ok", "D", "P"],
  GenerateDataKeyWithoutPlaintext: ["ok", "D", "P"],
  GetKeyPolicy: ["ok", "ok", "ok"],
  GetKeyRotationStatus: ["ok", "ok", "ok"],
  ListAliases: ["ok", "ok", "ok"],
  ListKeyPolicies: ["ok", "ok", "ok"],
  ListResourceTags: ["ok", "ok", "ok"],
  PutKeyPolicy: ["ok", "ok", "ok"],
  ReEncrypt: ["ok", "D", "P"],
  "ReEncrypt to": ["ok", "D", "P"],
  ScheduleKeyDeletion: ["ok", "ok", "P"],
  TagResource: ["ok", "ok", "P"],
  UntagResource: ["ok", "ok", "P"],
  UpdateAlias: ["ok", "ok", "P"],
  "UpdateAlias from": ["ok", "ok", "ok"],
  UpdateKeyDescription: ["ok", "ok", "P"],
};

let kms: KmsHarness;
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

const policy = JSON.stringify({ Statement: [] });

/** The request of each row, about `KeyId`, whose ciphertext is at hand. */
const requests = (
  KeyId: string,
  other: string,
  CiphertextBlob: Uint8Array,
  otherCiphertext: Uint8Array,
): Record<string, object> => ({
  CreateAlias: { AliasName: "alias/new", TargetKeyId: KeyId },
  Decrypt: { CiphertextBlob },
  DeleteAlias: { AliasName: "alias/of-key" },
  Encrypt: { KeyId, Plaintext: Buffer.from("x") },
  GenerateDataKey: { KeyId, KeySpec: "AES_256" },
  GenerateDataKeyWithoutPlaintext: { KeyId, NumberOfBytes: 64 },
  PutKeyPolicy: { KeyId, Policy: policy },
  ReEncrypt: { CiphertextBlob, DestinationKeyId: other },
  "ReEncrypt to": { CiphertextBlob: otherCiphertext, DestinationKeyId: KeyId },
  TagResource: { KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] },
  UntagResource: { KeyId, TagKeys: ["a"] },
  UpdateAlias: { AliasName: "alias/of-other", TargetKeyId: KeyId },
  "UpdateAlias from": { AliasName: "alias/of-key", TargetKeyId: other },
  UpdateKeyDescription: { KeyId, Description: "new" },
});

const STATES = ["Enabled", "Disabled", "PendingDeletion"] as const;

describe.each(STATES)("a key that is %s", (state) => {
  test.each(Object.entries(MATRIX))("answers %s as AWS does", async (row, answers) => {
    const KeyId = await kms.newKey();
    const other = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/of-key", TargetKeyId: KeyId });
    await kms.run("CreateAlias", { AliasName: "alias/of-other", TargetKeyId: other });
    const encryptUnder = async (id: string): Promise<Uint8Array> =>
      (await kms.run("Encrypt", { KeyId: id, Plaintext: Buffer.from("x") }))["CiphertextBlob"] as Uint8Array;
    const request = requests(KeyId, other, await encryptUnder(KeyId), await encryptUnder(other))[row] ?? { KeyId };
    if (state === "Disabled") await kms.run("DisableKey", { KeyId });
    if (state === "PendingDeletion") await kms.run("ScheduleKeyDeletion", { KeyId });

    const arn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`;
    const expected: Record<string, string> = {
      ok: "none",
      D: `DisabledException: ${arn} is disabled.`,
      P: `KMSInvalidStateException: ${arn} is pending deletion.`,
      N: `KMSInvalidStateException: ${arn} is not pending deletion.`,
    };
    const operation = row.split(" ")[0] ?? "";
    expect(await kms.failure(operation, request)).toBe(expected[answers[STATES.indexOf(state)] ?? ""]);
  });
});

test("the table covers every operation on a key that is served", () => {
  const onNoKey = new Set(["CreateKey", "GenerateRandom", "ListKeys"]);
  const rows = new Set(Object.keys(MATRIX).map((row) => row.split(" ")[0]));
  expect(Object.keys(kms.service.operations).filter((name) => !onNoKey.has(name) && !rows.has(name))).toEqual([]);
});

test("a refusal because of state also holds when only permission is asked for", async () => {
  const KeyId = await kms.newKey();
  await expect(kms.authorize("GenerateDataKey", { KeyId, KeySpec: "AES_256" })).resolves.toBeUndefined();
  await kms.run("DisableKey", { KeyId });
  await expect(kms.authorize("GenerateDataKey", { KeyId, KeySpec: "AES_256" })).rejects.toMatchObject({
    code: "DisabledException",
  });
});
