import { accountRootArn, parseArn } from "../../../base/arn.ts";
import { validationError } from "../../../base/errors.ts";
import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { accountAccess, auditedKeys, keyAccess, lowerCamel } from "../access.ts";
import { invalidArn, invalidGrantId } from "../errors.ts";
import { readGrant } from "../grants/applied.ts";
import { isGrantId } from "../grants/grant-token.ts";
import { principalParty, serviceParty, shownName } from "../grants/parties.ts";
import { granteeTable, type GrantParty, type GrantRecord, grantTable, retirableTable } from "../grants/records.ts";
import { isKeyId, keyArnOf, requireState } from "../model.ts";
import { type PageRequest, pageEnd, pageOf } from "../pages.ts";
import type { KmsParts } from "../parts.ts";
import { idOfKey, type KeyRecord } from "../records.ts";
import { type NamedKey, readKey, recordOf, resolveKey } from "../resolve.ts";
import type {
  GrantConstraints,
  GrantListEntry,
  ListGrantsRequest,
  ListGrantsResponse,
  ListRetirableGrantsRequest,
} from "../shapes.generated.ts";
import { forResource } from "./grants.ts";

const PAGE = { default: 50, max: 100 };

export const listGrants = (kms: KmsParts): Operation<ListGrantsRequest, ListGrantsResponse, NamedKey> => ({
  event: "management",
  readOnly: true,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  async access(context, input) {
    const named = await resolveKey(kms, context, input.KeyId, { crossAccount: true });
    const use = { conditions: () => forResource(context.call) };
    return { checks: [keyAccess(kms, context, named, "kms:ListGrants", use)], target: named };
  },
  check({ call }, input, named) {
    requireState(recordOf(named, "kms:ListGrants"), "ListGrants", call.nowMs);
    if (input.GrantId !== undefined && !isGrantId(input.GrantId)) throw invalidGrantId(input.GrantId);
  },
  async handle(context, input, named) {
    const { read } = context;
    const key = recordOf(named, "kms:ListGrants");
    const page = pageOf(input, PAGE, isGrantId);
    const grantee = filterOf(input.GranteePrincipal, input.GranteeServicePrincipal);
    const found =
      input.GrantId === undefined
        ? await grantsOf(read, key, grantee?.name ?? null, page)
        : await oneGrant(read, key, input.GrantId, grantee?.name ?? null);
    const shown = found.slice(0, page.limit);
    return {
      output: {
        Grants: await Promise.all(shown.map((grant) => entryOf(kms, context, key, grant))),
        ...pageEnd(shown.at(-1)?.grantId, found.length > page.limit),
      },
      audit: auditedKeys(key),
    };
  },
});

function filterOf(arn: string | undefined, service: string | undefined): GrantParty | null {
  if (arn !== undefined && service !== undefined) {
    throw validationError("GranteePrincipal and GranteeServicePrincipal exclude each other.");
  }
  if (arn !== undefined) return principalParty(arn);
  return service === undefined ? null : serviceParty(service);
}

type Read = OperationContext["read"];

/** At most one more than the page holds, in the order of their ids. */
async function grantsOf(
  read: Read,
  key: KeyRecord,
  grantee: string | null,
  { limit, after }: PageRequest,
): Promise<readonly GrantRecord[]> {
  const behind = (prefix: readonly string[]): readonly string[] | undefined =>
    after === undefined ? undefined : [...prefix, after];
  const id = idOfKey(key);
  if (grantee === null) {
    const page = await read.list(grantTable, { prefix: id, after: behind(id), limit: limit + 1 });
    return page.map(({ value }) => value);
  }
  const prefix = [...id, grantee];
  const page = await read.list(granteeTable, { prefix, after: behind(prefix), limit: limit + 1 });
  const grants: GrantRecord[] = [];
  for (const row of page) {
    const grant = await readGrant(read, key, row.id.at(-1) ?? "");
    if (grant !== null) grants.push(grant);
  }
  return grants;
}

async function oneGrant(
  read: Read,
  key: KeyRecord,
  grantId: string,
  grantee: string | null,
): Promise<readonly GrantRecord[]> {
  const grant = await readGrant(read, key, grantId);
  return grant === null || (grantee !== null && grant.grantee.name !== grantee) ? [] : [grant];
}

/** Grants that a principal of the caller's account may retire, on whosever keys. */
export const listRetirableGrants = (
  kms: KmsParts,
): Operation<ListRetirableGrantsRequest, ListGrantsResponse, GrantParty> => ({
  event: "management",
  readOnly: true,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  access({ call }, input) {
    const retiring = filterOf(input.RetiringPrincipal, input.RetiringServicePrincipal);
    if (retiring === null) {
      throw validationError("Specify either RetiringPrincipal or RetiringServicePrincipal.");
    }
    if (retiring.type === "AWS" && parseArn(retiring.name)?.accountId !== call.principal.accountId) {
      throw invalidArn(retiring.name);
    }
    const resource = retiring.type === "AWS" ? retiring.name : accountRootArn(call.principal.accountId);
    return Promise.resolve({ checks: [accountAccess(call, "kms:ListRetirableGrants", resource)], target: retiring });
  },
  async handle(context, input, retiring) {
    const { call, read } = context;
    const page = pageOf(input, PAGE, isPosition);
    const prefix = [call.region, retiring.name];
    const rows = await read.list(retirableTable, {
      prefix,
      after: page.after === undefined ? undefined : [...prefix, ...page.after.split("/")],
      limit: page.limit + 1,
    });
    const shown = rows.slice(0, page.limit).map(({ id }) => id.slice(prefix.length));
    const entries: GrantListEntry[] = [];
    for (const [accountId = "", keyId = "", grantId = ""] of shown) {
      // Any service is named in grants of every account; a caller is shown those on keys of its own.
      if (retiring.type === "Service" && accountId !== call.principal.accountId) continue;
      const key = await readKey(read, accountId, call.region, keyId, call.nowMs);
      const grant = key === null ? null : await readGrant(read, key, grantId);
      if (key !== null && grant !== null) entries.push(await entryOf(kms, context, key, grant));
    }
    return { output: { Grants: entries, ...pageEnd(shown.at(-1)?.join("/"), rows.length > page.limit) } };
  },
});

/** Account, key id and grant id, as they stand in the rows. */
function isPosition(text: string): boolean {
  const [accountId = "", keyId = "", grantId = "", ...rest] = text.split("/");
  return rest.length === 0 && /^\d{12}$/.test(accountId) && isKeyId(keyId) && isGrantId(grantId);
}

/** A grant as it is listed: never with its token. */
async function entryOf(
  kms: KmsParts,
  { read }: OperationContext,
  key: KeyRecord,
  grant: GrantRecord,
): Promise<GrantListEntry> {
  const { grantee, retiring, limits } = grant;
  const constraints: GrantConstraints = {
    ...(limits.equals === null ? {} : { EncryptionContextEquals: limits.equals }),
    ...(limits.subset === null ? {} : { EncryptionContextSubset: limits.subset }),
    ...(limits.sourceArn === null ? {} : { SourceArn: limits.sourceArn }),
  };
  const shown = (party: GrantParty): Promise<string> => shownName(kms.principals, read, party);
  return {
    KeyId: keyArnOf(key),
    GrantId: grant.grantId,
    ...(grant.name === null ? {} : { Name: grant.name }),
    CreationDate: grant.createdMs,
    [grantee.type === "AWS" ? "GranteePrincipal" : "GranteeServicePrincipal"]: await shown(grantee),
    ...(retiring === null
      ? {}
      : { [retiring.type === "AWS" ? "RetiringPrincipal" : "RetiringServicePrincipal"]: await shown(retiring) }),
    IssuingAccount: accountRootArn(grant.issuingAccountId),
    Operations: grant.operations,
    ...(Object.keys(constraints).length === 0 ? {} : { Constraints: constraints }),
  };
}
