import {
  ACCESS_KEYS_PER_USER_MAX,
  ATTACHED_POLICIES_PER_USER_MAX,
  MANAGED_POLICY_SIZE_MAX,
  POLICIES_PER_ACCOUNT_MAX,
  POLICY_VERSIONS_MAX,
  USER_POLICY_SIZE_MAX,
  USERS_PER_ACCOUNT_MAX,
} from "../model.ts";
import { accountOf, describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";

export const getAccountSummary: Row<"GetAccountSummary", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetAccountSummary"),
  async handle({ call, read }) {
    const account = await accountOf(read, call.principal.accountId);
    return {
      output: {
        SummaryMap: {
          Users: account.userCount,
          UsersQuota: USERS_PER_ACCOUNT_MAX,
          UserPolicySizeQuota: USER_POLICY_SIZE_MAX,
          AccessKeysPerUserQuota: ACCESS_KEYS_PER_USER_MAX,
          AttachedPoliciesPerUserQuota: ATTACHED_POLICIES_PER_USER_MAX,
          Policies: account.policyCount,
          PoliciesQuota: POLICIES_PER_ACCOUNT_MAX,
          PolicySizeQuota: MANAGED_POLICY_SIZE_MAX,
          VersionsPerPolicyQuota: POLICY_VERSIONS_MAX,
          AccountAccessKeysPresent: account.rootAccessKeyIds.length > 0 ? 1 : 0,
          Groups: 0,
          Roles: 0,
          MFADevices: 0,
          AccountMFAEnabled: 0,
        },
      },
    };
  },
};
