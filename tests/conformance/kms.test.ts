import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  ListAliasesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, createUser, rootClients } from "../support/clients.ts";
import { serverForAll } from "../support/server.ts";
import { utf8 } from "../support/streams.ts";

const server = serverForAll();
let root: Clients;
let keyId = "";
let keyArn = "";

beforeAll(async () => {
  root = await rootClients(server());
  const { KeyMetadata } = await root.kms.send(
    new CreateKeyCommand({ Description: "first", Tags: [{ TagKey: "team", TagValue: "a" }] }),
  );
  keyId = KeyMetadata?.KeyId ?? "";
  keyArn = KeyMetadata?.Arn ?? "";
});
afterAll(() => root.destroy());

const newKey = async (): Promise<string> => (await root.kms.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
const encrypt = async (KeyId: string, EncryptionContext?: Record<string, string>): Promise<Uint8Array> =>
  (await root.kms.send(new EncryptCommand({ KeyId, Plaintext: utf8("plain"), EncryptionContext }))).CiphertextBlob ??
  new Uint8Array();
const failure = (name: string, message?: string | RegExp): unknown =>
  expect.objectContaining({
    name,
    $metadata: expect.objectContaining({ httpStatusCode: 400 }) as unknown,
    ...(message === undefined ? {} : { message: expect.stringMatching(message) as unknown }),
  });

describe("encryption", () => {
  test.each(["id", "ARN", "alias", "alias ARN"])("by the key's %s, and back without naming it", async (how) => {
    await root.kms.send(new CreateAliasCommand({ AliasName: `alias/by-${how.replace(" ", "-")}`, TargetKeyId: keyId }));
    const alias = `alias/by-${how.replace(" ", "-")}`;
    const name = { id: keyId, ARN: keyArn, alias, "alias ARN": keyArn.replace(/key\/.*/, alias) }[how];
    const sealed = await root.kms.send(new EncryptCommand({ KeyId: name, Plaintext: utf8("plain") }));
    expect(sealed).toMatchObject({ KeyId: keyArn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    const opened = await root.kms.send(new DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob }));
    expect(opened).toMatchObject({ KeyId: keyArn, Plaintext: utf8("plain") });
  });

  test("of 4096 bytes gives at most 6144; of one more is refused", async () => {
    const largest = await root.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: new Uint8Array(4096) }));
    expect(largest.CiphertextBlob?.length).toBeLessThanOrEqual(6144);
    await expect(root.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: new Uint8Array(4097) }))).rejects.toEqual(
      failure("ValidationException", /Value at 'plaintext' failed .* less than or equal to 4096/),
    );
  });

  test("is bound to its encryption context, whatever the order", async () => {
    const sealed = await encrypt(keyId, { a: "1", b: "2" });
    const opened = await root.kms.send(
      new DecryptCommand({ CiphertextBlob: sealed, EncryptionContext: { b: "2", a: "1" } }),
    );
    expect(opened.Plaintext).toEqual(utf8("plain"));
    for (const EncryptionContext of [
      {},
      { a: "1" },
      { a: "2", b: "1" },
      { A: "1", b: "2" },
      { a: "1", b: "2", c: "" },
    ]) {
      await expect(root.kms.send(new DecryptCommand({ CiphertextBlob: sealed, EncryptionContext }))).rejects.toEqual(
        failure("InvalidCiphertextException"),
      );
    }
  });

  test("every changed or cut ciphertext fails as one and the same error", async () => {
    const sealed = await encrypt(keyId);
    const changed: Uint8Array[] = [sealed.slice(0, -1), sealed.slice(0, 20), new Uint8Array(100)];
    for (let at = 0; at < sealed.length; at += 1) {
      const copy = Uint8Array.from(sealed);
      copy[at] = (copy[at] ?? 0) ^ 0x40;
      changed.push(copy);
    }
    for (const CiphertextBlob of changed) {
      await expect(root.kms.send(new DecryptCommand({ CiphertextBlob }))).rejects.toEqual(
        failure("InvalidCiphertextException"),
      );
    }
  });

  test("under one key, asked back as another, is refused", async () => {
    const other = await newKey();
    const sealed = await encrypt(keyId);
    await expect(root.kms.send(new DecryptCommand({ KeyId: other, CiphertextBlob: sealed }))).rejects.toEqual(
      failure("IncorrectKeyException"),
    );
  });

  test("moves to another key by ReEncrypt, with another context", async () => {
    const other = await newKey();
    const moved = await root.kms.send(
      new ReEncryptCommand({
        CiphertextBlob: await encrypt(keyId, { from: "here" }),
        SourceEncryptionContext: { from: "here" },
        DestinationKeyId: other,
        DestinationEncryptionContext: { to: "there" },
      }),
    );
    expect(moved.SourceKeyId).toBe(keyArn);
    const opened = await root.kms.send(
      new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { to: "there" } }),
    );
    expect(opened.Plaintext).toEqual(utf8("plain"));
    expect(opened.KeyId).toContain(other);
  });

  test("data keys: the plaintext is what the ciphertext opens to", async () => {
    for (const size of [{ KeySpec: "AES_256" as const }, { KeySpec: "AES_128" as const }, { NumberOfBytes: 64 }]) {
      const made = await root.kms.send(
        new GenerateDataKeyCommand({ KeyId: keyId, ...size, EncryptionContext: { x: "y" } }),
      );
      expect(made.Plaintext).toHaveLength(size.NumberOfBytes ?? (size.KeySpec === "AES_256" ? 32 : 16));
      const opened = await root.kms.send(
        new DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext: { x: "y" } }),
      );
      expect(opened.Plaintext).toEqual(made.Plaintext);
    }
    const blind = await root.kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId: keyId, KeySpec: "AES_256" }));
    expect(Object.keys(blind)).not.toContain("Plaintext");
    const opened = await root.kms.send(new DecryptCommand({ CiphertextBlob: blind.CiphertextBlob }));
    expect(opened.Plaintext).toHaveLength(32);
  });

  test("random bytes come in the number asked for", async () => {
    const { Plaintext } = await root.kms.send(new GenerateRandomCommand({ NumberOfBytes: 1024 }));
    expect(Plaintext).toHaveLength(1024);
    await expect(root.kms.send(new GenerateRandomCommand({ NumberOfBytes: 1025 }))).rejects.toEqual(
      failure("ValidationException", /Value '1025' at 'numberOfBytes' failed to satisfy constraint/),
    );
  });
});

describe("states", () => {
  test("a disabled key answers DisabledException until it is enabled", async () => {
    const key = await newKey();
    const sealed = await encrypt(key);
    await root.kms.send(new DisableKeyCommand({ KeyId: key }));
    await expect(encrypt(key)).rejects.toEqual(failure("DisabledException", /key\/[0-9a-f-]{36} is disabled\.$/));
    await expect(root.kms.send(new DecryptCommand({ CiphertextBlob: sealed }))).rejects.toEqual(
      failure("DisabledException"),
    );
    await root.kms.send(new EnableKeyCommand({ KeyId: key }));
    expect((await root.kms.send(new DecryptCommand({ CiphertextBlob: sealed }))).Plaintext).toEqual(utf8("plain"));
  });

  test("a key that is scheduled for deletion is in the wrong state, and disabled once that is cancelled", async () => {
    const key = await newKey();
    await expect(root.kms.send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 6 }))).rejects.toEqual(
      failure("ValidationException"),
    );
    const scheduled = await root.kms.send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
    expect(scheduled).toMatchObject({ KeyState: "PendingDeletion", PendingWindowInDays: 7 });
    await expect(encrypt(key)).rejects.toEqual(failure("KMSInvalidStateException", /is pending deletion/));
    await expect(root.kms.send(new EnableKeyCommand({ KeyId: key }))).rejects.toEqual(
      failure("KMSInvalidStateException"),
    );
    await root.kms.send(new CancelKeyDeletionCommand({ KeyId: key }));
    const { KeyMetadata } = await root.kms.send(new DescribeKeyCommand({ KeyId: key }));
    expect(KeyMetadata).toMatchObject({ KeyState: "Disabled", Enabled: false });
  });

  test("what does not exist is not found, in AWS's words", async () => {
    const absent = "11111111-2222-4333-8444-555555555555";
    await expect(root.kms.send(new DescribeKeyCommand({ KeyId: absent }))).rejects.toEqual(
      failure("NotFoundException", new RegExp(`^Key 'arn:aws:kms:[^']*:key/${absent}' does not exist$`)),
    );
    await expect(root.kms.send(new DescribeKeyCommand({ KeyId: "fake-key-id" }))).rejects.toEqual(
      failure("NotFoundException", /^Invalid keyId '?fake-key-id'?$/),
    );
    await expect(root.kms.send(new DescribeKeyCommand({ KeyId: "alias/absent" }))).rejects.toEqual(
      failure("NotFoundException"),
    );
  });
});

describe("what describes a key", () => {
  test("aliases point, move and go", async () => {
    const other = await newKey();
    await root.kms.send(new CreateAliasCommand({ AliasName: "alias/moving", TargetKeyId: keyId }));
    await expect(
      root.kms.send(new CreateAliasCommand({ AliasName: "alias/moving", TargetKeyId: other })),
    ).rejects.toEqual(failure("AlreadyExistsException"));
    const sealed = await encrypt("alias/moving");
    await root.kms.send(new UpdateAliasCommand({ AliasName: "alias/moving", TargetKeyId: other }));
    expect((await root.kms.send(new DecryptCommand({ CiphertextBlob: sealed }))).KeyId).toBe(keyArn);
    const { Aliases } = await root.kms.send(new ListAliasesCommand({ KeyId: other }));
    expect(Aliases?.map((alias) => alias.AliasName)).toEqual(["alias/moving"]);
    await root.kms.send(new DeleteAliasCommand({ AliasName: "alias/moving" }));
    await expect(encrypt("alias/moving")).rejects.toEqual(failure("NotFoundException"));
    await expect(root.kms.send(new CreateAliasCommand({ AliasName: "nothing", TargetKeyId: other }))).rejects.toEqual(
      failure("ValidationException", /^Alias must start with the prefix "alias\/"/),
    );
  });

  test("description and tags", async () => {
    await root.kms.send(new UpdateKeyDescriptionCommand({ KeyId: keyId, Description: "second" }));
    await root.kms.send(new TagResourceCommand({ KeyId: keyId, Tags: [{ TagKey: "env", TagValue: "test" }] }));
    await root.kms.send(new UntagResourceCommand({ KeyId: keyId, TagKeys: ["team"] }));
    const { KeyMetadata } = await root.kms.send(new DescribeKeyCommand({ KeyId: keyId }));
    expect(KeyMetadata?.Description).toBe("second");
    const { Tags } = await root.kms.send(new ListResourceTagsCommand({ KeyId: keyId }));
    expect(Tags).toEqual([{ TagKey: "env", TagValue: "test" }]);
  });

  test("the default policy hands the decision to the account", async () => {
    const { Policy } = await root.kms.send(new GetKeyPolicyCommand({ KeyId: keyId, PolicyName: "default" }));
    expect(JSON.parse(Policy ?? "")).toMatchObject({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: `arn:aws:iam::${server().accountId}:root` },
          Action: "kms:*",
          Resource: "*",
        },
      ],
    });
  });

  test("a policy that names one user locks out even those whom IAM allows everything", async () => {
    const key = await newKey();
    const allowed = await createUser(server(), root, "named", []);
    const other = await createUser(server(), root, "unnamed", [{ Effect: "Allow", Action: "*", Resource: "*" }]);
    const statement = (principal: string, action: string | readonly string[]): unknown => ({
      Effect: "Allow",
      Principal: { AWS: principal },
      Action: action,
      Resource: "*",
    });
    const account = `arn:aws:iam::${server().accountId}:root`;
    await root.kms.send(
      new PutKeyPolicyCommand({
        KeyId: key,
        BypassPolicyLockoutSafetyCheck: true,
        Policy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            statement(allowed.arn, "kms:Encrypt"),
            { ...(statement(account, "kms:*") as object), Condition: { ArnEquals: { "aws:PrincipalArn": account } } },
          ],
        }),
      }),
    );
    const command = new EncryptCommand({ KeyId: key, Plaintext: utf8("x") });
    expect((await allowed.kms.send(command)).CiphertextBlob).toBeInstanceOf(Uint8Array);
    await expect(other.kms.send(command)).rejects.toEqual(failure("AccessDeniedException"));
    allowed.destroy();
    other.destroy();
  });

  test("keys are listed page by page, each once", async () => {
    await newKey();
    const listed: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await root.kms.send(new ListKeysCommand({ Limit: 2, Marker }));
      listed.push(...(page.Keys ?? []).map((key) => key.KeyId ?? ""));
      Marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (Marker !== undefined);
    expect(listed).toContain(keyId);
    expect(new Set(listed).size).toBe(listed.length);
  });
});
