import { execFileSync } from "node:child_process";
import { constants, createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { shake256 } from "@noble/hashes/sha3.js";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { DerReader, element, INTEGER, integer, SEQUENCE } from "./der.ts";
import { privateKeyInfo, publicKeyBytes, publicKeyInfo } from "./key-encodings.ts";
import type { KeyPair, MessageKind, PairSpec, SigningAlgorithm } from "./key-workers.ts";
import { lend } from "./testing/lent-keys.ts";
import { createKeyWorkers } from "./worker-pool.ts";

const workers = createKeyWorkers();
const directory = mkdtempSync(join(tmpdir(), "waxseal-signatures-"));
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await workers.clear();
});

const message = Buffer.from("an order for twelve crates of beeswax");
const pairs = new Map<PairSpec, Promise<KeyPair>>();

function pairOf(spec: PairSpec): Promise<KeyPair> {
  const pair = pairs.get(spec) ?? workers.generate(spec);
  pairs.set(spec, pair);
  return pair;
}

const RSA: readonly PairSpec[] = ["RSA_2048", "RSA_3072", "RSA_4096"];
const PSS: readonly SigningAlgorithm[] = ["RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512"];
const PKCS1: readonly SigningAlgorithm[] = [
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
];
const CURVES: readonly (readonly [PairSpec, SigningAlgorithm])[] = [
  ["ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ECC_NIST_P384", "ECDSA_SHA_384"],
  ["ECC_NIST_P521", "ECDSA_SHA_512"],
  ["ECC_SECG_P256K1", "ECDSA_SHA_256"],
];
const DSAS = [
  ["ML_DSA_44", ml_dsa44],
  ["ML_DSA_65", ml_dsa65],
  ["ML_DSA_87", ml_dsa87],
] as const;

/** Each way in which each spec signs a message, by OpenSSL's hash where there is one. */
const RAW_AND_DIGEST = [
  ...RSA.flatMap((spec) => [...PSS, ...PKCS1].map((algorithm) => [spec, algorithm] as const)),
  ...CURVES,
];

const hashOf = (algorithm: SigningAlgorithm): string => `sha${algorithm.slice(-3)}`;
const digestOf = (algorithm: SigningAlgorithm): Buffer => createHash(hashOf(algorithm)).update(message).digest();

const signed = async (spec: PairSpec, algorithm: SigningAlgorithm, kind: MessageKind, what: Uint8Array) =>
  workers.sign(spec, lend(spec, (await pairOf(spec)).privateKey), algorithm, kind, what);

const verified = async (
  spec: PairSpec,
  algorithm: SigningAlgorithm,
  kind: MessageKind,
  what: Uint8Array,
  signature: Uint8Array,
) => workers.verify(spec, (await pairOf(spec)).publicKey, algorithm, kind, what, signature);

const publicObject = async (spec: PairSpec): Promise<KeyObject> =>
  createPublicKey({ key: Buffer.from((await pairOf(spec)).publicKey), format: "der", type: "spki" });
const privateObject = async (spec: PairSpec): Promise<KeyObject> =>
  createPrivateKey({ key: Buffer.from((await pairOf(spec)).privateKey), format: "der", type: "pkcs8" });

const inOpenSsl = (algorithm: SigningAlgorithm): object =>
  algorithm.includes("PSS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { dsaEncoding: "der" };

describe.each(RAW_AND_DIGEST)("%s, %s", (spec, algorithm) => {
  it("signs the message and its digest as OpenSSL verifies, and verifies what OpenSSL signs", async () => {
    const [publicKey, privateKey] = [await publicObject(spec), await privateObject(spec)];
    const digest = digestOf(algorithm);
    const own = await Promise.all([signed(spec, algorithm, "RAW", message), signed(spec, algorithm, "DIGEST", digest)]);
    const hash = hashOf(algorithm);
    for (const signature of own) {
      expect(verify(hash, message, { key: publicKey, ...inOpenSsl(algorithm) }, signature)).toBe(true);
    }
    for (const signature of [...own, sign(hash, message, { key: privateKey, ...inOpenSsl(algorithm) })]) {
      expect(await verified(spec, algorithm, "RAW", message, signature)).toBe(true);
      expect(await verified(spec, algorithm, "DIGEST", digest, signature)).toBe(true);
    }
  });

  it("verifies nothing else", async () => {
    const digest = digestOf(algorithm);
    const signature = await signed(spec, algorithm, "RAW", message);
    const other = Buffer.from(digest);
    other[0] = (other[0] ?? 0) ^ 1;
    expect(await verified(spec, algorithm, "RAW", Buffer.from("another order"), signature)).toBe(false);
    expect(await verified(spec, algorithm, "DIGEST", other, signature)).toBe(false);
    for (const wrong of [
      new Uint8Array(),
      signature.subarray(1),
      signature.subarray(0, -1),
      Buffer.concat([signature, other]),
    ]) {
      expect(await verified(spec, algorithm, "RAW", message, wrong)).toBe(false);
      expect(await verified(spec, algorithm, "DIGEST", digest, wrong)).toBe(false);
    }
  });

  it("takes no digest of another length", async () => {
    await expect(signed(spec, algorithm, "DIGEST", new Uint8Array(31))).rejects.toThrow("failed in a key thread");
  });
});

describe("tampered signatures", () => {
  it.each([
    ["RSA_2048", "RSASSA_PSS_SHA_256"],
    ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
    ["ECC_NIST_P256", "ECDSA_SHA_256"],
    ["ECC_SECG_P256K1", "ECDSA_SHA_256"],
    ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"],
  ] as const)("of %s with %s are false at every byte", async (spec, algorithm) => {
    const signature = await signed(spec, algorithm, "RAW", message);
    const kinds: readonly (readonly [MessageKind, Uint8Array])[] =
      algorithm === "ED25519_SHA_512"
        ? [["RAW", message]]
        : [
            ["RAW", message],
            ["DIGEST", digestOf(algorithm)],
          ];
    const all = [...signature.keys()].flatMap((at) => {
      const tampered = Uint8Array.from(signature);
      tampered[at] = (tampered[at] ?? 0) ^ 0x11;
      return kinds.map(([kind, what]) => verified(spec, algorithm, kind, what, tampered));
    });
    expect(new Set(await Promise.all(all))).toEqual(new Set([false]));
  });

  it.each(CURVES)("of %s are false with r or s moved, zero, or out of range", async (spec, algorithm) => {
    const signature = await signed(spec, algorithm, "RAW", message);
    const reader = new DerReader(new DerReader(signature).read(SEQUENCE));
    const [r, s] = [reader.read(INTEGER), reader.read(INTEGER)];
    const zero = Uint8Array.of(0);
    const huge = new Uint8Array(r.byteLength + 1).fill(0xff);
    for (const [first, second] of [
      [s, r],
      [zero, s],
      [r, zero],
      [huge, s],
      [r, huge],
      [r, r],
    ] as const) {
      const wrong = element(SEQUENCE, integer(first), integer(second));
      expect(await verified(spec, algorithm, "RAW", message, wrong)).toBe(false);
      expect(await verified(spec, algorithm, "DIGEST", digestOf(algorithm), wrong)).toBe(false);
    }
  });

  it("are false, not errors, whatever they are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (signature) => {
        expect(await verified("ECC_NIST_P384", "ECDSA_SHA_384", "RAW", message, signature)).toBe(false);
        expect(await verified("ECC_NIST_P384", "ECDSA_SHA_384", "DIGEST", new Uint8Array(48), signature)).toBe(false);
        expect(await verified("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "RAW", message, signature)).toBe(false);
        expect(
          await verified("ECC_NIST_EDWARDS25519", "ED25519_PH_SHA_512", "DIGEST", new Uint8Array(64), signature),
        ).toBe(false);
      }),
      { numRuns: 30 },
    );
  });
});

describe("ECDSA over a digest", () => {
  it("verifies the example of RFC 6979, appendix A.2.5", async () => {
    const [x, y] = [
      "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
      "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
    ];
    const r = Buffer.from("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716", "hex");
    const s = Buffer.from("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8", "hex");
    const publicKey = publicKeyInfo("ECC_NIST_P256", Buffer.from(`04${x}${y}`, "hex"));
    const digest = createHash("sha256").update("sample").digest();
    const signature = element(SEQUENCE, integer(r), integer(s));
    for (const [kind, what] of [
      ["DIGEST", digest],
      ["RAW", Buffer.from("sample")],
    ] as const) {
      expect(await workers.verify("ECC_NIST_P256", publicKey, "ECDSA_SHA_256", kind, what, signature)).toBe(true);
    }
  });

  it("never draws the same nonce twice", async () => {
    const digest = digestOf("ECDSA_SHA_256");
    const rs = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const signature = await signed("ECC_NIST_P256", "ECDSA_SHA_256", "DIGEST", digest);
        return Buffer.from(new DerReader(new DerReader(signature).read(SEQUENCE)).read(INTEGER)).toString("hex");
      }),
    );
    expect(new Set(rs).size).toBe(50);
  });

  it.each([
    ["ECC_NIST_P256", "ECDSA_SHA_256"],
    ["ECC_NIST_P521", "ECDSA_SHA_512"],
    ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
    ["RSA_2048", "RSASSA_PSS_SHA_384"],
  ] as const)("and RSA over one agree with the openssl command: %s, %s", async (spec, algorithm) => {
    const digest = digestOf(algorithm);
    const signature = await signed(spec, algorithm, "DIGEST", digest);
    const file = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(directory, name), bytes);
      return join(directory, name);
    };
    const pss = "-pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest";
    const publicKey = file("public.der", (await pairOf(spec)).publicKey);
    const files = `-inkey ${publicKey} -in ${file("digest", digest)} -sigfile ${file("signature", signature)}`;
    const options = `-pkeyopt digest:${hashOf(algorithm)} ${algorithm.includes("PSS") ? pss : ""}`;
    const args = `pkeyutl -verify -pubin -keyform DER ${files} ${options}`.trim().split(/ +/);
    const output = execFileSync("openssl", args);
    expect(output.toString()).toContain("Verified Successfully");
  });
});

describe("Ed25519", () => {
  const spec = "ECC_NIST_EDWARDS25519";

  it("signs messages as OpenSSL does", async () => {
    const signature = await signed(spec, "ED25519_SHA_512", "RAW", message);
    expect(signature).toEqual(new Uint8Array(sign(null, message, await privateObject(spec))));
    expect(await verified(spec, "ED25519_SHA_512", "RAW", message, signature)).toBe(true);
  });

  it("signs a digest as the message of Ed25519ph (RFC 8032, section 7.3), so that it is hashed again, as KMS does it", async () => {
    const seed = Buffer.from("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42", "hex");
    expect(Buffer.from(ed25519ph.sign(Buffer.from("abc"), seed)).toString("hex")).toBe(
      "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
    );
    const publicKey = publicKeyInfo(spec, ed25519ph.getPublicKey(seed));
    const digest = createHash("sha512").update("abc").digest();
    const key = lend("RFC 8032", privateKeyInfo(spec, element(4, seed)));
    const signature = await workers.sign(spec, key, "ED25519_PH_SHA_512", "DIGEST", digest);
    expect(signature).toEqual(ed25519ph.sign(digest, seed));
    expect(await workers.verify(spec, publicKey, "ED25519_PH_SHA_512", "DIGEST", digest, signature)).toBe(true);
  });

  it("keeps the two forms apart", async () => {
    const digest = createHash("sha512").update(message).digest();
    const prehashed = await signed(spec, "ED25519_PH_SHA_512", "DIGEST", digest);
    expect(ed25519ph.verify(prehashed, digest, publicKeyBytes(spec, (await pairOf(spec)).publicKey))).toBe(true);
    expect(await verified(spec, "ED25519_SHA_512", "RAW", digest, prehashed)).toBe(false);
    const plain = await signed(spec, "ED25519_SHA_512", "RAW", digest);
    expect(await verified(spec, "ED25519_PH_SHA_512", "DIGEST", digest, plain)).toBe(false);
    prehashed[40] = (prehashed[40] ?? 0) ^ 1;
    expect(await verified(spec, "ED25519_PH_SHA_512", "DIGEST", digest, prehashed)).toBe(false);
  });
});

describe.each(DSAS)("%s", (spec, noble) => {
  it("signs messages with an empty context, and their mu, alike", async () => {
    const publicKey = publicKeyBytes(spec, (await pairOf(spec)).publicKey);
    // mu = H(H(public key) || context's form and length || message) (FIPS 204, algorithm 7).
    const tr = shake256(publicKey, { dkLen: 64 });
    const mu = shake256(Buffer.concat([tr, Uint8Array.of(0, 0), message]), { dkLen: 64 });
    const raw = await signed(spec, "ML_DSA_SHAKE_256", "RAW", message);
    const external = await signed(spec, "ML_DSA_SHAKE_256", "EXTERNAL_MU", mu);
    for (const signature of [raw, external]) {
      expect(noble.verify(signature, message, publicKey)).toBe(true);
      expect(await verified(spec, "ML_DSA_SHAKE_256", "RAW", message, signature)).toBe(true);
      expect(await verified(spec, "ML_DSA_SHAKE_256", "EXTERNAL_MU", mu, signature)).toBe(true);
      expect(await verified(spec, "ML_DSA_SHAKE_256", "RAW", mu, signature)).toBe(false);
      expect(await verified(spec, "ML_DSA_SHAKE_256", "RAW", message, signature.subarray(1))).toBe(false);
      for (const at of [0, 100, signature.byteLength - 1]) {
        const tampered = Uint8Array.from(signature);
        tampered[at] = (tampered[at] ?? 0) ^ 1;
        expect(await verified(spec, "ML_DSA_SHAKE_256", "RAW", message, tampered)).toBe(false);
      }
    }
  });
});
