import {
  constants,
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { ml_kem1024, ml_kem512, ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { publicKeyBytes, publicKeyInfo, seedBytes } from "./key-encodings.ts";
import type { ImportWrapping, KeyPair, PairSpec } from "./key-workers.ts";
import { lend } from "./testing/lent-keys.ts";
import { createKeyWorkers } from "./worker-pool.ts";

const workers = createKeyWorkers();
afterAll(() => workers.clear());

const pairs = new Map<PairSpec, Promise<KeyPair>>();
function pairOf(spec: PairSpec): Promise<KeyPair> {
  const pair = pairs.get(spec) ?? workers.generate(spec);
  pairs.set(spec, pair);
  return pair;
}
const keyOf = async (spec: PairSpec) => lend(spec, (await pairOf(spec)).privateKey);

describe.each([
  ["RSA_2048", "RSAES_OAEP_SHA_1", 214],
  ["RSA_2048", "RSAES_OAEP_SHA_256", 190],
  ["RSA_3072", "RSAES_OAEP_SHA_256", 318],
  ["RSA_4096", "RSAES_OAEP_SHA_1", 470],
] as const)("%s with %s", (spec, algorithm, bytesMax) => {
  const openSsl = {
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: algorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256",
  };

  it("opens what OpenSSL encrypts, and the other way round", async () => {
    const { privateKey, publicKey } = await pairOf(spec);
    const plaintext = randomBytes(bytesMax);
    const inside = await workers.encrypt(publicKey, algorithm, plaintext);
    const key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
    expect(privateDecrypt({ key, ...openSsl }, inside)).toEqual(plaintext);
    const outside = publicEncrypt({ key: createPublicKey(key), ...openSsl }, plaintext);
    expect(await workers.decrypt(await keyOf(spec), algorithm, outside)).toEqual(new Uint8Array(plaintext));
    await expect(workers.encrypt(publicKey, algorithm, randomBytes(bytesMax + 1))).rejects.toThrow("failed");
  });

  it("gives one answer for whatever does not open", async () => {
    const key = await keyOf(spec);
    const ciphertext = await workers.encrypt((await pairOf(spec)).publicKey, algorithm, randomBytes(32));
    const flipped = Uint8Array.from(ciphertext, (byte, at) => (at === 9 ? byte ^ 1 : byte));
    const other = algorithm === "RSAES_OAEP_SHA_1" ? "RSAES_OAEP_SHA_256" : "RSAES_OAEP_SHA_1";
    for (const wrong of [
      flipped,
      ciphertext.subarray(1),
      new Uint8Array(),
      new Uint8Array(ciphertext.byteLength).fill(255),
    ]) {
      expect(await workers.decrypt(key, algorithm, wrong)).toBeNull();
    }
    expect(await workers.decrypt(key, other, ciphertext)).toBeNull();
  });
});

describe("unwrapping imported material", () => {
  const wrapped = async (wrapping: ImportWrapping, material: Uint8Array): Promise<Buffer> => {
    const spki = Buffer.from((await pairOf("RSA_3072")).publicKey);
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    const oaepHash = wrapping.endsWith("SHA_1") ? "sha1" : "sha256";
    const oaep = (bytes: Uint8Array): Buffer =>
      publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
    if (wrapping.startsWith("RSAES")) return oaep(material);
    const wrappingKey = randomBytes(32);
    const cipher = createCipheriv("id-aes256-wrap-pad", wrappingKey, Buffer.from("a65959a6", "hex"));
    return Buffer.concat([oaep(wrappingKey), cipher.update(material), cipher.final()]);
  };

  it.each([
    ["RSAES_OAEP_SHA_1", [32, 64]],
    ["RSAES_OAEP_SHA_256", [32, 64]],
    ["RSA_AES_KEY_WRAP_SHA_1", [32, 1, 9, 1217]],
    ["RSA_AES_KEY_WRAP_SHA_256", [32, 48, 138, 2376]],
  ] as const)("opens what was wrapped with %s", async (wrapping, lengths) => {
    for (const length of lengths) {
      const material = randomBytes(length);
      const opened = await workers.unwrapImport(await keyOf("RSA_3072"), wrapping, await wrapped(wrapping, material));
      expect(opened).toEqual(new Uint8Array(material));
    }
  });

  it("gives one answer for whatever does not open", async () => {
    const key = await keyOf("RSA_3072");
    const whole = await wrapped("RSA_AES_KEY_WRAP_SHA_256", randomBytes(40));
    const ofAnotherAes = await wrapped("RSAES_OAEP_SHA_256", randomBytes(16));
    const positions = [0, 200, 383, 384, 400, whole.byteLength - 1];
    const wrong = [
      ...positions.map((at) => Buffer.from(whole.map((byte, index) => (index === at ? byte ^ 1 : byte)))),
      ...[0, 1, 384, 392, 399, whole.byteLength - 8].map((length) => whole.subarray(0, length)),
      Buffer.concat([whole, Buffer.alloc(8)]),
      Buffer.concat([ofAnotherAes, whole.subarray(384)]),
    ];
    for (const bytes of wrong) expect(await workers.unwrapImport(key, "RSA_AES_KEY_WRAP_SHA_256", bytes)).toBeNull();
    expect(await workers.unwrapImport(key, "RSA_AES_KEY_WRAP_SHA_1", whole)).toBeNull();
    expect(await workers.unwrapImport(key, "RSAES_OAEP_SHA_256", whole)).toBeNull();
  });
});

describe.each([
  ["ECC_NIST_P256", "prime256v1"],
  ["ECC_NIST_P384", "secp384r1"],
  ["ECC_NIST_P521", "secp521r1"],
] as const)("key agreement on %s", (spec, namedCurve) => {
  it("comes to the secret that OpenSSL comes to", async () => {
    const peer = generateKeyPairSync("ec", { namedCurve });
    const own = createPublicKey({ key: Buffer.from((await pairOf(spec)).publicKey), format: "der", type: "spki" });
    const secret = await workers.agree(spec, await keyOf(spec), peer.publicKey.export({ type: "spki", format: "der" }));
    expect(secret).toEqual(new Uint8Array(diffieHellman({ privateKey: peer.privateKey, publicKey: own })));
  });

  it("takes no peer of another curve, off the curve, at infinity, or that is no key", async () => {
    const key = await keyOf(spec);
    const { publicKey } = await pairOf(spec);
    const offCurve = Uint8Array.from(publicKey);
    offCurve[offCurve.byteLength - 1] = (offCurve.at(-1) ?? 0) ^ 1;
    const otherCurve = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey;
    const rsa = (await pairOf("RSA_2048")).publicKey;
    const peers = [
      offCurve,
      otherCurve.export({ type: "spki", format: "der" }),
      rsa,
      publicKeyInfo(spec, Uint8Array.of(0)),
      Buffer.concat([publicKey, Uint8Array.of(0)]),
      publicKey.subarray(0, -1),
      new Uint8Array(),
    ];
    for (const peer of peers) expect(await workers.agree(spec, key, peer)).toBeNull();
  });

  it("answers null, and never an error, for any bytes", async () => {
    const key = await keyOf(spec);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (peer) => {
        expect(await workers.agree(spec, key, peer)).toBeNull();
      }),
      { numRuns: 20 },
    );
  });
});

describe.each([
  ["ML_KEM_512", ml_kem512, 768],
  ["ML_KEM_768", ml_kem768, 1088],
  ["ML_KEM_1024", ml_kem1024, 1568],
] as const)("%s", (spec, noble, ciphertextBytes) => {
  it("agrees with noble in both directions", async () => {
    const { privateKey, publicKey } = await pairOf(spec);
    const inside = await workers.encapsulate(spec, publicKey);
    const { secretKey } = noble.keygen(seedBytes(spec, privateKey, 64));
    expect(inside.ciphertext).toHaveLength(ciphertextBytes);
    expect(noble.decapsulate(inside.ciphertext, secretKey)).toEqual(inside.sharedSecret);
    const outside = noble.encapsulate(publicKeyBytes(spec, publicKey));
    expect(await workers.decapsulate(spec, await keyOf(spec), outside.cipherText)).toEqual(outside.sharedSecret);
  });

  it("rejects a changed ciphertext with another secret, always the same, and one of another length with null", async () => {
    const key = await keyOf(spec);
    const { ciphertext, sharedSecret } = await workers.encapsulate(spec, (await pairOf(spec)).publicKey);
    const changed = Uint8Array.from(ciphertext, (byte, at) => (at === 5 ? byte ^ 1 : byte));
    const rejected = await workers.decapsulate(spec, key, changed);
    expect(rejected).toHaveLength(32);
    expect(rejected).not.toEqual(sharedSecret);
    expect(await workers.decapsulate(spec, key, changed)).toEqual(rejected);
    for (const wrong of [ciphertext.subarray(1), Buffer.concat([ciphertext, Uint8Array.of(0)]), new Uint8Array()]) {
      expect(await workers.decapsulate(spec, key, wrong)).toBeNull();
    }
  });

  it("encapsulates to no key whose numbers are out of range", async () => {
    const bytes = publicKeyBytes(spec, (await pairOf(spec)).publicKey);
    const wrong = publicKeyInfo(
      spec,
      Uint8Array.from(bytes, (byte, at) => (at < 3 ? 0xff : byte)),
    );
    await expect(workers.encapsulate(spec, wrong)).rejects.toThrow("failed");
  });
});
