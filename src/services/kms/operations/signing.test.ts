import { constants, createHash, createPublicKey, verify as verifyOutside } from "node:crypto";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, type KmsHarness, kmsHarness } from "../testing/harness.ts";

let kms: KmsHarness;
beforeAll(async () => {
  kms = await kmsHarness();
});
afterAll(async () => kms.close());

const Message = Buffer.from("attack at dawn");
const DRY_RUN = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";

interface Signer {
  readonly KeyId: string;
  readonly PublicKey: Uint8Array;
}

async function signer(KeySpec: string): Promise<Signer> {
  const KeyId = await kms.newKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
  return { KeyId, PublicKey: (await kms.run("GetPublicKey", { KeyId }))["PublicKey"] as Uint8Array };
}

const HASHED = [
  ["RSA_2048", "RSASSA_PSS_SHA_256"],
  ["RSA_2048", "RSASSA_PSS_SHA_384"],
  ["RSA_2048", "RSASSA_PSS_SHA_512"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"],
  ["ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ECC_NIST_P384", "ECDSA_SHA_384"],
  ["ECC_NIST_P521", "ECDSA_SHA_512"],
  ["ECC_SECG_P256K1", "ECDSA_SHA_256"],
] as const;

/** As anybody verifies who has the public key and the message. */
function verifiesOutside(
  publicKey: Uint8Array,
  algorithm: string,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const hash = `sha${algorithm.slice(-3)}`;
  const padding = algorithm.includes("PSS") ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return verifyOutside(hash, message, algorithm.startsWith("RSA") ? { key, padding, saltLength } : key, signature);
}

describe.each(HASHED)("%s with %s", (spec, SigningAlgorithm) => {
  test("signs messages and digests alike, verifiable inside and outside; anything else does not fit", async () => {
    const { KeyId, PublicKey } = await signer(spec);
    const digest = createHash(`sha${SigningAlgorithm.slice(-3)}`)
      .update(Message)
      .digest();
    const raw = { KeyId, SigningAlgorithm, Message };
    const hashed = { KeyId, SigningAlgorithm, Message: digest, MessageType: "DIGEST" };
    const signatures = [await kms.run("Sign", raw), await kms.run("Sign", hashed)];
    for (const { Signature, ...answer } of signatures) {
      expect(answer).toEqual({ KeyId: expect.stringContaining(`key/${KeyId}`) as string, SigningAlgorithm });
      expect(verifiesOutside(PublicKey, SigningAlgorithm, Message, Signature as Uint8Array)).toBe(true);
      for (const request of [raw, hashed]) {
        expect(await kms.run("Verify", { ...request, Signature })).toMatchObject({
          SignatureValid: true,
          SigningAlgorithm,
        });
      }
      const changed = Uint8Array.from(Signature as Uint8Array);
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      const others = [changed, Buffer.alloc(changed.length), changed.subarray(1), Buffer.from("x")];
      for (const wrong of others) {
        expect(await kms.failure("Verify", { ...raw, Signature: wrong })).toBe("KMSInvalidSignatureException");
      }
      expect(await kms.failure("Verify", { ...raw, Message: Buffer.from("at dusk"), Signature })).toBe(
        "KMSInvalidSignatureException",
      );
    }
  });

  test("a digest of another length, and EXTERNAL_MU, are refused", async () => {
    const { KeyId } = await signer(spec);
    for (const [operation, Signature] of [["Sign"], ["Verify", Buffer.alloc(64)]] as const) {
      const request = { KeyId, SigningAlgorithm, Message: Buffer.alloc(20), Signature };
      expect(await kms.failure(operation, { ...request, MessageType: "DIGEST" })).toBe(
        `ValidationException: Digest is invalid length for algorithm ${SigningAlgorithm}.`,
      );
      expect(await kms.failure(operation, { ...request, MessageType: "EXTERNAL_MU" })).toBe(
        `ValidationException: Message type EXTERNAL_MU is incompatible with key spec ${spec}.`,
      );
    }
  });
});

describe("Ed25519", () => {
  test("the plain form takes messages, the pre-hashed form digests, which it hashes again", async () => {
    const { KeyId, PublicKey } = await signer("ECC_NIST_EDWARDS25519");
    const plain = { KeyId, SigningAlgorithm: "ED25519_SHA_512", Message };
    const { Signature } = await kms.run("Sign", plain);
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
    expect(verifyOutside(null, Message, key, Signature as Uint8Array)).toBe(true);
    await kms.run("Verify", { ...plain, Signature });

    const digest = createHash("sha512").update(Message).digest();
    const hashed = { KeyId, SigningAlgorithm: "ED25519_PH_SHA_512", Message: digest, MessageType: "DIGEST" };
    const { Signature: ofDigest } = await kms.run("Sign", hashed);
    expect(ed25519ph.verify(ofDigest as Uint8Array, digest, PublicKey.subarray(-32))).toBe(true);
    await kms.run("Verify", { ...hashed, Signature: ofDigest });
    expect(await kms.failure("Verify", { ...hashed, Signature })).toBe("KMSInvalidSignatureException");
  });

  test.each([
    ["ED25519_SHA_512", "DIGEST", 64, "Message type DIGEST is incompatible with algorithm ED25519_SHA_512."],
    ["ED25519_SHA_512", "EXTERNAL_MU", 64, "Message type EXTERNAL_MU is incompatible with algorithm ED25519_SHA_512."],
    ["ED25519_PH_SHA_512", "RAW", 64, "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512."],
    ["ED25519_PH_SHA_512", undefined, 64, "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512."],
    ["ED25519_PH_SHA_512", "DIGEST", 32, "Digest is invalid length for algorithm ED25519_PH_SHA_512."],
  ])("%s refuses %s of %i bytes", async (SigningAlgorithm, MessageType, bytes, message) => {
    const { KeyId } = await signer("ECC_NIST_EDWARDS25519");
    const request = { KeyId, SigningAlgorithm, MessageType, Message: Buffer.alloc(bytes), Signature: Buffer.alloc(64) };
    expect(await kms.failure("Sign", request)).toBe(`ValidationException: ${message}`);
    expect(await kms.failure("Verify", request)).toBe(`ValidationException: ${message}`);
  });
});

describe.each([
  ["ML_DSA_44", ml_dsa44, 1312],
  ["ML_DSA_65", ml_dsa65, 1952],
  ["ML_DSA_87", ml_dsa87, 2592],
] as const)("%s", (spec, outside, publicKeyBytes) => {
  const SigningAlgorithm = "ML_DSA_SHAKE_256";

  test("signs messages, and mu as the same message; both verify outside", async () => {
    const { KeyId, PublicKey } = await signer(spec);
    const raw = { KeyId, SigningAlgorithm, Message };
    const publicKey = PublicKey.subarray(-publicKeyBytes);
    // FIPS 204, algorithm 7, line 6: mu = H(H(pk, 64) ‖ M', 64), where M' = 0 ‖ |ctx| ‖ ctx ‖ M without a context.
    const tr = createHash("shake256", { outputLength: 64 }).update(publicKey).digest();
    const mu = createHash("shake256", { outputLength: 64 })
      .update(Buffer.concat([tr, Buffer.from([0, 0]), Message]))
      .digest();
    const external = { KeyId, SigningAlgorithm, Message: mu, MessageType: "EXTERNAL_MU" };
    for (const request of [raw, external]) {
      const { Signature } = await kms.run("Sign", request);
      expect(outside.verify(Signature as Uint8Array, Message, publicKey)).toBe(true);
      await kms.run("Verify", { ...raw, Signature });
      await kms.run("Verify", { ...external, Signature });
      expect(await kms.failure("Verify", { ...raw, Message: Buffer.from("x"), Signature })).toBe(
        "KMSInvalidSignatureException",
      );
    }
  });

  test("refuses digests, and mu of another length", async () => {
    const { KeyId } = await signer(spec);
    const request = { KeyId, SigningAlgorithm, Message: Buffer.alloc(32) };
    expect(await kms.failure("Sign", { ...request, MessageType: "DIGEST" })).toBe(
      `ValidationException: Message type DIGEST is incompatible with key spec ${spec}.`,
    );
    expect(await kms.failure("Sign", { ...request, MessageType: "EXTERNAL_MU" })).toBe(
      "ValidationException: Digest is invalid length for algorithm ML_DSA_SHAKE_256.",
    );
  });
});

describe("whatever the algorithm", () => {
  test("one that the key does not have, or another usage, is InvalidKeyUsageException", async () => {
    const { KeyId } = await signer("ECC_NIST_P256");
    for (const SigningAlgorithm of ["ECDSA_SHA_384", "RSASSA_PSS_SHA_256", "SM2DSA", "ML_DSA_SHAKE_256"]) {
      const request = { KeyId, SigningAlgorithm, Message, Signature: Buffer.alloc(64) };
      const refusal = `InvalidKeyUsageException: Algorithm ${SigningAlgorithm} is incompatible with key spec ECC_NIST_P256.`;
      expect(await kms.failure("Sign", request)).toBe(refusal);
      expect(await kms.failure("Verify", request)).toBe(refusal);
    }
    const agreeing = await kms.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
    expect(await kms.failure("Sign", { KeyId: agreeing, SigningAlgorithm: "ECDSA_SHA_256", Message })).toMatch(
      /key usage is KEY_AGREEMENT which is not valid for Sign\.$/,
    );
  });

  test("a dry run signs nothing, and says whether a signature would fit", async () => {
    const { KeyId } = await signer("ECC_NIST_P256");
    const request = { KeyId, SigningAlgorithm: "ECDSA_SHA_256", Message };
    expect(await kms.failure("Sign", { ...request, DryRun: true })).toBe(DRY_RUN);
    const { Signature } = await kms.run("Sign", request);
    expect(await kms.failure("Verify", { ...request, Signature, DryRun: true })).toBe(DRY_RUN);
    expect(await kms.failure("Verify", { ...request, Signature: Buffer.alloc(70), DryRun: true })).toBe(
      "KMSInvalidSignatureException",
    );
  });

  test("conditions and events see algorithm and message type with their defaults, and no message or signature", async () => {
    const { KeyId } = await signer("ECC_NIST_P256");
    const request = { KeyId, SigningAlgorithm: "ECDSA_SHA_256", Message };
    const { Signature }: Answer = await kms.run("Sign", request);
    const seen = { "kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW" };
    expect(kms.last.checks).toMatchObject([{ action: "kms:Sign", context: seen }]);
    expect(kms.last.audit).toEqual({
      requestParameters: { keyId: KeyId, messageType: "RAW", signingAlgorithm: "ECDSA_SHA_256" },
      resources: [expect.objectContaining({ arn: expect.stringContaining(KeyId) as string })],
    });
    await kms.run("Verify", { ...request, Signature });
    expect(kms.last.checks).toMatchObject([{ action: "kms:Verify", context: seen }]);
    expect(kms.last.audit?.additionalEventData).toBeUndefined();
  });
});
