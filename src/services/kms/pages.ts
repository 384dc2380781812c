import { invalidMarker } from "./errors.ts";

/** What a request asks for: how many, and behind which one. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | undefined;
}

/**
 * Reads Limit and Marker. A Limit beyond what the operation gives at once is cut down: the answer says that there is more.
 * `accepts` tells whether a marker's content can have come from this operation.
 */
export function pageOf(
  input: { readonly Limit?: number | undefined; readonly Marker?: string | undefined },
  limits: { readonly default: number; readonly max: number },
  accepts: (position: string) => boolean,
): PageRequest {
  const limit = Math.min(input.Limit ?? limits.default, limits.max);
  if (input.Marker === undefined) return { limit, after: undefined };
  const after = Buffer.from(input.Marker, "base64url").toString("utf8");
  if (!accepts(after) || markerOf(after) !== input.Marker) throw invalidMarker();
  return { limit, after };
}

/** Truncated and NextMarker for a page of the items found, of which there may be one more than the limit. */
export function pageEnd(last: string | undefined, truncated: boolean): { Truncated: boolean; NextMarker?: string } {
  return truncated && last !== undefined ? { Truncated: true, NextMarker: markerOf(last) } : { Truncated: false };
}

const markerOf = (position: string): string => Buffer.from(position, "utf8").toString("base64url");
