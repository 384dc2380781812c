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

/** Bytes that a page shows, about: the item that takes it beyond is its last. A thousand small records may be shown at length. */
export const PAGE_LENGTH_MAX: number = 1024 * 1024;

/** How much one page has room for, by count and by length. */
export interface PageRoom {
  readonly isFull: () => boolean;
  readonly take: (shown: unknown) => void;
}

export function pageRoom(request: PageRequest): PageRoom {
  const countMax = pageCount(request);
  let [count, length] = [0, 0];
  return {
    isFull: () => count >= countMax || length >= PAGE_LENGTH_MAX,
    take(shown) {
      count += 1;
      length += Buffer.byteLength(JSON.stringify(shown));
    },
  };
}

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

const tailFrom = (last: string | null): Page<unknown>["tail"] =>
  last === null ? { IsTruncated: false } : { IsTruncated: true, Marker: encodeMarker(last) };

/** What of a list comes behind the marker, by key. */
function following<T>(list: readonly T[], keyOf: (item: T) => string, request: PageRequest) {
  const after = decodeMarker(request);
  return list
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === null || key > after)
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** A page of a list that is small enough to be held in one record, and shown as it is there. Sorts it by key. */
export function pageOfList<T>(list: readonly T[], keyOf: (item: T) => string, request: PageRequest): Page<T> {
  const room = pageRoom(request);
  const items: T[] = [];
  let last: string | null = null;
  for (const { item, key } of following(list, keyOf, request)) {
    if (room.isFull()) return { items, tail: tailFrom(last) };
    room.take(item);
    items.push(item);
    last = key;
  }
  return { items, tail: tailFrom(null) };
}

/** The same of a list whose items stand for more than themselves. What is shown as null is left out. */
export async function pageOfNames<Shown>(
  names: readonly string[],
  request: PageRequest,
  show: (name: string) => Promise<Shown | null>,
): Promise<Page<Shown>> {
  const room = pageRoom(request);
  const items: Shown[] = [];
  let last: string | null = null;
  for (const { item, key } of following(names, (name) => name, request)) {
    if (room.isFull()) return { items, tail: tailFrom(last) };
    const shown = await show(item);
    last = key;
    if (shown === null) continue;
    room.take(shown);
    items.push(shown);
  }
  return { items, tail: tailFrom(null) };
}

/** What a page of a table is made of. */
export interface TableQuery<T, Shown> {
  readonly prefix: readonly string[];
  readonly after: string | null;
  readonly room: PageRoom;
  readonly accept: (value: T) => boolean | Promise<boolean>;
  /** What the answer says of a record, whose length counts; null leaves it out. Called one by one: no more is made than is shown. */
  readonly show: (value: T) => Shown | null | Promise<Shown | null>;
}

/** A page of the records under a prefix, whose last identifier part orders them. `last`: where it ended, if there is more. */
export async function pageOfTable<T, Shown>(
  read: Reader,
  from: Table<T>,
  { prefix, after: start, room, accept, show }: TableQuery<T, Shown>,
): Promise<{ readonly items: readonly Shown[]; readonly last: string | null }> {
  const items: Shown[] = [];
  let lastKept = start;
  let after = start;
  for (let scanned = 0; scanned < SCANNED_COUNT_MAX; scanned += CHUNK_COUNT) {
    const chunk = await read.list(from, {
      prefix,
      after: after === null ? undefined : [...prefix, after],
      limit: CHUNK_COUNT,
    });
    for (const { id, value } of chunk) {
      after = id.at(-1) ?? "";
      if (!(await accept(value))) continue;
      if (room.isFull()) return { items, last: lastKept };
      const shown = await show(value);
      lastKept = after;
      if (shown === null) continue;
      room.take(shown);
      items.push(shown);
    }
    if (chunk.length < CHUNK_COUNT) return { items, last: null };
  }
  return { items, last: after };
}

/** A whole answer's page: what a request asks for of a table. */
export async function requestedPage<T, Shown>(
  read: Reader,
  from: Table<T>,
  request: PageRequest,
  query: Pick<TableQuery<T, Shown>, "prefix" | "accept" | "show">,
): Promise<Page<Shown>> {
  const position = { after: decodeMarker(request), room: pageRoom(request) };
  const { items, last } = await pageOfTable(read, from, { ...query, ...position });
  return { items, tail: tailFrom(last) };
}
