/**
 * How a grant is found by what a caller wants to do, in a few reads however many grants a key has. For each of its
 * operations a grant has a row
 *
 *   [account, Region, key id, grantee, operation, source, kind, digest, shape, grant id]
 *
 * - source: digest of its SourceArn constraint, `-` without one;
 * - kind and digest: `any -` for no constraint on the encryption context (or none that this operation heeds), `equals` with
 *   the digest of the whole context, `subset` with the digest of one pair, the rarest when the grant was made;
 * - shape: what else tells rows under one digest apart. If one of a shape does not cover a request, none of it does, so a
 *   search goes on behind them all.
 */
import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import type { EncryptionContext } from "../encryption-context.ts";
import { idOfKey, type KeyRecord } from "../records.ts";
import type { GrantOperation } from "../shapes.generated.ts";
import { contextDigest, digestOf, foldedPairs, PAIRS_MAX, pairDigest } from "./constraints.ts";
import { operationsMask, takesContext } from "./grant-operations.ts";
import { type GrantLimits, type GrantRecord, type GrantTerms, useTable } from "./records.ts";

const NONE = "-";
/** Behind every grant id, which are hexadecimal. */
const LAST = "~";
/** Grants to one grantee that are not worth a search. */
const FEW = 3;
/** Shapes that one search looks at under one digest. Only constraints made to collide in every pair have more. */
const SHAPES_MAX = 1_000;
/**
 * Places under which pairs of one context are looked for. A context can have thousands of pairs; a search past the end finds
 * nothing, which takes a context and constraints of more different pairs than this.
 */
const PLACES_MAX = 128;
/** How far the rows under a pair are counted when the rarest one is looked for. */
const COUNTED_MAX = 16;

/** Rows of one grantee and one operation. */
type Place = readonly string[];

const placeOf = (key: KeyRecord, grantee: string, operation: GrantOperation): Place => [
  ...idOfKey(key),
  grantee,
  operation,
];

const sourceOf = (sourceArn: string | null | undefined): string =>
  sourceArn === null || sourceArn === undefined ? NONE : digestOf(`source ${sourceArn}`);

/** CreateGrant heeds them too, as a limit on the constraints of the grants that are made by it. */
const heedsContext = (operation: GrantOperation): boolean => operation === "CreateGrant" || takesContext(operation);

/** The rows of a grant: written with it, removed with it. */
export function useRows(key: KeyRecord, grant: GrantRecord): readonly (readonly string[])[] {
  const { limits, operations } = grant;
  return operations.map((operation) => {
    const bucket = heedsContext(operation) ? bucketOf(grant) : [NO_LIMIT, NONE, NONE];
    const shape = [bucket[2] ?? NONE];
    if (operation === "CreateGrant") shape.push(operationsMask(operations));
    // Grants to an earlier principal of that name must not stand in for those to the one that has it now.
    if (grant.grantee.id !== undefined) shape.push(grant.grantee.id);
    return [
      ...placeOf(key, grant.grantee.name, operation),
      sourceOf(limits.sourceArn),
      ...bucket.slice(0, 2),
      shape.join("."),
      grant.grantId,
    ];
  });
}

const NO_LIMIT = "any";
const EQUALS = "equals";
const SUBSET = "subset";

/** Kind, digest and shape. */
function bucketOf({ limits, subsetPair }: GrantRecord): readonly string[] {
  if (limits.equals !== null) return [EQUALS, contextDigest(limits.equals), NONE];
  if (limits.subset === null || subsetPair === null) return [NO_LIMIT, NONE, NONE];
  return [SUBSET, subsetPair, contextDigest(limits.subset)];
}

export const useWrites = (key: KeyRecord, grant: GrantRecord): readonly Write[] =>
  useRows(key, grant).map((id) => useTable.put(id, {}));

/** The pair of a subset constraint that the fewest grants lie under: what many have in common would find them all. */
export async function rarestPair(read: Reader, key: KeyRecord, terms: GrantTerms): Promise<string | null> {
  if (terms.limits.subset === null) return null;
  const operation = terms.operations.find(heedsContext);
  const digests = foldedPairs(terms.limits.subset).map(pairDigest);
  if (operation === undefined) return digests[0] ?? null;
  const place = [...placeOf(key, terms.grantee.name, operation), sourceOf(terms.limits.sourceArn), SUBSET];
  let rarest: { readonly digest: string; readonly count: number } | null = null;
  for (const digest of digests) {
    const count = (await read.list(useTable, { prefix: [...place, digest], limit: COUNTED_MAX })).length;
    if (rarest === null || count < rarest.count) rarest = { digest, count };
  }
  return rarest?.digest ?? null;
}

/** What grants are searched for. */
export interface Search {
  readonly key: KeyRecord;
  readonly operation: GrantOperation;
  /** The encryption context of the request. */
  readonly context: EncryptionContext | undefined;
  /** For CreateGrant: the constraints of the grant that is to be made. */
  readonly childLimits: GrantLimits | undefined;
  /** The resource that a service calls for. */
  readonly sourceArn: string | undefined;
}

/** The first answer of `covers` that is not null, for the ids of grants to this grantee that come into question. */
export async function findGrant<T>(
  read: Reader,
  search: Search,
  grantee: string,
  covers: (grantId: string) => Promise<T | null>,
): Promise<T | null> {
  const place = placeOf(search.key, grantee, search.operation);
  // Most callers have no grant or a few, which are looked at one by one.
  const first = await read.list(useTable, { prefix: place, limit: FEW + 1 });
  if (first.length <= FEW) {
    for (const { id } of first) {
      const found = await covers(id.at(-1) ?? "");
      if (found !== null) return found;
    }
    return null;
  }
  const sources = search.sourceArn === undefined ? [NONE] : [NONE, sourceOf(search.sourceArn)];
  for (const source of sources) {
    for await (const prefix of bucketsOf(read, search, [...place, source])) {
      const found = await firstOf(read, prefix, covers);
      if (found !== null) return found;
    }
  }
  return null;
}

async function* bucketsOf(read: Reader, search: Search, at: Place): AsyncGenerator<Place> {
  yield [...at, NO_LIMIT, NONE];
  if (!heedsContext(search.operation)) return;
  const { childLimits } = search;
  const context = childLimits === undefined ? search.context : (childLimits.equals ?? childLimits.subset);
  const equalsOne = Object.keys(context ?? {}).length <= PAIRS_MAX;
  if (equalsOne && (childLimits === undefined || childLimits.equals !== null)) {
    yield [...at, EQUALS, contextDigest(context)];
  }
  yield* subsetBuckets(read, context, [...at, SUBSET]);
}

/**
 * The places of pairs that the context has and some constraint, too. Both are in order, and each read goes on behind the
 * one that comes first: there are no more reads than pairs, or than places, whichever are fewer.
 */
async function* subsetBuckets(
  read: Reader,
  context: EncryptionContext | null | undefined,
  at: Place,
): AsyncGenerator<Place> {
  let [row] = await read.list(useTable, { prefix: at, limit: 1 });
  // The digests of very many pairs take a while.
  if (row === undefined) return;
  const digests = foldedPairs(context).map(pairDigest).sort();
  let next = 0;
  for (let places = 0; row !== undefined && places < PLACES_MAX; places++) {
    const found: string = row.id[at.length] ?? "";
    while (next < digests.length && (digests[next] ?? "") < found) next++;
    const digest = digests[next];
    if (digest === undefined) return;
    if (digest === found) {
      yield [...at, digest];
      next++;
    }
    const wanted = digests[next];
    if (wanted === undefined) return;
    // A digest's rows lie behind the digest itself.
    [row] = await read.list(useTable, { prefix: at, after: [...at, wanted], limit: 1 });
  }
}

async function firstOf<T>(
  read: Reader,
  prefix: Place,
  covers: (grantId: string) => Promise<T | null>,
): Promise<T | null> {
  let after: readonly string[] | undefined;
  for (let shapes = 0; shapes < SHAPES_MAX; shapes++) {
    const [row] = await read.list(useTable, { prefix, after, limit: 1 });
    if (row === undefined) return null;
    const found = await covers(row.id.at(-1) ?? "");
    if (found !== null) return found;
    after = [...row.id.slice(0, -1), LAST];
  }
  return null;
}
