import type { ImportWrapping, PairSpec } from "../../../crypto/asymmetric/key-workers.ts";
import { GuardedKey } from "../../../crypto/guarded.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { unsupported, unsupportedOrigin } from "../errors.ts";
import { offMainThread } from "../key-pairs.ts";
import { factsOf } from "../key-specs.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  AlgorithmSpec,
  GetParametersForImportRequest,
  GetParametersForImportResponse,
  WrappingKeySpec,
} from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

/** How long a wrapping key can be used (API reference of GetParametersForImport). */
const PARAMETERS_VALID_MS = 24 * 60 * 60 * 1000;

/** A new wrapping key for each request. Its private half is in the token alone. */
export const getParametersForImport = (
  kms: KmsParts,
): Operation<GetParametersForImportRequest, GetParametersForImportResponse, NamedKey> =>
  keyOperation<GetParametersForImportRequest, GetParametersForImportResponse>(kms, {
    name: "GetParametersForImport",
    readOnly: true,
    requires: requireImported,
    conditions: (input) => ({
      "kms:WrappingAlgorithm": input.WrappingAlgorithm,
      "kms:WrappingKeySpec": input.WrappingKeySpec,
    }),
    async handle(context, input, key) {
      const { call } = context;
      const { algorithm, spec } = wrappingFor(key, input.WrappingAlgorithm, input.WrappingKeySpec);
      context.willWait?.();
      const pair = await offMainThread(kms.keyWorkers.generate(spec));
      const privateKey = GuardedKey.take(pair.privateKey);
      try {
        const validToMs = call.nowMs + PARAMETERS_VALID_MS;
        return {
          output: {
            KeyId: keyArnOf(key),
            ImportToken: kms.importTokens.seal(keyArnOf(key), { algorithm, validToMs, privateKey }),
            PublicKey: pair.publicKey,
            ParametersValidTo: validToMs,
          },
        };
      } finally {
        privateKey.destroy();
      }
    },
  });

/** Throws unless the key's material is imported. */
export function requireImported(key: KeyRecord): void {
  if (key.origin !== "EXTERNAL") throw unsupportedOrigin(keyArnOf(key), key.origin);
}

/** Throws for what AWS has withdrawn, has in China only, or cannot wrap this key's material with. */
function wrappingFor(
  key: KeyRecord,
  algorithm: AlgorithmSpec,
  spec: WrappingKeySpec,
): { readonly algorithm: ImportWrapping; readonly spec: PairSpec } {
  if (algorithm === "RSAES_PKCS1_V1_5" || algorithm === "SM2PKE") {
    throw unsupported(`Wrapping algorithm ${algorithm} is not supported.`);
  }
  if (spec === "SM2") throw unsupported(`Wrapping key spec ${spec} is not supported.`);
  const direct = algorithm === "RSAES_OAEP_SHA_1" || algorithm === "RSAES_OAEP_SHA_256";
  const tooLong = factsOf(key.keySpec).family === "rsa" || (key.keySpec === "ECC_NIST_P521" && spec === "RSA_2048");
  if (direct && tooLong) {
    throw unsupported(
      `Wrapping algorithm ${algorithm} with wrapping key spec ${spec} is not supported for key spec ${key.keySpec}.`,
    );
  }
  return { algorithm, spec };
}
