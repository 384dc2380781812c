import type { Reader } from "../../../store/table.ts";
import { awsManagedPolicies } from "../aws-managed-policies.ts";
import {
  ACCESS_KEYS_PER_USER_MAX,
  ATTACHED_POLICIES_PER_GROUP_MAX,
  ATTACHED_POLICIES_PER_ROLE_MAX,
  ATTACHED_POLICIES_PER_USER_MAX,
  GROUP_POLICY_SIZE_MAX,
  MANAGED_POLICY_SIZE_MAX,
  POLICIES_PER_ACCOUNT_MAX,
  POLICY_VERSIONS_MAX,
  ROLE_POLICY_SIZE_MAX,
  ROLES_PER_ACCOUNT_MAX,
  TRUST_POLICY_SIZE_MAX,
  USER_POLICY_SIZE_MAX,
  USERS_PER_ACCOUNT_MAX,
} from "../model.ts";
import { policyUses } from "../records.ts";
import type { AccountRecord } from "../records.ts";
import { accountOf, describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
import { GROUPS_PER_USER_MAX } from "./group-members.ts";
import { GROUPS_PER_ACCOUNT_MAX } from "./groups.ts";
import { INSTANCE_PROFILES_PER_ACCOUNT_MAX } from "./instance-profiles.ts";

export const getAccountSummary: Row<"GetAccountSummary", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetAccountSummary"),
  async handle({ call, read }) {
    const { accountId } = call.principal;
    const account = await accountOf(read, accountId);
    return {
      output: {
        SummaryMap: { ...counts(account), ...QUOTAS, ...ABSENT, PolicyVersionsInUse: await usedCount(read, accountId) },
      },
    };
  },
};

const counts = (account: AccountRecord): Readonly<Record<string, number>> => ({
  Users: account.userCount,
  Groups: account.groupCount ?? 0,
  Roles: account.roleCount ?? 0,
  Policies: account.policyCount,
  InstanceProfiles: account.instanceProfileCount ?? 0,
  Providers: account.oidcProviderCount ?? 0,
  AccountAccessKeysPresent: account.rootAccessKeyIds.length > 0 ? 1 : 0,
});

/** AWS's figures where nothing here sets another (IAM User Guide, "IAM and AWS STS quotas"). */
const QUOTAS: Readonly<Record<string, number>> = {
  UsersQuota: USERS_PER_ACCOUNT_MAX,
  GroupsQuota: GROUPS_PER_ACCOUNT_MAX,
  RolesQuota: ROLES_PER_ACCOUNT_MAX,
  PoliciesQuota: POLICIES_PER_ACCOUNT_MAX,
  InstanceProfilesQuota: INSTANCE_PROFILES_PER_ACCOUNT_MAX,
  GroupsPerUserQuota: GROUPS_PER_USER_MAX,
  AccessKeysPerUserQuota: ACCESS_KEYS_PER_USER_MAX,
  AttachedPoliciesPerUserQuota: ATTACHED_POLICIES_PER_USER_MAX,
  AttachedPoliciesPerGroupQuota: ATTACHED_POLICIES_PER_GROUP_MAX,
  AttachedPoliciesPerRoleQuota: ATTACHED_POLICIES_PER_ROLE_MAX,
  UserPolicySizeQuota: USER_POLICY_SIZE_MAX,
  GroupPolicySizeQuota: GROUP_POLICY_SIZE_MAX,
  RolePolicySizeQuota: ROLE_POLICY_SIZE_MAX,
  AssumeRolePolicySizeQuota: TRUST_POLICY_SIZE_MAX,
  PolicySizeQuota: MANAGED_POLICY_SIZE_MAX,
  VersionsPerPolicyQuota: POLICY_VERSIONS_MAX,
  PolicyVersionsInUseQuota: 10_000,
  ServerCertificatesQuota: 20,
  SigningCertificatesPerUserQuota: 2,
  GlobalEndpointTokenVersion: 1,
};

/** What an account cannot have here. Scripts that audit accounts look at it all the same. */
const ABSENT: Readonly<Record<string, number>> = {
  AccountMFAEnabled: 0,
  AccountPasswordPresent: 0,
  AccountSigningCertificatesPresent: 0,
  MFADevices: 0,
  MFADevicesInUse: 0,
  ServerCertificates: 0,
};

/** Managed policies that something uses: of each, the default version. */
async function usedCount(read: Reader, accountId: string): Promise<number> {
  const limit = POLICIES_PER_ACCOUNT_MAX + awsManagedPolicies.length;
  return (await read.list(policyUses, { prefix: [accountId], limit })).length;
}
