import { validationError } from "../../../base/errors.ts";
import type { Operation } from "../../../gateway/contract.ts";
import { accountAccess, auditedKeys, lowerCamel, requestTagConditions } from "../access.ts";
import { customKeyStoreNotFound, unsupported } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf, keyMetadata } from "../model.ts";
import { createKey as storeKey, draftKey } from "../new-key.ts";
import type { KmsParts } from "../parts.ts";
import { defaultKeyPolicy } from "../policy.ts";
import type { KeyRecord } from "../records.ts";
import type { CreateKeyRequest, CreateKeyResponse } from "../shapes.generated.ts";
import { tagsOf } from "../tags.ts";

export const createKey = (kms: KmsParts): Operation<CreateKeyRequest, CreateKeyResponse, KeyRecord> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel({ ...input, Tags: input.Tags?.map(lowerCamel) }) }),

  async access({ call }, input) {
    requireServedKind(input);
    const draft = draftKey(kms, call, {
      description: input.Description ?? "",
      policy: input.Policy ?? defaultKeyPolicy(call.principal.accountId),
      tags: tagsOf(input.Tags),
      manager: "CUSTOMER",
      aliases: [],
    });
    const tagConditions = requestTagConditions(draft.tags);
    const create = accountAccess(call, "kms:CreateKey", "*", {
      "kms:KeySpec": draft.keySpec,
      "kms:KeyUsage": draft.keyUsage,
      "kms:KeyOrigin": draft.origin,
      "kms:MultiRegion": "false",
      "kms:BypassPolicyLockoutSafetyCheck": String(input.BypassPolicyLockoutSafetyCheck ?? false),
      ...tagConditions,
    });
    const tag = accountAccess(call, "kms:TagResource", keyArnOf(draft), tagConditions);
    return { checks: draft.tags.length === 0 ? [create] : [create, tag], target: draft };
  },

  check({ call }, input, draft) {
    if (input.Policy === undefined) return;
    kms.policies.check(input.Policy, keyArnOf(draft), call.principal, input.BypassPolicyLockoutSafetyCheck ?? false);
  },

  async handle({ call }, _input, draft) {
    const { writes } = storeKey(kms, draft, () => undefined);
    const metadata = keyMetadata(draft, call.nowMs);
    return {
      output: { KeyMetadata: metadata },
      writes,
      audit: { ...auditedKeys(draft), responseElements: { keyMetadata: lowerCamel(metadata) } },
    };
  },
});

/** Only symmetric keys with material made here, for one Region. What else AWS offers is refused by name. */
function requireServedKind(input: CreateKeyRequest): void {
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    );
  }
  const keySpec = input.KeySpec ?? input.CustomerMasterKeySpec ?? SYMMETRIC_DEFAULT;
  if (keySpec !== SYMMETRIC_DEFAULT && input.KeyUsage === undefined) {
    throw validationError("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  if (keySpec === SYMMETRIC_DEFAULT && (input.KeyUsage ?? "ENCRYPT_DECRYPT") !== "ENCRYPT_DECRYPT") {
    throw validationError(`KeyUsage ${input.KeyUsage} is not compatible with KeySpec ${keySpec}`);
  }
  if (input.CustomKeyStoreId !== undefined) throw customKeyStoreNotFound();
  if (keySpec !== SYMMETRIC_DEFAULT)
    throw unsupported(`KeySpec ${keySpec} is not supported yet; only ${SYMMETRIC_DEFAULT} is.`);
  const origin = input.Origin ?? "AWS_KMS";
  if (origin !== "AWS_KMS" || input.XksKeyId !== undefined) {
    throw unsupported(
      `Origin ${origin === "AWS_KMS" ? "EXTERNAL_KEY_STORE" : origin} is not supported yet; only AWS_KMS is.`,
    );
  }
  if (input.MultiRegion) throw unsupported("Multi-Region keys are not supported yet.");
}
