import type { CanonicalHeaders } from "./canonical-request.ts";
import { incomplete, invalidSignature } from "./errors.ts";

const SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_WITH_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/** S3's largest object, 50 TB; a declared length is not believed beyond it. */
const DECODED_BYTES_MAX = 50 * 1024 ** 4;

/** The only trailers that S3 takes. */
const CHECKSUM_TRAILER = /^x-amz-checksum-[a-z0-9]{1,32}$/;
const DECIMAL = /^(?:0|[1-9]\d{0,15})$/;

/** What signed headers say about a body that comes in chunks. */
export interface StreamingDeclaration {
  /** The value of `x-amz-content-sha256`, which stands in the canonical request in place of the body's hash. */
  readonly payload: string;
  /** Whether each chunk, and the trailer, has a signature of its own. */
  readonly signed: boolean;
  /** `x-amz-decoded-content-length`. */
  readonly decodedBytes: number;
  /** The one header that follows the data, in lower case; null: none. */
  readonly trailerName: string | null;
}

/** Values of `x-amz-content-sha256` that stand for bodies whose hash is not in the request's own signature. */
export const isUnhashedPayload = (value: string): boolean =>
  value === "UNSIGNED-PAYLOAD" || value.startsWith("STREAMING-");

/**
 * Null when the body is not declared as streaming. Throws a Refusal for a declaration that cannot be kept: an algorithm that is not
 * served (Signature Version 4A), a length or a trailer missing, several or unknown trailers, and chunks without signatures where
 * nobody else protects them on the way.
 */
export function readStreamingDeclaration(
  headers: CanonicalHeaders,
  secureTransport: boolean,
): StreamingDeclaration | null {
  const payload = headers.values.get("x-amz-content-sha256") ?? "";
  if (!payload.startsWith("STREAMING-")) return null;
  if (payload !== SIGNED && payload !== SIGNED_WITH_TRAILER && payload !== UNSIGNED_WITH_TRAILER)
    throw invalidSignature("The value of 'x-amz-content-sha256' names a streaming payload that is not supported here.");
  const signed = payload !== UNSIGNED_WITH_TRAILER;
  if (!signed && !secureTransport)
    throw invalidSignature(`'${UNSIGNED_WITH_TRAILER}' is accepted over HTTPS only: nothing else protects the body.`);
  const length = headers.values.get("x-amz-decoded-content-length");
  const decodedBytes = length !== undefined && DECIMAL.test(length) ? Number(length) : Number.NaN;
  if (!(decodedBytes <= DECODED_BYTES_MAX))
    throw incomplete("A streaming payload needs 'x-amz-decoded-content-length', the number of bytes of its data.");
  const trailer = headers.values.get("x-amz-trailer");
  if (payload === SIGNED) {
    if (trailer !== undefined) throw incomplete(`A trailer needs '${SIGNED_WITH_TRAILER}'.`);
    return { payload, signed, decodedBytes, trailerName: null };
  }
  const trailerName = trailer?.toLowerCase() ?? "";
  if (!CHECKSUM_TRAILER.test(trailerName))
    throw incomplete("The value of 'x-amz-trailer' must be the name of a single x-amz-checksum- header.");
  return { payload, signed, decodedBytes, trailerName };
}
