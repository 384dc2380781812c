import type { ContextValues } from "../../../authz/types.ts";
import type { KeyPair } from "../../../crypto/asymmetric/key-workers.ts";
import { wipe } from "../../../crypto/wipe.ts";
import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { offMainThread } from "../key-pairs.ts";
import { requireMaterialId } from "../materials.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import { type NamedKey, readKey } from "../resolve.ts";
import type {
  DataKeyPairSpec,
  GenerateDataKeyPairRequest,
  GenerateDataKeyPairResponse,
  GenerateDataKeyPairWithoutPlaintextRequest,
  GenerateDataKeyPairWithoutPlaintextResponse,
} from "../shapes.generated.ts";
import { encryptUnder, requireNoRecipient } from "./crypto-operation.ts";
import { keyNotFound, specOutsideChina } from "../errors.ts";
import { ENCRYPTS, type KeyUseRow, keyUse, requireUsable } from "./key-use.ts";

type PairInput = GenerateDataKeyPairWithoutPlaintextRequest;

/** Both operations: an AWS managed key's first use may be this, and the private key is sealed like any data key. */
const ROW = {
  demand: ENCRYPTS,
  algorithm: () => SYMMETRIC_DEFAULT,
  createsManaged: true,
  describe: (input: PairInput): Readonly<Record<string, unknown>> => ({ keyPairSpec: input.KeyPairSpec }),
  conditions: (input: PairInput): ContextValues => ({ "kms:DataKeyPairSpec": input.KeyPairSpec }),
  check: (input: PairInput): void => void servedSpec(input.KeyPairSpec),
} as const satisfies Partial<KeyUseRow<PairInput, object>>;

/** The caller owns the plaintext private key: it lies in memory of its own, to be overwritten after use. */
export const generateDataKeyPair = (
  kms: KmsParts,
): Operation<GenerateDataKeyPairRequest, GenerateDataKeyPairResponse, NamedKey> =>
  keyUse<GenerateDataKeyPairRequest, GenerateDataKeyPairResponse>(kms, {
    ...ROW,
    name: "GenerateDataKeyPair",
    requireInput: (input) => requireNoRecipient(input.Recipient),
    async handle(context, input, key, named) {
      const { pair, output, writes } = await sealedPair(kms, context, input, key, named);
      return {
        output: { ...output, PrivateKeyPlaintext: pair.privateKey },
        writes,
        materialId: output.KeyMaterialId,
      };
    },
  });

export const generateDataKeyPairWithoutPlaintext = (
  kms: KmsParts,
): Operation<GenerateDataKeyPairWithoutPlaintextRequest, GenerateDataKeyPairWithoutPlaintextResponse, NamedKey> =>
  keyUse<GenerateDataKeyPairWithoutPlaintextRequest, GenerateDataKeyPairWithoutPlaintextResponse>(kms, {
    ...ROW,
    name: "GenerateDataKeyPairWithoutPlaintext",
    async handle(context, input, key, named) {
      const { pair, output, writes } = await sealedPair(kms, context, input, key, named);
      wipe(pair.privateKey);
      return { output, writes, materialId: output.KeyMaterialId };
    },
  });

/** A new pair, and its private key encrypted under the KMS key. The caller of this overwrites the plaintext one. */
async function sealedPair(
  kms: KmsParts,
  context: OperationContext,
  input: PairInput,
  given: KeyRecord,
  named: NamedKey,
): Promise<{
  readonly pair: KeyPair;
  readonly output: GenerateDataKeyPairWithoutPlaintextResponse;
  readonly writes: readonly Write[];
}> {
  context.willWait?.();
  const pair = await offMainThread(kms.keyWorkers.generate(servedSpec(input.KeyPairSpec)));
  try {
    const key = await usableNow(context, given, named);
    const sealed = await encryptUnder(kms, context, named, key, input.EncryptionContext, pair.privateKey);
    const output = {
      PrivateKeyCiphertextBlob: sealed.ciphertext,
      PublicKey: pair.publicKey,
      KeyId: keyArnOf(key),
      KeyPairSpec: input.KeyPairSpec,
      KeyMaterialId: requireMaterialId(key),
    };
    return { pair, output, writes: sealed.writes };
  } catch (error) {
    wipe(pair.privateKey);
    throw error;
  }
}

/**
 * The key as it is after the wait. One that was disabled meanwhile has its material dropped from memory, and using it would
 * bring it back.
 */
async function usableNow({ call, read }: OperationContext, given: KeyRecord, named: NamedKey): Promise<KeyRecord> {
  if (named.isNew) return given;
  const key = await readKey(read, given.accountId, given.region, given.keyId, call.nowMs);
  if (key === null) throw keyNotFound(named.arn);
  requireUsable(key, "GenerateDataKeyPair", call.nowMs, ENCRYPTS, SYMMETRIC_DEFAULT);
  return key;
}

function servedSpec(spec: DataKeyPairSpec): Exclude<DataKeyPairSpec, "SM2"> {
  if (spec === "SM2") throw specOutsideChina(spec);
  return spec;
}
