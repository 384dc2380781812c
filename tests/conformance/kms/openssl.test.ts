import { createHash, createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AlgorithmSpec, CreateKeyCommandInput, KeySpec, SigningAlgorithmSpec } from "@aws-sdk/client-kms";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../support/processes.ts";
import { removeDirectory, temporaryDirectory } from "../../support/server.ts";
import { bytes, given, kmsSuite } from "./suite.ts";
import { importMaterial, wrapWithPadding } from "./wrapping.ts";

/** Both ways with the command line of OpenSSL; what it does not know, with noble's implementations. */
const suite = kmsSuite();
const { kms } = suite;
const directory = temporaryDirectory();
afterAll(() => removeDirectory(directory));

let files = 0;
/** A file with these bytes, or for OpenSSL to write. */
const file = (contents?: Uint8Array): string => {
  files += 1;
  const path = join(directory, `file-${files}`);
  if (contents !== undefined) writeFileSync(path, contents);
  return path;
};
/** Fails the test unless OpenSSL succeeds. */
const expectOpenssl = async (...args: readonly string[]): Promise<void> => {
  const { code, stdout, stderr } = await run("openssl", args);
  if (code !== 0) throw new Error(`openssl ${args.join(" ")} exited with ${code}:\n${stdout}${stderr}`);
};
/** What an OpenSSL command writes into its `-out`. */
const written = async (command: string, ...args: readonly string[]): Promise<Buffer> => {
  const out = file();
  await expectOpenssl(command, "-out", out, ...args);
  return readFileSync(out);
};

const MESSAGE = bytes("what both sides agree on");
const newKey = async (input: CreateKeyCommandInput = {}): Promise<string> =>
  given((await kms().createKey(input)).KeyMetadata?.KeyId);
const publicFile = async (KeyId: string): Promise<string> =>
  file(given((await kms().getPublicKey({ KeyId })).PublicKey));
const DER_PUBLIC = ["-pubin", "-keyform", "DER"] as const;

const RSA_SIGNING = [
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
] as const;
/** What OpenSSL has to be told to mean the same algorithm. */
const optionsOf = (algorithm: SigningAlgorithmSpec): readonly string[] => {
  if (algorithm === "ED25519_SHA_512") return ["-rawin"];
  const digest = ["-rawin", "-digest", `sha${algorithm.slice(-3)}`];
  return algorithm.startsWith("RSASSA_PSS")
    ? [...digest, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
    : digest;
};
const SIGNERS: readonly (readonly [KeySpec, readonly SigningAlgorithmSpec[], readonly string[]])[] = [
  ["RSA_2048", RSA_SIGNING, ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]],
  ["RSA_3072", ["RSASSA_PSS_SHA_384"], ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]],
  [
    "RSA_4096",
    ["RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_512"],
    ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
  ],
  ["ECC_NIST_P256", ["ECDSA_SHA_256"], ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]],
  ["ECC_NIST_P384", ["ECDSA_SHA_384"], ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]],
  ["ECC_NIST_P521", ["ECDSA_SHA_512"], ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]],
  ["ECC_SECG_P256K1", ["ECDSA_SHA_256"], ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]],
  ["ECC_NIST_EDWARDS25519", ["ED25519_SHA_512"], ["-algorithm", "ED25519"]],
];

/** A private key of OpenSSL's making: PKCS#8 DER. */
const generated = new Map<KeySpec, Promise<Buffer>>();
const generate = async (spec: KeySpec): Promise<Buffer> => {
  const options = SIGNERS.find(([name]) => name === spec)?.[2] ?? [];
  // genpkey writes DER in the older form of each algorithm; PKCS#8, which KMS takes, is pkcs8's.
  const make = async (): Promise<Buffer> =>
    written("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", file(await written("genpkey", ...options)));
  const known = generated.get(spec) ?? make();
  generated.set(spec, known);
  return known;
};
const imported = new Map<string, Promise<string>>();
/** The same key, imported once per usage. */
const importOf = async (
  spec: KeySpec,
  KeyUsage: "SIGN_VERIFY" | "ENCRYPT_DECRYPT" | "KEY_AGREEMENT",
  algorithm: AlgorithmSpec = "RSA_AES_KEY_WRAP_SHA_256",
): Promise<string> => {
  const name = `${spec} ${KeyUsage} ${algorithm}`;
  const make = async (): Promise<string> => {
    const KeyId = await newKey({ KeySpec: spec, KeyUsage, Origin: "EXTERNAL" });
    await importMaterial(kms(), KeyId, await generate(spec), { algorithm });
    return KeyId;
  };
  const known = imported.get(name) ?? make();
  imported.set(name, known);
  return known;
};

beforeAll(async () => {
  await expectOpenssl("version");
});

describe.each(SIGNERS)("%s", (spec, algorithms) => {
  test("imported from OpenSSL has OpenSSL's public key", async () => {
    const KeyId = await importOf(spec, "SIGN_VERIFY");
    const theirs = await written(
      "pkey",
      "-in",
      file(await generate(spec)),
      "-inform",
      "DER",
      "-pubout",
      "-outform",
      "DER",
    );
    expect(Buffer.from(given((await kms().getPublicKey({ KeyId })).PublicKey))).toEqual(theirs);
  });
  test.each(algorithms)("%s: signed inside, OpenSSL verifies", async (SigningAlgorithm) => {
    // RSA-4096 takes seconds to make, so there OpenSSL's own key serves.
    const KeyId =
      spec === "RSA_4096"
        ? await importOf(spec, "SIGN_VERIFY")
        : await newKey({ KeySpec: spec, KeyUsage: "SIGN_VERIFY" });
    const verify = [
      "pkeyutl",
      "-verify",
      "-inkey",
      await publicFile(KeyId),
      ...DER_PUBLIC,
      ...optionsOf(SigningAlgorithm),
    ];
    const { Signature } = await kms().sign({ KeyId, Message: MESSAGE, SigningAlgorithm });
    await expectOpenssl(...verify, "-in", file(MESSAGE), "-sigfile", file(given(Signature)));
    if (SigningAlgorithm === "ED25519_SHA_512") return;
    const Message = createHash(`sha${SigningAlgorithm.slice(-3)}`)
      .update(MESSAGE)
      .digest();
    const digest = await kms().sign({ KeyId, Message, MessageType: "DIGEST", SigningAlgorithm });
    await expectOpenssl(...verify, "-in", file(MESSAGE), "-sigfile", file(given(digest.Signature)));
  });
  test.each(algorithms)("%s: signed by OpenSSL, Verify agrees", async (SigningAlgorithm) => {
    const KeyId = await importOf(spec, "SIGN_VERIFY");
    const key = file(await generate(spec));
    const Signature = await written(
      "pkeyutl",
      "-sign",
      "-inkey",
      key,
      "-keyform",
      "DER",
      ...optionsOf(SigningAlgorithm),
      "-in",
      file(MESSAGE),
    );
    const answer = await kms().verify({ KeyId, Message: MESSAGE, SigningAlgorithm, Signature });
    expect(answer.SignatureValid).toBe(true);
  });
});

describe.each(["RSA_2048", "RSA_3072", "RSA_4096"] as const)("%s encryption", (spec) => {
  test.each(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] as const)("%s: both ways", async (EncryptionAlgorithm) => {
    const KeyId = await importOf(spec, "ENCRYPT_DECRYPT");
    const hash = EncryptionAlgorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256";
    const oaep = [
      "-pkeyopt",
      "rsa_padding_mode:oaep",
      "-pkeyopt",
      `rsa_oaep_md:${hash}`,
      "-pkeyopt",
      `rsa_mgf1_md:${hash}`,
    ];
    const outside = await written(
      "pkeyutl",
      "-encrypt",
      "-inkey",
      await publicFile(KeyId),
      ...DER_PUBLIC,
      ...oaep,
      "-in",
      file(MESSAGE),
    );
    const opened = await kms().decrypt({ KeyId, CiphertextBlob: outside, EncryptionAlgorithm });
    expect(opened.Plaintext).toEqual(MESSAGE);
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: MESSAGE, EncryptionAlgorithm });
    const key = file(await generate(spec));
    const inside = ["-in", file(given(CiphertextBlob))];
    expect(await written("pkeyutl", "-decrypt", "-inkey", key, "-keyform", "DER", ...oaep, ...inside)).toEqual(
      Buffer.from(MESSAGE),
    );
  });
});

describe.each(["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] as const)("%s key agreement", (spec) => {
  test.each(["made inside", "imported"])("OpenSSL derives the same secret: %s", async (how) => {
    const KeyId =
      how === "imported"
        ? await importOf(spec, "KEY_AGREEMENT")
        : await newKey({ KeySpec: spec, KeyUsage: "KEY_AGREEMENT" });
    const curve = `ec_paramgen_curve:P-${spec.slice(-3)}`;
    const mine = await written("genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-outform", "DER");
    const mineFile = file(mine);
    const PublicKey = await written("pkey", "-in", mineFile, "-inform", "DER", "-pubout", "-outform", "DER");
    const answer = await kms().deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey });
    const peer = ["-peerkey", await publicFile(KeyId), "-peerform", "DER"];
    const secret = await written("pkeyutl", "-derive", "-inkey", mineFile, "-keyform", "DER", ...peer);
    expect(Buffer.from(given(answer.SharedSecret))).toEqual(secret);
  });
});

/** Material wrapped by OpenSSL's command line; the key wrap of the two-step algorithms, which it lacks, by node. */
async function wrapOutside(algorithm: AlgorithmSpec, publicKey: Uint8Array, material: Uint8Array): Promise<Buffer> {
  const hash = algorithm.endsWith("SHA_1") ? "sha1" : "sha256";
  const oaep = async (plain: Uint8Array): Promise<Buffer> =>
    written(
      "pkeyutl",
      "-encrypt",
      "-inkey",
      file(publicKey),
      ...DER_PUBLIC,
      "-pkeyopt",
      "rsa_padding_mode:oaep",
      "-pkeyopt",
      `rsa_oaep_md:${hash}`,
      "-pkeyopt",
      `rsa_mgf1_md:${hash}`,
      "-in",
      file(plain),
    );
  if (algorithm.startsWith("RSAES")) return oaep(material);
  const ephemeral = await written("rand", "32");
  return Buffer.concat([await oaep(ephemeral), wrapWithPadding(ephemeral, material)]);
}
const TWO_STEP = ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"] as const;
const ALL = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", ...TWO_STEP] as const;
/** What can be imported, and how it may be wrapped (GetParametersForImport, WrappingAlgorithm). */
const IMPORTS: readonly (readonly [KeySpec, string, readonly AlgorithmSpec[]])[] = [
  ["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", ALL],
  ["HMAC_224", "GENERATE_VERIFY_MAC", ALL],
  ["HMAC_256", "GENERATE_VERIFY_MAC", ALL],
  ["HMAC_384", "GENERATE_VERIFY_MAC", ALL],
  ["HMAC_512", "GENERATE_VERIFY_MAC", ALL],
  ["RSA_2048", "SIGN_VERIFY", TWO_STEP],
  ["ECC_NIST_P256", "SIGN_VERIFY", ALL],
  ["ECC_NIST_P384", "SIGN_VERIFY", ALL],
  ["ECC_NIST_P521", "SIGN_VERIFY", TWO_STEP],
  ["ECC_SECG_P256K1", "SIGN_VERIFY", ALL],
  ["ECC_NIST_EDWARDS25519", "SIGN_VERIFY", ALL],
];
const HMAC_BYTES: Readonly<Record<string, number>> = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };

describe.each(IMPORTS)("import of %s", (spec, usage, algorithms) => {
  test.each(algorithms)("wrapped with %s", async (algorithm) => {
    const KeyId = await newKey({ KeySpec: spec, KeyUsage: usage as "SIGN_VERIFY", Origin: "EXTERNAL" });
    const length = spec === "SYMMETRIC_DEFAULT" ? 32 : HMAC_BYTES[spec];
    const material = length === undefined ? await generate(spec) : await written("rand", String(length));
    const { PublicKey, ImportToken } = await kms().getParametersForImport({
      KeyId,
      WrappingAlgorithm: algorithm,
      WrappingKeySpec: "RSA_2048",
    });
    await kms().importKeyMaterial({
      KeyId,
      ImportToken,
      EncryptedKeyMaterial: await wrapOutside(algorithm, given(PublicKey), material),
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
    });
    if (spec.startsWith("HMAC")) {
      const bits = spec.slice(-3);
      const { Mac } = await kms().generateMac({
        KeyId,
        Message: MESSAGE,
        MacAlgorithm: `HMAC_SHA_${bits}` as "HMAC_SHA_256",
      });
      const mac = ["-mac", "HMAC", "-macopt", `hexkey:${material.toString("hex")}`];
      const theirs = await written("dgst", `-sha${bits}`, ...mac, "-binary", file(MESSAGE));
      expect(Buffer.from(given(Mac))).toEqual(theirs);
    } else if (spec === "SYMMETRIC_DEFAULT") {
      const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: MESSAGE });
      expect((await kms().decrypt({ CiphertextBlob })).Plaintext).toEqual(MESSAGE);
    } else {
      const key = createPrivateKey({ key: material, format: "der", type: "pkcs8" });
      expect(Buffer.from(given((await kms().getPublicKey({ KeyId })).PublicKey))).toEqual(
        createPublicKey(key).export({ format: "der", type: "spki" }),
      );
    }
  });
});

/** The raw public key behind a SubjectPublicKeyInfo. */
const rawPublicKey = async (KeyId: string, length: number): Promise<Uint8Array> =>
  given((await kms().getPublicKey({ KeyId })).PublicKey).slice(-length);

/** KMS takes a digest for Ed25519ph and hashes it once more (Sign, MessageType): so the digest is the message outside. */
test("Ed25519ph: signed inside, noble verifies; signed by noble, Verify agrees", async () => {
  const KeyId = await importOf("ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
  const secret = (await generate("ECC_NIST_EDWARDS25519")).subarray(-32);
  const digest = createHash("sha512").update(MESSAGE).digest();
  const SigningAlgorithm = "ED25519_PH_SHA_512";
  const request = { KeyId, Message: digest, MessageType: "DIGEST", SigningAlgorithm } as const;
  const { Signature } = await kms().sign(request);
  expect(ed25519ph.verify(given(Signature), digest, await rawPublicKey(KeyId, 32))).toBe(true);
  const theirs = ed25519ph.sign(digest, secret);
  expect((await kms().verify({ ...request, Signature: theirs })).SignatureValid).toBe(true);
});
test("secp256k1: signed inside, noble verifies; signed by noble, Verify agrees", async () => {
  const KeyId = await newKey({ KeySpec: "ECC_SECG_P256K1", KeyUsage: "SIGN_VERIFY" });
  const SigningAlgorithm = "ECDSA_SHA_256";
  const { Signature } = await kms().sign({ KeyId, Message: MESSAGE, SigningAlgorithm });
  const options = { format: "der", lowS: false } as const;
  expect(secp256k1.verify(given(Signature), MESSAGE, await rawPublicKey(KeyId, 65), options)).toBe(true);
});
describe.each([
  ["ML_DSA_44", ml_dsa44],
  ["ML_DSA_65", ml_dsa65],
  ["ML_DSA_87", ml_dsa87],
] as const)("%s", (KeySpec, dsa) => {
  test("signed inside, noble verifies", async () => {
    const KeyId = await newKey({ KeySpec, KeyUsage: "SIGN_VERIFY" });
    const { Signature } = await kms().sign({ KeyId, Message: MESSAGE, SigningAlgorithm: "ML_DSA_SHAKE_256" });
    const key = await rawPublicKey(KeyId, given(dsa.lengths.publicKey));
    expect(dsa.verify(given(Signature), MESSAGE, key)).toBe(true);
    expect(dsa.verify(given(Signature), randomBytes(24), key)).toBe(false);
  });
});
