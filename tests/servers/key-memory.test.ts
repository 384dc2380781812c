import { type ChildProcess, spawn } from "node:child_process";
import {
  constants,
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { afterAll, describe, expect, it } from "vitest";
import { plainEnvironment } from "../support/processes.ts";
import { findInMemory } from "../support/process-memory.ts";

const CHILD = fileURLToPath(new URL("../support/key-memory-child.mjs", import.meta.url));
const MASK = 0x5a;
const directory = mkdtempSync(join(tmpdir(), "waxseal-key-memory-"));
const children: ChildProcess[] = [];

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

/** What stands before the seed, or the public key, of ML-DSA-65 (RFC 9881) and ML-KEM-768 (RFC 9935). */
const ENCODINGS = {
  dsaSeed: "3034020100300b060960864801650304031204228020",
  kemSeed: "3054020100300b060960864801650304040204428040",
  dsaPublic: "308207b2300b0609608648016503040312038207a100",
  kemPublic: "308204b2300b0609608648016503040402038204a100",
};
const encoded = (encoding: keyof typeof ENCODINGS, key: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(ENCODINGS[encoding], "hex"), key]);

/** A key for the child, with what it is to do with it. */
interface PlannedKey {
  readonly spec: string;
  readonly path: string;
  readonly publicKey: string;
  readonly algorithms?: readonly (readonly [algorithm: string, kind: string])[];
  readonly peer?: string;
  readonly ciphertext?: string;
  readonly oaep?: string;
  readonly wrapped?: string;
}

const secrets: Record<string, Uint8Array> = {};

function file(name: string, bytes: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

function planned(spec: string, pkcs8: Uint8Array, spki: Uint8Array, work: Partial<PlannedKey>): PlannedKey {
  return { spec, path: file(`${spec}.key`, pkcs8), publicKey: file(`${spec}.pub`, spki), ...work };
}

const numberIn = (key: KeyObject, name: "d" | "p" | "q" | "dp" | "dq" | "qi"): Uint8Array =>
  Buffer.from(key.export({ format: "jwk" })[name] ?? "", "base64url");

function fromOpenSsl(spec: string, privateKey: KeyObject, work: Partial<PlannedKey>): PlannedKey {
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  for (const name of ["d", "p", "q", "dp", "dq", "qi"] as const) {
    const number = numberIn(privateKey, name);
    if (number.byteLength > 0) secrets[`${spec} ${name}`] = number;
  }
  return planned(spec, pkcs8, createPublicKey(privateKey).export({ type: "spki", format: "der" }), work);
}

function rsaKey(): PlannedKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const [plaintext, wrappingKey, material] = [randomBytes(32), randomBytes(32), randomBytes(96)];
  Object.assign(secrets, {
    "OAEP plaintext": plaintext,
    "AES wrapping key": wrappingKey,
    "unwrapped material": material,
  });
  const oaep = (bytes: Uint8Array): Buffer =>
    publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, bytes);
  const cipher = createCipheriv("id-aes256-wrap-pad", wrappingKey, Buffer.from("a65959a6", "hex"));
  const wrapped = Buffer.concat([oaep(wrappingKey), cipher.update(material), cipher.final()]);
  return fromOpenSsl("RSA_2048", privateKey, {
    algorithms: [
      ["RSASSA_PKCS1_V1_5_SHA_256", "RAW"],
      ["RSASSA_PKCS1_V1_5_SHA_256", "DIGEST"],
      ["RSASSA_PSS_SHA_512", "RAW"],
      ["RSASSA_PSS_SHA_512", "DIGEST"],
    ],
    oaep: file("oaep", oaep(plaintext)),
    wrapped: file("wrapped", wrapped),
  });
}

function curveKey(spec: string, namedCurve: string, algorithm: string): PlannedKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve });
  const peer = generateKeyPairSync("ec", { namedCurve });
  if (spec !== "ECC_SECG_P256K1") {
    secrets[`${spec} shared secret`] = diffieHellman({ privateKey, publicKey: peer.publicKey });
  }
  return fromOpenSsl(spec, privateKey, {
    algorithms: [
      [algorithm, "RAW"],
      [algorithm, "DIGEST"],
    ],
    peer: file(`${spec}.peer`, peer.publicKey.export({ type: "spki", format: "der" })),
  });
}

function edwardsKey(): PlannedKey {
  return fromOpenSsl("ECC_NIST_EDWARDS25519", generateKeyPairSync("ed25519").privateKey, {
    algorithms: [
      ["ED25519_SHA_512", "RAW"],
      ["ED25519_PH_SHA_512", "DIGEST"],
    ],
  });
}

function dsaKey(): PlannedKey {
  const seed = randomBytes(32);
  const { publicKey, secretKey } = ml_dsa65.keygen(seed);
  secrets["ML_DSA_65 seed"] = seed;
  // Past the public seed: the key for the nonces, then, after a hash of the public key, the secret polynomials.
  secrets["ML_DSA_65 K"] = secretKey.subarray(32, 64);
  secrets["ML_DSA_65 polynomials"] = secretKey.subarray(128);
  return planned("ML_DSA_65", encoded("dsaSeed", seed), encoded("dsaPublic", publicKey), {
    algorithms: [
      ["ML_DSA_SHAKE_256", "RAW"],
      ["ML_DSA_SHAKE_256", "EXTERNAL_MU"],
    ],
  });
}

function kemKey(): PlannedKey {
  const seed = randomBytes(64);
  const { publicKey, secretKey } = ml_kem768.keygen(seed);
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey);
  secrets["ML_KEM_768 seed"] = seed;
  secrets["ML_KEM_768 polynomials"] = secretKey.subarray(0, 1152);
  secrets["ML_KEM_768 shared secret"] = sharedSecret;
  return planned("ML_KEM_768", encoded("kemSeed", seed), encoded("kemPublic", publicKey), {
    ciphertext: file("ciphertext", cipherText),
  });
}

/** What the child generated and was answered, which this process learns without the child keeping it in clear. */
function readResults(path: string): readonly Uint8Array[] {
  const bytes = readFileSync(path).map((byte) => byte ^ MASK);
  const results: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const length = (((bytes[at] ?? 0) ^ MASK) << 8) | ((bytes[at + 1] ?? 0) ^ MASK);
    results.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return results;
}

const GENERATED: readonly string[] = ["ECC_NIST_P256", "ECC_NIST_EDWARDS25519", "ML_DSA_65", "ML_KEM_768", "RSA_2048"];

/** Every secret of a generated key that its PKCS#8 holds. */
function noteGenerated(spec: string, pkcs8: Uint8Array): void {
  if (spec.startsWith("ML_")) {
    // The seed is all that follows the identifier.
    secrets[`generated ${spec} seed`] = pkcs8.subarray(spec.startsWith("ML_DSA") ? -32 : -64);
    return;
  }
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  for (const name of ["d", "p", "q", "dp", "dq", "qi"] as const) {
    const number = numberIn(key, name);
    if (number.byteLength > 0) secrets[`generated ${spec} ${name}`] = number;
  }
}

describe.runIf(process.platform === "linux")("key threads and the memory of their process", () => {
  it("leave nothing of any key behind once they are cleared", async () => {
    const keys = [
      rsaKey(),
      curveKey("ECC_NIST_P256", "prime256v1", "ECDSA_SHA_256"),
      curveKey("ECC_NIST_P521", "secp521r1", "ECDSA_SHA_512"),
      curveKey("ECC_SECG_P256K1", "secp256k1", "ECDSA_SHA_256"),
      edwardsKey(),
      dsaKey(),
      kemKey(),
    ];
    const results = join(directory, "results");
    const child = spawn(
      process.execPath,
      ["--expose-gc", CHILD, JSON.stringify({ keys, generated: GENERATED, results })],
      { env: plainEnvironment(), stdio: ["pipe", "pipe", "inherit"] },
    );
    children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

    expect((await lines.next()).value).toBe("worked");
    const generated = readResults(results).slice(-GENERATED.length);
    GENERATED.forEach((spec, index) => noteGenerated(spec, generated[index] ?? new Uint8Array()));
    const held = findInMemory(child.pid ?? 0, secrets);
    // The search finds what is known to be there: keys that the threads hold.
    expect(held).toEqual(expect.arrayContaining(["RSA_2048 p", "ECC_NIST_P256 d", "ML_DSA_65 K"]));

    child.stdin.write("clear\n");
    expect((await lines.next()).value).toBe("cleared");
    expect(findInMemory(child.pid ?? 0, secrets)).toEqual([]);
    child.stdin.write("end\n");
  });
});
