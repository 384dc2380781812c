import { randomBytes } from "node:crypto";
import type { KeySpec, SigningAlgorithmSpec } from "@aws-sdk/client-kms";
import { beforeAll, expect, test } from "vitest";
import { expectAllAlike, flipped } from "./alike.ts";
import { bytes, given, kmsSuite, type Refusal } from "./suite.ts";

/** Signatures and MACs changed in every way: one refusal, and no second encoding of what is right. */
const suite = kmsSuite();
const { kms } = suite;

let hmac = "";
const signers = new Map<KeySpec, string>();
const SIGNERS: readonly (readonly [KeySpec, SigningAlgorithmSpec])[] = [
  ["RSA_2048", "RSASSA_PSS_SHA_256"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
  ["ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ECC_SECG_P256K1", "ECDSA_SHA_256"],
  ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"],
  ["ML_DSA_44", "ML_DSA_SHAKE_256"],
];
beforeAll(async () => {
  const make = async (KeySpec: KeySpec, KeyUsage: "SIGN_VERIFY" | "GENERATE_VERIFY_MAC"): Promise<string> =>
    given((await kms().createKey({ KeySpec, KeyUsage })).KeyMetadata?.KeyId);
  hmac = await make("HMAC_256", "GENERATE_VERIFY_MAC");
  for (const [KeySpec] of SIGNERS) if (!signers.has(KeySpec)) signers.set(KeySpec, await make(KeySpec, "SIGN_VERIFY"));
});

/** The order of P-256's and secp256k1's groups. */
const ORDERS: Readonly<Partial<Record<KeySpec, bigint>>> = {
  ECC_NIST_P256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ECC_SECG_P256K1: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
};
const derInteger = (value: bigint): Buffer => {
  let hex = value.toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
  return Buffer.concat([Buffer.from([2, hex.length / 2]), Buffer.from(hex, "hex")]);
};
const derSignature = (r: bigint, s: bigint): Buffer => {
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
};
const integersOf = (signature: Buffer): readonly [bigint, bigint] => {
  const rLength = signature.readUInt8(3);
  const r = signature.subarray(4, 4 + rLength);
  const s = signature.subarray(6 + rLength);
  return [BigInt(`0x${r.toString("hex")}`), BigInt(`0x${s.toString("hex")}`)];
};

const SIGNED = bytes("message");
const signatureOf = async (KeySpec: KeySpec, SigningAlgorithm: SigningAlgorithmSpec): Promise<Buffer> =>
  Buffer.from(
    given((await kms().sign({ KeyId: given(signers.get(KeySpec)), Message: SIGNED, SigningAlgorithm })).Signature),
  );
const verify = async (
  KeySpec: KeySpec,
  SigningAlgorithm: SigningAlgorithmSpec,
  Signature: Uint8Array,
  Message = SIGNED,
): Promise<unknown> => kms().verify({ KeyId: given(signers.get(KeySpec)), Message, SigningAlgorithm, Signature });
const INVALID_SIGNATURE: Refusal = { code: "KMSInvalidSignatureException", status: 400, message: "" };

test.each(SIGNERS)(
  "a signature with %s, %s, changed, cut, lengthened, empty of sense or of another message is invalid, in answers that do not differ",
  async (KeySpec, SigningAlgorithm) => {
    const whole = await signatureOf(KeySpec, SigningAlgorithm);
    const step = Math.max(1, Math.floor(whole.length / 64));
    const changed = [
      ...Array.from({ length: Math.floor(whole.length / step) }, (_, index) => flipped(whole, index * step)),
      whole.subarray(0, -1),
      whole.subarray(1),
      Buffer.concat([whole, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), whole]),
      Buffer.alloc(whole.length),
      Buffer.alloc(whole.length, 0xff),
      randomBytes(whole.length),
      Buffer.from([0]),
      derSignature(0n, 0n),
      derSignature(1n, 1n),
    ];
    await expectAllAlike(
      [
        ...changed.map((signature) => async () => verify(KeySpec, SigningAlgorithm, signature)),
        async () => verify(KeySpec, SigningAlgorithm, whole, bytes("another")),
      ],
      INVALID_SIGNATURE,
    );
  },
);

test.each(Object.entries(ORDERS) as [KeySpec, bigint][])(
  "an ECDSA signature with %s has one encoding: what is not strict DER, or out of range, is invalid",
  async (KeySpec, order) => {
    const [r, s] = integersOf(await signatureOf(KeySpec, "ECDSA_SHA_256"));
    expect(await verify(KeySpec, "ECDSA_SHA_256", derSignature(r, s))).toMatchObject({ SignatureValid: true });
    const whole = derSignature(r, s);
    const body = whole.subarray(2);
    const padded = Buffer.concat([Buffer.from([2, body.readUInt8(1) + 1, 0]), body.subarray(2)]);
    const flat = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, "0"), "hex");
    const loose = [
      // The length in the long form; an integer with a zero byte too many.
      Buffer.concat([Buffer.from([0x30, 0x81, body.length]), body]),
      Buffer.concat([Buffer.from([0x30, padded.length]), padded]),
      // r and s side by side without DER, as other interfaces have it.
      Buffer.concat([flat(r), flat(s)]),
      derSignature(r + order, s),
      derSignature(r, s + order),
      derSignature(r, 0n),
      derSignature(0n, s),
      Buffer.concat([whole, whole]),
    ];
    await expectAllAlike(
      loose.map((signature) => async () => verify(KeySpec, "ECDSA_SHA_256", signature)),
      INVALID_SIGNATURE,
    );
  },
);

test("an Ed25519 signature has one encoding: s plus the group's order is invalid", async () => {
  const whole = await signatureOf("ECC_NIST_EDWARDS25519", "ED25519_SHA_512");
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const low = Buffer.from(whole.subarray(32).toReversed()).toString("hex");
  const high = Buffer.from((BigInt(`0x${low}`) + order).toString(16).padStart(64, "0"), "hex").toReversed();
  const changed = Buffer.concat([whole.subarray(0, 32), high]);
  await expectAllAlike([async () => verify("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", changed)], INVALID_SIGNATURE);
});

test("a MAC changed in any byte, cut or lengthened is invalid, in answers that do not differ", async () => {
  const request = { KeyId: hmac, Message: bytes("message"), MacAlgorithm: "HMAC_SHA_256" } as const;
  const mac = Buffer.from(given((await kms().generateMac(request)).Mac));
  const changed = [
    ...Array.from(mac, (_, at) => flipped(mac, at)),
    mac.subarray(0, 31),
    mac.subarray(0, 1),
    Buffer.concat([mac, Buffer.alloc(1)]),
    Buffer.alloc(32),
  ];
  await expectAllAlike(
    changed.map((Mac) => async () => kms().verifyMac({ ...request, Mac })),
    { code: "KMSInvalidMacException", status: 400, message: "" },
  );
});
