import { isOrganizationKey } from "../authz/context.ts";
import type { DenialCondition, DenialRecord } from "./denial-record.ts";
import type { Denials } from "./denials.ts";

type Items<T> = { readonly items: readonly T[] };
type Values = Items<{ readonly value: string }>;

const items = <T>(list: readonly T[]): Items<T> => ({ items: list });
const values = (list: readonly string[]): Values => items(list.map((value) => ({ value })));

/**
 * What sts:DecodeAuthorizationMessage answers for the id of a denial, as an account may see it; null when there is no such
 * denial of the account's own callers or resources.
 */
export async function decodedDenial(denials: Denials, accountId: string, message: string): Promise<string | null> {
  const visible = (await denials.find(message.trim())).find(
    (denial) => denial.accountId === accountId || denial.resourceAccountId === accountId,
  );
  return visible === undefined ? null : JSON.stringify(decoded(visible, accountId));
}

/** In the form of AWS's decoded messages (IAM User Guide, examples of DecodeAuthorizationMessage). */
function decoded(denial: DenialRecord, accountId: string): Readonly<Record<string, unknown>> {
  const { principal, action, resource, decision } = denial;
  const conditions = denial.conditions.filter((one) => maySeeCondition(denial, one, accountId));
  return {
    allowed: false,
    explicitDeny: decision.reason === "explicit",
    matchedStatements: items(maySeePolicy(denial, denial.decision.kind, accountId) ? matchedStatements(denial) : []),
    failures: items([]),
    context: {
      principal: { id: principal.id, arn: principal.arn },
      action,
      resource,
      conditions: items(
        [...conditions, ...maySeeAbsent(denial, accountId)]
          // By name: records keep what policies asked for first, and whose policies they were is not told.
          .sort((a, b) => byName(a.key.toLowerCase(), b.key.toLowerCase()))
          .map((one) => ({ key: one.key, values: values(one.values) })),
      ),
    },
  };
}

/** What a caller knows of its own request to another account's resource: nothing that comes from the resource (its tags, say). */
const OF_THE_REQUEST =
  /^(?:aws:(?!resource)[^/]*|aws:(?:principal|request)tag\/.*|kms:(?:encryptioncontext.*|viaservice|calleraccount|requestalias))$/s;
/** What another account's resource sees of a caller: neither its tags nor how it signed in. */
const OF_THE_CALLER =
  /^(?:aws:(?:principaltag\/.*|principalorg.*|tokenissuetime|multifactor.*|sourceidentity|federatedprovider)|[^:]*\..*:[^:]*)$/s;

const byName = (a: string, b: string): number => Number(a > b) - Number(a < b);

/**
 * Across accounts nothing may hang on what the other side's policies asked for. Keys of organizations are there only when some
 * policy asked, so neither side sees them.
 */
function maySeeCondition(denial: DenialRecord, { key, onlyAsAsked }: DenialCondition, viewer: string): boolean {
  const folded = key.toLowerCase();
  if (denial.accountId === denial.resourceAccountId) return true;
  return onlyAsAsked !== true && !isOrganizationKey(folded) && maySeeKey(denial, folded, viewer);
}

/** Across accounts each side sees what is its own: what the other side's records say is not the price of a refused call. */
function maySeeKey({ accountId }: DenialRecord, key: string, viewer: string): boolean {
  return viewer === accountId ? OF_THE_REQUEST.test(key) : !OF_THE_CALLER.test(key);
}

/**
 * Across accounts each side sees its own policies only. Service control policies belong to the organization: its members'
 * principals are not shown them on AWS either.
 */
function maySeePolicy(
  { accountId, resourceAccountId }: DenialRecord,
  kind: DenialRecord["decision"]["kind"],
  viewer: string,
): boolean {
  if (kind === "service control") return false;
  return viewer === (kind === "resource" ? resourceAccountId : accountId);
}

/**
 * Keys that a policy asked for in vain, without values. They tell what the policy says, so they are for those who may see it: the
 * caller of another account's role is not told that it wants an external id, nor thereby that there is such a role.
 */
const maySeeAbsent = (
  denial: DenialRecord,
  viewer: string,
): readonly { readonly key: string; readonly values: readonly string[] }[] =>
  (denial.absent ?? [])
    .filter(({ kinds }) => kinds.some((kind) => maySeePolicy(denial, kind, viewer)))
    .filter(({ key }) => denial.accountId === denial.resourceAccountId || !isOrganizationKey(key.toLowerCase()))
    .map(({ key }) => ({ key, values: [] }));

function matchedStatements({ decision, principal }: DenialRecord): readonly Readonly<Record<string, unknown>>[] {
  const { statement } = decision;
  if (statement === null) return [];
  const document = statement.text === null ? {} : (JSON.parse(statement.text) as Readonly<Record<string, unknown>>);
  return [
    {
      statementId: statement.sid ?? "",
      effect: "DENY",
      principals: values([principal.id.split(":")[0] ?? ""]),
      principalGroups: items([]),
      actions: values(texts(document["Action"] ?? document["NotAction"])),
      resources: values(texts(document["Resource"] ?? document["NotResource"])),
      conditions: items(conditionsOf(document["Condition"])),
    },
  ];
}

const texts = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).flatMap((item: unknown) =>
    ["string", "number", "boolean"].includes(typeof item) ? [String(item)] : [],
  );

function conditionsOf(condition: unknown): readonly { readonly key: string; readonly values: Values }[] {
  if (typeof condition !== "object" || condition === null) return [];
  return Object.values(condition).flatMap((keys: unknown) =>
    typeof keys !== "object" || keys === null
      ? []
      : Object.entries(keys).map(([key, value]) => ({ key, values: values(texts(value)) })),
  );
}
