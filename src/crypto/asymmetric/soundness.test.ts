import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { element, INTEGER, integer, join, OCTET_STRING, SEQUENCE } from "./der.ts";
import { privateKeyBytes, privateKeyInfo, seedKeyInfo } from "./key-encodings.ts";
import type { PairSpec } from "./key-workers.ts";
import { generatePair, soundPublicKey } from "./private-keys.ts";

const SPECS: readonly PairSpec[] = [
  "RSA_2048",
  "RSA_3072",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "ECC_NIST_EDWARDS25519",
  "ML_DSA_44",
  "ML_DSA_65",
  "ML_DSA_87",
  "ML_KEM_512",
  "ML_KEM_768",
  "ML_KEM_1024",
];
const pairs = new Map(SPECS.map((spec) => [spec, generatePair(spec)] as const));
const privateKeyOf = (spec: PairSpec): Uint8Array => pairs.get(spec)?.privateKey ?? new Uint8Array();

describe("the public half of a key from outside", () => {
  it.each(SPECS)("is that of the pair: %s", (spec) => {
    expect(Buffer.from(soundPublicKey(spec, privateKeyOf(spec)) ?? [])).toEqual(
      Buffer.from(pairs.get(spec)?.publicKey ?? []),
    );
  });

  it("is given for no other spec", () => {
    const taken = SPECS.flatMap((spec) =>
      SPECS.filter((other) => soundPublicKey(other, privateKeyOf(spec)) !== null).map((other) => [spec, other]),
    );
    expect(taken).toEqual(SPECS.map((spec) => [spec, spec]));
  });

  it("is given for no RSA key of another length, and no RSA-PSS key", () => {
    const odd = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
    const pss = generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey;
    for (const key of [odd, pss]) {
      expect(soundPublicKey("RSA_2048", key.export({ type: "pkcs8", format: "der" }))).toBeNull();
    }
  });

  it.each(SPECS)("is given for nothing that is cut off or longer: %s", (spec) => {
    const pkcs8 = privateKeyOf(spec);
    expect(soundPublicKey(spec, pkcs8.subarray(0, -1))).toBeNull();
    expect(soundPublicKey(spec, join(pkcs8, Uint8Array.of(0)))).toBeNull();
    expect(soundPublicKey(spec, new Uint8Array())).toBeNull();
  });

  it("is null, and never an error, for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...SPECS), (bytes, spec) => {
        expect(soundPublicKey(spec, bytes)).toBeNull();
        expect(soundPublicKey(spec, privateKeyInfo(spec, bytes))).toBeNull();
      }),
      { numRuns: 200 },
    );
  });
});

describe("an RSA key", () => {
  const jwk = createPrivateKey({ key: Buffer.from(privateKeyOf("RSA_2048")), format: "der", type: "pkcs8" }).export({
    format: "jwk",
  });
  const numbers = [jwk.n, jwk.e, jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map((text) =>
    Buffer.from(text ?? "", "base64url"),
  );
  const written = (all: readonly Uint8Array[]): Uint8Array =>
    privateKeyInfo("RSA_2048", element(SEQUENCE, element(INTEGER, Uint8Array.of(0)), ...all.map(integer)));

  it("is sound when written anew", () => {
    expect(soundPublicKey("RSA_2048", written(numbers))).not.toBeNull();
  });

  it.each(["n", "e", "d", "p", "q", "dp", "dq", "qi"].map((name, index) => [name, index] as const))(
    "is not sound with another %s",
    (_name, index) => {
      const changed = numbers.map((number) => Buffer.from(number));
      const last = changed[index];
      if (last !== undefined) last[last.byteLength - 1] = (last.at(-1) ?? 0) ^ 2;
      expect(soundPublicKey("RSA_2048", written(changed))).toBeNull();
    },
  );
});

describe("an elliptic curve key", () => {
  const scalarOnly = (scalar: Uint8Array): Uint8Array =>
    privateKeyInfo(
      "ECC_NIST_P256",
      element(SEQUENCE, element(INTEGER, Uint8Array.of(1)), element(OCTET_STRING, scalar)),
    );

  it("is sound without its public half, which is computed", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const scalar = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
    expect(Buffer.from(soundPublicKey("ECC_NIST_P256", scalarOnly(scalar)) ?? [])).toEqual(
      publicKey.export({ type: "spki", format: "der" }),
    );
  });

  it("is not sound with the public half of another", () => {
    const [one, other] = [generatePair("ECC_NIST_P256"), generatePair("ECC_NIST_P256")];
    const mixed = Buffer.from(one.privateKey);
    mixed.set(other.publicKey.subarray(-65), mixed.byteLength - 65);
    expect(createPublicKey(createPrivateKey({ key: mixed, format: "der", type: "pkcs8" })).asymmetricKeyType).toBe(
      "ec",
    );
    expect(soundPublicKey("ECC_NIST_P256", mixed)).toBeNull();
  });

  it("is not sound with a scalar of zero, of the order, or above it", () => {
    const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
    for (const scalar of [new Uint8Array(32), order, new Uint8Array(32).fill(0xff), new Uint8Array(33).fill(1)]) {
      expect(soundPublicKey("ECC_NIST_P256", scalarOnly(scalar))).toBeNull();
    }
  });
});

describe("seeds", () => {
  const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

  it("are written as the examples of RFC 9881 and RFC 9935 are, and give their public keys", () => {
    const dsa = seedKeyInfo("ML_DSA_44", counting(32));
    expect(Buffer.from(dsa).toString("base64")).toBe(
      "MDQCAQAwCwYJYIZIAWUDBAMRBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    );
    expect(Buffer.from(soundPublicKey("ML_DSA_44", dsa) ?? []).toString("base64")).toMatch(
      /^MIIFMjALBglghkgBZQMEAxEDggUhANeytHJUquDbReeTDUqY0sl9jxOX0Xidr6FwJLMW6b7JT8mUbULx/,
    );
    const kem = seedKeyInfo("ML_KEM_512", counting(64));
    expect(Buffer.from(soundPublicKey("ML_KEM_512", kem) ?? []).toString("base64")).toMatch(
      /^MIIDMjALBglghkgBZQMEBAEDggMhADmVgV5ZfRBDVc8pqlMzyTJRhp1bzb5IcST2Ari2pmwWxHYWSK12/,
    );
  });

  it("of another length are none", () => {
    expect(soundPublicKey("ML_DSA_44", seedKeyInfo("ML_DSA_44", counting(31)))).toBeNull();
    expect(soundPublicKey("ML_KEM_768", seedKeyInfo("ML_KEM_768", counting(32)))).toBeNull();
  });

  it("are all that a generated key keeps", () => {
    expect(privateKeyBytes("ML_KEM_768", privateKeyOf("ML_KEM_768"))).toHaveLength(66);
    expect(privateKeyBytes("ML_DSA_65", privateKeyOf("ML_DSA_65"))).toHaveLength(34);
  });
});
