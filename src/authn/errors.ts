import { ServiceError } from "../base/errors.ts";
import type { ProtocolName } from "../protocol/model.ts";

/** Why a request is not let in. */
export type RefusalReason = "missing" | "incomplete" | "unknownKey" | "invalidSignature" | "expiredSession";

interface RefusalRow {
  readonly code: string;
  readonly status: number;
}

/**
 * How each family of protocols reports a refusal. Kinesis and Firehose were seen to answer `InvalidSignatureException` with
 * 400; the other JSON services are taken to do the same. The 403 that is also seen came from REST-JSON services.
 */
const JSON_REFUSALS: Readonly<Record<RefusalReason, RefusalRow>> = {
  missing: { code: "MissingAuthenticationTokenException", status: 400 },
  incomplete: { code: "IncompleteSignatureException", status: 400 },
  unknownKey: { code: "UnrecognizedClientException", status: 400 },
  invalidSignature: { code: "InvalidSignatureException", status: 400 },
  expiredSession: { code: "ExpiredTokenException", status: 400 },
};

const QUERY_REFUSALS: Readonly<Record<RefusalReason, RefusalRow>> = {
  missing: { code: "MissingAuthenticationToken", status: 403 },
  incomplete: { code: "IncompleteSignature", status: 400 },
  unknownKey: { code: "InvalidClientTokenId", status: 403 },
  invalidSignature: { code: "SignatureDoesNotMatch", status: 403 },
  expiredSession: { code: "ExpiredToken", status: 403 },
};

const REFUSALS: Readonly<Record<ProtocolName, Readonly<Record<RefusalReason, RefusalRow>>>> = {
  "awsJson1.0": JSON_REFUSALS,
  "awsJson1.1": JSON_REFUSALS,
  awsQuery: QUERY_REFUSALS,
};

/** Inside authn/: a refusal before it is known how the service's protocol names it. */
export class Refusal extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.name = "Refusal";
    this.reason = reason;
  }
}

export function refusalAsServiceError(refusal: Refusal, protocol: ProtocolName): ServiceError {
  const row = REFUSALS[protocol][refusal.reason];
  return new ServiceError(row.code, refusal.message, { status: row.status });
}

export const missingToken = (): Refusal => new Refusal("missing", "Request is missing Authentication Token");

export const incomplete = (message: string): Refusal => new Refusal("incomplete", message);

/** One answer for a key that nobody has, one that is inactive, and a session token that does not belong to its key. */
export const unknownKey = (): Refusal =>
  new Refusal("unknownKey", "The security token included in the request is invalid.");

export const invalidSignature = (message: string): Refusal => new Refusal("invalidSignature", message);

export const expiredSession = (): Refusal =>
  new Refusal("expiredSession", "The security token included in the request is expired");

/**
 * The signature is not that of this request. Shows what was signed on this side, which is all made of what the caller
 * sent, so that a client's author can find the difference; never the signature that would have been right.
 */
export const signatureMismatch = (canonicalRequest: string, stringToSign: string): Refusal =>
  invalidSignature(
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and " +
      "signing method. Consult the service documentation for details.\n\n" +
      `The Canonical String for this request should have been\n'${canonicalRequest}'\n\n` +
      `The String-to-Sign should have been\n'${stringToSign}'\n`,
  );
