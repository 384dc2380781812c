/** What the rows of the table have in common: who may ask, what is checked, what an event says. */
import type { ContextValues } from "../../authz/types.ts";
import type { AccessCheck, Operation, OperationContext, Outcome } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { managementOnly, notInUse } from "./errors.ts";
import { describe } from "./event.ts";
import { futureArn, kindOf, POLICY_TYPE, type ResourceKind, resourceArn, type Tag } from "./model.ts";
import { nodes, type OrganizationRecord, organizations, policies, THE_ORGANIZATION } from "./records.ts";
import type { Operations, Tag as WireTag } from "./shapes.generated.ts";

export type Row<Name extends keyof Operations> = Operation<
  Operations[Name]["input"],
  Operations[Name]["output"],
  OrganizationRecord
>;

/** Throws AWSOrganizationsNotInUseException when the deployment has none: a store that was made by hand. */
export async function organizationOf(read: Reader): Promise<OrganizationRecord> {
  const organization = await read.get(organizations, THE_ORGANIZATION);
  if (organization === null) throw notInUse();
  return organization;
}

interface RowParts<Name extends keyof Operations> {
  readonly readOnly: boolean;
  /** Ids of what the operation is on; none: it names no resource. */
  readonly on?: (input: Operations[Name]["input"]) => readonly string[];
  /** Tags that the request gives. */
  readonly tags?: (input: Operations[Name]["input"]) => readonly WireTag[] | undefined;
  /** What the operation makes: with tags, it must be allowed to tag that, too. */
  readonly makes?: Exclude<ResourceKind, "root">;
  readonly tagKeys?: (input: Operations[Name]["input"]) => readonly string[];
  /** Whether the condition key `organizations:PolicyType` belongs to it. */
  readonly ofPolicies?: true;
  readonly handle: (
    context: OperationContext,
    input: Operations[Name]["input"],
    organization: OrganizationRecord,
  ) => Promise<Outcome<Operations[Name]["output"]>>;
}

/**
 * A row that the management account alone may call. What it is on is checked under the ARN that the id stands for, whether or
 * not there is such a thing: who may not ask learns nothing.
 */
export const managementRow = <Name extends keyof Operations>(name: Name, parts: RowParts<Name>): Row<Name> => ({
  event: "management",
  readOnly: parts.readOnly,
  describe,
  async access({ call, read }, input) {
    const organization = await organizationOf(read);
    const { accountId } = call.principal;
    if (accountId !== organization.managementAccountId) throw managementOnly();
    const asked: ContextValues = {
      ...(parts.ofPolicies ? { "organizations:PolicyType": POLICY_TYPE } : {}),
      ...requestTags(parts.tags?.(input), parts.tagKeys?.(input)),
    };
    const check = (resource: string, tags: readonly Tag[], action: string = name): AccessCheck => ({
      action: `organizations:${action}`,
      resource,
      resourceAccountId: accountId,
      context: { ...resourceTags(tags), ...asked },
    });
    const ids = parts.on?.(input) ?? [];
    const checks = ids.map(async (id) => check(resourceArn(organization, id), await tagsOf(read, id)));
    const named = ids.length === 0 ? [check("*", [])] : await Promise.all(checks);
    if (parts.makes === undefined || (parts.tags?.(input) ?? []).length === 0) {
      return { target: organization, checks: named };
    }
    return { target: organization, checks: [...named, check(futureArn(organization, parts.makes), [], "TagResource")] };
  },
  handle: parts.handle,
});

async function tagsOf(read: Reader, id: string): Promise<readonly Tag[]> {
  const kind = kindOf(id);
  if (kind === null) return [];
  return (await read.get<{ readonly tags: readonly Tag[] }>(kind === "policy" ? policies : nodes, [id]))?.tags ?? [];
}

const resourceTags = (tags: readonly Tag[]): ContextValues =>
  Object.fromEntries(tags.map(({ key, value }) => [`aws:ResourceTag/${key}`, value]));

function requestTags(tags: readonly WireTag[] | undefined, keys: readonly string[] | undefined): ContextValues {
  const all = keys ?? tags?.map(({ Key }) => Key) ?? [];
  if (all.length === 0) return {};
  return {
    ...Object.fromEntries((tags ?? []).map(({ Key, Value }) => [`aws:RequestTag/${Key}`, Value])),
    "aws:TagKeys": all,
  };
}
