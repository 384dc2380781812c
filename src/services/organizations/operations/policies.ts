import type { Random } from "../../../base/random.ts";
import {
  constraintViolation,
  duplicatePolicy,
  invalidInput,
  malformedPolicy,
  policyInUse,
  policyNotFound,
  policyTypeNotAvailable,
} from "../errors.ts";
import { responseElements } from "../event.ts";
import {
  type CompilePolicy,
  FULL_ACCESS_ID,
  nameKey,
  newPolicyId,
  POLICIES_MAX,
  POLICY_LENGTH_MAX,
  POLICY_TYPE,
} from "../model.ts";
import { pageOfTable } from "../pages.ts";
import { findPolicy, fullAccess, summaryOf } from "../policy-lookup.ts";
import { targetCountOf } from "../policy-use.ts";
import { organizations, policies, policyNames, type PolicyRecord, policyUses, THE_ORGANIZATION } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import { tagsWith } from "../tags.ts";

/** Throws unless the document is a service control policy. What the compiler finds wrong is meant for its author. */
function requireValid(compile: CompilePolicy, content: string, policyId: string): void {
  if (content.length > POLICY_LENGTH_MAX) {
    throw constraintViolation(
      "POLICY_CONTENT_LIMIT_EXCEEDED",
      `A service control policy has at most ${POLICY_LENGTH_MAX} characters, white space included.`,
    );
  }
  try {
    compile(content, policyId);
  } catch (cause) {
    if (cause instanceof Error && cause.name === "PolicyError") throw malformedPolicy(cause.message, cause);
    throw cause;
  }
}

export const createPolicy = (deps: {
  readonly random: Random;
  readonly compilePolicy: CompilePolicy;
}): Row<"CreatePolicy"> =>
  managementRow("CreatePolicy", {
    readOnly: false,
    ofPolicies: true,
    tags: ({ Tags }) => Tags,
    makes: "policy",
    async handle({ read }, input, organization) {
      if (input.Type !== POLICY_TYPE) throw policyTypeNotAvailable();
      const policyId = newPolicyId(deps.random);
      requireValid(deps.compilePolicy, input.Content, policyId);
      if (organization.policyCount >= POLICIES_MAX) {
        throw constraintViolation(
          "POLICY_NUMBER_LIMIT_EXCEEDED",
          `An organization has at most ${POLICIES_MAX} policies.`,
        );
      }
      const nameId = [nameKey(input.Name)];
      if (input.Name === fullAccess.name || (await read.get(policyNames, nameId)) !== null) throw duplicatePolicy();
      const policy: PolicyRecord = {
        policyId,
        name: input.Name,
        description: input.Description,
        content: input.Content,
        tags: tagsWith([], input.Tags),
      };
      const output = { Policy: { PolicySummary: summaryOf(organization, policy), Content: policy.content } };
      return {
        output,
        writes: [
          policies.put([policyId], policy),
          policyNames.put(nameId, { id: policyId }),
          organizations.put(THE_ORGANIZATION, { ...organization, policyCount: organization.policyCount + 1 }),
        ],
        audit: responseElements({ Policy: { PolicySummary: output.Policy.PolicySummary } }),
      };
    },
  });

export const describePolicy: Row<"DescribePolicy"> = managementRow("DescribePolicy", {
  readOnly: true,
  ofPolicies: true,
  on: ({ PolicyId }) => [PolicyId],
  async handle({ read }, input, organization) {
    const policy = await findPolicy(read, input.PolicyId);
    if (policy === null) throw policyNotFound();
    return { output: { Policy: { PolicySummary: summaryOf(organization, policy), Content: policy.content } } };
  },
});

const refuseAwsPolicy = (policyId: string): void => {
  if (policyId === FULL_ACCESS_ID) {
    throw invalidInput("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.");
  }
};

export const updatePolicy = (compilePolicy: CompilePolicy): Row<"UpdatePolicy"> =>
  managementRow("UpdatePolicy", {
    readOnly: false,
    ofPolicies: true,
    on: ({ PolicyId }) => [PolicyId],
    async handle({ read }, input, organization) {
      refuseAwsPolicy(input.PolicyId);
      const policy = await read.get(policies, [input.PolicyId]);
      if (policy === null) throw policyNotFound();
      if (input.Content !== undefined) requireValid(compilePolicy, input.Content, policy.policyId);
      const after: PolicyRecord = {
        ...policy,
        name: input.Name ?? policy.name,
        description: input.Description ?? policy.description,
        content: input.Content ?? policy.content,
      };
      const output = { Policy: { PolicySummary: summaryOf(organization, after), Content: after.content } };
      const audit = responseElements({ Policy: { PolicySummary: output.Policy.PolicySummary } });
      const writes = [policies.put([policy.policyId], after)];
      if (after.name === policy.name) return { output, writes, audit };
      const nameId = [nameKey(after.name)];
      if (after.name === fullAccess.name || (await read.get(policyNames, nameId)) !== null) throw duplicatePolicy();
      writes.push(policyNames.remove([nameKey(policy.name)]), policyNames.put(nameId, { id: policy.policyId }));
      return { output, writes, audit };
    },
  });

export const deletePolicy: Row<"DeletePolicy"> = managementRow("DeletePolicy", {
  readOnly: false,
  ofPolicies: true,
  on: ({ PolicyId }) => [PolicyId],
  async handle({ read }, input, organization) {
    refuseAwsPolicy(input.PolicyId);
    const policy = await read.get(policies, [input.PolicyId]);
    if (policy === null) throw policyNotFound();
    if ((await targetCountOf(read, organization, policy.policyId)) > 0) throw policyInUse();
    return {
      output: {},
      writes: [
        policies.remove([policy.policyId]),
        policyNames.remove([nameKey(policy.name)]),
        policyUses.remove([policy.policyId]),
        organizations.put(THE_ORGANIZATION, { ...organization, policyCount: organization.policyCount - 1 }),
      ],
    };
  },
});

/** AWS's own stands first. */
export const listPolicies: Row<"ListPolicies"> = managementRow("ListPolicies", {
  readOnly: true,
  ofPolicies: true,
  async handle({ read }, input, organization) {
    if (input.Filter !== POLICY_TYPE) return { output: { Policies: [] } };
    const first = { id: FULL_ACCESS_ID, value: fullAccess };
    const { items, tail } = await pageOfTable(read, policies, { prefix: [], input, scope: "policies", first });
    return { output: { Policies: items.map(({ value }) => summaryOf(organization, value)), ...tail } };
  },
});
