import type { PairSpec } from "../../crypto/asymmetric/key-workers.ts";
import type {
  EncapsulationAlgorithmSpec,
  EncryptionAlgorithmSpec,
  KeyAgreementAlgorithmSpec,
  KeySpec,
  KeyUsageType,
  MacAlgorithmSpec,
  SigningAlgorithmSpec,
} from "./shapes.generated.ts";

/** What KMS keys of one spec can do (developer guide, "Key spec reference"). */
export interface SpecFacts {
  readonly family: "symmetric" | "hmac" | "rsa" | "ecc" | "edwards" | "ml-dsa" | "ml-kem";
  /** The first one is meant when a request may leave it out, which is so for symmetric keys alone. */
  readonly usages: readonly KeyUsageType[];
  readonly encryption?: readonly EncryptionAlgorithmSpec[];
  readonly signing?: readonly SigningAlgorithmSpec[];
  readonly mac?: readonly MacAlgorithmSpec[];
  readonly agreement?: readonly KeyAgreementAlgorithmSpec[];
  readonly encapsulation?: readonly EncapsulationAlgorithmSpec[];
  /** Length of the material of symmetric and HMAC keys. */
  readonly materialBytes?: number;
}

const RSA: SpecFacts = {
  family: "rsa",
  usages: ["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
  encryption: ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"],
  signing: [
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
  ],
};

const nistCurve = (signing: SigningAlgorithmSpec): SpecFacts => ({
  family: "ecc",
  usages: ["SIGN_VERIFY", "KEY_AGREEMENT"],
  signing: [signing],
  agreement: ["ECDH"],
});

const hmac = (mac: MacAlgorithmSpec, materialBytes: number): SpecFacts => ({
  family: "hmac",
  usages: ["GENERATE_VERIFY_MAC"],
  mac: [mac],
  materialBytes,
});

const ML_DSA: SpecFacts = { family: "ml-dsa", usages: ["SIGN_VERIFY"], signing: ["ML_DSA_SHAKE_256"] };
const ML_KEM: SpecFacts = { family: "ml-kem", usages: ["ENCAPSULATE_DECAPSULATE"], encapsulation: ["ML_KEM"] };

/** SM2 is refused before it gets here: AWS has it in China only. */
const FACTS: Readonly<Record<Exclude<KeySpec, "SM2">, SpecFacts>> = {
  SYMMETRIC_DEFAULT: {
    family: "symmetric",
    usages: ["ENCRYPT_DECRYPT"],
    encryption: ["SYMMETRIC_DEFAULT"],
    materialBytes: 32,
  },
  RSA_2048: RSA,
  RSA_3072: RSA,
  RSA_4096: RSA,
  ECC_NIST_P256: nistCurve("ECDSA_SHA_256"),
  ECC_NIST_P384: nistCurve("ECDSA_SHA_384"),
  ECC_NIST_P521: nistCurve("ECDSA_SHA_512"),
  ECC_SECG_P256K1: { family: "ecc", usages: ["SIGN_VERIFY"], signing: ["ECDSA_SHA_256"] },
  ECC_NIST_EDWARDS25519: {
    family: "edwards",
    usages: ["SIGN_VERIFY"],
    signing: ["ED25519_SHA_512", "ED25519_PH_SHA_512"],
  },
  HMAC_224: hmac("HMAC_SHA_224", 28),
  HMAC_256: hmac("HMAC_SHA_256", 32),
  HMAC_384: hmac("HMAC_SHA_384", 48),
  HMAC_512: hmac("HMAC_SHA_512", 64),
  ML_DSA_44: ML_DSA,
  ML_DSA_65: ML_DSA,
  ML_DSA_87: ML_DSA,
  ML_KEM_512: ML_KEM,
  ML_KEM_768: ML_KEM,
  ML_KEM_1024: ML_KEM,
};

export type ServedSpec = keyof typeof FACTS;

export const isServedSpec = (spec: KeySpec): spec is ServedSpec => Object.hasOwn(FACTS, spec);

export const factsOf = (spec: ServedSpec): SpecFacts => FACTS[spec];

/** Whether keys of this spec have a public and a private half. */
export const isPairSpec = (spec: ServedSpec): spec is PairSpec & ServedSpec => FACTS[spec].materialBytes === undefined;
