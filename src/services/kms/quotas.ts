import { madeNow } from "../../base/lazy.ts";
import { ServiceError } from "../../base/errors.ts";
import type { AccessCheck, Call, Quota, QuotaCharge, QuotaValues, ServiceQuotas } from "../../gateway/contract.ts";
import { type ServedSpec, factsOf, isServedSpec } from "./key-specs.ts";
import type { KeySpec } from "./shapes.generated.ts";

/**
 * The quotas of KMS: names and figures are those of the developer guide, "Request quotas" and "Resource quotas". Codes that
 * begin with `L-` are AWS's; where AWS's code is not public, ours begins with `W-`.
 */
const rate = (code: string, name: string, defaultIn: number | ((region: string) => number)): Quota => ({
  code,
  name: `${name} request rate`,
  kind: "rate",
  adjustable: true,
  defaultIn: typeof defaultIn === "number" ? () => defaultIn : defaultIn,
});

const count = (code: string, name: string, countMax: number, adjustable = true): Quota => ({
  code,
  name,
  kind: "count",
  adjustable,
  defaultIn: () => countMax,
});

/** Customer managed keys of an account in a Region, whatever their state. */
export const KEYS: Quota = count("L-C2F1777E", "Customer Master Keys (CMKs)", 100_000);
export const ALIASES_PER_KEY: Quota = count("L-340F62FB", "Aliases per CMK", 50);
export const GRANTS_PER_KEY: Quota = count("L-D594A657", "Grants per CMK", 50_000);
export const ON_DEMAND_ROTATIONS_PER_KEY: Quota = count("L-0E66C9C0", "On-demand rotations per CMK", 25, false);

const SYMMETRIC_BY_REGION: Readonly<Record<string, number>> = {
  "us-east-1": 100_000,
  "us-west-2": 100_000,
  "eu-west-1": 100_000,
  "us-east-2": 20_000,
  "ap-southeast-1": 20_000,
  "ap-southeast-2": 20_000,
  "ap-northeast-1": 20_000,
  "eu-central-1": 20_000,
  "eu-west-2": 20_000,
};

const cryptographic = (code: string, kind: string, defaultIn: Parameters<typeof rate>[2]): Quota =>
  rate(code, `Cryptographic operations (${kind})`, defaultIn);

const SYMMETRIC = cryptographic("L-6E3AF000", "symmetric", (region) => SYMMETRIC_BY_REGION[region] ?? 10_000);
const RSA = cryptographic("L-2AC98190", "RSA", 1_000);
const ECC = cryptographic("L-DC14942D", "ECC", 1_000);

/** What the cryptographic operations on keys of one family share. HMAC keys are symmetric, Ed25519 is an elliptic curve. */
const SHARED = {
  symmetric: SYMMETRIC,
  hmac: SYMMETRIC,
  rsa: RSA,
  ecc: ECC,
  edwards: ECC,
  "ml-dsa": cryptographic("W-CryptographicOperationsMlDsa", "ML-DSA", 1_000),
  // Not in the guide's table yet.
  "ml-kem": cryptographic("W-CryptographicOperationsMlKem", "ML-KEM", 1_000),
} as const;

const CRYPTOGRAPHIC: ReadonlySet<string> = new Set([
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "Encapsulate",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "GenerateRandom",
  "ReEncrypt",
  "Sign",
  "Verify",
  "VerifyMac",
]);

/** RSA keys are slower to make in the Regions in China. */
const outsideChina =
  (elsewhere: number, inChina: number) =>
  (region: string): number =>
    region.startsWith("cn-") ? inChina : elsewhere;

const dataKeyPair = (code: string, spec: string, defaultIn: Parameters<typeof rate>[2]): readonly [string, Quota] => [
  spec,
  rate(code, `GenerateDataKeyPair (${spec})`, defaultIn),
];

/** By the spec of the pair; those that the guide does not list are as its elliptic curves. */
const DATA_KEY_PAIRS: ReadonlyMap<string, Quota> = new Map([
  dataKeyPair("L-D2EEB5E0", "ECC_NIST_P256", 100),
  dataKeyPair("L-16B46EF0", "ECC_NIST_P384", 100),
  dataKeyPair("L-1D966DA0", "ECC_NIST_P521", 100),
  dataKeyPair("W-GenerateDataKeyPair-ECC-SECG-P256K1", "ECC_SECG_P256K1", 100),
  dataKeyPair("W-GenerateDataKeyPair-ECC-NIST-EDWARDS25519", "ECC_NIST_EDWARDS25519", 100),
  dataKeyPair("W-GenerateDataKeyPair-ML-KEM-512", "ML_KEM_512", 100),
  dataKeyPair("W-GenerateDataKeyPair-ML-KEM-768", "ML_KEM_768", 100),
  dataKeyPair("W-GenerateDataKeyPair-ML-KEM-1024", "ML_KEM_1024", 100),
  dataKeyPair("W-GenerateDataKeyPair-RSA-2048", "RSA_2048", outsideChina(20, 1)),
  dataKeyPair("W-GenerateDataKeyPair-RSA-3072", "RSA_3072", outsideChina(4, 0.5)),
  dataKeyPair("W-GenerateDataKeyPair-RSA-4096", "RSA_4096", outsideChina(1, 0.1)),
]);

/** Operation, requests a second, and AWS's code. */
const MANAGEMENT: readonly (readonly [string, number, string?])[] = [
  ["CancelKeyDeletion", 5, "L-635264CC"],
  ["ConnectCustomKeyStore", 5, "L-705B9E79"],
  ["CreateAlias", 5, "L-F7504F73"],
  ["CreateCustomKeyStore", 5, "L-08932E37"],
  ["CreateGrant", 50, "L-0428A42E"],
  ["CreateKey", 5, "L-32B67F4A"],
  ["DeleteAlias", 15, "L-1F75ADD1"],
  ["DeleteCustomKeyStore", 5, "L-E99520CB"],
  ["DeleteImportedKeyMaterial", 15, "L-1233BF9B"],
  ["DescribeCustomKeyStores", 5, "L-E20AA94C"],
  ["DescribeKey", 2_000, "L-FAE8F084"],
  ["DisableKey", 5, "L-6B8C93BD"],
  ["DisableKeyRotation", 5, "L-CE1DB614"],
  ["DisconnectCustomKeyStore", 5, "L-9F1FCF6D"],
  ["EnableKey", 5, "L-BD96F100"],
  ["EnableKeyRotation", 15, "L-BE799B67"],
  ["GetKeyLastUsage", 5],
  ["GetKeyPolicy", 1_000],
  ["GetKeyRotationStatus", 1_000],
  ["GetParametersForImport", 1],
  ["GetPublicKey", 2_000],
  ["ImportKeyMaterial", 15],
  ["ListAliases", 500],
  ["ListGrants", 100],
  ["ListKeyPolicies", 100],
  ["ListKeyRotations", 100],
  ["ListKeys", 500],
  ["ListResourceTags", 2_000],
  ["ListRetirableGrants", 100],
  ["PutKeyPolicy", 15],
  ["ReplicateKey", 5],
  ["RetireGrant", 50],
  ["RevokeGrant", 50],
  ["RotateKeyOnDemand", 5],
  ["ScheduleKeyDeletion", 15],
  ["TagResource", 10],
  ["UntagResource", 5],
  ["UpdateAlias", 5],
  ["UpdateCustomKeyStore", 5],
  ["UpdateKeyDescription", 5],
  ["UpdatePrimaryRegion", 5],
];

const BY_OPERATION: ReadonlyMap<string, Quota> = new Map(
  MANAGEMENT.map(([operation, perSecond, code]) => [operation, rate(code ?? `W-${operation}`, operation, perSecond)]),
);

export const kmsQuotas: ServiceQuotas = {
  title: "AWS Key Management Service (AWS KMS)",
  quotas: [
    KEYS,
    ALIASES_PER_KEY,
    GRANTS_PER_KEY,
    ON_DEMAND_ROTATIONS_PER_KEY,
    ...new Set(Object.values(SHARED)),
    ...DATA_KEY_PAIRS.values(),
    ...BY_OPERATION.values(),
  ],
  charges,
  throttled: () =>
    new ServiceError(
      "ThrottlingException",
      "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    ),
};

/** The input members that charges look at. */
interface ChargedInput {
  readonly KeyPairSpec?: string;
  readonly ReplicaRegion?: string;
  readonly PrimaryRegion?: string;
}

/** The developer guide's "Request quotas", with its notes on the operations that concern two Regions. */
function charges(call: Call, input: unknown, checks: readonly AccessCheck[]): readonly QuotaCharge[] {
  const { KeyPairSpec = "", ReplicaRegion, PrimaryRegion } = input as ChargedInput;
  if (CRYPTOGRAPHIC.has(call.operation)) {
    // Of ReEncrypt's two keys each counts, once if they share a quota.
    return [...new Set(sharedQuotas(checks))].map((quota) => ({ quota, count: 1 }));
  }
  const own = DATA_KEY_PAIRS.get(KeyPairSpec) ?? BY_OPERATION.get(call.operation);
  if (own === undefined) return [];
  const one: QuotaCharge = { quota: own, count: 1 };
  if (ReplicaRegion !== undefined) {
    const made = BY_OPERATION.get("CreateKey");
    return made === undefined ? [one] : [one, { quota: made, count: 2, region: ReplicaRegion }];
  }
  return PrimaryRegion === undefined ? [one] : [one, { ...one, region: PrimaryRegion }];
}

/** A check on a key tells its spec as a condition value. Without a key (GenerateRandom, one that is not there) it is symmetric. */
const sharedQuotas = (checks: readonly AccessCheck[]): readonly Quota[] =>
  checks.map(({ context, ownersContext }) => {
    const spec = madeNow(ownersContext ?? context ?? {})["kms:KeySpec"];
    return typeof spec === "string" && isServedSpec(spec as KeySpec)
      ? SHARED[factsOf(spec as ServedSpec).family]
      : SYMMETRIC;
  });

/** AWS's figures, where no operator's figures and no increases are known. */
export const awsQuotaValues: QuotaValues = {
  valueOf: (_accountId, region, _service, quota) => Promise.resolve(quota.defaultIn(region)),
};
