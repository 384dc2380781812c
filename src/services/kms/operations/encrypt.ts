import type { Operation } from "../../../gateway/contract.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { ENCRYPTION_ALGORITHM, keyArnOf, requireState } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import type { EncryptRequest, EncryptResponse } from "../shapes.generated.ts";
import { cryptoAccess, describeCrypto, encryptUnder, requireAlgorithm, usedMaterial } from "./crypto-operation.ts";

const ACTION = "kms:Encrypt";

export const encrypt = (kms: KmsParts): Operation<EncryptRequest, EncryptResponse, NamedKey> => ({
  event: "management",
  readOnly: true,
  describe: (input) =>
    describeCrypto(input.KeyId, input.EncryptionContext, {
      encryptionAlgorithm: input.EncryptionAlgorithm ?? ENCRYPTION_ALGORITHM,
      dryRun: input.DryRun,
    }),
  async access(context, input) {
    requireCanonical(input.EncryptionContext);
    const target = await resolveKey(kms, context, input.KeyId, {
      aliases: true,
      crossAccount: true,
      createsManaged: true,
    });
    return { checks: [cryptoAccess(kms, context.call, target, ACTION, input.EncryptionContext)], target };
  },
  check(_context, input, target) {
    const key = recordOf(target, ACTION);
    requireAlgorithm(input.EncryptionAlgorithm, key);
    requireState(key, "Encrypt");
  },
  async handle(context, input, target) {
    const key = recordOf(target, ACTION);
    if (input.DryRun) throw dryRunSucceeded();
    const { ciphertext, writes } = await encryptUnder(
      kms,
      context,
      target,
      key,
      input.EncryptionContext,
      input.Plaintext,
    );
    return {
      output: { CiphertextBlob: ciphertext, KeyId: keyArnOf(key), EncryptionAlgorithm: ENCRYPTION_ALGORITHM },
      writes,
      audit: usedMaterial(key, key.materialId),
    };
  },
});
