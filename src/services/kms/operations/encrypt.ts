import type { Operation } from "../../../gateway/contract.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { EncryptRequest, EncryptResponse, EncryptionAlgorithmSpec } from "../shapes.generated.ts";
import { encryptFor, requireFits, requireNoKeyPairContext } from "./encryption.ts";
import { ENCRYPTS, keyUse } from "./key-use.ts";

const algorithmOf = (input: EncryptRequest): EncryptionAlgorithmSpec => input.EncryptionAlgorithm ?? SYMMETRIC_DEFAULT;

export const encrypt = (kms: KmsParts): Operation<EncryptRequest, EncryptResponse, NamedKey> =>
  keyUse<EncryptRequest, EncryptResponse>(kms, {
    name: "Encrypt",
    demand: ENCRYPTS,
    algorithm: algorithmOf,
    createsManaged: true,
    describe: (input) => ({ encryptionAlgorithm: algorithmOf(input) }),
    check(input, key) {
      requireNoKeyPairContext(algorithmOf(input), input.EncryptionContext);
      requireFits(key, algorithmOf(input), input.Plaintext.byteLength);
    },
    async handle(context, input, key, named) {
      const algorithm = algorithmOf(input);
      const target = { named, key, algorithm, encryptionContext: input.EncryptionContext };
      const { ciphertext, writes, materialId } = await encryptFor(kms, context, target, input.Plaintext);
      return {
        output: { CiphertextBlob: ciphertext, KeyId: keyArnOf(key), EncryptionAlgorithm: algorithm },
        writes,
        materialId,
      };
    },
  });
