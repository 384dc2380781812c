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
  /** Absent in the records of older builds: none. */
  readonly groupCount?: number;
  readonly roleCount?: number;
  readonly instanceProfileCount?: number;
  readonly oidcProviderCount?: number;
  readonly alias?: string | null;
  /** Absent: it is open. Of a suspended account no credentials work. */
  readonly status?: "SUSPENDED";
}

export interface InlinePolicy {
  readonly name: string;
  readonly document: string;
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
  readonly inlinePolicies: readonly InlinePolicy[];
  readonly attachedPolicyArns: readonly string[];
  readonly boundaryArn: string | null;
  readonly accessKeyIds: readonly string[];
  /** Folded, ascending. Absent in the records of older builds: none. */
  readonly groupNames?: readonly string[];
}

/** A group: its policies count for each of its users. Who its users are stands in `groupMembers` and in the users. */
export interface GroupRecord {
  readonly accountId: string;
  readonly groupName: string;
  readonly groupId: string;
  readonly path: string;
  readonly arn: string;
  readonly createdMs: number;
  readonly inlinePolicies: readonly InlinePolicy[];
  readonly attachedPolicyArns: readonly string[];
}

/**
 * How many users a group has. Written with each of them, so that deleting or renaming the group conflicts with a user that
 * joins or leaves meanwhile; apart from the group, so that joining does not touch what decisions read.
 */
export interface GroupSizeRecord {
  readonly memberCount: number;
}

export interface GroupMemberRecord {
  readonly userName: string;
  readonly addedMs: number;
}

/** Holds all that a decision about a session of the role needs except the documents of attached policies. */
export interface RoleRecord {
  readonly accountId: string;
  readonly roleName: string;
  readonly roleId: string;
  readonly path: string;
  readonly arn: string;
  readonly createdMs: number;
  readonly description: string | null;
  readonly maxSessionSeconds: number;
  readonly trustDocument: string;
  /** Unique ids of the principals that the trust policy names, by ARN (principal-directory.ts). Absent: none has one. */
  readonly trustPrincipalIds?: Readonly<Record<string, string>>;
  readonly tags: readonly Tag[];
  /** By name, ascending. */
  readonly inlinePolicies: readonly InlinePolicy[];
  readonly attachedPolicyArns: readonly string[];
  readonly boundaryArn: string | null;
  /** Folded, ascending: the instance profiles that hold the role, for DeleteRole and ListInstanceProfilesForRole. */
  readonly instanceProfileNames: readonly string[];
}

/** When a role's sessions last made a request: written like the last use of access keys. */
export interface RoleUseRecord {
  readonly lastUsedMs: number;
  readonly region: string;
}

export interface InstanceProfileRecord {
  readonly accountId: string;
  readonly instanceProfileName: string;
  readonly instanceProfileId: string;
  readonly path: string;
  readonly arn: string;
  readonly createdMs: number;
  /** At most one. */
  readonly roleNames: readonly string[];
  readonly tags: readonly Tag[];
}

/** An OpenID Connect provider whose tokens AssumeRoleWithWebIdentity takes. */
export interface OidcProviderRecord {
  readonly accountId: string;
  readonly arn: string;
  /** The scheme (oidc-url.ts) and what stands in the ARN. */
  readonly url: string;
  readonly clientIds: readonly string[];
  readonly thumbprints: readonly string[];
  readonly createdMs: number;
  readonly tags: readonly Tag[];
}

/** The latest credential report of an account: as it was when it was made, whatever has changed since. */
export interface CredentialReportRecord {
  readonly generatedMs: number;
  readonly csv: string;
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

/** Who uses a managed policy: a user, a group or a role. */
export interface PolicyUserRecord {
  /** Absent in the records of older builds: a user. */
  readonly entity?: "user" | "group" | "role";
  /** Of the entity, whichever it is. */
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
/** Users whose ARN is not the one that they were made with, so that who knows the unique id finds them: by account, user id. */
export const renamedUsers: Table<{ readonly userName: string }> = table<{ readonly userName: string }>(
  "iam.renamed-user",
);
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
/** By account, policy ARN, and the user's name, `group/NAME` or `role/NAME`. */
export const policyUsers: Table<PolicyUserRecord> = table<PolicyUserRecord>("iam.policy-user");
/** By account, group name. */
export const groups: Table<GroupRecord> = table<GroupRecord>("iam.group");
/** By account, group name. Absent: no users. */
export const groupSizes: Table<GroupSizeRecord> = table<GroupSizeRecord>("iam.group-size");
/** By account, group name, user name. */
export const groupMembers: Table<GroupMemberRecord> = table<GroupMemberRecord>("iam.group-member");
/** By account, role name. */
export const roles: Table<RoleRecord> = table<RoleRecord>("iam.role");
/** By account, role name. */
export const roleUses: Table<RoleUseRecord> = table<RoleUseRecord>("iam.role-use");
/** By account, instance profile name. */
export const instanceProfiles: Table<InstanceProfileRecord> = table<InstanceProfileRecord>("iam.instance-profile");
/** By account, provider ARN. */
export const oidcProviders: Table<OidcProviderRecord> = table<OidcProviderRecord>("iam.oidc-provider");
/** Which account has an alias: by alias. */
export const accountAliases: Table<{ readonly accountId: string }> = table<{ readonly accountId: string }>(
  "iam.account-alias",
);
/** By account. */
export const credentialReports: Table<CredentialReportRecord> = table<CredentialReportRecord>("iam.credential-report");
