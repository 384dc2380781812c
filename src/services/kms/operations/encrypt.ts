import type { Operation } from "../../../gateway/contract.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf, requireState } from "../model.ts";
import { requireMaterialId } from "../materials.ts";
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
      encryptionAlgorithm: input.EncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
      dryRun: input.DryRun,
    }),
  async access(context, input) {
    requireCanonical(input.EncryptionContext);
    const target = await resolveKey(kms, context, input.KeyId, {
      aliases: true,
      crossAccount: true,
      createsManaged: true,
    });
    return { checks: [cryptoAccess(kms, context, target, ACTION, input)], target };
  },
  check({ call }, input, target) {
    const key = recordOf(target, ACTION);
    requireAlgorithm(input.EncryptionAlgorithm, key);
    requireState(key, "Encrypt", call.nowMs);
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
      output: { CiphertextBlob: ciphertext, KeyId: keyArnOf(key), EncryptionAlgorithm: SYMMETRIC_DEFAULT },
      writes,
      audit: usedMaterial(key, requireMaterialId(key)),
    };
  },
});
