import { wipe } from "../../../crypto/wipe.ts";
import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { auditedKeys, keyAccess } from "../access.ts";
import { requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import type { EncryptionAlgorithmSpec, ReEncryptRequest, ReEncryptResponse } from "../shapes.generated.ts";
import {
  type CiphertextSource,
  findSource,
  ignoresCiphertext,
  openSource,
  requireSameKey,
  sourceMaterialId,
} from "./ciphertext-source.ts";
import { encryptFor, requireFits, requireNoKeyPairContext } from "./encryption.ts";
import { ENCRYPTS, describeUse, requireUsable, useOf } from "./key-use.ts";

interface Target {
  readonly source: CiphertextSource;
  readonly destination: NamedKey;
}

const FROM = "kms:ReEncryptFrom";
const TO = "kms:ReEncryptTo";

/** The algorithms of both sides. */
const algorithmsOf = (input: ReEncryptRequest): { from: EncryptionAlgorithmSpec; to: EncryptionAlgorithmSpec } => ({
  from: input.SourceEncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
  to: input.DestinationEncryptionAlgorithm ?? SYMMETRIC_DEFAULT,
});

export const reEncrypt = (kms: KmsParts): Operation<ReEncryptRequest, ReEncryptResponse, Target> => ({
  event: "management",
  readOnly: true,
  describe: (input) =>
    describeUse(
      undefined,
      undefined,
      {
        sourceKeyId: input.SourceKeyId,
        sourceEncryptionContext: input.SourceEncryptionContext,
        sourceEncryptionAlgorithm: algorithmsOf(input).from,
        destinationKeyId: input.DestinationKeyId,
        destinationEncryptionContext: input.DestinationEncryptionContext,
        destinationEncryptionAlgorithm: algorithmsOf(input).to,
        dryRunModifiers: input.DryRunModifiers,
      },
      input.DryRun,
    ),

  async access(context, input) {
    requireCanonical(input.SourceEncryptionContext);
    requireCanonical(input.DestinationEncryptionContext);
    const { from, to } = algorithmsOf(input);
    const source = await findSource(kms, context, {
      blob: input.CiphertextBlob,
      keyId: input.SourceKeyId,
      algorithm: from,
      ignoresCiphertext: ignoresCiphertext(input),
    });
    const destination = await resolveKey(kms, context, input.DestinationKeyId, { aliases: true, crossAccount: true });
    const sameKey = () => ({ "kms:ReEncryptOnSameKey": String(source.named.arn === destination.arn) });
    const { GrantTokens } = input;
    const decrypts = { EncryptionContext: input.SourceEncryptionContext, GrantTokens };
    const encrypts = { EncryptionContext: input.DestinationEncryptionContext, GrantTokens };
    return {
      checks: [
        keyAccess(kms, context, source.named, FROM, useOf(ENCRYPTS, from, decrypts, sameKey)),
        keyAccess(kms, context, destination, TO, useOf(ENCRYPTS, to, encrypts, sameKey)),
      ],
      target: { source, destination },
    };
  },

  async check(context, input, { source, destination }) {
    const from = recordOf(source.named, FROM);
    const to = recordOf(destination, TO);
    const algorithms = algorithmsOf(input);
    await requireSameKey(context, source);
    requireUsable(from, "ReEncrypt", context.call.nowMs, ENCRYPTS, algorithms.from);
    requireUsable(to, "ReEncrypt", context.call.nowMs, ENCRYPTS, algorithms.to);
    requireNoKeyPairContext(algorithms.from, input.SourceEncryptionContext);
    requireNoKeyPairContext(algorithms.to, input.DestinationEncryptionContext);
  },

  async handle(context, input, target) {
    const plaintext = await openSource(
      kms,
      context,
      target.source,
      recordOf(target.source.named, FROM),
      input.SourceEncryptionContext,
    );
    if (plaintext === null) throw dryRunSucceeded();
    try {
      return await encryptAgain(kms, context, input, target, plaintext);
    } finally {
      wipe(plaintext);
    }
  },
});

/** The encrypting half, with the answer. */
async function encryptAgain(
  kms: KmsParts,
  context: OperationContext,
  input: ReEncryptRequest,
  { source, destination }: Target,
  plaintext: Uint8Array,
): ReturnType<Operation<ReEncryptRequest, ReEncryptResponse, Target>["handle"]> {
  const from = recordOf(source.named, FROM);
  const to = recordOf(destination, TO);
  const algorithms = algorithmsOf(input);
  requireFits(to, algorithms.to, plaintext.byteLength);
  if (input.DryRun) throw dryRunSucceeded();
  const encryptionContext = input.DestinationEncryptionContext;
  const { ciphertext, writes, materialId } = await encryptFor(
    kms,
    context,
    { named: destination, key: to, algorithm: algorithms.to, encryptionContext },
    plaintext,
  );
  const openedMaterialId = sourceMaterialId(source);
  const materialIds = {
    ...(openedMaterialId === undefined ? {} : { sourceKeyMaterialId: openedMaterialId }),
    ...(materialId === undefined ? {} : { destinationKeyMaterialId: materialId }),
  };
  return {
    output: {
      CiphertextBlob: ciphertext,
      SourceKeyId: keyArnOf(from),
      KeyId: keyArnOf(to),
      SourceEncryptionAlgorithm: algorithms.from,
      DestinationEncryptionAlgorithm: algorithms.to,
      ...(openedMaterialId === undefined ? {} : { SourceKeyMaterialId: openedMaterialId }),
      ...(materialId === undefined ? {} : { DestinationKeyMaterialId: materialId }),
    },
    writes,
    audit: {
      ...auditedKeys(from, to),
      ...(Object.keys(materialIds).length === 0 ? {} : { additionalEventData: materialIds }),
    },
  };
}
