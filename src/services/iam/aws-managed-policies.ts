/** The policies that every account finds in place under AWS's names. Their documents cover what this platform serves. */
import { AWS_MANAGED_ACCOUNT, fixedPolicyId, policyArn } from "./model.ts";

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

const CLOUDTRAIL_READS = ["cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*", "cloudtrail:LookupEvents"];
const IAM_READS = ["iam:GenerateCredentialReport", "iam:Get*", "iam:List*", "iam:Simulate*"];
const KINESIS_DESCRIPTIONS = ["kinesis:Describe*", "kinesis:List*"];
const KMS_READS = ["kms:Describe*", "kms:Get*", "kms:List*"];
const ORGANIZATIONS_READS = ["organizations:Describe*", "organizations:List*"];
const QUOTA_READS = ["servicequotas:Get*", "servicequotas:List*"];
const STS_READS = ["sts:GetAccessKeyInfo", "sts:GetCallerIdentity"];

/** What describes things, in all services: no records of streams. */
const DESCRIPTIONS = [
  ...CLOUDTRAIL_READS,
  ...IAM_READS,
  ...KINESIS_DESCRIPTIONS,
  ...KMS_READS,
  ...ORGANIZATIONS_READS,
  ...QUOTA_READS,
  ...STS_READS,
];
const READS = [...DESCRIPTIONS, "kinesis:Get*"];

const allow = (action: string | readonly string[]): Statement => ({ Effect: "Allow", Action: action, Resource: "*" });

function managed(
  policyName: string,
  description: string,
  statements: readonly Statement[],
  path = "/",
): AwsManagedPolicy {
  const arn = policyArn(AWS_MANAGED_ACCOUNT, path, policyName);
  return {
    policyName,
    policyId: fixedPolicyId(arn),
    path,
    arn,
    description,
    createdMs: CREATED_MS,
    document: JSON.stringify({ Version: "2012-10-17", Statement: statements }),
  };
}

/** By name, ascending. */
export const awsManagedPolicies: readonly AwsManagedPolicy[] = [
  managed("AWSCloudTrail_FullAccess", "Everything on the audit trail.", [allow("cloudtrail:*")]),
  managed("AWSCloudTrail_ReadOnlyAccess", "Reading of the audit trail.", [allow(CLOUDTRAIL_READS)]),
  managed("AWSDenyAll", "Nothing at all.", [{ Effect: "Deny", Action: "*", Resource: "*" }]),
  managed("AWSKeyManagementServicePowerUser", "Creation and description of KMS keys, without the use of any.", [
    allow([
      "iam:ListGroups",
      "iam:ListRoles",
      "iam:ListUsers",
      "kms:CreateAlias",
      "kms:CreateKey",
      "kms:DeleteAlias",
      "kms:GenerateRandom",
      "kms:TagResource",
      "kms:UntagResource",
      ...KMS_READS,
    ]),
  ]),
  managed("AWSOrganizationsFullAccess", "Everything on the organization and its accounts.", [allow("organizations:*")]),
  managed("AWSOrganizationsReadOnlyAccess", "Reading of the organization and its accounts.", [
    allow(ORGANIZATIONS_READS),
  ]),
  managed("AdministratorAccess", "Everything in the account.", [allow("*")]),
  managed("AmazonKinesisFullAccess", "Everything on streams.", [allow("kinesis:*")]),
  managed("AmazonKinesisReadOnlyAccess", "Reading of streams and of their records.", [
    allow([...KINESIS_DESCRIPTIONS, "kinesis:Get*"]),
  ]),
  managed("IAMFullAccess", "Everything in IAM.", [allow(["iam:*", ...ORGANIZATIONS_READS])]),
  managed("IAMReadOnlyAccess", "Reading of all that IAM keeps, and its policy simulator.", [allow(IAM_READS)]),
  managed("PowerUserAccess", "Everything but IAM and the organization.", [
    { Effect: "Allow", NotAction: ["iam:*", "organizations:*"], Resource: "*" },
    allow(["iam:ListRoles", "organizations:DescribeOrganization"]),
  ]),
  managed("ReadOnlyAccess", "Reading in all services.", [allow(READS)]),
  managed("SecurityAudit", "Reading of how all services are set up, for an audit.", [allow(DESCRIPTIONS)]),
  managed("ServiceQuotasFullAccess", "Everything on quotas.", [allow("servicequotas:*")]),
  managed("ServiceQuotasReadOnlyAccess", "Reading of quotas.", [allow(QUOTA_READS)]),
  managed(
    "ViewOnlyAccess",
    "Names and descriptions of resources in all services, without their contents.",
    [
      allow([
        ...CLOUDTRAIL_READS,
        "iam:GetAccountSummary",
        "iam:List*",
        ...KINESIS_DESCRIPTIONS,
        "kms:DescribeKey",
        "kms:List*",
        ...ORGANIZATIONS_READS,
        ...QUOTA_READS,
        "sts:GetCallerIdentity",
      ]),
    ],
    "/job-function/",
  ),
];

const BY_ARN: ReadonlyMap<string, AwsManagedPolicy> = new Map(awsManagedPolicies.map((policy) => [policy.arn, policy]));

export const awsManagedPolicy = (arn: string): AwsManagedPolicy | null => BY_ARN.get(arn) ?? null;
