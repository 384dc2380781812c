/** What IAM stores. Names in identifiers are folded to lower case; ARNs stand as they are. */
import { table } from "../../store/table.ts";
import type { SealedText, Table } from "../../store/table.ts";
import type { Tag } from "./model.ts";

export interface AccountRecord {
  readonly accountId: string;
  readonly name: string;
  readonly createdMs: number;
  readonly rootAccessKeyIds: readonly string[];
  readonly userCount: number;
  readonly policyCount: number;
}

/** Holds all that a decision about the user needs except the documents of attached policies: one read per request. */
export interface UserRecord {
  readonly accountId: string;
  readonly userName: string;
  readonly userId: string;
  readonly path: string;
  readonly arn: string;
  readonly createdMs: number;
  readonly tags: readonly Tag[];
  /** By name, ascending. */
  readonly inlinePolicies: readonly { readonly name: string; readonly document: string }[];
  readonly attachedPolicyArns: readonly string[];
  readonly boundaryArn: string | null;
  readonly accessKeyIds: readonly string[];
}

export type AccessKeyOwner =
  | { readonly type: "root" }
  | { readonly type: "user"; readonly userName: string; readonly userId: string; readonly arn: string };

export interface AccessKeyRecord {
  readonly accessKeyId: string;
  readonly accountId: string;
  /** With the user's ARN, so that authentication needs no second read. UpdateUser rewrites it. */
  readonly owner: AccessKeyOwner;
  readonly sealedSecret: SealedText;
  readonly status: "Active" | "Inactive";
  readonly createdMs: number;
  readonly version: string;
}

export interface AccessKeyUseRecord {
  readonly lastUsedMs: number;
  readonly serviceName: string;
  readonly region: string;
}

/** A managed policy of the account with its default version: one read per request and attached policy. */
export interface PolicyRecord {
  readonly accountId: string;
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
  /** The number that the next version gets: versions of one policy are never numbered twice. */
  readonly nextVersion: number;
  readonly versions: readonly { readonly versionId: string; readonly createdMs: number }[];
}

/**
 * How often a managed policy (the account's own or one of AWS's) is in use. Apart from the policy, so that attaching it does
 * not touch what decisions read.
 */
export interface PolicyUseRecord {
  readonly attachmentCount: number;
  readonly boundaryCount: number;
}

/** Who uses a managed policy. */
export interface PolicyUserRecord {
  readonly userName: string;
  readonly userId: string;
  readonly path: string;
  readonly asPolicy: boolean;
  readonly asBoundary: boolean;
}

/** By account. */
export const accounts: Table<AccountRecord> = table<AccountRecord>("iam.account");
/** By account, user name. */
export const users: Table<UserRecord> = table<UserRecord>("iam.user");
/** By access key id. */
export const accessKeys: Table<AccessKeyRecord> = table<AccessKeyRecord>("iam.access-key");
/** By access key id. */
export const accessKeyUses: Table<AccessKeyUseRecord> = table<AccessKeyUseRecord>("iam.access-key-use");
/** By account, policy name. */
export const policies: Table<PolicyRecord> = table<PolicyRecord>("iam.policy");
/** By account, policy name, version id. */
export const policyVersions: Table<{ readonly document: string }> = table<{ readonly document: string }>(
  "iam.policy-version",
);
/** By account, policy ARN. */
export const policyUses: Table<PolicyUseRecord> = table<PolicyUseRecord>("iam.policy-use");
/** By account, policy ARN, user name. */
export const policyUsers: Table<PolicyUserRecord> = table<PolicyUserRecord>("iam.policy-user");
