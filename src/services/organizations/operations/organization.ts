import { nodes, type OrganizationRecord, organizations, THE_ORGANIZATION } from "../records.ts";
import {
  alreadyInOrganization,
  policyTypeAlreadyEnabled,
  policyTypeNotAvailable,
  policyTypeNotEnabled,
  rootNotFound,
} from "../errors.ts";
import { describe, responseElements } from "../event.ts";
import { accountArn, organizationArn, POLICY_TYPE, resourceArn } from "../model.ts";
import { pageOfList } from "../pages.ts";
import { managementRow, organizationOf, type Row } from "../row.ts";
import type { Organization, PolicyType, Root } from "../shapes.generated.ts";

/** The deployment's organization is there from the start, and every account is in it. */
export const createOrganization: Row<"CreateOrganization"> = {
  event: "management",
  readOnly: false,
  describe,
  async access({ call, read }) {
    const { accountId } = call.principal;
    const check = { action: "organizations:CreateOrganization", resource: "*", resourceAccountId: accountId };
    return { target: await organizationOf(read), checks: [check] };
  },
  handle: () => Promise.reject(alreadyInOrganization()),
};

/** Every member account may call it. */
export const describeOrganization: Row<"DescribeOrganization"> = {
  event: "management",
  readOnly: true,
  async access({ call, read }) {
    const { accountId } = call.principal;
    const check = { action: "organizations:DescribeOrganization", resource: "*", resourceAccountId: accountId };
    return { target: await organizationOf(read), checks: [check] };
  },
  handle: async (_context, _input, organization) => ({ output: { Organization: organizationOut(organization) } }),
};

const organizationOut = (organization: OrganizationRecord): Organization => ({
  Id: organization.organizationId,
  Arn: organizationArn(organization),
  FeatureSet: "ALL",
  MasterAccountArn: accountArn(organization, organization.managementAccountId),
  MasterAccountId: organization.managementAccountId,
  MasterAccountEmail: organization.managementEmail,
  AvailablePolicyTypes: [{ Type: POLICY_TYPE, Status: "ENABLED" }],
});

const rootOut = (organization: OrganizationRecord, name: string): Root => ({
  Id: organization.rootId,
  Arn: resourceArn(organization, organization.rootId),
  Name: name,
  PolicyTypes: organization.policiesEnabled ? [{ Type: POLICY_TYPE, Status: "ENABLED" }] : [],
});

export const listRoots: Row<"ListRoots"> = managementRow("ListRoots", {
  readOnly: true,
  async handle({ read }, input, organization) {
    const root = await read.get(nodes, [organization.rootId]);
    const { items, tail } = pageOfList([rootOut(organization, root?.name ?? "Root")], input, "roots");
    return { output: { Roots: items, ...tail } };
  },
});

function requireOwnRoot(organization: OrganizationRecord, input: { RootId: string; PolicyType: PolicyType }): void {
  if (input.RootId !== organization.rootId) throw rootNotFound();
  if (input.PolicyType !== POLICY_TYPE) throw policyTypeNotAvailable();
}

export const enablePolicyType: Row<"EnablePolicyType"> = managementRow("EnablePolicyType", {
  readOnly: false,
  ofPolicies: true,
  on: ({ RootId }) => [RootId],
  async handle(_context, input, organization) {
    requireOwnRoot(organization, input);
    if (organization.policiesEnabled) throw policyTypeAlreadyEnabled();
    const after: OrganizationRecord = { ...organization, policiesEnabled: true };
    const output = { Root: rootOut(after, "Root") };
    return { output, writes: [organizations.put(THE_ORGANIZATION, after)], audit: responseElements(output) };
  },
});

/** Detaches all service control policies: whoever enables them again finds FullAWSAccess everywhere, and nothing else. */
export const disablePolicyType: Row<"DisablePolicyType"> = managementRow("DisablePolicyType", {
  readOnly: false,
  ofPolicies: true,
  on: ({ RootId }) => [RootId],
  async handle(_context, input, organization) {
    requireOwnRoot(organization, input);
    if (!organization.policiesEnabled) throw policyTypeNotEnabled();
    const policyEpoch = organization.policyEpoch + 1;
    const after: OrganizationRecord = { ...organization, policiesEnabled: false, policyEpoch };
    const output = { Root: rootOut(after, "Root") };
    return { output, writes: [organizations.put(THE_ORGANIZATION, after)], audit: responseElements(output) };
  },
});
