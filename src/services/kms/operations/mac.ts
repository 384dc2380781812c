import { equalInConstantTime } from "../../../crypto/equal.ts";
import { type HmacHash, hmac } from "../../../crypto/hmac.ts";
import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { internal, invalidMac } from "../errors.ts";
import { requireMaterialId } from "../materials.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  GenerateMacRequest,
  GenerateMacResponse,
  MacAlgorithmSpec,
  VerifyMacRequest,
  VerifyMacResponse,
} from "../shapes.generated.ts";
import { AUTHENTICATES, keyUse } from "./key-use.ts";

type Input = Pick<GenerateMacRequest, "Message" | "MacAlgorithm">;

const HASHES: Readonly<Record<MacAlgorithmSpec, HmacHash>> = {
  HMAC_SHA_224: "sha224",
  HMAC_SHA_256: "sha256",
  HMAC_SHA_384: "sha384",
  HMAC_SHA_512: "sha512",
};

export const generateMac = (kms: KmsParts): Operation<GenerateMacRequest, GenerateMacResponse, NamedKey> =>
  keyUse<GenerateMacRequest, GenerateMacResponse>(kms, {
    name: "GenerateMac",
    demand: AUTHENTICATES,
    algorithm: (input) => input.MacAlgorithm,
    describe,
    handle: async (context, input, key) => ({
      output: { KeyId: keyArnOf(key), Mac: await macOf(kms, context, key, input), MacAlgorithm: input.MacAlgorithm },
    }),
  });

/** Answers only for HMACs that fit; every other one is KMSInvalidMacException. */
export const verifyMac = (kms: KmsParts): Operation<VerifyMacRequest, VerifyMacResponse, NamedKey> =>
  keyUse<VerifyMacRequest, VerifyMacResponse>(kms, {
    name: "VerifyMac",
    demand: AUTHENTICATES,
    algorithm: (input) => input.MacAlgorithm,
    describe,
    triedInDryRun: true,
    async handle(context, input, key) {
      if (!equalInConstantTime(await macOf(kms, context, key, input), input.Mac)) throw invalidMac();
      return { output: { KeyId: keyArnOf(key), MacValid: true, MacAlgorithm: input.MacAlgorithm } };
    },
  });

function describe({ MacAlgorithm: macAlgorithm }: Input): Readonly<Record<string, unknown>> {
  return { macAlgorithm };
}

/** On the main thread: hashing 4096 bytes takes less than handing them to another one. */
async function macOf(kms: KmsParts, { read }: OperationContext, key: KeyRecord, input: Input): Promise<Buffer> {
  const used = await kms.materials.use(read, key, requireMaterialId(key), (material) =>
    hmac(HASHES[input.MacAlgorithm], material, input.Message),
  );
  if (used === null) throw internal(new Error(`key ${key.keyId} has no material ${key.materialId}`));
  return used.value;
}
