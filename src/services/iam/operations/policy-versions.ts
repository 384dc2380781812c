import type { Reader } from "../../../store/table.ts";
import { defaultVersion, noSuchPolicyVersion, tooManyVersions } from "../errors.ts";
import { encodedDocument, foldedName, MANAGED_POLICY_SIZE_MAX, POLICY_VERSIONS_MAX, storedDocument } from "../model.ts";
import type { CompilePolicy } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { policies, policyVersions } from "../records.ts";
import type { PolicyRecord } from "../records.ts";
import { describe, policyAccess, policyResource, responseElements } from "../row.ts";
import type { Row } from "../row.ts";
import type { PolicyVersion } from "../shapes.generated.ts";
import { changeablePolicy, existingPolicy, requireManagedDocument } from "./policies.ts";

const policyId = (record: PolicyRecord): readonly string[] => [record.accountId, foldedName(record.policyName)];

export const versionOut = (policy: ManagedPolicy, version: ManagedPolicy["versions"][number]): PolicyVersion => ({
  VersionId: version.versionId,
  IsDefaultVersion: version.versionId === policy.defaultVersionId,
  CreateDate: version.createdMs,
});

/** The document of one of a policy's versions. Null: deleted since the policy was read. */
export async function versionDocument(
  read: Reader,
  policy: ManagedPolicy,
  { versionId }: ManagedPolicy["versions"][number],
): Promise<string | null> {
  if (policy.record === null) return policy.defaultDocument;
  return (await read.get(policyVersions, [...policyId(policy.record), versionId]))?.document ?? null;
}

const versionNumber = (versionId: string): number => Number(versionId.slice(1));

export const createPolicyVersion = (compile: CompilePolicy): Row<"CreatePolicyVersion", ManagedPolicy | null> => ({
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:CreatePolicyVersion"),
  async handle({ call }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const action = "iam:CreatePolicyVersion";
    const record = changeablePolicy(target, { arn: input.PolicyArn, action, principalArn });
    requireManagedDocument(compile, input.PolicyDocument, record.arn);
    if (record.versions.length >= POLICY_VERSIONS_MAX) throw tooManyVersions(POLICY_VERSIONS_MAX);
    const document = storedDocument(input.PolicyDocument, MANAGED_POLICY_SIZE_MAX);
    const version = { versionId: `v${record.nextVersion}`, createdMs: call.nowMs };
    const isDefault = input.SetAsDefault === true;
    const output = {
      PolicyVersion: { VersionId: version.versionId, IsDefaultVersion: isDefault, CreateDate: version.createdMs },
    };
    return {
      output,
      writes: [
        policies.put(policyId(record), {
          ...record,
          nextVersion: record.nextVersion + 1,
          versions: [...record.versions, version],
          updatedMs: call.nowMs,
          ...(isDefault ? { defaultVersionId: version.versionId, defaultDocument: document } : {}),
        }),
        policyVersions.put([...policyId(record), version.versionId], { document }),
      ],
      audit: { responseElements: responseElements(output), resources: [policyResource(record.arn, accountId)] },
    };
  },
});

export const getPolicyVersion: Row<"GetPolicyVersion", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:GetPolicyVersion"),
  async handle({ call, read }, input, target) {
    const policy = existingPolicy(target, input.PolicyArn);
    const version = policy.versions.find(({ versionId }) => versionId === input.VersionId);
    if (version === undefined) throw noSuchPolicyVersion(input.PolicyArn, input.VersionId);
    const document = await versionDocument(read, policy, version);
    if (document === null) throw noSuchPolicyVersion(input.PolicyArn, input.VersionId);
    return {
      output: { PolicyVersion: { Document: encodedDocument(document), ...versionOut(policy, version) } },
      audit: { resources: [policyResource(policy.arn, call.principal.accountId)] },
    };
  },
};

export const listPolicyVersions: Row<"ListPolicyVersions", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:ListPolicyVersions"),
  async handle(_context, input, target) {
    const policy = existingPolicy(target, input.PolicyArn);
    // Newest first, as AWS lists them: the key falls as the number grows.
    const newestFirst = ({ versionId }: { readonly versionId: string }): string =>
      String(Number.MAX_SAFE_INTEGER - versionNumber(versionId));
    const { items, tail } = pageOfList(policy.versions, newestFirst, input);
    return { output: { Versions: items.map((version) => versionOut(policy, version)), ...tail } };
  },
};

export const deletePolicyVersion: Row<"DeletePolicyVersion", ManagedPolicy | null> = {
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:DeletePolicyVersion"),
  async handle({ call }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const action = "iam:DeletePolicyVersion";
    const record = changeablePolicy(target, { arn: input.PolicyArn, action, principalArn });
    const left = record.versions.filter(({ versionId }) => versionId !== input.VersionId);
    if (left.length === record.versions.length) throw noSuchPolicyVersion(input.PolicyArn, input.VersionId);
    if (input.VersionId === record.defaultVersionId) throw defaultVersion();
    return {
      output: {},
      writes: [
        policies.put(policyId(record), { ...record, versions: left, updatedMs: call.nowMs }),
        policyVersions.remove([...policyId(record), input.VersionId]),
      ],
      audit: { resources: [policyResource(record.arn, accountId)] },
    };
  },
};

export const setDefaultPolicyVersion: Row<"SetDefaultPolicyVersion", ManagedPolicy | null> = {
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:SetDefaultPolicyVersion"),
  async handle({ call, read }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const action = "iam:SetDefaultPolicyVersion";
    const record = changeablePolicy(target, { arn: input.PolicyArn, action, principalArn });
    const version = await read.get(policyVersions, [...policyId(record), input.VersionId]);
    if (version === null) throw noSuchPolicyVersion(input.PolicyArn, input.VersionId);
    return {
      output: {},
      writes: [
        policies.put(policyId(record), {
          ...record,
          defaultVersionId: input.VersionId,
          defaultDocument: version.document,
          updatedMs: call.nowMs,
        }),
      ],
      audit: { resources: [policyResource(record.arn, accountId)] },
    };
  },
};
