import { validationError } from "../../../base/errors.ts";
import { randomKeyBytes, wipe } from "../../../crypto/wipe.ts";
import type { Access, Operation, OperationContext } from "../../../gateway/contract.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { keyArnOf, requireState } from "../model.ts";
import { requireMaterialId } from "../materials.ts";
import type { KmsParts } from "../parts.ts";
import { type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import type {
  GenerateDataKeyRequest,
  GenerateDataKeyResponse,
  GenerateDataKeyWithoutPlaintextRequest,
  GenerateDataKeyWithoutPlaintextResponse,
} from "../shapes.generated.ts";
import { cryptoAccess, describeCrypto, encryptUnder, requireNoRecipient, usedMaterial } from "./crypto-operation.ts";

const BYTES_BY_SPEC = { AES_128: 16, AES_256: 32 } as const;

/** The caller owns the plaintext data key: it lies in memory of its own, to be overwritten after use. */
export const generateDataKey = (
  kms: KmsParts,
): Operation<GenerateDataKeyRequest, GenerateDataKeyResponse, NamedKey> => ({
  event: "management",
  readOnly: true,
  describe,
  async access(context, input) {
    requireNoRecipient(input.Recipient);
    return await accessTo(kms, "kms:GenerateDataKey", context, input);
  },
  check: ({ call }, _input, target) =>
    requireState(recordOf(target, "kms:GenerateDataKey"), "GenerateDataKey", call.nowMs),
  async handle(context, input, target) {
    const key = recordOf(target, "kms:GenerateDataKey");
    if (input.DryRun) throw dryRunSucceeded();
    const materialId = requireMaterialId(key);
    const dataKey = randomKeyBytes(dataKeyBytes(input));
    const { ciphertext, writes } = await encryptUnder(kms, context, target, key, input.EncryptionContext, dataKey);
    return {
      output: { CiphertextBlob: ciphertext, Plaintext: dataKey, KeyId: keyArnOf(key), KeyMaterialId: materialId },
      writes,
      audit: usedMaterial(key, materialId),
    };
  },
});

export const generateDataKeyWithoutPlaintext = (
  kms: KmsParts,
): Operation<GenerateDataKeyWithoutPlaintextRequest, GenerateDataKeyWithoutPlaintextResponse, NamedKey> => ({
  event: "management",
  readOnly: true,
  describe,
  access: async (context, input) => await accessTo(kms, "kms:GenerateDataKeyWithoutPlaintext", context, input),
  check: ({ call }, _input, target) =>
    requireState(
      recordOf(target, "kms:GenerateDataKeyWithoutPlaintext"),
      "GenerateDataKeyWithoutPlaintext",
      call.nowMs,
    ),
  async handle(context, input, target) {
    const key = recordOf(target, "kms:GenerateDataKeyWithoutPlaintext");
    if (input.DryRun) throw dryRunSucceeded();
    const materialId = requireMaterialId(key);
    const dataKey = randomKeyBytes(dataKeyBytes(input));
    try {
      const { ciphertext, writes } = await encryptUnder(kms, context, target, key, input.EncryptionContext, dataKey);
      return {
        output: { CiphertextBlob: ciphertext, KeyId: keyArnOf(key), KeyMaterialId: materialId },
        writes,
        audit: usedMaterial(key, materialId),
      };
    } finally {
      wipe(dataKey);
    }
  },
});

type DataKeyInput = GenerateDataKeyWithoutPlaintextRequest;

function describe(input: DataKeyInput): ReturnType<typeof describeCrypto> {
  const { KeySpec: keySpec, NumberOfBytes: numberOfBytes, DryRun: dryRun } = input;
  return describeCrypto(input.KeyId, input.EncryptionContext, { keySpec, numberOfBytes, dryRun });
}

async function accessTo(
  kms: KmsParts,
  action: string,
  context: OperationContext,
  input: DataKeyInput,
): Promise<Access<NamedKey>> {
  dataKeyBytes(input);
  requireCanonical(input.EncryptionContext);
  const target = await resolveKey(kms, context, input.KeyId, {
    aliases: true,
    crossAccount: true,
    createsManaged: true,
  });
  return { checks: [cryptoAccess(kms, context, target, action, input)], target };
}

function dataKeyBytes({ KeySpec: keySpec, NumberOfBytes: numberOfBytes }: DataKeyInput): number {
  if (keySpec !== undefined && numberOfBytes === undefined) return BYTES_BY_SPEC[keySpec];
  if (keySpec === undefined && numberOfBytes !== undefined) return numberOfBytes;
  throw validationError("Please specify either number of bytes or key spec.");
}
