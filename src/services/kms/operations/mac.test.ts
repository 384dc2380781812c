import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { materialTable } from "../records.ts";
import { ACCOUNT, type KmsHarness, REGION, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

const Message = Buffer.from("attack at dawn");
const macKey = async (KeySpec: string): Promise<string> =>
  await kms.newKey({ KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" });

describe.each([
  ["HMAC_224", "HMAC_SHA_224", 28],
  ["HMAC_256", "HMAC_SHA_256", 32],
  ["HMAC_384", "HMAC_SHA_384", 48],
  ["HMAC_512", "HMAC_SHA_512", 64],
] as const)("%s", (spec, MacAlgorithm, macBytes) => {
  test("makes HMACs that fit, and nothing else does", async () => {
    const KeyId = await macKey(spec);
    const { Mac, ...answer } = await kms.run("GenerateMac", { KeyId, MacAlgorithm, Message });
    expect(answer).toEqual({ KeyId: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId}`, MacAlgorithm });
    expect(Mac).toHaveLength(macBytes);
    expect(await kms.run("VerifyMac", { KeyId, MacAlgorithm, Message, Mac })).toMatchObject({
      MacValid: true,
      MacAlgorithm,
    });
    const mac = Uint8Array.from(Mac as Uint8Array);
    for (let at = 0; at < macBytes; at += 1) {
      const changed = mac.with(at, (mac[at] ?? 0) ^ 0x80);
      expect(await kms.failure("VerifyMac", { KeyId, MacAlgorithm, Message, Mac: changed })).toBe(
        "KMSInvalidMacException",
      );
    }
    for (const wrong of [mac.subarray(1), mac.subarray(0, 16), Buffer.concat([mac, mac]), Buffer.alloc(1)]) {
      expect(await kms.failure("VerifyMac", { KeyId, MacAlgorithm, Message, Mac: wrong })).toBe(
        "KMSInvalidMacException",
      );
    }
    const other = await macKey(spec);
    expect(await kms.failure("VerifyMac", { KeyId: other, MacAlgorithm, Message, Mac })).toBe("KMSInvalidMacException");
  });

  test("refuses the algorithms of other specs", async () => {
    const KeyId = await macKey(spec);
    for (const other of ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"]) {
      if (other === MacAlgorithm) continue;
      const refusal = `InvalidKeyUsageException: Algorithm ${other} is incompatible with key spec ${spec}.`;
      expect(await kms.failure("GenerateMac", { KeyId, MacAlgorithm: other, Message })).toBe(refusal);
      expect(await kms.failure("VerifyMac", { KeyId, MacAlgorithm: other, Message, Mac: Message })).toBe(refusal);
    }
  });
});

test("it is HMAC as RFC 2104 has it", async () => {
  const KeyId = await macKey("HMAC_256");
  const [stored] = await kms.reader.list(materialTable, { prefix: [ACCOUNT, REGION, KeyId], limit: 1 });
  const wrapped = stored?.value.wrapped ?? null;
  if (stored === undefined || wrapped === null) throw new Error("no material");
  const binding = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KeyId} ${stored.id.at(-1)}`;
  const material = kms.keyring.unwrapKey("kms-key-material", binding, Buffer.from(wrapped, "base64"));
  const expected = material?.use((key) => createHmac("sha256", key).update(Message).digest());
  material?.destroy();
  const { Mac } = await kms.run("GenerateMac", { KeyId, MacAlgorithm: "HMAC_SHA_256", Message });
  expect(Buffer.from(Mac as Uint8Array)).toEqual(expected);
});

test("keys of other usages, and other operations on this one, are InvalidKeyUsageException", async () => {
  const symmetric = await kms.newKey();
  expect(await kms.failure("GenerateMac", { KeyId: symmetric, MacAlgorithm: "HMAC_SHA_256", Message })).toMatch(
    /^InvalidKeyUsageException: .* key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac\.$/,
  );
  const KeyId = await macKey("HMAC_256");
  for (const [operation, input] of [
    ["Encrypt", { Plaintext: Message }],
    ["GenerateDataKey", { KeySpec: "AES_256" }],
    ["Sign", { Message, SigningAlgorithm: "ECDSA_SHA_256" }],
  ] as const) {
    expect(await kms.failure(operation, { KeyId, ...input })).toMatch(
      new RegExp(`key usage is GENERATE_VERIFY_MAC which is not valid for ${operation}\\.$`),
    );
  }
});

test("a dry run makes nothing, and says whether an HMAC would fit", async () => {
  const KeyId = await macKey("HMAC_256");
  const request = { KeyId, MacAlgorithm: "HMAC_SHA_256", Message, DryRun: true };
  expect(await kms.failure("GenerateMac", request)).toMatch(/^DryRunOperationException/);
  const { Mac } = await kms.run("GenerateMac", { ...request, DryRun: false });
  expect(await kms.failure("VerifyMac", { ...request, Mac })).toMatch(/^DryRunOperationException/);
  expect(await kms.failure("VerifyMac", { ...request, Mac: Buffer.alloc(32) })).toBe("KMSInvalidMacException");
});

test("conditions and events see the algorithm, and neither message, HMAC nor the id of the material", async () => {
  const KeyId = await macKey("HMAC_256");
  await kms.run("GenerateMac", { KeyId, MacAlgorithm: "HMAC_SHA_256", Message });
  expect(kms.last.checks).toMatchObject([
    { action: "kms:GenerateMac", context: { "kms:MacAlgorithm": "HMAC_SHA_256" } },
  ]);
  expect(kms.last.audit).toEqual({
    requestParameters: { keyId: KeyId, macAlgorithm: "HMAC_SHA_256" },
    resources: [expect.objectContaining({ type: "AWS::KMS::Key" })],
  });
});
