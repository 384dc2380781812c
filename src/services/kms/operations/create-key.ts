import { validationError } from "../../../base/errors.ts";
import type { Call, Operation } from "../../../gateway/contract.ts";
import { accountAccess, auditedKeys, kindConditions, policyAuthor, requestTagConditions } from "../access.ts";
import { customKeyStoreNotFound, specOutsideChina, unsupported } from "../errors.ts";
import { creationParameters, metadataElements } from "../event-members.ts";
import { type ServedSpec, factsOf, isPairSpec, isServedSpec } from "../key-specs.ts";
import { SYMMETRIC_DEFAULT, keyArnOf, keyMetadata } from "../model.ts";
import { createKeyOfKind, draftKey } from "../new-key.ts";
import type { KmsParts } from "../parts.ts";
import { defaultKeyPolicy } from "../policy.ts";
import type { KeyRecord } from "../records.ts";
import type { CreateKeyRequest, CreateKeyResponse, KeyUsageType } from "../shapes.generated.ts";
import { tagsOf } from "../tags.ts";

const MULTI_REGION_ID_BYTES = 16;

export const createKey = (kms: KmsParts): Operation<CreateKeyRequest, CreateKeyResponse, KeyRecord> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: creationParameters(input) }),

  async access({ call }, input) {
    const draft = draftOf(kms, call, input);
    const tagConditions = requestTagConditions(draft.tags);
    const create = accountAccess(call, "kms:CreateKey", "*", {
      ...kindConditions(draft),
      "kms:BypassPolicyLockoutSafetyCheck": String(input.BypassPolicyLockoutSafetyCheck ?? false),
      ...tagConditions,
    });
    const tag = accountAccess(call, "kms:TagResource", keyArnOf(draft), tagConditions);
    return { checks: draft.tags.length === 0 ? [create] : [create, tag], target: draft };
  },

  async handle(context, input, draft) {
    const { call } = context;
    const accepted =
      input.Policy === undefined
        ? {}
        : await kms.policies.accept(input.Policy, keyArnOf(draft), policyAuthor(context, draft, input));
    if (isPairSpec(draft.keySpec)) context.willWait?.();
    const { key, writes } = await createKeyOfKind(kms, { ...draft, ...accepted });
    const metadata = keyMetadata(key, call.nowMs);
    return {
      output: { KeyMetadata: metadata },
      writes,
      audit: { ...auditedKeys(key), responseElements: { keyMetadata: metadataElements(metadata) } },
    };
  },
});

function draftOf(kms: KmsParts, call: Call, input: CreateKeyRequest): KeyRecord {
  const { keySpec, keyUsage, origin } = requestedKind(input);
  const multiRegionId = (): string => `mrk-${Buffer.from(kms.random.bytes(MULTI_REGION_ID_BYTES)).toString("hex")}`;
  return draftKey(kms, call, {
    description: input.Description ?? "",
    policy: input.Policy ?? defaultKeyPolicy(call.principal.accountId),
    tags: tagsOf(input.Tags),
    manager: "CUSTOMER",
    aliases: [],
    keySpec,
    keyUsage,
    origin,
    ...(origin === "EXTERNAL" ? { materialId: null } : {}),
    ...(input.MultiRegion
      ? { keyId: multiRegionId(), multiRegion: { primaryRegion: call.region, replicaRegions: [] } }
      : {}),
  });
}

/** What kind of key the request asks for, with the defaults of symmetric keys. Throws for what does not go together. */
function requestedKind(input: CreateKeyRequest): Pick<KeyRecord, "keySpec" | "keyUsage" | "origin"> {
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    );
  }
  const keySpec = input.KeySpec ?? input.CustomerMasterKeySpec ?? SYMMETRIC_DEFAULT;
  if (!isServedSpec(keySpec)) throw specOutsideChina(keySpec);
  return { keySpec, keyUsage: usageOf(input, keySpec), origin: originOf(input) };
}

function usageOf(input: CreateKeyRequest, keySpec: ServedSpec): KeyUsageType {
  if (input.KeyUsage === undefined && keySpec !== SYMMETRIC_DEFAULT) {
    throw validationError("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  const keyUsage = input.KeyUsage ?? "ENCRYPT_DECRYPT";
  if (!factsOf(keySpec).usages.includes(keyUsage)) {
    throw validationError(`KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`);
  }
  return keyUsage;
}

/** All specs can be imported; no key comes from a custom key store yet. */
function originOf(input: CreateKeyRequest): KeyRecord["origin"] {
  if (input.CustomKeyStoreId !== undefined) throw customKeyStoreNotFound();
  const origin = input.Origin ?? "AWS_KMS";
  if (input.XksKeyId === undefined && (origin === "AWS_KMS" || origin === "EXTERNAL")) return origin;
  throw unsupported("Keys in custom key stores are not supported yet.");
}
