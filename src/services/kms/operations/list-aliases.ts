import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { accountAccess, lowerCamel } from "../access.ts";
import { managedAliasNames } from "../managed-keys.ts";
import { aliasArnOf } from "../model.ts";
import { type PageRequest, pageEnd, pageOf } from "../pages.ts";
import type { KmsParts } from "../parts.ts";
import { type AliasRecord, aliasTable } from "../records.ts";
import { isAliasName, readKey, recordOf, resolveKey } from "../resolve.ts";
import type { AliasListEntry, ListAliasesRequest, ListAliasesResponse } from "../shapes.generated.ts";

/** Null: an alias of AWS's own that has no key yet. */
interface Listed {
  readonly name: string;
  readonly alias: AliasRecord | null;
}

export const listAliases = (
  kms: KmsParts,
): Operation<ListAliasesRequest, ListAliasesResponse, readonly string[] | null> => ({
  event: "management",
  readOnly: true,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),

  async access(context, input) {
    const named = input.KeyId === undefined ? null : await resolveKey(kms, context, input.KeyId);
    return {
      checks: [accountAccess(context.call, "kms:ListAliases")],
      target: named === null ? null : recordOf(named, "kms:ListAliases").aliases,
    };
  },

  async handle(context, input, namesOfKey) {
    const { call } = context;
    const page = pageOf(input, { default: 50, max: 100 }, isAliasName);
    const found = namesOfKey === null ? await ofAccount(context, page) : await ofKey(context, page, namesOfKey);
    const shown = found.slice(0, page.limit);
    const existing: AliasListEntry[] = [];
    for (const listed of shown) {
      if (await isListed(context, listed)) existing.push(entryOf(listed, call.region, call.principal.accountId));
    }
    return { output: { Aliases: existing, ...pageEnd(shown.at(-1)?.name, found.length > page.limit) } };
  },
});

/** At most one more than the page holds. */
async function ofAccount({ call, read }: OperationContext, { limit, after }: PageRequest): Promise<readonly Listed[]> {
  const prefix = [call.principal.accountId, call.region];
  const stored = await read.list(aliasTable, {
    prefix,
    after: after === undefined ? undefined : [...prefix, after],
    limit: limit + 1,
  });
  const listed: Listed[] = stored.map(({ id, value }) => ({ name: id.at(-1) ?? "", alias: value }));
  for (const name of managedAliasNames()) {
    const before = after !== undefined && name <= after;
    if (!before && (await read.get(aliasTable, [...prefix, name])) === null) listed.push({ name, alias: null });
  }
  return listed.sort(byName).slice(0, limit + 1);
}

async function ofKey(
  { call, read }: OperationContext,
  { after }: PageRequest,
  names: readonly string[],
): Promise<readonly Listed[]> {
  const listed: Listed[] = [];
  for (const name of names) {
    const alias = await read.get(aliasTable, [call.principal.accountId, call.region, name]);
    if (alias !== null && (after === undefined || name > after)) listed.push({ name, alias });
  }
  return listed.sort(byName);
}

/** An alias goes with its key, at the key's deletion date. */
async function isListed({ call, read }: OperationContext, { alias }: Listed): Promise<boolean> {
  if (alias === null) return true;
  return (await readKey(read, call.principal.accountId, call.region, alias.keyId, call.nowMs)) !== null;
}

const entryOf = ({ name, alias }: Listed, region: string, accountId: string): AliasListEntry => ({
  AliasName: name,
  AliasArn: aliasArnOf(region, accountId, name),
  ...(alias === null
    ? {}
    : { TargetKeyId: alias.keyId, CreationDate: alias.createdMs, LastUpdatedDate: alias.updatedMs }),
});

/** Alias names are ASCII, so this is also the store's order. */
const byName = (a: Listed, b: Listed): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
