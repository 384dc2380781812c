import type { Reader } from "../../store/table.ts";
import { awsManagedPolicies, awsManagedPolicy } from "./aws-managed-policies.ts";
import type { AwsManagedPolicy } from "./aws-managed-policies.ts";
import { invalidInput } from "./errors.ts";
import { AWS_MANAGED_ACCOUNT, foldedName, parsePolicyArn } from "./model.ts";
import type { Tag } from "./model.ts";
import { policies } from "./records.ts";
import type { PolicyRecord } from "./records.ts";

const FIRST_VERSION = "v1";

/** A managed policy, whoever wrote it. */
export interface ManagedPolicy {
  readonly policyName: string;
  readonly policyId: string;
  readonly path: string;
  readonly arn: string;
  readonly description: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly tags: readonly Tag[];
  readonly defaultVersionId: string;
  readonly defaultDocument: string;
  readonly versions: readonly { readonly versionId: string; readonly createdMs: number }[];
  /** The account's own record; null for a policy that comes with the service and cannot be changed. */
  readonly record: PolicyRecord | null;
}

export const ownPolicy = (record: PolicyRecord): ManagedPolicy => ({ ...record, record });

const comesWithService = (policy: AwsManagedPolicy): ManagedPolicy => ({
  ...policy,
  updatedMs: policy.createdMs,
  tags: [],
  defaultVersionId: FIRST_VERSION,
  defaultDocument: policy.document,
  versions: [{ versionId: FIRST_VERSION, createdMs: policy.createdMs }],
  record: null,
});

/** By name, ascending. */
export const policiesOfService = (): readonly ManagedPolicy[] => awsManagedPolicies.map(comesWithService);

/** The managed policy that an account sees under an ARN, or null. Throws InvalidInput when the text is no policy's ARN. */
export async function findPolicy(read: Reader, accountId: string, arn: string): Promise<ManagedPolicy | null> {
  const parsed = parsePolicyArn(arn);
  if (parsed === null) throw invalidInput(`ARN ${arn} is not valid.`);
  if (parsed.accountId === AWS_MANAGED_ACCOUNT) {
    const policy = awsManagedPolicy(arn);
    return policy === null ? null : comesWithService(policy);
  }
  if (parsed.accountId !== accountId) return null;
  const record = await read.get(policies, [accountId, foldedName(parsed.policyName)]);
  // The path is part of the ARN but not of the key: another path is another, absent policy.
  return record === null || record.arn !== arn ? null : ownPolicy(record);
}
