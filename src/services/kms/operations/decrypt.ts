import { wipe } from "../../../crypto/wipe.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { keyAccess } from "../access.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { recordOf } from "../resolve.ts";
import type { DecryptRequest, DecryptResponse, EncryptionAlgorithmSpec } from "../shapes.generated.ts";
import {
  type CiphertextSource,
  findSource,
  ignoresCiphertext,
  openSource,
  requireSameKey,
  sourceMaterialId,
} from "./ciphertext-source.ts";
import { requireNoRecipient } from "./crypto-operation.ts";
import { requireNoKeyPairContext } from "./encryption.ts";
import { ENCRYPTS, describeUse, requireUsable, useOf, usedMaterial } from "./key-use.ts";

const ACTION = "kms:Decrypt";

const algorithmOf = (input: DecryptRequest): EncryptionAlgorithmSpec => input.EncryptionAlgorithm ?? SYMMETRIC_DEFAULT;

export const decrypt = (kms: KmsParts): Operation<DecryptRequest, DecryptResponse, CiphertextSource> => ({
  event: "management",
  readOnly: true,
  describe: (input) =>
    describeUse(
      input.KeyId,
      input.EncryptionContext,
      { encryptionAlgorithm: algorithmOf(input), dryRunModifiers: input.DryRunModifiers },
      input.DryRun,
    ),

  async access(context, input) {
    requireNoRecipient(input.Recipient);
    requireCanonical(input.EncryptionContext);
    const algorithm = algorithmOf(input);
    const target = await findSource(kms, context, {
      blob: input.CiphertextBlob,
      keyId: input.KeyId,
      algorithm,
      ignoresCiphertext: ignoresCiphertext(input),
    });
    return { checks: [keyAccess(kms, context, target.named, ACTION, useOf(ENCRYPTS, algorithm, input))], target };
  },

  async check(context, input, target) {
    const key = recordOf(target.named, ACTION);
    await requireSameKey(context, target);
    requireUsable(key, "Decrypt", context.call.nowMs, ENCRYPTS, algorithmOf(input));
    requireNoKeyPairContext(algorithmOf(input), input.EncryptionContext);
  },

  async handle(context, input, target) {
    const key = recordOf(target.named, ACTION);
    const plaintext = await openSource(kms, context, target, key, input.EncryptionContext);
    if (input.DryRun || plaintext === null) {
      wipe(plaintext);
      throw dryRunSucceeded();
    }
    const materialId = sourceMaterialId(target);
    return {
      output: {
        KeyId: keyArnOf(key),
        Plaintext: plaintext,
        EncryptionAlgorithm: algorithmOf(input),
        ...(materialId === undefined ? {} : { KeyMaterialId: materialId }),
      },
      audit: usedMaterial(key, materialId),
    };
  },
});
