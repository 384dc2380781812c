import type { Operation } from "../../../gateway/contract.ts";
import { invalidCiphertext } from "../errors.ts";
import { lendPrivateKey, offMainThread, pairSpecOf, publicKeyOf } from "../key-pairs.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  DecapsulateRequest,
  DecapsulateResponse,
  EncapsulateRequest,
  EncapsulateResponse,
} from "../shapes.generated.ts";
import { ENCAPSULATES, keyUse } from "./key-use.ts";

export const encapsulate = (kms: KmsParts): Operation<EncapsulateRequest, EncapsulateResponse, NamedKey> =>
  keyUse<EncapsulateRequest, EncapsulateResponse>(kms, {
    name: "Encapsulate",
    demand: ENCAPSULATES,
    algorithm: (input) => input.EncapsulationAlgorithm,
    describe,
    async handle(_context, input, key) {
      const made = await offMainThread(kms.keyWorkers.encapsulate(pairSpecOf(key), publicKeyOf(key)));
      return {
        output: {
          KeyId: keyArnOf(key),
          SharedSecret: made.sharedSecret,
          SharedSecretCiphertextBlob: made.ciphertext,
          EncapsulationAlgorithm: input.EncapsulationAlgorithm,
        },
      };
    },
  });

/** A ciphertext that was changed, or made for another key, gives another secret and no error (FIPS 203, section 6.3). */
export const decapsulate = (kms: KmsParts): Operation<DecapsulateRequest, DecapsulateResponse, NamedKey> =>
  keyUse<DecapsulateRequest, DecapsulateResponse>(kms, {
    name: "Decapsulate",
    demand: ENCAPSULATES,
    algorithm: (input) => input.EncapsulationAlgorithm,
    describe,
    triedInDryRun: true,
    async handle(context, input, key) {
      const lent = await lendPrivateKey(kms, context, key);
      const secret = await offMainThread(
        kms.keyWorkers.decapsulate(pairSpecOf(key), lent, input.SharedSecretCiphertextBlob),
      );
      if (secret === null) throw invalidCiphertext();
      return {
        output: {
          KeyId: keyArnOf(key),
          SharedSecret: secret,
          EncapsulationAlgorithm: input.EncapsulationAlgorithm,
        },
      };
    },
  });

function describe(input: Pick<EncapsulateRequest, "EncapsulationAlgorithm">): Readonly<Record<string, unknown>> {
  return { encapsulationAlgorithm: input.EncapsulationAlgorithm };
}
