import { wipe } from "../../../crypto/wipe.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded, unsupported } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf, requireState } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { recordOf } from "../resolve.ts";
import type { DecryptRequest, DecryptResponse } from "../shapes.generated.ts";
import { type CiphertextSource, findSource, openSource, requireSameKey } from "./ciphertext-source.ts";
import {
  cryptoAccess,
  describeCrypto,
  requireAlgorithm,
  requireNoRecipient,
  usedMaterial,
} from "./crypto-operation.ts";

const ACTION = "kms:Decrypt";

export const decrypt = (kms: KmsParts): Operation<DecryptRequest, DecryptResponse, CiphertextSource> => ({
  event: "management",
  readOnly: true,
  describe: (input) =>
    describeCrypto(input.KeyId, input.EncryptionContext, {
      encryptionAlgorithm: input.EncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
      dryRun: input.DryRun,
    }),
  async access(context, input) {
    requireNoRecipient(input.Recipient);
    requireNoModifiers(input.DryRunModifiers);
    requireCanonical(input.EncryptionContext);
    const target = await findSource(kms, context, input.CiphertextBlob, input.KeyId);
    return { checks: [cryptoAccess(kms, context, target.named, ACTION, input)], target };
  },
  async check(context, input, target) {
    const key = recordOf(target.named, ACTION);
    await requireSameKey(context, target);
    requireAlgorithm(input.EncryptionAlgorithm, key);
    requireState(key, "Decrypt", context.call.nowMs);
  },
  async handle(context, input, target) {
    const key = recordOf(target.named, ACTION);
    const plaintext = await openSource(kms, context, target, key, input.EncryptionContext);
    if (input.DryRun) {
      wipe(plaintext);
      throw dryRunSucceeded();
    }
    const { materialId } = target.parsed.header;
    return {
      output: {
        KeyId: keyArnOf(key),
        Plaintext: plaintext,
        EncryptionAlgorithm: SYMMETRIC_DEFAULT,
        KeyMaterialId: materialId,
      },
      audit: usedMaterial(key, materialId),
    };
  },
});

/** Ignoring a modifier would answer another question than the one that was asked. */
export function requireNoModifiers(modifiers: readonly string[] | undefined): void {
  if (modifiers !== undefined && modifiers.length > 0) throw unsupported("DryRunModifiers are not supported yet.");
}
