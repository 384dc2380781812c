import type { Operation } from "../../../gateway/contract.ts";
import { lowerCamel } from "../access.ts";
import { unsupported } from "../errors.ts";
import { publicKeyOf } from "../key-pairs.ts";
import { isPairSpec } from "../key-specs.ts";
import { keyMetadata } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type { GetPublicKeyRequest, GetPublicKeyResponse } from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

/** The public half of a pair, with what it may be used for outside. */
export const getPublicKey = (kms: KmsParts): Operation<GetPublicKeyRequest, GetPublicKeyResponse, NamedKey> =>
  keyOperation<GetPublicKeyRequest, GetPublicKeyResponse>(kms, {
    name: "GetPublicKey",
    readOnly: true,
    forms: { aliases: true, crossAccount: true },
    grantTokens: (input) => input.GrantTokens,
    describe: ({ KeyId }) => lowerCamel({ KeyId }),
    handle({ call }, _input, key) {
      if (!isPairSpec(key.keySpec)) throw unsupported();
      const metadata = keyMetadata(key, call.nowMs);
      const output: GetPublicKeyResponse = {
        KeyId: metadata.Arn,
        PublicKey: publicKeyOf(key),
        CustomerMasterKeySpec: metadata.CustomerMasterKeySpec,
        KeySpec: metadata.KeySpec,
        KeyUsage: metadata.KeyUsage,
        EncryptionAlgorithms: metadata.EncryptionAlgorithms,
        SigningAlgorithms: metadata.SigningAlgorithms,
        KeyAgreementAlgorithms: metadata.KeyAgreementAlgorithms,
        EncapsulationAlgorithms: metadata.EncapsulationAlgorithms,
      };
      return { output };
    },
  });
