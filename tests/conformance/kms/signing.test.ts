import { createHash, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeySpec, MessageType, SigningAlgorithmSpec } from "@aws-sdk/client-kms";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem1024, ml_kem512, ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { shake256 } from "@noble/hashes/sha3.js";
import { beforeAll, expect } from "vitest";
import { bytes, given, kmsSuite } from "./suite.ts";

/** Sign, Verify, MACs, public keys, key agreement and encapsulation. */
const suite = kmsSuite();
const { kms, works, refuses } = suite;

const MESSAGE = bytes("some important message");
const keys = new Map<string, string>();
const keyOf = (name: string): string => given(keys.get(name), name);

const SIGNING: readonly (readonly [KeySpec, readonly SigningAlgorithmSpec[]])[] = [
  [
    "RSA_2048",
    [
      "RSASSA_PKCS1_V1_5_SHA_256",
      "RSASSA_PKCS1_V1_5_SHA_384",
      "RSASSA_PKCS1_V1_5_SHA_512",
      "RSASSA_PSS_SHA_256",
      "RSASSA_PSS_SHA_384",
      "RSASSA_PSS_SHA_512",
    ],
  ],
  ["ECC_NIST_P256", ["ECDSA_SHA_256"]],
  ["ECC_NIST_P384", ["ECDSA_SHA_384"]],
  ["ECC_NIST_P521", ["ECDSA_SHA_512"]],
  ["ECC_SECG_P256K1", ["ECDSA_SHA_256"]],
  ["ECC_NIST_EDWARDS25519", ["ED25519_SHA_512", "ED25519_PH_SHA_512"]],
  ["ML_DSA_44", ["ML_DSA_SHAKE_256"]],
  ["ML_DSA_65", ["ML_DSA_SHAKE_256"]],
  ["ML_DSA_87", ["ML_DSA_SHAKE_256"]],
];
const KEMS = { ML_KEM_512: [ml_kem512, 768], ML_KEM_768: [ml_kem768, 1088], ML_KEM_1024: [ml_kem1024, 1568] } as const;
const DSAS = { ML_DSA_44: ml_dsa44, ML_DSA_65: ml_dsa65, ML_DSA_87: ml_dsa87 } as const;
const MACS = ["224", "256", "384", "512"] as const;
const CURVES = {
  ECC_NIST_P256: "prime256v1",
  ECC_NIST_P384: "secp384r1",
  ECC_NIST_P521: "secp521r1",
} as const;

beforeAll(async () => {
  const make = async (
    name: string,
    KeySpec: KeySpec,
    KeyUsage: "SIGN_VERIFY" | "KEY_AGREEMENT" | "GENERATE_VERIFY_MAC" | "ENCAPSULATE_DECAPSULATE",
  ): Promise<void> => {
    keys.set(name, given((await kms().createKey({ KeySpec, KeyUsage })).KeyMetadata?.KeyId));
  };
  for (const [spec] of SIGNING) await make(spec, spec, "SIGN_VERIFY");
  for (const spec of Object.keys(KEMS)) await make(spec, spec as KeySpec, "ENCAPSULATE_DECAPSULATE");
  for (const bits of MACS) await make(`HMAC_${bits}`, `HMAC_${bits}`, "GENERATE_VERIFY_MAC");
  for (const spec of Object.keys(CURVES)) await make(`${spec} agreement`, spec as KeySpec, "KEY_AGREEMENT");
  keys.set("symmetric", given((await kms().createKey({})).KeyMetadata?.KeyId));
});

const digestOf = (algorithm: SigningAlgorithmSpec, message: Uint8Array): Uint8Array =>
  createHash(`sha${algorithm.slice(-3)}`)
    .update(message)
    .digest();
const sign = async (
  spec: string,
  SigningAlgorithm: SigningAlgorithmSpec,
  Message: Uint8Array,
  MessageType: MessageType = "RAW",
): Promise<Uint8Array> =>
  given((await kms().sign({ KeyId: keyOf(spec), Message, MessageType, SigningAlgorithm })).Signature);
const verify = async (
  spec: string,
  SigningAlgorithm: SigningAlgorithmSpec,
  Message: Uint8Array,
  Signature: Uint8Array,
  MessageType: MessageType = "RAW",
): Promise<unknown> => kms().verify({ KeyId: keyOf(spec), Message, MessageType, SigningAlgorithm, Signature });

for (const [spec, algorithms] of SIGNING) {
  for (const algorithm of algorithms) {
    const prehash = algorithm === "ED25519_PH_SHA_512";
    if (!prehash) {
      works("Sign", `${spec} ${algorithm}, RAW`, async () => {
        const answer = await kms().sign({ KeyId: keyOf(spec), Message: MESSAGE, SigningAlgorithm: algorithm });
        expect(answer).toMatchObject({ SigningAlgorithm: algorithm });
        expect(answer.KeyId).toMatch(/^arn:aws:kms:/);
        expect(await verify(spec, algorithm, MESSAGE, given(answer.Signature))).toMatchObject({
          SignatureValid: true,
          SigningAlgorithm: algorithm,
        });
      });
      works("Verify", `${spec} ${algorithm}, RAW`, async () => {
        const signature = await sign(spec, algorithm, MESSAGE);
        expect(await verify(spec, algorithm, MESSAGE, signature)).toMatchObject({ SignatureValid: true });
      });
    }
    if (prehash || /^(?:RSASSA|ECDSA)/.test(algorithm)) {
      works("Sign", `${spec} ${algorithm}, DIGEST is the digest of what RAW signs`, async () => {
        const digest = digestOf(algorithm, MESSAGE);
        const signature = await sign(spec, algorithm, digest, "DIGEST");
        expect(await verify(spec, algorithm, digest, signature, "DIGEST")).toMatchObject({ SignatureValid: true });
        if (!prehash) expect(await verify(spec, algorithm, MESSAGE, signature)).toMatchObject({ SignatureValid: true });
      });
      refuses(
        "Sign",
        "ValidationException",
        `${spec} ${algorithm}, a digest of another length`,
        async () => sign(spec, algorithm, new Uint8Array(20), "DIGEST"),
        `Digest is invalid length for algorithm ${algorithm}.`,
      );
      refuses(
        "Verify",
        "ValidationException",
        `${spec} ${algorithm}, a digest of another length`,
        async () => verify(spec, algorithm, new Uint8Array(20), new Uint8Array(64).fill(1), "DIGEST"),
        `Digest is invalid length for algorithm ${algorithm}.`,
      );
    }
    refuses(
      "Verify",
      "KMSInvalidSignatureException",
      `${spec} ${algorithm}, of another message`,
      async () => {
        const type = prehash ? "DIGEST" : "RAW";
        const message = prehash ? digestOf(algorithm, MESSAGE) : MESSAGE;
        const signature = await sign(spec, algorithm, message, type);
        const other = prehash ? digestOf(algorithm, bytes("other")) : bytes("other");
        return verify(spec, algorithm, other, signature, type);
      },
      "",
    );
  }
}
for (const [spec, dsa] of Object.entries(DSAS)) {
  works("Sign", `${spec}, EXTERNAL_MU: mu as FIPS 204 makes it of the message`, async () => {
    const { PublicKey } = await kms().getPublicKey({ KeyId: keyOf(spec) });
    const raw = given(PublicKey).slice(-given(dsa.lengths.publicKey));
    const tr = shake256(raw, { dkLen: 64 });
    const mu = shake256(Buffer.concat([tr, Buffer.from([0, 0]), MESSAGE]), { dkLen: 64 });
    const signature = await sign(spec, "ML_DSA_SHAKE_256", mu, "EXTERNAL_MU");
    expect(await verify(spec, "ML_DSA_SHAKE_256", MESSAGE, signature)).toMatchObject({ SignatureValid: true });
    expect(dsa.verify(signature, MESSAGE, raw)).toBe(true);
    const ofRaw = await sign(spec, "ML_DSA_SHAKE_256", MESSAGE);
    expect(await verify(spec, "ML_DSA_SHAKE_256", mu, ofRaw, "EXTERNAL_MU")).toMatchObject({ SignatureValid: true });
  });
}
refuses("Sign", "ValidationException", "an empty message", async () =>
  sign("ECC_NIST_P256", "ECDSA_SHA_256", new Uint8Array(0)),
);
refuses("Sign", "ValidationException", "a message of 4097 bytes", async () =>
  sign("ECC_NIST_P256", "ECDSA_SHA_256", new Uint8Array(4097)),
);
refuses("Sign", "ValidationException", "a mu of 63 bytes", async () =>
  sign("ML_DSA_44", "ML_DSA_SHAKE_256", new Uint8Array(63), "EXTERNAL_MU"),
);
refuses("Sign", "ValidationException", "EXTERNAL_MU with an elliptic curve", async () =>
  sign("ECC_NIST_P256", "ECDSA_SHA_256", new Uint8Array(64), "EXTERNAL_MU"),
);
refuses("Sign", "ValidationException", "DIGEST with ML-DSA", async () =>
  sign("ML_DSA_44", "ML_DSA_SHAKE_256", new Uint8Array(64), "DIGEST"),
);
refuses("Sign", "ValidationException", "RAW with Ed25519ph", async () =>
  sign("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", MESSAGE),
);
refuses("Sign", "ValidationException", "DIGEST with pure Ed25519", async () =>
  sign("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", new Uint8Array(64), "DIGEST"),
);
for (const operation of ["Sign", "Verify"] as const) {
  refuses(
    operation,
    "InvalidKeyUsageException",
    "an algorithm of another spec",
    async () =>
      operation === "Sign"
        ? sign("ECC_NIST_P256", "ECDSA_SHA_384", MESSAGE)
        : verify("ECC_NIST_P256", "ECDSA_SHA_384", MESSAGE, new Uint8Array(64).fill(1)),
    "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.",
  );
}

for (const bits of MACS) {
  const MacAlgorithm = `HMAC_SHA_${bits}` as const;
  works("GenerateMac", `HMAC_${bits}`, async () => {
    const made = await kms().generateMac({ KeyId: keyOf(`HMAC_${bits}`), Message: MESSAGE, MacAlgorithm });
    expect(made.MacAlgorithm).toBe(MacAlgorithm);
    expect(made.Mac).toHaveLength(Number(bits) / 8);
  });
  works("VerifyMac", `HMAC_${bits}`, async () => {
    const KeyId = keyOf(`HMAC_${bits}`);
    const { Mac } = await kms().generateMac({ KeyId, Message: MESSAGE, MacAlgorithm });
    expect(await kms().verifyMac({ KeyId, Message: MESSAGE, MacAlgorithm, Mac })).toMatchObject({
      MacValid: true,
      MacAlgorithm,
    });
  });
  refuses(
    "VerifyMac",
    "KMSInvalidMacException",
    `HMAC_${bits}, of another message`,
    async () => {
      const KeyId = keyOf(`HMAC_${bits}`);
      const { Mac } = await kms().generateMac({ KeyId, Message: MESSAGE, MacAlgorithm });
      return kms().verifyMac({ KeyId, Message: bytes("other"), MacAlgorithm, Mac });
    },
    "",
  );
}
refuses("VerifyMac", "KMSInvalidMacException", "a MAC that is cut", async () => {
  const KeyId = keyOf("HMAC_256");
  const { Mac } = await kms().generateMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256" });
  return kms().verifyMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256", Mac: given(Mac).slice(0, 16) });
});
for (const operation of ["GenerateMac", "VerifyMac"] as const) {
  const call = async (Message: Uint8Array, MacAlgorithm: "HMAC_SHA_256" | "HMAC_SHA_512"): Promise<unknown> =>
    operation === "GenerateMac"
      ? kms().generateMac({ KeyId: keyOf("HMAC_256"), Message, MacAlgorithm })
      : kms().verifyMac({ KeyId: keyOf("HMAC_256"), Message, MacAlgorithm, Mac: new Uint8Array(64).fill(1) });
  refuses(
    operation,
    "InvalidKeyUsageException",
    "an algorithm of another spec",
    async () => call(MESSAGE, "HMAC_SHA_512"),
    "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.",
  );
  refuses(operation, "ValidationException", "a message of 4097 bytes", async () =>
    call(new Uint8Array(4097), "HMAC_SHA_256"),
  );
}

refuses("Verify", "DryRunOperationException", "a signature that is right", async () => {
  const Signature = await sign("ECC_NIST_P256", "ECDSA_SHA_256", MESSAGE);
  const request = { KeyId: keyOf("ECC_NIST_P256"), Message: MESSAGE, Signature } as const;
  return kms().verify({ ...request, SigningAlgorithm: "ECDSA_SHA_256", DryRun: true });
});
refuses("VerifyMac", "DryRunOperationException", "a MAC that is right", async () => {
  const request = { KeyId: keyOf("HMAC_256"), Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256" } as const;
  const { Mac } = await kms().generateMac(request);
  return kms().verifyMac({ ...request, Mac, DryRun: true });
});

for (const [spec] of SIGNING) {
  works("GetPublicKey", spec, async () => {
    const answer = await kms().getPublicKey({ KeyId: keyOf(spec) });
    expect(answer).toMatchObject({ KeySpec: spec, CustomerMasterKeySpec: spec, KeyUsage: "SIGN_VERIFY" });
    expect(answer.SigningAlgorithms?.length).toBeGreaterThan(0);
    if (spec.startsWith("ML_DSA")) return;
    const key = createPublicKey({ key: Buffer.from(given(answer.PublicKey)), format: "der", type: "spki" });
    expect(key.export({ format: "der", type: "spki" })).toEqual(Buffer.from(given(answer.PublicKey)));
  });
}
refuses("GetPublicKey", "UnsupportedOperationException", "a symmetric key", async () =>
  kms().getPublicKey({ KeyId: keyOf("symmetric") }),
);
refuses("GetPublicKey", "UnsupportedOperationException", "an HMAC key", async () =>
  kms().getPublicKey({ KeyId: keyOf("HMAC_256") }),
);

for (const [spec, namedCurve] of Object.entries(CURVES)) {
  works("DeriveSharedSecret", `${spec}: both sides get the same`, async () => {
    const KeyId = keyOf(`${spec} agreement`);
    const mine = generateKeyPairSync("ec", { namedCurve });
    const answer = await kms().deriveSharedSecret({
      KeyId,
      KeyAgreementAlgorithm: "ECDH",
      PublicKey: mine.publicKey.export({ type: "spki", format: "der" }),
    });
    expect(answer).toMatchObject({ KeyAgreementAlgorithm: "ECDH", KeyOrigin: "AWS_KMS" });
    const theirs = await kms().getPublicKey({ KeyId });
    const publicKey = createPublicKey({ key: Buffer.from(given(theirs.PublicKey)), format: "der", type: "spki" });
    const secret = diffieHellman({ privateKey: mine.privateKey, publicKey });
    expect(Buffer.from(given(answer.SharedSecret))).toEqual(secret);
  });
}
const derive = async (PublicKey: Uint8Array): Promise<unknown> =>
  kms().deriveSharedSecret({ KeyId: keyOf("ECC_NIST_P256 agreement"), KeyAgreementAlgorithm: "ECDH", PublicKey });
const spki = (namedCurve: string): Buffer =>
  generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "der" });
refuses(
  "DeriveSharedSecret",
  "ValidationException",
  "a public key of another curve",
  async () => derive(spki("secp384r1")),
  "",
);
refuses("DeriveSharedSecret", "ValidationException", "what is no public key", async () => derive(randomBytes(91)), "");
refuses(
  "DeriveSharedSecret",
  "ValidationException",
  "a point that is not on the curve",
  async () => {
    const key = spki("prime256v1");
    key[key.length - 1] = (key.at(-1) ?? 0) ^ 1;
    return derive(key);
  },
  "",
);

for (const [spec, [kem, length]] of Object.entries(KEMS)) {
  works("Encapsulate", `${spec}: Decapsulate gives the same secret`, async () => {
    const KeyId = keyOf(spec);
    const made = await kms().encapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM" });
    expect(made.EncapsulationAlgorithm).toBe("ML_KEM");
    expect(made.SharedSecret).toHaveLength(32);
    expect(made.SharedSecretCiphertextBlob).toHaveLength(length);
    const opened = await kms().decapsulate({
      KeyId,
      EncapsulationAlgorithm: "ML_KEM",
      SharedSecretCiphertextBlob: made.SharedSecretCiphertextBlob,
    });
    expect(opened.SharedSecret).toEqual(made.SharedSecret);
  });
  works("Decapsulate", `${spec}: what was encapsulated outside with the public key`, async () => {
    const KeyId = keyOf(spec);
    const { PublicKey } = await kms().getPublicKey({ KeyId });
    const { cipherText, sharedSecret } = kem.encapsulate(given(PublicKey).slice(-given(kem.lengths.publicKey)));
    const opened = await kms().decapsulate({
      KeyId,
      EncapsulationAlgorithm: "ML_KEM",
      SharedSecretCiphertextBlob: cipherText,
    });
    expect(Buffer.from(given(opened.SharedSecret))).toEqual(Buffer.from(sharedSecret));
  });
  for (const wrong of [1, length - 1, length + 1, length === 768 ? 1088 : 768]) {
    refuses("Decapsulate", "InvalidCiphertextException", `${spec}: ${wrong} bytes`, async () =>
      kms().decapsulate({
        KeyId: keyOf(spec),
        EncapsulationAlgorithm: "ML_KEM",
        SharedSecretCiphertextBlob: new Uint8Array(wrong).fill(1),
      }),
    );
  }
}
works("Decapsulate", "of a changed ciphertext: another secret, the same each time, no error", async () => {
  const KeyId = keyOf("ML_KEM_768");
  const made = await kms().encapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM" });
  const changed = Uint8Array.from(given(made.SharedSecretCiphertextBlob));
  changed[100] = (changed[100] ?? 0) ^ 1;
  const open = async (SharedSecretCiphertextBlob: Uint8Array): Promise<Uint8Array> =>
    given(
      (await kms().decapsulate({ KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob })).SharedSecret,
    );
  const once = await open(changed);
  expect(once).toHaveLength(32);
  expect(once).not.toEqual(made.SharedSecret);
  expect(await open(changed)).toEqual(once);
});
