import type { Reader, Table } from "../../store/table.ts";
import { invalidInput } from "./errors.ts";

/** Largest `MaxResults`, and what a page holds without one. */
const RESULTS_MAX = 20;

export interface PageRequest {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

interface Place {
  readonly limit: number;
  /** Behind which key; null: from the start. */
  readonly after: string | null;
}

const tokenOf = (scope: string, after: string): string => Buffer.from(`${scope}\n${after}`, "utf8").toString("base64");

/** `scope` says what is listed: a token of another listing is refused. */
function placeOf(input: PageRequest, scope: string): Place {
  const limit = Math.min(input.MaxResults ?? RESULTS_MAX, RESULTS_MAX);
  if (input.NextToken === undefined) return { limit, after: null };
  const after = Buffer.from(input.NextToken, "base64")
    .toString("utf8")
    .slice(scope.length + 1);
  if (tokenOf(scope, after) !== input.NextToken || !/^[\w-]{1,130}$/.test(after)) {
    throw invalidInput("INVALID_NEXT_TOKEN", "The value of NextToken is not one that this operation returned.");
  }
  return { limit, after };
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly tail: { readonly NextToken?: string };
}

interface Query<T> {
  readonly prefix: readonly string[];
  readonly input: PageRequest;
  readonly scope: string;
  /** Stands in front of the table's records, and counts as one of them. */
  readonly first?: { readonly id: string; readonly value: T };
  /** Where the list ends before the table does: at the first record that is not wanted. */
  readonly wanted?: (value: T) => boolean;
}

/** One page of a table: `NextToken` is absent at the end. */
export async function pageOfTable<T>(
  read: Reader,
  from: Table<T>,
  query: Query<T>,
): Promise<Page<{ readonly id: string; readonly value: T }>> {
  const { limit, after } = placeOf(query.input, query.scope);
  const { first, wanted = () => true } = query;
  const stored = await read.list(from, {
    prefix: query.prefix,
    after: after === null || after === first?.id ? undefined : [...query.prefix, after],
    limit: limit + 1,
  });
  const end = stored.findIndex(({ value }) => !wanted(value));
  const listed = stored.slice(0, end < 0 ? undefined : end).map(({ id, value }) => ({ id: id.at(-1) ?? "", value }));
  const found = first !== undefined && after === null ? [first, ...listed] : listed;
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    tail: found.length > limit && last !== undefined ? { NextToken: tokenOf(query.scope, last.id) } : {},
  };
}

/** One page of a short list, in the list's own order; places are positions. */
export function pageOfList<T>(list: readonly T[], input: PageRequest, scope: string): Page<T> {
  const { limit, after } = placeOf(input, scope);
  const start = after === null ? 0 : Number(after);
  if (!Number.isSafeInteger(start) || start < 0) {
    throw invalidInput("INVALID_NEXT_TOKEN", "The value of NextToken is not one that this operation returned.");
  }
  const items = list.slice(start, start + limit);
  return { items, tail: start + limit < list.length ? { NextToken: tokenOf(scope, String(start + limit)) } : {} };
}
