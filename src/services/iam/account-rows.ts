/** The part of IAM's table that is about groups, instance profiles, OpenID Connect providers and the account as a whole. */
import type { Random } from "../../base/random.ts";
import type { AnyOperation } from "../../gateway/contract.ts";
import type { AccessKeyUse } from "./access-key-use.ts";
import { createAccountAlias, deleteAccountAlias, listAccountAliases } from "./operations/account-aliases.ts";
import { getAccountSummary } from "./operations/account-summary.ts";
import { getAccountAuthorizationDetails } from "./operations/authorization-details.ts";
import { generateCredentialReport, getCredentialReport } from "./operations/credential-report.ts";
import { addUserToGroup, listGroupsForUser, removeUserFromGroup } from "./operations/group-members.ts";
import { createGroup, deleteGroup, getGroup, listGroups, updateGroup } from "./operations/groups.ts";
import {
  addRoleToInstanceProfile,
  listInstanceProfileTags,
  removeRoleFromInstanceProfile,
  tagInstanceProfile,
  untagInstanceProfile,
} from "./operations/instance-profile-roles.ts";
import {
  createInstanceProfile,
  deleteInstanceProfile,
  getInstanceProfile,
  listInstanceProfiles,
  listInstanceProfilesForRole,
} from "./operations/instance-profiles.ts";
import {
  getAccountPasswordPolicy,
  getLoginProfile,
  listMfaDevices,
  listSamlProviders,
  listServerCertificates,
  listServiceSpecificCredentials,
  listSigningCertificates,
  listSshPublicKeys,
  listVirtualMfaDevices,
} from "./operations/none.ts";
import {
  addClientId,
  createOidcProvider,
  deleteOidcProvider,
  getOidcProvider,
  listOidcProviders,
  listOidcProviderTags,
  removeClientId,
  tagOidcProvider,
  untagOidcProvider,
  updateThumbprints,
} from "./operations/oidc-providers.ts";
import type { Rows } from "./row.ts";

export function accountRows(deps: {
  readonly random: Random;
  readonly accessKeyUse: AccessKeyUse;
}): Readonly<Record<string, AnyOperation>> {
  return {
    CreateGroup: createGroup(deps.random),
    GetGroup: getGroup,
    UpdateGroup: updateGroup,
    DeleteGroup: deleteGroup,
    ListGroups: listGroups,
    AddUserToGroup: addUserToGroup,
    RemoveUserFromGroup: removeUserFromGroup,
    ListGroupsForUser: listGroupsForUser,

    CreateInstanceProfile: createInstanceProfile(deps.random),
    GetInstanceProfile: getInstanceProfile,
    DeleteInstanceProfile: deleteInstanceProfile,
    ListInstanceProfiles: listInstanceProfiles,
    ListInstanceProfilesForRole: listInstanceProfilesForRole,
    AddRoleToInstanceProfile: addRoleToInstanceProfile,
    RemoveRoleFromInstanceProfile: removeRoleFromInstanceProfile,
    TagInstanceProfile: tagInstanceProfile,
    UntagInstanceProfile: untagInstanceProfile,
    ListInstanceProfileTags: listInstanceProfileTags,

    CreateOpenIDConnectProvider: createOidcProvider,
    GetOpenIDConnectProvider: getOidcProvider,
    DeleteOpenIDConnectProvider: deleteOidcProvider,
    ListOpenIDConnectProviders: listOidcProviders,
    AddClientIDToOpenIDConnectProvider: addClientId,
    RemoveClientIDFromOpenIDConnectProvider: removeClientId,
    UpdateOpenIDConnectProviderThumbprint: updateThumbprints,
    TagOpenIDConnectProvider: tagOidcProvider,
    UntagOpenIDConnectProvider: untagOidcProvider,
    ListOpenIDConnectProviderTags: listOidcProviderTags,

    CreateAccountAlias: createAccountAlias,
    DeleteAccountAlias: deleteAccountAlias,
    ListAccountAliases: listAccountAliases,
    GetAccountSummary: getAccountSummary,
    GetAccountAuthorizationDetails: getAccountAuthorizationDetails(deps.accessKeyUse),
    GenerateCredentialReport: generateCredentialReport(deps.accessKeyUse),
    GetCredentialReport: getCredentialReport,

    ListMFADevices: listMfaDevices,
    ListVirtualMFADevices: listVirtualMfaDevices,
    ListSSHPublicKeys: listSshPublicKeys,
    ListSigningCertificates: listSigningCertificates,
    ListServiceSpecificCredentials: listServiceSpecificCredentials,
    ListSAMLProviders: listSamlProviders,
    ListServerCertificates: listServerCertificates,
    GetLoginProfile: getLoginProfile,
    GetAccountPasswordPolicy: getAccountPasswordPolicy,
  } satisfies Rows;
}
