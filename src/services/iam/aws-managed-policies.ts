/** The policies that every account finds in place under AWS's names. Their documents cover what this platform serves. */
import { formatArn } from "../../base/arn.ts";
import { AWS_MANAGED_ACCOUNT, fixedPolicyId } from "./model.ts";

export interface AwsManagedPolicy {
  readonly policyName: string;
  readonly policyId: string;
  readonly path: string;
  readonly arn: string;
  readonly description: string;
  readonly createdMs: number;
  readonly document: string;
}

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource: string;
}

/** When these documents were written. */
const CREATED_MS = Date.UTC(2026, 0, 1);

const READS = [
  "cloudtrail:Describe*",
  "cloudtrail:Get*",
  "cloudtrail:List*",
  "cloudtrail:LookupEvents",
  "iam:Get*",
  "iam:List*",
  "kinesis:Describe*",
  "kinesis:Get*",
  "kinesis:List*",
  "kms:Describe*",
  "kms:Get*",
  "kms:List*",
  "sts:GetAccessKeyInfo",
  "sts:GetCallerIdentity",
];

const allow = (action: string | readonly string[]): Statement => ({ Effect: "Allow", Action: action, Resource: "*" });

function managed(policyName: string, description: string, statements: readonly Statement[]): AwsManagedPolicy {
  const arn = formatArn("iam", "", AWS_MANAGED_ACCOUNT, `policy/${policyName}`);
  return {
    policyName,
    policyId: fixedPolicyId(arn),
    path: "/",
    arn,
    description,
    createdMs: CREATED_MS,
    document: JSON.stringify({ Version: "2012-10-17", Statement: statements }),
  };
}

/** By name, ascending. */
export const awsManagedPolicies: readonly AwsManagedPolicy[] = [
  managed("AWSCloudTrail_ReadOnlyAccess", "Reading of the audit trail.", [
    allow(["cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*", "cloudtrail:LookupEvents"]),
  ]),
  managed("AWSKeyManagementServicePowerUser", "Creation and description of KMS keys, without the use of any.", [
    allow([
      "iam:ListGroups",
      "iam:ListRoles",
      "iam:ListUsers",
      "kms:CreateAlias",
      "kms:CreateKey",
      "kms:DeleteAlias",
      "kms:Describe*",
      "kms:GenerateRandom",
      "kms:Get*",
      "kms:List*",
      "kms:TagResource",
      "kms:UntagResource",
    ]),
  ]),
  managed("AdministratorAccess", "Everything in the account.", [allow("*")]),
  managed("AmazonKinesisFullAccess", "Everything on streams.", [allow("kinesis:*")]),
  managed("AmazonKinesisReadOnlyAccess", "Reading of streams and of their records.", [
    allow(["kinesis:Describe*", "kinesis:Get*", "kinesis:List*"]),
  ]),
  managed("IAMFullAccess", "Everything in IAM.", [allow("iam:*")]),
  managed("IAMReadOnlyAccess", "Reading of users, keys and policies.", [allow(["iam:Get*", "iam:List*"])]),
  managed("PowerUserAccess", "Everything but IAM.", [{ Effect: "Allow", NotAction: "iam:*", Resource: "*" }]),
  managed("ReadOnlyAccess", "Reading in all services.", [allow(READS)]),
];

const BY_ARN: ReadonlyMap<string, AwsManagedPolicy> = new Map(awsManagedPolicies.map((policy) => [policy.arn, policy]));

export const awsManagedPolicy = (arn: string): AwsManagedPolicy | null => BY_ARN.get(arn) ?? null;
