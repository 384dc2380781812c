import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";
import { aliasTable, deletionTable, keyTable, materialTable } from "../records.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
let kms: KmsHarness;
const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;
beforeEach(async () => {
  kms = await kmsHarness();
});
afterEach(async () => kms.close());

describe("deletion", () => {
  test("takes 7 to 30 days, can be taken back, and leaves the key disabled", async () => {
    const KeyId = await kms.newKey();
    expect(await kms.failure("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 6 })).toMatch(
      /greater than or equal to 7$/,
    );
    expect(await kms.failure("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 31 })).toMatch(
      /less than or equal to 30$/,
    );
    expect(await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 })).toEqual({
      KeyId: arnOf(KeyId),
      DeletionDate: kms.clock.wallMs() + 7 * DAY_MS,
      KeyState: "PendingDeletion",
      PendingWindowInDays: 7,
    });
    expect(kms.last.checks[0]?.context).toMatchObject({ "kms:ScheduleKeyDeletionPendingWindowInDays": "7" });
    expect(await kms.run("CancelKeyDeletion", { KeyId })).toEqual({ KeyId: arnOf(KeyId) });
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId });
    expect(KeyMetadata).toMatchObject({ KeyState: "Disabled", Enabled: false });
    expect(KeyMetadata).not.toHaveProperty("DeletionDate");
    expect(await kms.reader.list(deletionTable, { prefix: [], limit: 10 })).toEqual([]);
  });

  test("takes effect at its date exactly, before anything is cleaned up", async () => {
    const KeyId = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/x", TargetKeyId: KeyId });
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId, Plaintext: Buffer.from("x") });
    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
    kms.clock.advance(7 * DAY_MS - 1);
    expect((await kms.run("DescribeKey", { KeyId }))["KeyMetadata"].KeyState).toBe("PendingDeletion");
    kms.clock.advance(1);
    expect(await kms.failure("DescribeKey", { KeyId })).toMatch(/does not exist$/);
    expect(await kms.failure("CancelKeyDeletion", { KeyId })).toMatch(/does not exist$/);
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toBe("InvalidCiphertextException");
    expect((await kms.run("ListKeys", {}))["Keys"]).toEqual([]);
    expect(await kms.failure("DescribeKey", { KeyId: "alias/x" })).toMatch(/is not found/);
    expect((await kms.run("ListAliases", {}))["Aliases"]).toHaveLength(1);
    const next = await kms.newKey();
    expect(await kms.failure("CreateAlias", { AliasName: "alias/x", TargetKeyId: next })).toBe("none");
  });

  test("removes record, material and aliases in the background, and writes DeleteKey into the trail", async () => {
    const KeyId = await kms.newKey();
    const kept = await kms.newKey();
    await kms.run("CreateAlias", { AliasName: "alias/x", TargetKeyId: KeyId });
    await kms.run("CreateAlias", { AliasName: "alias/y", TargetKeyId: KeyId });
    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
    kms.clock.advance(7 * DAY_MS);
    await kms.run("CreateAlias", { AliasName: "alias/y", TargetKeyId: kept });
    const stop = kms.service.start?.();
    await stop?.();
    const ids = async (
      from: typeof keyTable | typeof materialTable | typeof aliasTable | typeof deletionTable,
    ): Promise<string[]> =>
      (await kms.reader.list<unknown>(from, { prefix: [], limit: 10 })).map(({ id }) => id.join(" "));
    expect(await ids(keyTable)).toEqual([`${ACCOUNT} ${REGION} ${kept}`]);
    expect(await ids(materialTable)).toEqual([expect.stringContaining(kept)]);
    expect(await ids(aliasTable)).toEqual([`${ACCOUNT} ${REGION} alias/y`]);
    expect(await ids(deletionTable)).toEqual([]);
    expect(kms.events).toMatchObject([
      {
        eventName: "DeleteKey",
        eventType: "AwsServiceEvent",
        responseElements: { keyId: arnOf(KeyId) },
        resources: [{ ARN: arnOf(KeyId) }],
        recipientAccountId: ACCOUNT,
      },
    ]);
    expect(kms.errors).toEqual([]);
  });

  test("is found by the running server", async () => {
    const KeyId = await kms.newKey();
    await kms.run("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
    const stop = kms.service.start?.();
    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      kms.clock.advance(4 * DAY_MS);
    }
    await new Promise((resolve) => setImmediate(resolve));
    await stop?.();
    expect(kms.events).toHaveLength(1);
  });
});

describe("AWS managed keys", () => {
  const viaKinesis = { via: { service: "kinesis" } };

  test("are made on first use, once, however many ask at the same time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () =>
        kms.run("GenerateDataKey", { KeyId: "alias/aws/kinesis", KeySpec: "AES_256" }, viaKinesis),
      ),
    );
    const arns = new Set(answers.map((answer) => answer["KeyId"] as string));
    expect(arns.size).toBe(1);
    for (const { CiphertextBlob, Plaintext } of answers) {
      expect(await kms.run("Decrypt", { CiphertextBlob }, viaKinesis)).toMatchObject({ Plaintext });
    }
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId: "alias/aws/kinesis" });
    expect(arns.has(KeyMetadata.Arn as string)).toBe(true);
    expect(KeyMetadata.KeyManager).toBe("AWS");
    expect(await kms.reader.list(keyTable, { prefix: [], limit: 10 })).toHaveLength(1);
  });

  test("are made by describing them, and have AWS's policy", async () => {
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId: "alias/aws/kinesis" });
    const { Policy } = await kms.run("GetKeyPolicy", { KeyId: KeyMetadata.KeyId });
    expect(JSON.parse(Policy as string)).toMatchObject({
      Id: "auto-kinesis-1",
      Statement: [
        {
          Principal: { AWS: "*" },
          Condition: {
            StringEquals: { "kms:ViaService": `kinesis.${REGION}.amazonaws.com`, "kms:CallerAccount": ACCOUNT },
          },
        },
        {
          Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
          Action: ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        },
      ],
    });
  });

  test("are not made by asking for permission, or by operations that do not use them", async () => {
    await kms.authorize("GenerateDataKey", { KeyId: "alias/aws/kinesis", KeySpec: "AES_256" });
    const { CiphertextBlob } = await kms.run("Encrypt", { KeyId: await kms.newKey(), Plaintext: Buffer.from("x") });
    expect(await kms.failure("ReEncrypt", { CiphertextBlob, DestinationKeyId: "alias/aws/kinesis" })).toMatch(
      /is not found/,
    );
    expect(await kms.failure("Encrypt", { KeyId: "alias/aws/unheard-of", Plaintext: Buffer.from("x") })).toMatch(
      /is not found/,
    );
    expect(await kms.reader.list(keyTable, { prefix: [], limit: 10 })).toHaveLength(1);
  });

  test("cannot be managed by anybody, even if a policy allowed it", async () => {
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId: "alias/aws/kinesis" });
    const KeyId = KeyMetadata.KeyId as string;
    for (const [operation, input] of [
      ["DisableKey", {}],
      ["EnableKey", {}],
      ["ScheduleKeyDeletion", {}],
      ["PutKeyPolicy", { Policy: "{}" }],
      ["TagResource", { Tags: [] }],
      ["UntagResource", { TagKeys: ["a"] }],
      ["UpdateKeyDescription", { Description: "mine" }],
      ["CreateAlias", { AliasName: "alias/mine", TargetKeyId: KeyId }],
    ] as const) {
      expect(await kms.failure(operation, { KeyId, ...input })).toMatch(/^AccessDeniedException/);
    }
  });
});
