import { createHash } from "node:crypto";
import { ServiceError } from "../../../base/errors.ts";
import type { LookupEventsRequest } from "../shapes.generated.ts";

export const invalidNextToken = (): ServiceError =>
  new ServiceError(
    "InvalidNextTokenException",
    "Invalid token or token that was previously used in a request with different parameters.",
  );

const DIGEST_LENGTH = 22;

/** What the pages of one look-up have in common. MaxResults may change from page to page. */
function fingerprint(request: LookupEventsRequest, accountId: string, region: string): string {
  const { LookupAttributes, StartTime, EndTime, EventCategory } = request;
  const attributes = (LookupAttributes ?? []).map(({ AttributeKey, AttributeValue }) => [AttributeKey, AttributeValue]);
  const text = JSON.stringify([
    accountId,
    region,
    attributes,
    StartTime ?? null,
    EndTime ?? null,
    EventCategory ?? null,
  ]);
  return createHash("sha256").update(text).digest("base64url").slice(0, DIGEST_LENGTH);
}

export function encodeNextToken(
  cursor: string,
  request: LookupEventsRequest,
  accountId: string,
  region: string,
): string {
  return Buffer.from(fingerprint(request, accountId, region) + cursor).toString("base64url");
}

/**
 * The cursor in a token. A token belongs to one question: with other parameters it is refused, as AWS does. It is no
 * secret and grants nothing, because every page is read for the caller's own account.
 */
export function decodeNextToken(
  token: string,
  request: LookupEventsRequest,
  accountId: string,
  region: string,
): string {
  const text = Buffer.from(token, "base64url").toString("latin1");
  const cursor = text.slice(DIGEST_LENGTH);
  if (text.slice(0, DIGEST_LENGTH) !== fingerprint(request, accountId, region) || cursor === "")
    throw invalidNextToken();
  return cursor;
}
