import type { Random } from "../../../base/random.ts";
import type { Reader } from "../../../store/table.ts";
import {
  accessDenied,
  noSuchPolicy,
  policyAttached,
  policyExists,
  policyHasVersions,
  quotaExceeded,
} from "../errors.ts";
import {
  foldedName,
  MANAGED_POLICY_SIZE_MAX,
  newEntityId,
  POLICIES_PER_ACCOUNT_MAX,
  policyArn,
  policySize,
  storedDocument,
} from "../model.ts";
import type { CompilePolicy } from "../model.ts";
import { decodeMarker, encodeMarker, pageOfTable, pageRoom } from "../pagination.ts";
import { requireValidDocument } from "../policy-document.ts";
import { ownPolicy, policiesOfService } from "../policy-lookup.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { useOf } from "../policy-use.ts";
import { accounts, policies, policyVersions } from "../records.ts";
import type { PolicyRecord } from "../records.ts";
import {
  accountOf,
  creationChecks,
  describe,
  listAccess,
  policyAccess,
  policyResource,
  responseElements,
} from "../row.ts";
import type { Row } from "../row.ts";
import type { ListPoliciesRequest, Policy } from "../shapes.generated.ts";
import { tagsFrom, tagsOut } from "../tags.ts";

export function existingPolicy(policy: ManagedPolicy | null, arn: string): ManagedPolicy {
  if (policy === null) throw noSuchPolicy(arn);
  return policy;
}

/** The account's own policy behind an ARN. AWS's own cannot be changed by anybody. */
export function changeablePolicy(
  policy: ManagedPolicy | null,
  request: { readonly arn: string; readonly action: string; readonly principalArn: string },
): PolicyRecord {
  const { record } = existingPolicy(policy, request.arn);
  if (record === null) throw accessDenied(request.principalArn, request.action, `policy ${request.arn}`);
  return record;
}

/** A managed policy as GetPolicy shows it. ListPolicies leaves description and tags out, CreatePolicy an empty list of tags. */
export async function policyOut(
  read: Reader,
  accountId: string,
  policy: ManagedPolicy,
  detail: "full" | "created" | "listed",
): Promise<Policy> {
  const { attachmentCount, boundaryCount } = await useOf(read, accountId, policy.arn);
  return {
    PolicyName: policy.policyName,
    PolicyId: policy.policyId,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersionId,
    AttachmentCount: attachmentCount,
    PermissionsBoundaryUsageCount: boundaryCount,
    IsAttachable: true,
    CreateDate: policy.createdMs,
    UpdateDate: policy.updatedMs,
    ...(detail !== "listed" && policy.description !== "" ? { Description: policy.description } : {}),
    ...(detail === "full" || (detail === "created" && policy.tags.length > 0) ? { Tags: tagsOut(policy.tags) } : {}),
  };
}

export const createPolicy = (deps: {
  readonly random: Random;
  readonly compilePolicy: CompilePolicy;
}): Row<"CreatePolicy", string> => ({
  event: "management",
  readOnly: false,
  describe,
  async access({ call }, input) {
    const { accountId } = call.principal;
    const arn = policyArn(accountId, input.Path ?? "/", input.PolicyName);
    return {
      target: arn,
      checks: creationChecks(
        { action: "iam:CreatePolicy", resource: arn, resourceAccountId: accountId },
        "iam:TagPolicy",
        input.Tags,
      ),
    };
  },
  async handle({ call, read }, input, arn) {
    const { accountId } = call.principal;
    requireManagedDocument(deps.compilePolicy, input.PolicyDocument, arn);
    const id = [accountId, foldedName(input.PolicyName)];
    if ((await read.get(policies, id)) !== null) throw policyExists(input.PolicyName);
    const account = await accountOf(read, accountId);
    if (account.policyCount >= POLICIES_PER_ACCOUNT_MAX) {
      throw quotaExceeded("PoliciesPerAccount", POLICIES_PER_ACCOUNT_MAX);
    }
    const document = storedDocument(input.PolicyDocument, MANAGED_POLICY_SIZE_MAX);
    const record: PolicyRecord = {
      accountId,
      policyName: input.PolicyName,
      policyId: newEntityId("ANPA", deps.random),
      path: input.Path ?? "/",
      arn,
      description: input.Description ?? "",
      createdMs: call.nowMs,
      updatedMs: call.nowMs,
      tags: tagsFrom([], input.Tags ?? []),
      defaultVersionId: "v1",
      defaultDocument: document,
      nextVersion: 2,
      versions: [{ versionId: "v1", createdMs: call.nowMs }],
    };
    const output = { Policy: await policyOut(read, accountId, ownPolicy(record), "created") };
    return {
      output,
      writes: [
        policies.put(id, record),
        policyVersions.put([...id, "v1"], { document }),
        accounts.put([accountId], { ...account, policyCount: account.policyCount + 1 }),
      ],
      audit: { responseElements: responseElements(output), resources: [policyResource(arn, accountId)] },
    };
  },
});

/** Throws MalformedPolicyDocument or LimitExceeded. */
export function requireManagedDocument(compile: CompilePolicy, document: string, arn: string): void {
  requireValidDocument(compile, document, arn);
  if (policySize(document) > MANAGED_POLICY_SIZE_MAX) throw quotaExceeded("PolicySize", MANAGED_POLICY_SIZE_MAX);
}

export const getPolicy: Row<"GetPolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:GetPolicy"),
  async handle({ call, read }, input, target) {
    const { accountId } = call.principal;
    const policy = existingPolicy(target, input.PolicyArn);
    return {
      output: { Policy: await policyOut(read, accountId, policy, "full") },
      audit: { resources: [policyResource(policy.arn, accountId)] },
    };
  },
};

export const deletePolicy: Row<"DeletePolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:DeletePolicy"),
  async handle({ call, read }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const record = changeablePolicy(target, { arn: input.PolicyArn, action: "iam:DeletePolicy", principalArn });
    const use = await useOf(read, accountId, record.arn);
    if (use.attachmentCount + use.boundaryCount > 0) throw policyAttached();
    if (record.versions.length > 1) throw policyHasVersions();
    const account = await accountOf(read, accountId);
    const id = [accountId, foldedName(record.policyName)];
    return {
      output: {},
      writes: [
        policies.remove(id),
        policyVersions.remove([...id, record.defaultVersionId]),
        accounts.put([accountId], { ...account, policyCount: account.policyCount - 1 }),
      ],
      audit: { resources: [policyResource(record.arn, accountId)] },
    };
  },
};

/** Markers tell the two lists apart: the account's own policies come first, then those of the service. */
const OWN = "own:";
const SERVICE = "aws:";

export const listPolicies: Row<"ListPolicies", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListPolicies"),
  async handle({ call, read }, input) {
    const { accountId } = call.principal;
    const room = pageRoom(input);
    const show = (policy: ManagedPolicy): Promise<Policy> => policyOut(read, accountId, policy, "listed");
    const marker = decodeMarker(input);
    const accept = policyFilter(read, accountId, input);
    const scope = input.Scope ?? "All";
    const found: Policy[] = [];
    let last: string | null = null;
    if (scope !== "AWS" && !marker?.startsWith(SERVICE)) {
      const own = await pageOfTable(read, policies, {
        prefix: [accountId],
        after: marker?.slice(OWN.length) ?? null,
        room,
        accept: (record) => accept(ownPolicy(record)),
        show: (record) => show(ownPolicy(record)),
      });
      found.push(...own.items);
      last = own.last === null ? null : OWN + own.last;
    }
    if (scope !== "Local" && last === null) {
      const after = marker?.startsWith(SERVICE) ? marker.slice(SERVICE.length) : "";
      let lastShown = after;
      for (const policy of policiesOfService().filter(({ policyName }) => policyName > after)) {
        if (!(await accept(policy))) continue;
        if (room.isFull()) {
          last = SERVICE + lastShown;
          break;
        }
        const shown = await show(policy);
        room.take(shown);
        found.push(shown);
        lastShown = policy.policyName;
      }
    }
    return {
      output: {
        Policies: found,
        ...(last === null ? { IsTruncated: false } : { IsTruncated: true, Marker: encodeMarker(last) }),
      },
    };
  },
};

function policyFilter(
  read: Reader,
  accountId: string,
  request: ListPoliciesRequest,
): (policy: ManagedPolicy) => Promise<boolean> {
  const pathPrefix = request.PathPrefix ?? "/";
  return async (policy) => {
    if (!policy.path.startsWith(pathPrefix)) return false;
    if (request.OnlyAttached !== true && request.PolicyUsageFilter === undefined) return true;
    const { attachmentCount, boundaryCount } = await useOf(read, accountId, policy.arn);
    if (request.PolicyUsageFilter === "PermissionsPolicy") return attachmentCount > 0;
    if (request.PolicyUsageFilter === "PermissionsBoundary") return boundaryCount > 0;
    return attachmentCount > 0;
  };
}
