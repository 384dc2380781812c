import type { Operation } from "../../../gateway/contract.ts";
import { policyAuthor } from "../access.ts";
import { notFound } from "../errors.ts";
import { keyArnOf } from "../model.ts";
import { pageOf } from "../pages.ts";
import type { KmsParts } from "../parts.ts";
import { POLICY_NAME } from "../policy.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  GetKeyPolicyRequest,
  GetKeyPolicyResponse,
  ListKeyPoliciesRequest,
  ListKeyPoliciesResponse,
  PutKeyPolicyRequest,
} from "../shapes.generated.ts";
import { keyOperation } from "./key-operation.ts";

const requirePolicyName = (name: string | undefined): void => {
  if ((name ?? POLICY_NAME) !== POLICY_NAME) throw notFound("No such policy exists");
};

export const getKeyPolicy = (kms: KmsParts): Operation<GetKeyPolicyRequest, GetKeyPolicyResponse, NamedKey> =>
  keyOperation<GetKeyPolicyRequest, GetKeyPolicyResponse>(kms, {
    name: "GetKeyPolicy",
    readOnly: true,
    async handle(context, input, key) {
      requirePolicyName(input.PolicyName);
      return { output: { Policy: await kms.policies.shown(context, key), PolicyName: POLICY_NAME } };
    },
  });

export const putKeyPolicy = (
  kms: KmsParts,
): Operation<PutKeyPolicyRequest, Readonly<Record<string, never>>, NamedKey> =>
  keyOperation<PutKeyPolicyRequest, Readonly<Record<string, never>>>(kms, {
    name: "PutKeyPolicy",
    readOnly: false,
    conditions: (input) => ({
      "kms:BypassPolicyLockoutSafetyCheck": String(input.BypassPolicyLockoutSafetyCheck ?? false),
    }),
    async handle(context, input, key) {
      requirePolicyName(input.PolicyName);
      const accepted = await kms.policies.accept(input.Policy, keyArnOf(key), policyAuthor(context, key, input));
      return { output: {}, changed: { ...key, ...accepted } };
    },
  });

export const listKeyPolicies = (kms: KmsParts): Operation<ListKeyPoliciesRequest, ListKeyPoliciesResponse, NamedKey> =>
  keyOperation<ListKeyPoliciesRequest, ListKeyPoliciesResponse>(kms, {
    name: "ListKeyPolicies",
    readOnly: true,
    handle(_context, input) {
      // There is one name, so no answer ever carried a marker.
      pageOf(input, { default: 100, max: 1000 }, () => false);
      return { output: { PolicyNames: [POLICY_NAME], Truncated: false } };
    },
  });
