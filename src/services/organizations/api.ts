/** Organizations' table: which operations are served, and by what. State is the deployment's, the same in every Region. */
import type { Random } from "../../base/random.ts";
import type { AnyOperation, Service } from "../../gateway/contract.ts";
import type { CompilePolicy } from "./model.ts";
import {
  closeAccount,
  describeAccount,
  listAccounts,
  listAccountsForParent,
  moveAccount,
} from "./operations/accounts.ts";
import { attachPolicy, detachPolicy, listPoliciesForTarget, listTargetsForPolicy } from "./operations/attachments.ts";
import { createAccount, describeCreateAccountStatus, listCreateAccountStatus } from "./operations/create-account.ts";
import {
  createOrganization,
  describeOrganization,
  disablePolicyType,
  enablePolicyType,
  listRoots,
} from "./operations/organization.ts";
import {
  listAwsServiceAccess,
  listDelegatedAdministrators,
  listHandshakesForAccount,
  listHandshakesForOrganization,
} from "./operations/none.ts";
import { createPolicy, deletePolicy, describePolicy, listPolicies, updatePolicy } from "./operations/policies.ts";
import { listTagsForResource, tagResource, untagResource } from "./operations/tags.ts";
import { listChildren, listParents } from "./operations/tree.ts";
import {
  createOrganizationalUnit,
  deleteOrganizationalUnit,
  describeOrganizationalUnit,
  listOrganizationalUnitsForParent,
  updateOrganizationalUnit,
} from "./operations/units.ts";
import type { MemberAccounts } from "./ports.ts";
import { model } from "./shapes.generated.ts";
import type { Operations } from "./shapes.generated.ts";

export interface OrganizationsDeps {
  readonly random: Random;
  readonly accounts: MemberAccounts;
  /** Of service control policies. */
  readonly compilePolicy: CompilePolicy;
}

export function createOrganizationsService(deps: OrganizationsDeps): Service {
  const operations: { readonly [Name in keyof Operations]: AnyOperation } = {
    CreateOrganization: createOrganization,
    DescribeOrganization: describeOrganization,
    ListRoots: listRoots,
    EnablePolicyType: enablePolicyType,
    DisablePolicyType: disablePolicyType,

    CreateAccount: createAccount(deps),
    DescribeCreateAccountStatus: describeCreateAccountStatus,
    ListCreateAccountStatus: listCreateAccountStatus,
    DescribeAccount: describeAccount,
    ListAccounts: listAccounts,
    ListAccountsForParent: listAccountsForParent,
    MoveAccount: moveAccount,
    CloseAccount: closeAccount(deps.accounts),

    CreateOrganizationalUnit: createOrganizationalUnit(deps.random),
    DescribeOrganizationalUnit: describeOrganizationalUnit,
    UpdateOrganizationalUnit: updateOrganizationalUnit,
    DeleteOrganizationalUnit: deleteOrganizationalUnit,
    ListOrganizationalUnitsForParent: listOrganizationalUnitsForParent,
    ListParents: listParents,
    ListChildren: listChildren,

    CreatePolicy: createPolicy(deps),
    DescribePolicy: describePolicy,
    UpdatePolicy: updatePolicy(deps.compilePolicy),
    DeletePolicy: deletePolicy,
    ListPolicies: listPolicies,
    AttachPolicy: attachPolicy,
    DetachPolicy: detachPolicy,
    ListPoliciesForTarget: listPoliciesForTarget,
    ListTargetsForPolicy: listTargetsForPolicy,

    TagResource: tagResource,
    UntagResource: untagResource,
    ListTagsForResource: listTagsForResource,

    ListAWSServiceAccessForOrganization: listAwsServiceAccess,
    ListDelegatedAdministrators: listDelegatedAdministrators,
    ListHandshakesForOrganization: listHandshakesForOrganization,
    ListHandshakesForAccount: listHandshakesForAccount,
  };
  return { model, operations };
}
