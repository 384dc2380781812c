import type { Operation } from "../../../gateway/contract.ts";
import { invalidPeer } from "../errors.ts";
import { lendPrivateKey, offMainThread, pairSpecOf } from "../key-pairs.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { DeriveSharedSecretRequest, DeriveSharedSecretResponse } from "../shapes.generated.ts";
import { requireNoRecipient } from "./crypto-operation.ts";
import { AGREES, keyUse } from "./key-use.ts";

/** Whether the peer's key is sound shows only in the workers, so a dry run goes there too. */
export const deriveSharedSecret = (
  kms: KmsParts,
): Operation<DeriveSharedSecretRequest, DeriveSharedSecretResponse, NamedKey> =>
  keyUse<DeriveSharedSecretRequest, DeriveSharedSecretResponse>(kms, {
    name: "DeriveSharedSecret",
    demand: AGREES,
    algorithm: (input) => input.KeyAgreementAlgorithm,
    describe: (input) => ({ keyAgreementAlgorithm: input.KeyAgreementAlgorithm }),
    requireInput: (input) => requireNoRecipient(input.Recipient),
    triedInDryRun: true,
    async handle(context, input, key) {
      const lent = await lendPrivateKey(kms, context, key);
      const secret = await offMainThread(kms.keyWorkers.agree(pairSpecOf(key), lent, input.PublicKey));
      if (secret === null) throw invalidPeer();
      return {
        output: {
          KeyId: keyArnOf(key),
          SharedSecret: secret,
          KeyAgreementAlgorithm: input.KeyAgreementAlgorithm,
          KeyOrigin: key.origin,
        },
      };
    },
  });
