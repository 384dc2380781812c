import { wipe } from "../../../crypto/wipe.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { auditedKeys } from "../access.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf, requireState } from "../model.ts";
import { requireMaterialId } from "../materials.ts";
import type { KmsParts } from "../parts.ts";
import { type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import type { ReEncryptRequest, ReEncryptResponse } from "../shapes.generated.ts";
import { type CiphertextSource, findSource, openSource, requireSameKey } from "./ciphertext-source.ts";
import { cryptoAccess, describeCrypto, encryptUnder, requireAlgorithm } from "./crypto-operation.ts";
import { requireNoModifiers } from "./decrypt.ts";

interface Target {
  readonly source: CiphertextSource;
  readonly destination: NamedKey;
}

const FROM = "kms:ReEncryptFrom";
const TO = "kms:ReEncryptTo";

export const reEncrypt = (kms: KmsParts): Operation<ReEncryptRequest, ReEncryptResponse, Target> => ({
  event: "management",
  readOnly: true,
  describe: (input) =>
    describeCrypto(undefined, undefined, {
      sourceKeyId: input.SourceKeyId,
      sourceEncryptionContext: input.SourceEncryptionContext,
      sourceEncryptionAlgorithm: input.SourceEncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
      destinationKeyId: input.DestinationKeyId,
      destinationEncryptionContext: input.DestinationEncryptionContext,
      destinationEncryptionAlgorithm: input.DestinationEncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
      dryRun: input.DryRun,
    }),

  async access(context, input) {
    requireNoModifiers(input.DryRunModifiers);
    requireCanonical(input.SourceEncryptionContext);
    requireCanonical(input.DestinationEncryptionContext);
    const source = await findSource(kms, context, input.CiphertextBlob, input.SourceKeyId);
    const destination = await resolveKey(kms, context, input.DestinationKeyId, { aliases: true, crossAccount: true });
    const sameKey = { "kms:ReEncryptOnSameKey": String(source.named.arn === destination.arn) };
    return {
      checks: [
        cryptoAccess(
          kms,
          context,
          source.named,
          FROM,
          { ...input, EncryptionContext: input.SourceEncryptionContext },
          sameKey,
        ),
        cryptoAccess(
          kms,
          context,
          destination,
          TO,
          { ...input, EncryptionContext: input.DestinationEncryptionContext },
          sameKey,
        ),
      ],
      target: { source, destination },
    };
  },

  async check(context, input, { source, destination }) {
    const from = recordOf(source.named, FROM);
    const to = recordOf(destination, TO);
    await requireSameKey(context, source);
    requireAlgorithm(input.SourceEncryptionAlgorithm, from);
    requireAlgorithm(input.DestinationEncryptionAlgorithm, to);
    requireState(from, "ReEncrypt", context.call.nowMs);
    requireState(to, "ReEncrypt", context.call.nowMs);
  },

  async handle(context, input, { source, destination }) {
    const from = recordOf(source.named, FROM);
    const to = recordOf(destination, TO);
    const plaintext = await openSource(kms, context, source, from, input.SourceEncryptionContext);
    try {
      if (input.DryRun) throw dryRunSucceeded();
      const destinationContext = input.DestinationEncryptionContext;
      const { ciphertext, writes } = await encryptUnder(kms, context, destination, to, destinationContext, plaintext);
      const sourceMaterialId = source.parsed.header.materialId;
      return {
        output: {
          CiphertextBlob: ciphertext,
          SourceKeyId: keyArnOf(from),
          KeyId: keyArnOf(to),
          SourceEncryptionAlgorithm: SYMMETRIC_DEFAULT,
          DestinationEncryptionAlgorithm: SYMMETRIC_DEFAULT,
          SourceKeyMaterialId: sourceMaterialId,
          DestinationKeyMaterialId: requireMaterialId(to),
        },
        writes,
        audit: {
          ...auditedKeys(from, to),
          additionalEventData: {
            sourceKeyMaterialId: sourceMaterialId,
            destinationKeyMaterialId: requireMaterialId(to),
          },
        },
      };
    } finally {
      wipe(plaintext);
    }
  },
});
