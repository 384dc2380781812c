import { validationError } from "../../../base/errors.ts";
import { randomKeyBytes, wipe } from "../../../crypto/wipe.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import { requireMaterialId } from "../materials.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  GenerateDataKeyRequest,
  GenerateDataKeyResponse,
  GenerateDataKeyWithoutPlaintextRequest,
  GenerateDataKeyWithoutPlaintextResponse,
} from "../shapes.generated.ts";
import { encryptUnder, requireNoRecipient } from "./crypto-operation.ts";
import { ENCRYPTS, keyUse } from "./key-use.ts";

type DataKeyInput = GenerateDataKeyWithoutPlaintextRequest;

const BYTES_BY_SPEC = { AES_128: 16, AES_256: 32 } as const;

/** The caller owns the plaintext data key: it lies in memory of its own, to be overwritten after use. */
export const generateDataKey = (kms: KmsParts): Operation<GenerateDataKeyRequest, GenerateDataKeyResponse, NamedKey> =>
  keyUse<GenerateDataKeyRequest, GenerateDataKeyResponse>(kms, {
    name: "GenerateDataKey",
    demand: ENCRYPTS,
    algorithm: () => SYMMETRIC_DEFAULT,
    createsManaged: true,
    describe,
    requireInput(input) {
      requireNoRecipient(input.Recipient);
      dataKeyBytes(input);
    },
    async handle(context, input, key, named) {
      const dataKey = randomKeyBytes(dataKeyBytes(input));
      const { ciphertext, writes } = await encryptUnder(kms, context, named, key, input.EncryptionContext, dataKey);
      const materialId = requireMaterialId(key);
      return {
        output: { CiphertextBlob: ciphertext, Plaintext: dataKey, KeyId: keyArnOf(key), KeyMaterialId: materialId },
        writes,
        materialId,
      };
    },
  });

export const generateDataKeyWithoutPlaintext = (
  kms: KmsParts,
): Operation<GenerateDataKeyWithoutPlaintextRequest, GenerateDataKeyWithoutPlaintextResponse, NamedKey> =>
  keyUse<GenerateDataKeyWithoutPlaintextRequest, GenerateDataKeyWithoutPlaintextResponse>(kms, {
    name: "GenerateDataKeyWithoutPlaintext",
    demand: ENCRYPTS,
    algorithm: () => SYMMETRIC_DEFAULT,
    createsManaged: true,
    describe,
    requireInput: (input) => void dataKeyBytes(input),
    async handle(context, input, key, named) {
      const dataKey = randomKeyBytes(dataKeyBytes(input));
      try {
        const { ciphertext, writes } = await encryptUnder(kms, context, named, key, input.EncryptionContext, dataKey);
        const materialId = requireMaterialId(key);
        return {
          output: { CiphertextBlob: ciphertext, KeyId: keyArnOf(key), KeyMaterialId: materialId },
          writes,
          materialId,
        };
      } finally {
        wipe(dataKey);
      }
    },
  });

function describe(input: DataKeyInput): Readonly<Record<string, unknown>> {
  return { keySpec: input.KeySpec, numberOfBytes: input.NumberOfBytes };
}

function dataKeyBytes({ KeySpec: keySpec, NumberOfBytes: numberOfBytes }: DataKeyInput): number {
  if (keySpec !== undefined && numberOfBytes === undefined) return BYTES_BY_SPEC[keySpec];
  if (keySpec === undefined && numberOfBytes !== undefined) return numberOfBytes;
  throw validationError("Please specify either number of bytes or key spec.");
}
