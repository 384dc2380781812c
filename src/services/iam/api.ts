/** IAM's table: which operations are served, and by what. State is the account's, the same in every Region. */
import type { Random } from "../../base/random.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import type { AccessKeyUse } from "./access-key-use.ts";
import type { CompilePolicy } from "./model.ts";
import {
  createAccessKey,
  deleteAccessKey,
  getAccessKeyLastUsed,
  listAccessKeys,
  updateAccessKey,
} from "./operations/access-keys.ts";
import { getAccountSummary } from "./operations/account-summary.ts";
import {
  attachUserPolicy,
  detachUserPolicy,
  listAttachedUserPolicies,
  listEntitiesForPolicy,
} from "./operations/attachments.ts";
import { deleteUserPermissionsBoundary, putUserPermissionsBoundary } from "./operations/boundaries.ts";
import { deleteUserPolicy, getUserPolicy, listUserPolicies, putUserPolicy } from "./operations/inline-policies.ts";
import { createPolicy, deletePolicy, getPolicy, listPolicies } from "./operations/policies.ts";
import { listPolicyTags, tagPolicy, untagPolicy } from "./operations/policy-tags.ts";
import {
  createPolicyVersion,
  deletePolicyVersion,
  getPolicyVersion,
  listPolicyVersions,
  setDefaultPolicyVersion,
} from "./operations/policy-versions.ts";
import { listUserTags, tagUser, untagUser } from "./operations/user-tags.ts";
import { createUser, deleteUser, getUser, listUsers, updateUser } from "./operations/users.ts";
import { model } from "./shapes.generated.ts";
import type { Operations } from "./shapes.generated.ts";

export interface IamDeps {
  readonly random: Random;
  readonly secretBox: SecretBox;
  readonly compilePolicy: CompilePolicy;
  readonly accessKeyUse: AccessKeyUse;
}

export function createIamService(deps: IamDeps): Service {
  const operations = {
    CreateUser: createUser(deps.random),
    GetUser: getUser,
    UpdateUser: updateUser,
    DeleteUser: deleteUser,
    ListUsers: listUsers,
    TagUser: tagUser,
    UntagUser: untagUser,
    ListUserTags: listUserTags,

    CreateAccessKey: createAccessKey(deps),
    UpdateAccessKey: updateAccessKey,
    DeleteAccessKey: deleteAccessKey,
    ListAccessKeys: listAccessKeys,
    GetAccessKeyLastUsed: getAccessKeyLastUsed(deps.accessKeyUse),

    PutUserPolicy: putUserPolicy(deps.compilePolicy),
    GetUserPolicy: getUserPolicy,
    DeleteUserPolicy: deleteUserPolicy,
    ListUserPolicies: listUserPolicies,

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

    AttachUserPolicy: attachUserPolicy,
    DetachUserPolicy: detachUserPolicy,
    ListAttachedUserPolicies: listAttachedUserPolicies,
    ListEntitiesForPolicy: listEntitiesForPolicy,

    PutUserPermissionsBoundary: putUserPermissionsBoundary,
    DeleteUserPermissionsBoundary: deleteUserPermissionsBoundary,

    GetAccountSummary: getAccountSummary,
  } satisfies Partial<Record<keyof Operations, AnyOperation>>;
  return {
    model,
    operations,
    accessDeniedCode: "AccessDenied",
    start: () => () => deps.accessKeyUse.stop(),
  };
}
