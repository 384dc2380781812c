import { invalidToken } from "./errors.ts";

const RESULTS_MAX = 100;

/** What a listing asks for: how many, and behind which one. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | undefined;
}

/** `scope` says what is listed: a token of another listing is refused. */
export function pageOf(
  input: { readonly MaxResults?: number | undefined; readonly NextToken?: string | undefined },
  scope: string,
): PageRequest {
  const limit = Math.min(input.MaxResults ?? RESULTS_MAX, RESULTS_MAX);
  if (input.NextToken === undefined) return { limit, after: undefined };
  const text = Buffer.from(input.NextToken, "base64").toString("utf8");
  const after = text.slice(scope.length + 1);
  if (tokenOf(scope, after) !== input.NextToken || !/^[\w /()-]+$/.test(after)) throw invalidToken();
  return { limit, after };
}

/** The token of what follows; none at the end. */
export const pageEnd = (scope: string, last: string | undefined, more: boolean): { readonly NextToken?: string } =>
  more && last !== undefined ? { NextToken: tokenOf(scope, last) } : {};

const tokenOf = (scope: string, after: string): string => Buffer.from(`${scope}\n${after}`, "utf8").toString("base64");

/** A page of a short list, in the order of its keys. */
export function pageOfList<T>(
  list: readonly T[],
  keyOf: (item: T) => string,
  { limit, after }: PageRequest,
): { readonly page: readonly T[]; readonly last: string | undefined; readonly more: boolean } {
  const sorted = list.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = sorted.filter((item) => after === undefined || keyOf(item) > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { page, last: last === undefined ? undefined : keyOf(last), more: rest.length > limit };
}
