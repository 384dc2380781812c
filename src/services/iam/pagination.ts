import type { Reader, Table } from "../../store/table.ts";
import { iamValidationError } from "./errors.ts";

const PAGE_COUNT_DEFAULT = 100;
const PAGE_COUNT_MAX = 1_000;
const CHUNK_COUNT = 200;
/** Records that one call looks at when most do not match its filter. The page then ends early and says that there is more. */
const SCANNED_COUNT_MAX = 5_000;

export interface PageRequest {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** The end of the answer, as IAM writes it: a marker only where there is more. */
  readonly tail: { readonly IsTruncated: boolean; readonly Marker?: string };
}

export const pageCount = (request: PageRequest): number =>
  Math.min(Math.max(1, request.MaxItems ?? PAGE_COUNT_DEFAULT), PAGE_COUNT_MAX);

const MARKER_PREFIX = "1:";

export const encodeMarker = (key: string): string => Buffer.from(MARKER_PREFIX + key, "utf8").toString("base64url");

/** The key behind which the page starts; null for the first page. */
export function decodeMarker(request: PageRequest): string | null {
  if (request.Marker === undefined) return null;
  const text = Buffer.from(request.Marker, "base64url").toString("utf8");
  const key = text.slice(MARKER_PREFIX.length);
  // oxlint-disable-next-line no-control-regex -- a key of the store may not hold them
  if (!text.startsWith(MARKER_PREFIX) || encodeMarker(key) !== request.Marker || /[\u0000-\u001f]/.test(key)) {
    throw iamValidationError("The specified value for Marker is not valid.");
  }
  return key;
}

/** A page of a list that is small enough to be held in one record. Sorts it by key. */
export function pageOfList<T>(list: readonly T[], keyOf: (item: T) => string, request: PageRequest): Page<T> {
  const after = decodeMarker(request);
  const countMax = pageCount(request);
  const sorted = list
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === null || key > after)
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const kept = sorted.slice(0, countMax);
  const last = kept.at(-1);
  return {
    items: kept.map(({ item }) => item),
    tail:
      sorted.length > kept.length && last !== undefined
        ? { IsTruncated: true, Marker: encodeMarker(last.key) }
        : { IsTruncated: false },
  };
}

/** A page of the records under a prefix, whose last identifier part orders them. */
export async function pageOfTable<T>(
  read: Reader,
  from: Table<T>,
  query: {
    readonly prefix: readonly string[];
    readonly after: string | null;
    readonly countMax: number;
    readonly accept: (value: T) => boolean | Promise<boolean>;
  },
): Promise<{ readonly items: readonly T[]; readonly last: string | null }> {
  const items: T[] = [];
  let lastKept = query.after;
  let after = query.after;
  for (let scanned = 0; scanned < SCANNED_COUNT_MAX; scanned += CHUNK_COUNT) {
    const chunk = await read.list(from, {
      prefix: query.prefix,
      after: after === null ? undefined : [...query.prefix, after],
      limit: CHUNK_COUNT,
    });
    for (const { id, value } of chunk) {
      after = id.at(-1) ?? "";
      if (!(await query.accept(value))) continue;
      if (items.length >= query.countMax) return { items, last: lastKept };
      items.push(value);
      lastKept = after;
    }
    if (chunk.length < CHUNK_COUNT) return { items, last: null };
  }
  return { items, last: after };
}
