import type { Reader } from "../../store/table.ts";
import {
  FULL_ACCESS_DESCRIPTION,
  FULL_ACCESS_DOCUMENT,
  FULL_ACCESS_ID,
  FULL_ACCESS_NAME,
  type OrganizationName,
  POLICY_TYPE,
  resourceArn,
} from "./model.ts";
import { policies, type PolicyRecord } from "./records.ts";
import type { PolicySummary } from "./shapes.generated.ts";

/** The policy that comes with every organization, and can't be changed or deleted. */
export const fullAccess: PolicyRecord = {
  policyId: FULL_ACCESS_ID,
  name: FULL_ACCESS_NAME,
  description: FULL_ACCESS_DESCRIPTION,
  content: FULL_ACCESS_DOCUMENT,
  tags: [],
};

export const findPolicy = async (read: Reader, policyId: string): Promise<PolicyRecord | null> =>
  policyId === FULL_ACCESS_ID ? fullAccess : await read.get(policies, [policyId]);

export const summaryOf = (organization: OrganizationName, policy: PolicyRecord): PolicySummary => ({
  Id: policy.policyId,
  Arn: resourceArn(organization, policy.policyId),
  Name: policy.name,
  Description: policy.description,
  Type: POLICY_TYPE,
  AwsManaged: policy.policyId === FULL_ACCESS_ID,
});
