import type { MessageKind, SigningAlgorithm } from "../../../crypto/asymmetric/key-workers.ts";
import type { ContextValues } from "../../../authz/types.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { digestLength, incompatibleAlgorithm, incompatibleMessageType, invalidSignature } from "../errors.ts";
import { lendPrivateKey, offMainThread, pairSpecOf, publicKeyOf } from "../key-pairs.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type { SignRequest, SignResponse, VerifyRequest, VerifyResponse } from "../shapes.generated.ts";
import { SIGNS, keyUse } from "./key-use.ts";

type Input = Pick<SignRequest, "Message" | "MessageType" | "SigningAlgorithm">;

/** The message types of an algorithm, with the length in bytes that a message of this type must have; null: any. */
type MessageRules = Readonly<Partial<Record<MessageKind, number | null>>>;

const hashOf = (digestBytes: number): MessageRules => ({ RAW: null, DIGEST: digestBytes });

const MESSAGES: Readonly<Record<SigningAlgorithm, MessageRules>> = {
  RSASSA_PSS_SHA_256: hashOf(32),
  RSASSA_PSS_SHA_384: hashOf(48),
  RSASSA_PSS_SHA_512: hashOf(64),
  RSASSA_PKCS1_V1_5_SHA_256: hashOf(32),
  RSASSA_PKCS1_V1_5_SHA_384: hashOf(48),
  RSASSA_PKCS1_V1_5_SHA_512: hashOf(64),
  ECDSA_SHA_256: hashOf(32),
  ECDSA_SHA_384: hashOf(48),
  ECDSA_SHA_512: hashOf(64),
  ML_DSA_SHAKE_256: { RAW: null, EXTERNAL_MU: 64 },
  ED25519_SHA_512: { RAW: null },
  ED25519_PH_SHA_512: { DIGEST: 64 },
};

export const sign = (kms: KmsParts): Operation<SignRequest, SignResponse, NamedKey> =>
  keyUse<SignRequest, SignResponse>(kms, {
    name: "Sign",
    demand: SIGNS,
    algorithm: (input) => input.SigningAlgorithm,
    describe,
    conditions,
    check: requireMessage,
    async handle(context, input, key) {
      const lent = await lendPrivateKey(kms, context, key);
      const algorithm = signingAlgorithmOf(input, key);
      const signature = await offMainThread(
        kms.keyWorkers.sign(pairSpecOf(key), lent, algorithm, kindOf(input), input.Message),
      );
      return { output: { KeyId: keyArnOf(key), Signature: signature, SigningAlgorithm: algorithm } };
    },
  });

/** Answers only for signatures that fit; every other one is KMSInvalidSignatureException. */
export const verify = (kms: KmsParts): Operation<VerifyRequest, VerifyResponse, NamedKey> =>
  keyUse<VerifyRequest, VerifyResponse>(kms, {
    name: "Verify",
    demand: SIGNS,
    algorithm: (input) => input.SigningAlgorithm,
    describe,
    conditions,
    check: requireMessage,
    triedInDryRun: true,
    async handle(_context, input, key) {
      const algorithm = signingAlgorithmOf(input, key);
      const { Message: message, Signature: signature } = input;
      const fits = await offMainThread(
        kms.keyWorkers.verify(pairSpecOf(key), publicKeyOf(key), algorithm, kindOf(input), message, signature),
      );
      if (!fits) throw invalidSignature();
      return { output: { KeyId: keyArnOf(key), SignatureValid: true, SigningAlgorithm: algorithm } };
    },
  });

const kindOf = (input: Input): MessageKind => input.MessageType ?? "RAW";

function describe(input: Input): Readonly<Record<string, unknown>> {
  return { messageType: kindOf(input), signingAlgorithm: input.SigningAlgorithm };
}

function conditions(input: Input): ContextValues {
  return { "kms:MessageType": kindOf(input) };
}

/** Throws unless the algorithm takes messages of this type, and this one has the length that its type demands. */
function requireMessage(input: Input, key: KeyRecord): void {
  const algorithm = signingAlgorithmOf(input, key);
  const kind = kindOf(input);
  const messageBytes = MESSAGES[algorithm][kind];
  if (messageBytes === undefined) {
    const ofTwoAlgorithms = key.keySpec === "ECC_NIST_EDWARDS25519";
    throw incompatibleMessageType(kind, ofTwoAlgorithms ? `algorithm ${algorithm}` : `key spec ${key.keySpec}`);
  }
  if (messageBytes !== null && input.Message.byteLength !== messageBytes) throw digestLength(algorithm);
}

function signingAlgorithmOf({ SigningAlgorithm: algorithm }: Input, key: KeyRecord): SigningAlgorithm {
  if (algorithm === "SM2DSA") throw incompatibleAlgorithm(algorithm, key.keySpec);
  return algorithm;
}
