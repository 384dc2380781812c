import type { Reader } from "../../../store/table.ts";
import {
  constraintViolation,
  duplicateAttachment,
  policyNotAttached,
  policyNotFound,
  policyTypeNotEnabled,
  targetNotFound,
} from "../errors.ts";
import { FULL_ACCESS_ID, POLICIES_PER_TARGET_MAX, POLICY_TYPE, resourceArn } from "../model.ts";
import { type Page, pageOfList, pageOfTable, type PageRequest } from "../pages.ts";
import { findPolicy, summaryOf } from "../policy-lookup.ts";
import { attachedTo, setAttached } from "../policy-use.ts";
import { attachments, type NodeRecord, nodes, type OrganizationRecord } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import type { PolicySummary, PolicyTargetSummary } from "../shapes.generated.ts";

interface Attachment {
  readonly PolicyId: string;
  readonly TargetId: string;
}

/** The target, once it is sure that there is such a policy, that there is the target, and that policies are enabled. */
async function targetOf(read: Reader, input: Attachment, organization: OrganizationRecord): Promise<NodeRecord> {
  const policy = await findPolicy(read, input.PolicyId);
  if (policy === null) throw policyNotFound();
  const target = await read.get(nodes, [input.TargetId]);
  if (target === null) throw targetNotFound();
  if (!organization.policiesEnabled) throw policyTypeNotEnabled();
  return target;
}

const onBoth = ({ PolicyId, TargetId }: Attachment): readonly string[] => [PolicyId, TargetId];

export const attachPolicy: Row<"AttachPolicy"> = managementRow("AttachPolicy", {
  readOnly: false,
  ofPolicies: true,
  on: onBoth,
  async handle({ read }, input, organization) {
    const target = await targetOf(read, input, organization);
    const attached = attachedTo(organization, target);
    if (attached.includes(input.PolicyId)) throw duplicateAttachment();
    if (attached.length >= POLICIES_PER_TARGET_MAX) {
      throw constraintViolation(
        "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
        `At most ${POLICIES_PER_TARGET_MAX} policies of a type can be attached to a root, OU or account.`,
      );
    }
    return { output: {}, writes: await setAttached(read, organization, target, [...attached, input.PolicyId]) };
  },
});

export const detachPolicy: Row<"DetachPolicy"> = managementRow("DetachPolicy", {
  readOnly: false,
  ofPolicies: true,
  on: onBoth,
  async handle({ read }, input, organization) {
    const target = await targetOf(read, input, organization);
    const attached = attachedTo(organization, target);
    if (!attached.includes(input.PolicyId)) throw policyNotAttached();
    // Without any, the level would allow nothing: AWS wants the replacement attached first.
    if (attached.length === 1) {
      throw constraintViolation(
        "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
        "Every root, OU and account must have at least one service control policy. Attach the replacement first.",
      );
    }
    const left = attached.filter((policyId) => policyId !== input.PolicyId);
    return { output: {}, writes: await setAttached(read, organization, target, left) };
  },
});

export const listPoliciesForTarget: Row<"ListPoliciesForTarget"> = managementRow("ListPoliciesForTarget", {
  readOnly: true,
  ofPolicies: true,
  on: ({ TargetId }) => [TargetId],
  async handle({ read }, input, organization) {
    const target = await read.get(nodes, [input.TargetId]);
    if (target === null) throw targetNotFound();
    if (input.Filter !== POLICY_TYPE || !organization.policiesEnabled) return { output: { Policies: [] } };
    const { items, tail } = pageOfList(attachedTo(organization, target), input, `policies of ${target.id}`);
    const summaries: PolicySummary[] = [];
    for (const policyId of items) {
      const policy = await findPolicy(read, policyId);
      if (policy !== null) summaries.push(summaryOf(organization, policy));
    }
    return { output: { Policies: summaries, ...tail } };
  },
});

export const listTargetsForPolicy: Row<"ListTargetsForPolicy"> = managementRow("ListTargetsForPolicy", {
  readOnly: true,
  ofPolicies: true,
  on: ({ PolicyId }) => [PolicyId],
  async handle({ read }, input, organization) {
    if ((await findPolicy(read, input.PolicyId)) === null) throw policyNotFound();
    if (!organization.policiesEnabled) return { output: { Targets: [] } };
    const { items, tail } = await targetIds(read, organization, input.PolicyId, input);
    const targets: PolicyTargetSummary[] = [];
    for (const id of items) {
      const node = await read.get(nodes, [id]);
      if (node === null || !attachedTo(organization, node).includes(input.PolicyId)) continue;
      targets.push({ TargetId: id, Arn: resourceArn(organization, id), Name: node.name, Type: node.type });
    }
    return { output: { Targets: targets, ...tail } };
  },
});

/** FullAWSAccess is looked for in all of the tree: a page may hold few of its targets, as AWS says of pages. */
async function targetIds(
  read: Reader,
  organization: OrganizationRecord,
  policyId: string,
  input: PageRequest,
): Promise<Page<string>> {
  const scope = `targets ${organization.policyEpoch} ${policyId}`;
  const ids = ({ items, tail }: Page<{ readonly id: string }>): Page<string> => ({
    items: items.map(({ id }) => id),
    tail,
  });
  if (policyId === FULL_ACCESS_ID) return ids(await pageOfTable(read, nodes, { prefix: [], input, scope }));
  const prefix = [String(organization.policyEpoch), policyId];
  return ids(await pageOfTable(read, attachments, { prefix, input, scope }));
}
