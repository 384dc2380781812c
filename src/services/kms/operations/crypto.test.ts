import type { SealedText } from "../../../store/table.ts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ACCOUNT, type KmsHarness, OTHER_ACCOUNT, REGION, kmsHarness, rootOf } from "../testing/harness.ts";

let kms: KmsHarness;
let KeyId = "";
const arnOf = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;
const Plaintext = Buffer.from("attack at dawn");
const encrypt = async (input: object = {}): Promise<Uint8Array> =>
  (await kms.run("Encrypt", { KeyId, Plaintext, ...input }))["CiphertextBlob"] as Uint8Array;

beforeEach(async () => {
  kms = await kmsHarness();
  KeyId = await kms.newKey();
});
afterEach(async () => kms.close());

describe("Encrypt and Decrypt", () => {
  test("round-trip, and say which key and material", async () => {
    const { KeyMetadata } = await kms.run("DescribeKey", { KeyId });
    const sealed = await kms.run("Encrypt", { KeyId, Plaintext });
    expect(sealed).toMatchObject({ KeyId: arnOf(KeyId), EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    expect(await kms.run("Decrypt", { CiphertextBlob: sealed["CiphertextBlob"] })).toEqual({
      KeyId: arnOf(KeyId),
      Plaintext,
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      KeyMaterialId: KeyMetadata.CurrentKeyMaterialId,
    });
    expect(KeyMetadata.CurrentKeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
  });

  test("the encryption context must be the same, whatever its order", async () => {
    const CiphertextBlob = await encrypt({ EncryptionContext: { a: "bc", z: "1" } });
    await kms.run("Decrypt", { CiphertextBlob, EncryptionContext: { z: "1", a: "bc" } });
    for (const EncryptionContext of [{ ab: "c", z: "1" }, { a: "bc" }, { A: "bc", z: "1" }, {}, undefined]) {
      expect(await kms.failure("Decrypt", { CiphertextBlob, EncryptionContext })).toBe("InvalidCiphertextException");
    }
  });

  test("any changed byte and any cut is InvalidCiphertextException, without a message", async () => {
    const CiphertextBlob = await encrypt();
    for (let at = 0; at < CiphertextBlob.byteLength; at += 1) {
      const changed = Uint8Array.from(CiphertextBlob);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(await kms.failure("Decrypt", { CiphertextBlob: changed }), `byte ${at}`).toBe(
        "InvalidCiphertextException",
      );
      expect(await kms.failure("Decrypt", { CiphertextBlob: changed, KeyId }), `byte ${at}`).toBe(
        "InvalidCiphertextException",
      );
      expect(await kms.failure("Decrypt", { CiphertextBlob: CiphertextBlob.subarray(0, at) })).toBe(
        "InvalidCiphertextException",
      );
    }
  });

  test("the header of another key's ciphertext does not lend it its name", async () => {
    const other = await kms.newKey();
    const [mine, theirs] = [Buffer.from(await encrypt()), Buffer.from(await encrypt({ KeyId: other }))];
    const headerBytes = mine.byteLength - Plaintext.byteLength - 48;
    const swapped = Buffer.concat([theirs.subarray(0, headerBytes), mine.subarray(headerBytes)]);
    expect(await kms.failure("Decrypt", { CiphertextBlob: swapped })).toBe("InvalidCiphertextException");
  });

  test("naming another key than the ciphertext's is IncorrectKeyException", async () => {
    const CiphertextBlob = await encrypt();
    expect(await kms.failure("Decrypt", { CiphertextBlob, KeyId: await kms.newKey() })).toBe(
      "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.",
    );
    expect(await kms.run("Decrypt", { CiphertextBlob, KeyId: arnOf(KeyId) })).toMatchObject({ Plaintext });
  });

  test("naming a key of one's own for another account's ciphertext does not tell whether that one's key exists", async () => {
    const stranger = { principal: rootOf(OTHER_ACCOUNT) };
    const { KeyMetadata } = await kms.run("CreateKey", {}, stranger);
    const existing = Buffer.from(await encrypt());
    const madeUp = Buffer.from(existing);
    // Within the key id.
    madeUp[10] = (madeUp[10] ?? 0) ^ 0x01;
    for (const CiphertextBlob of [existing, madeUp]) {
      expect(await kms.failure("Decrypt", { CiphertextBlob, KeyId: KeyMetadata.KeyId as string }, stranger)).toBe(
        "InvalidCiphertextException",
      );
    }
  });

  test("a ciphertext of another Region is a broken one", async () => {
    const CiphertextBlob = await encrypt();
    expect(await kms.failure("Decrypt", { CiphertextBlob }, { region: "eu-west-1" })).toBe(
      "InvalidCiphertextException",
    );
  });

  test("another account's key works by ARN and through its ciphertexts; a missing one is denied, not reported", async () => {
    const stranger = { principal: rootOf(OTHER_ACCOUNT) };
    const CiphertextBlob = await encrypt({ KeyId: arnOf(KeyId) });
    await kms.run("Decrypt", { CiphertextBlob }, stranger);
    expect(kms.last.checks).toMatchObject([
      { resource: arnOf(KeyId), resourceAccountId: ACCOUNT, resourcePolicyMode: "required" },
    ]);
    const missing = arnOf("00000000-0000-4000-8000-000000000000");
    expect(await kms.failure("Encrypt", { KeyId: missing, Plaintext }, stranger)).toMatch(/^AccessDeniedException/);
    expect(kms.last.checks).toMatchObject([
      { resource: missing, resourcePolicy: null, resourcePolicyMode: "required" },
    ]);
  });

  test("an algorithm of other key types and a recipient are refused", async () => {
    expect(await kms.failure("Encrypt", { KeyId, Plaintext, EncryptionAlgorithm: "RSAES_OAEP_SHA_256" })).toBe(
      "InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    );
    const CiphertextBlob = await encrypt();
    expect(await kms.failure("Decrypt", { CiphertextBlob, Recipient: {} })).toMatch(/^UnsupportedOperationException/);
  });

  test("a dry run does everything but answer", async () => {
    const dry = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
    const CiphertextBlob = await encrypt();
    expect(await kms.failure("Encrypt", { KeyId, Plaintext, DryRun: true })).toBe(dry);
    expect(await kms.failure("Decrypt", { CiphertextBlob, DryRun: true })).toBe(dry);
    expect(await kms.failure("Decrypt", { CiphertextBlob: Buffer.alloc(200), DryRun: true })).toBe(
      "InvalidCiphertextException",
    );
    expect(await kms.failure("GenerateDataKey", { KeyId, KeySpec: "AES_256", DryRun: true })).toBe(dry);
    expect(await kms.failure("ReEncrypt", { CiphertextBlob, DestinationKeyId: KeyId, DryRun: true })).toBe(dry);
  });

  test("the material of a store that was tampered with is an internal error, not a plaintext", async () => {
    const CiphertextBlob = await encrypt();
    await kms.keyring.seal();
    await kms.keyring.unseal(kms.sealProvider);
    await kms.keyring.idle();
    const { materialTable } = await import("../records.ts");
    const [entry] = await kms.reader.list(materialTable, { prefix: [], limit: 1 });
    if (entry === undefined) throw new Error("no material");
    const other = await kms.newKey();
    const [foreign] = await kms.reader.list(materialTable, { prefix: [ACCOUNT, REGION, other], limit: 1 });
    if (foreign === undefined) throw new Error("no material");
    await kms.store.commit({ expect: [], writes: [materialTable.put(entry.id, foreign.value)] });
    expect(await kms.failure("Decrypt", { CiphertextBlob })).toMatch(/^KMSInternalException/);
  });
});

describe("data keys", () => {
  test("come in clear and encrypted, in memory of their own", async () => {
    for (const [ask, length] of [
      [{ KeySpec: "AES_256" }, 32],
      [{ KeySpec: "AES_128" }, 16],
      [{ NumberOfBytes: 1024 }, 1024],
    ] as const) {
      const answer = await kms.run("GenerateDataKey", { KeyId, ...ask });
      expect(answer["Plaintext"]).toHaveLength(length);
      expect(answer["Plaintext"].buffer.byteLength).toBe(length);
      const back = await kms.run("Decrypt", { CiphertextBlob: answer["CiphertextBlob"] });
      expect(back["Plaintext"]).toEqual(answer["Plaintext"]);
      expect(back["Plaintext"].buffer.byteLength).toBe(length);
    }
  });

  test("without plaintext carry none", async () => {
    const answer = await kms.run("GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_256" });
    expect(Object.keys(answer).sort()).toEqual(["CiphertextBlob", "KeyId", "KeyMaterialId"]);
  });

  test("need either a spec or a length", async () => {
    const message = "ValidationException: Please specify either number of bytes or key spec.";
    expect(await kms.failure("GenerateDataKey", { KeyId })).toBe(message);
    expect(await kms.failure("GenerateDataKey", { KeyId, KeySpec: "AES_256", NumberOfBytes: 32 })).toBe(message);
  });
});

describe("ReEncrypt", () => {
  test("needs both permissions, with the context of each side, and says whether the key is the same", async () => {
    const other = await kms.newKey();
    const CiphertextBlob = await encrypt({ EncryptionContext: { from: "1" } });
    const answer = await kms.run("ReEncrypt", {
      CiphertextBlob,
      SourceEncryptionContext: { from: "1" },
      DestinationKeyId: other,
      DestinationEncryptionContext: { to: "2" },
    });
    expect(kms.last.checks).toMatchObject([
      {
        action: "kms:ReEncryptFrom",
        resource: arnOf(KeyId),
        context: { "kms:EncryptionContext:from": "1", "kms:ReEncryptOnSameKey": "false" },
      },
      {
        action: "kms:ReEncryptTo",
        resource: arnOf(other),
        context: { "kms:EncryptionContext:to": "2", "kms:ReEncryptOnSameKey": "false" },
      },
    ]);
    expect(answer).toMatchObject({ SourceKeyId: arnOf(KeyId), KeyId: arnOf(other) });
    const back = await kms.run("Decrypt", { CiphertextBlob: answer["CiphertextBlob"], EncryptionContext: { to: "2" } });
    expect(back["Plaintext"]).toEqual(Plaintext);
    await kms.run("ReEncrypt", { CiphertextBlob, SourceEncryptionContext: { from: "1" }, DestinationKeyId: KeyId });
    expect(kms.last.checks[0]?.context).toMatchObject({ "kms:ReEncryptOnSameKey": "true" });
  });
});

describe("GenerateRandom", () => {
  test("answers as many bytes as were asked for, never the same twice", async () => {
    const one = await kms.run("GenerateRandom", { NumberOfBytes: 64 });
    const two = await kms.run("GenerateRandom", { NumberOfBytes: 64 });
    expect(one["Plaintext"]).toHaveLength(64);
    expect(one["Plaintext"]).not.toEqual(two["Plaintext"]);
    expect(await kms.failure("GenerateRandom", {})).toBe("ValidationException: NumberOfBytes is required.");
    expect(await kms.failure("GenerateRandom", { NumberOfBytes: 1, CustomKeyStoreId: "x" })).toBe(
      "CustomKeyStoreNotFoundException",
    );
  });
});

describe("what is asked and what is told", () => {
  test("condition keys: caller, service, key, aliases, tags, context", async () => {
    await kms.run("CreateAlias", { AliasName: "alias/orders", TargetKeyId: KeyId });
    await kms.run("TagResource", { KeyId, Tags: [{ TagKey: "team", TagValue: "red" }] });
    await kms.run(
      "GenerateDataKey",
      { KeyId: "alias/orders", KeySpec: "AES_256", EncryptionContext: { stream: "s" } },
      { via: { service: "kinesis" } },
    );
    expect(kms.last.checks[0]?.context).toEqual({
      "kms:CallerAccount": ACCOUNT,
      "kms:ViaService": `kinesis.${REGION}.amazonaws.com`,
      "kms:KeySpec": "SYMMETRIC_DEFAULT",
      "kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
      "kms:KeyUsage": "ENCRYPT_DECRYPT",
      "kms:CustomerMasterKeyUsage": "ENCRYPT_DECRYPT",
      "kms:KeyOrigin": "AWS_KMS",
      "kms:MultiRegion": "false",
      "kms:ResourceAliases": ["alias/orders"],
      "kms:RequestAlias": "alias/orders",
      "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
      "kms:EncryptionContext:stream": "s",
      "kms:EncryptionContextKeys": ["stream"],
      "aws:ResourceTag/team": "red",
    });
  });

  test("events name the key and the material, and hold neither plaintext nor ciphertext", async () => {
    const CiphertextBlob = await encrypt({ EncryptionContext: { a: "b" } });
    await kms.run("Decrypt", { CiphertextBlob, EncryptionContext: { a: "b" } });
    expect(kms.last.audit).toEqual({
      requestParameters: { encryptionContext: { a: "b" }, encryptionAlgorithm: "SYMMETRIC_DEFAULT" },
      additionalEventData: { keyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      resources: [{ type: "AWS::KMS::Key", arn: arnOf(KeyId), accountId: ACCOUNT }],
    });
    const { Plaintext: dataKey } = await kms.run("GenerateDataKey", { KeyId, KeySpec: "AES_256" });
    const told = JSON.stringify(kms.last.audit);
    expect(told).toContain('"keySpec":"AES_256"');
    expect(told).not.toContain(Buffer.from(dataKey as Uint8Array).toString("base64"));
  });
});

test("what changes nothing is a read-only event", () => {
  const { operations } = kms.service;
  const reads = Object.keys(operations).filter((name) => operations[name]?.readOnly);
  const changes = Object.keys(operations).filter((name) => !operations[name]?.readOnly);
  expect(reads).toEqual(
    expect.arrayContaining([
      "Decapsulate",
      "Decrypt",
      "DeriveSharedSecret",
      "DescribeKey",
      "Encapsulate",
      "Encrypt",
      "GenerateDataKey",
      "GenerateDataKeyPair",
      "GenerateMac",
      "GenerateRandom",
      "GetPublicKey",
      "ReEncrypt",
      "Sign",
      "Verify",
      "VerifyMac",
    ]),
  );
  expect(changes).toEqual(expect.arrayContaining(["CreateKey", "DisableKey", "PutKeyPolicy", "UpdateAlias"]));
});

describe("sealing and rotation of domain keys", () => {
  test("a sealed server does not decrypt; unsealed it does again", async () => {
    const CiphertextBlob = await encrypt();
    await kms.keyring.seal();
    await expect(kms.run("Decrypt", { CiphertextBlob })).rejects.toMatchObject({ status: 503 });
    await kms.keyring.unseal(kms.sealProvider);
    expect(await kms.run("Decrypt", { CiphertextBlob })).toMatchObject({ Plaintext });
  });

  test("rotation wraps all key materials under the new domain key, and ciphertexts stay readable", async () => {
    const { materialTable } = await import("../records.ts");
    const { sealedBytes } = await import("../../../store/table.ts");
    const { wrappingKeyNumber } = await import("../../../seal/wrapped-key.ts");
    const stop = kms.service.start?.();
    const CiphertextBlob = await encrypt();
    await kms.newKey();
    await kms.keyring.rotate();
    const materials = await kms.reader.list(materialTable, { prefix: [], limit: 10 });
    expect(materials.map(({ value }) => wrappingKeyNumber(sealedBytes(value.wrapped ?? ("" as SealedText))))).toEqual([
      kms.keyring.activeDomainKey,
      kms.keyring.activeDomainKey,
    ]);
    await kms.keyring.seal();
    await kms.keyring.unseal(kms.sealProvider);
    expect(await kms.run("Decrypt", { CiphertextBlob })).toMatchObject({ Plaintext });
    await stop?.();
    expect(kms.errors).toEqual([]);
  });

  test("one damaged material does not keep the others under the old domain key", async () => {
    const { materialTable } = await import("../records.ts");
    await kms.newKey();
    await kms.newKey();
    const stop = kms.service.start?.();
    await kms.keyring.idle();
    const [first] = await kms.reader.list(materialTable, { prefix: [], limit: 1 });
    if (first === undefined || first.value.wrapped === null) throw new Error("no material");
    const damaged = { ...first.value, wrapped: first.value.wrapped.slice(0, -4) as SealedText };
    await kms.store.commit({ expect: [], writes: [materialTable.put(first.id, damaged)] });
    await kms.keyring.rotate();
    expect(String(kms.errors)).toContain("1 key materials could not be wrapped again");
    const all = await kms.reader.list(materialTable, { prefix: [], limit: 10 });
    const numbers = all.map(({ value }) => Buffer.from(value.wrapped ?? "", "base64").readUInt32BE(1));
    expect(numbers.filter((number) => number === kms.keyring.activeDomainKey)).toHaveLength(2);
    await stop?.();
  });
});
