/** IAM's table: which operations are served, and by what. State is the account's, the same in every Region. */
import type { Random } from "../../base/random.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { Service } from "../../gateway/contract.ts";
import type { AccessKeyUse } from "./access-key-use.ts";
import { accountRows } from "./account-rows.ts";
import { groupKind, roleKind, userKind } from "./entities.ts";
import type { CompilePolicy } from "./model.ts";
import {
  createAccessKey,
  deleteAccessKey,
  getAccessKeyLastUsed,
  listAccessKeys,
  updateAccessKey,
} from "./operations/access-keys.ts";
import { attachPolicy, detachPolicy, listAttachedPolicies, listEntitiesForPolicy } from "./operations/attachments.ts";
import { deletePermissionsBoundary, putPermissionsBoundary } from "./operations/boundaries.ts";
import { listEntityTags, tagEntity, untagEntity } from "./operations/entity-tags.ts";
import {
  deleteInlinePolicy,
  getInlinePolicy,
  listInlinePolicies,
  putInlinePolicy,
} from "./operations/inline-policies.ts";
import { getContextKeysForCustomPolicy, getContextKeysForPrincipalPolicy } from "./operations/context-keys.ts";
import { createPolicy, deletePolicy, getPolicy, listPolicies } from "./operations/policies.ts";
import { listPolicyTags, tagPolicy, untagPolicy } from "./operations/policy-tags.ts";
import {
  createPolicyVersion,
  deletePolicyVersion,
  getPolicyVersion,
  listPolicyVersions,
  setDefaultPolicyVersion,
} from "./operations/policy-versions.ts";
import {
  createRole,
  deleteRole,
  getRole,
  listRoles,
  updateAssumeRolePolicy,
  updateRole,
  updateRoleDescription,
} from "./operations/roles.ts";
import { simulateCustomPolicy, simulatePrincipalPolicy } from "./operations/simulate.ts";
import { createUser, deleteUser, getUser, listUsers, updateUser } from "./operations/users.ts";
import type { Rows } from "./row.ts";
import type { PolicySimulator } from "./simulator.ts";
import { model } from "./shapes.generated.ts";

export interface IamDeps {
  readonly random: Random;
  readonly secretBox: SecretBox;
  readonly compilePolicy: CompilePolicy;
  readonly compileTrustPolicy: CompilePolicy;
  readonly accessKeyUse: AccessKeyUse;
  readonly simulator: PolicySimulator;
}

export function createIamService(deps: IamDeps): Service {
  const operations = {
    CreateUser: createUser(deps.random),
    GetUser: getUser,
    UpdateUser: updateUser,
    DeleteUser: deleteUser,
    ListUsers: listUsers,
    TagUser: tagEntity(userKind),
    UntagUser: untagEntity(userKind),
    ListUserTags: listEntityTags(userKind),

    CreateAccessKey: createAccessKey(deps),
    UpdateAccessKey: updateAccessKey,
    DeleteAccessKey: deleteAccessKey,
    ListAccessKeys: listAccessKeys,
    GetAccessKeyLastUsed: getAccessKeyLastUsed(deps.accessKeyUse),

    CreateRole: createRole(deps),
    GetRole: getRole(deps.accessKeyUse),
    UpdateRole: updateRole,
    UpdateRoleDescription: updateRoleDescription,
    UpdateAssumeRolePolicy: updateAssumeRolePolicy(deps.compileTrustPolicy),
    DeleteRole: deleteRole,
    ListRoles: listRoles,
    TagRole: tagEntity(roleKind),
    UntagRole: untagEntity(roleKind),
    ListRoleTags: listEntityTags(roleKind),

    PutUserPolicy: putInlinePolicy(userKind, deps.compilePolicy),
    GetUserPolicy: getInlinePolicy(userKind),
    DeleteUserPolicy: deleteInlinePolicy(userKind),
    ListUserPolicies: listInlinePolicies(userKind),
    PutGroupPolicy: putInlinePolicy(groupKind, deps.compilePolicy),
    GetGroupPolicy: getInlinePolicy(groupKind),
    DeleteGroupPolicy: deleteInlinePolicy(groupKind),
    ListGroupPolicies: listInlinePolicies(groupKind),
    PutRolePolicy: putInlinePolicy(roleKind, deps.compilePolicy),
    GetRolePolicy: getInlinePolicy(roleKind),
    DeleteRolePolicy: deleteInlinePolicy(roleKind),
    ListRolePolicies: listInlinePolicies(roleKind),

    CreatePolicy: createPolicy(deps),
    GetPolicy: getPolicy,
    DeletePolicy: deletePolicy,
    ListPolicies: listPolicies,
    TagPolicy: tagPolicy,
    UntagPolicy: untagPolicy,
    ListPolicyTags: listPolicyTags,

    CreatePolicyVersion: createPolicyVersion(deps.compilePolicy),
    GetPolicyVersion: getPolicyVersion,
    DeletePolicyVersion: deletePolicyVersion,
    ListPolicyVersions: listPolicyVersions,
    SetDefaultPolicyVersion: setDefaultPolicyVersion,

    AttachUserPolicy: attachPolicy(userKind),
    DetachUserPolicy: detachPolicy(userKind),
    ListAttachedUserPolicies: listAttachedPolicies(userKind),
    AttachGroupPolicy: attachPolicy(groupKind),
    DetachGroupPolicy: detachPolicy(groupKind),
    ListAttachedGroupPolicies: listAttachedPolicies(groupKind),
    AttachRolePolicy: attachPolicy(roleKind),
    DetachRolePolicy: detachPolicy(roleKind),
    ListAttachedRolePolicies: listAttachedPolicies(roleKind),
    ListEntitiesForPolicy: listEntitiesForPolicy,

    PutUserPermissionsBoundary: putPermissionsBoundary(userKind),
    DeleteUserPermissionsBoundary: deletePermissionsBoundary(userKind),
    PutRolePermissionsBoundary: putPermissionsBoundary(roleKind),
    DeleteRolePermissionsBoundary: deletePermissionsBoundary(roleKind),

    SimulateCustomPolicy: simulateCustomPolicy(deps.simulator),
    SimulatePrincipalPolicy: simulatePrincipalPolicy(deps.simulator),
    GetContextKeysForCustomPolicy: getContextKeysForCustomPolicy(deps.simulator),
    GetContextKeysForPrincipalPolicy: getContextKeysForPrincipalPolicy(deps.simulator),

    ...accountRows(deps),
  } satisfies Rows;
  return {
    model,
    operations,
    accessDeniedCode: "AccessDenied",
    start: () => () => deps.accessKeyUse.stop(),
  };
}
