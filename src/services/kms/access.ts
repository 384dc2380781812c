import type { ContextValues } from "../../authz/types.ts";
import type { AccessCheck, AuditDetails, Call, OperationContext } from "../../gateway/contract.ts";
import type { EncryptionContext } from "./encryption-context.ts";
import { appliedGrants } from "./grants/applied.ts";
import { grantOperationOf } from "./grants/grant-operations.ts";
import { requireGrantTokens } from "./grants/grant-token.ts";
import type { GrantTerms } from "./grants/records.ts";
import { isPrimary, keyArnOf } from "./model.ts";
import type { KmsParts } from "./parts.ts";
import type { PolicyAuthor } from "./policy.ts";
import type { KeyRecord, KeyTag } from "./records.ts";
import type { NamedKey } from "./resolve.ts";

/** How a request means to use a key: what conditions and grants are compared with. */
export interface KeyUse {
  readonly conditions?: () => ContextValues;
  readonly encryptionContext?: EncryptionContext | undefined;
  readonly grantTokens?: readonly string[] | undefined;
  /** For CreateGrant: what is to be granted. */
  readonly child?: Pick<GrantTerms, "operations" | "limits">;
}

/**
 * May the caller do this to this key? Without an allow or a delegation in the key's own policy, or a grant, nobody may.
 * Throws InvalidGrantTokenException for tokens that are none.
 */
export function keyAccess(
  kms: KmsParts,
  context: OperationContext,
  named: NamedKey,
  action: string,
  use: KeyUse = {},
): AccessCheck {
  const { record } = named;
  requireGrantTokens(kms.secretBox, use.grantTokens);
  const operation = record === null || named.isNew ? undefined : grantOperationOf(action);
  const isForeign = named.accountId !== context.call.principal.accountId;
  return {
    action,
    resource: named.arn,
    resourceAccountId: named.accountId,
    resourcePolicy: record === null ? null : kms.policies.of(record),
    resourcePolicyMode: "required",
    grants:
      record === null || operation === undefined
        ? undefined
        : () => appliedGrants(context, { key: record, operation, context: use.encryptionContext, child: use.child }),
    // Only policies with conditions ask for it, and it costs more than the rest of a decision.
    context: () => ({
      ...callerConditions(context.call),
      ...(record === null || isForeign ? {} : keyConditions(record)),
      ...(named.alias === null ? {} : { "kms:RequestAlias": named.alias }),
      ...use.conditions?.(),
    }),
    // Tags, aliases and kind of another account's key are not for everybody to find out.
    ownersContext: record !== null && isForeign ? keyConditions(record) : undefined,
  };
}

/** A check like another but for these members. */
export const changedCheck = (check: AccessCheck, changes: Partial<AccessCheck>): AccessCheck => ({
  ...check,
  ...changes,
});

/** For operations that IAM policies alone decide: on no single resource, or on an alias. */
export function accountAccess(call: Call, action: string, resource = "*", conditions: ContextValues = {}): AccessCheck {
  return {
    action,
    resource,
    resourceAccountId: call.principal.accountId,
    context: { ...callerConditions(call), ...conditions },
  };
}

function callerConditions(call: Call): ContextValues {
  return {
    "kms:CallerAccount": call.principal.accountId,
    ...(call.via === undefined ? {} : { "kms:ViaService": `${call.via.service}.${call.region}.amazonaws.com` }),
  };
}

/** What conditions can say of the key that an operation is about. */
function keyConditions(key: KeyRecord): ContextValues {
  return {
    ...kindConditions(key),
    ...(key.aliases.length === 0 ? {} : { "kms:ResourceAliases": key.aliases }),
    ...Object.fromEntries(key.tags.map((tag) => [`aws:ResourceTag/${tag.key}`, tag.value])),
  };
}

/** What conditions can say of a key's kind, for keys that are there and for those that are to be made. */
export function kindConditions(key: KeyRecord): ContextValues {
  return {
    "kms:KeySpec": key.keySpec,
    "kms:KeyUsage": key.keyUsage,
    // The names that these two had before.
    "kms:CustomerMasterKeySpec": key.keySpec,
    "kms:CustomerMasterKeyUsage": key.keyUsage,
    "kms:KeyOrigin": key.origin,
    "kms:MultiRegion": String(key.multiRegion !== null),
    ...(key.multiRegion === null ? {} : { "kms:MultiRegionKeyType": isPrimary(key) ? "PRIMARY" : "REPLICA" }),
  };
}

/** The author of a key's policy, for the check that it locks nobody out. */
export function policyAuthor(
  context: OperationContext,
  key: KeyRecord,
  input: { readonly BypassPolicyLockoutSafetyCheck?: boolean | undefined },
): PolicyAuthor {
  const bypassLockoutCheck = input.BypassPolicyLockoutSafetyCheck ?? false;
  return {
    context,
    bypassLockoutCheck,
    conditions: {
      ...callerConditions(context.call),
      ...keyConditions(key),
      "kms:BypassPolicyLockoutSafetyCheck": String(bypassLockoutCheck),
    },
  };
}

/** Tags that a request carries, as conditions see them. */
export function requestTagConditions(tags: readonly KeyTag[]): ContextValues {
  if (tags.length === 0) return {};
  return {
    ...Object.fromEntries(tags.map((tag) => [`aws:RequestTag/${tag.key}`, tag.value])),
    "aws:TagKeys": tags.map((tag) => tag.key),
  };
}

/** The keys that an event is about. */
export const auditedKeys = (...keys: readonly KeyRecord[]): Pick<AuditDetails, "resources"> => ({
  resources: keys.map((key) => ({ type: "AWS::KMS::Key", arn: keyArnOf(key), accountId: key.accountId })),
});

/** Member names as CloudTrail writes them, without those that are absent. */
export function lowerCamel(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name.charAt(0).toLowerCase() + name.slice(1), member as unknown]),
  );
}
