import { describe, expect, test } from "vitest";
import type { AccessCheck, Call } from "../../gateway/contract.ts";
import { model } from "./shapes.generated.ts";
import { kmsQuotas } from "./quotas.ts";

const check = (spec?: string): AccessCheck => ({
  action: "kms:Any",
  resource: "*",
  resourceAccountId: "111122223333",
  ...(spec === undefined ? {} : { context: { "kms:KeySpec": spec } }),
});

/** What a call counts against: name, how often, and where that is another Region. */
const charged = (operation: string, specs: readonly (string | undefined)[], input: object = {}): readonly string[] =>
  kmsQuotas
    .charges({ operation } as Call, input, specs.map(check))
    .map(({ quota, count, region }) => `${quota.name} ${count}${region === undefined ? "" : ` ${region}`}`);

const shared = (kind: string): string => `Cryptographic operations (${kind}) request rate 1`;

const named = (name: string) => {
  const quota = kmsQuotas.quotas.find((one) => one.name === name);
  if (quota === undefined) throw new Error(`no quota ${name}`);
  return quota;
};

describe("a KMS request counts", () => {
  test.each([
    ["Encrypt", "SYMMETRIC_DEFAULT", "symmetric"],
    ["GenerateMac", "HMAC_256", "symmetric"],
    ["Decrypt", "RSA_4096", "RSA"],
    ["Sign", "ECC_NIST_EDWARDS25519", "ECC"],
    ["DeriveSharedSecret", "ECC_NIST_P384", "ECC"],
    ["Verify", "ML_DSA_65", "ML-DSA"],
    ["Decapsulate", "ML_KEM_768", "ML-KEM"],
  ])("%s with a %s key against what keys of its kind share", (operation, spec, kind) => {
    expect(charged(operation, [spec])).toEqual([shared(kind)]);
  });

  test("GenerateRandom as symmetric, and so a key that is not there", () => {
    expect(charged("GenerateRandom", [undefined])).toEqual([shared("symmetric")]);
    expect(charged("Encrypt", [undefined])).toEqual([shared("symmetric")]);
  });

  test("ReEncrypt against the quotas of both its keys, once if they are the same", () => {
    expect(charged("ReEncrypt", ["SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT"])).toEqual([shared("symmetric")]);
    expect(charged("ReEncrypt", ["RSA_2048", "SYMMETRIC_DEFAULT"])).toEqual([shared("RSA"), shared("symmetric")]);
  });

  test("data key pairs by the spec of the pair, in both forms together", () => {
    for (const operation of ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"]) {
      expect(charged(operation, ["SYMMETRIC_DEFAULT"], { KeyPairSpec: "RSA_3072" })).toEqual([
        "GenerateDataKeyPair (RSA_3072) request rate 1",
      ]);
    }
  });

  test("everything else against its own quota, in both Regions if it concerns two", () => {
    expect(charged("DisableKey", ["RSA_2048"])).toEqual(["DisableKey request rate 1"]);
    expect(charged("ReplicateKey", ["RSA_2048"], { ReplicaRegion: "eu-west-1" })).toEqual([
      "ReplicateKey request rate 1",
      "CreateKey request rate 2 eu-west-1",
    ]);
    expect(charged("UpdatePrimaryRegion", ["RSA_2048"], { PrimaryRegion: "eu-west-1" })).toEqual([
      "UpdatePrimaryRegion request rate 1",
      "UpdatePrimaryRegion request rate 1 eu-west-1",
    ]);
  });

  test("against some quota, whichever operation of the model it is", () => {
    const input = { KeyPairSpec: "RSA_2048" };
    const free = Object.keys(model.operations).filter((operation) => {
      const pair = operation.startsWith("GenerateDataKeyPair");
      return charged(operation, ["SYMMETRIC_DEFAULT"], pair ? input : {}).length === 0;
    });
    expect(free).toEqual([]);
  });

  test("every pair spec of the model has a quota", () => {
    const specs = model.shapes["DataKeyPairSpec"];
    const known = specs?.type === "string" ? (specs.enum ?? []) : [];
    expect(known.length).toBeGreaterThan(10);
    const without = known.filter(
      (KeyPairSpec) => charged("GenerateDataKeyPair", [undefined], { KeyPairSpec }).length === 0,
    );
    // AWS has it in China only, and it is refused before it would count.
    expect(without).toEqual(["SM2"]);
  });
});

describe("the figures", () => {
  test("differ by Region where AWS's do", () => {
    const symmetric = named("Cryptographic operations (symmetric) request rate");
    expect(["us-east-1", "eu-central-1", "eu-north-1"].map(symmetric.defaultIn)).toEqual([100_000, 20_000, 10_000]);
    const rsa = named("GenerateDataKeyPair (RSA_4096) request rate");
    expect(["us-east-1", "cn-north-1"].map(rsa.defaultIn)).toEqual([1, 0.1]);
  });

  test("belong to one quota each: codes and names are unique, and fit the model of Service Quotas", () => {
    const codes = kmsQuotas.quotas.map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(new Set(kmsQuotas.quotas.map(({ name }) => name)).size).toBe(codes.length);
    expect(codes.filter((code) => !/^[a-zA-Z][a-zA-Z0-9-]{1,127}$/.test(code))).toEqual([]);
  });
});
