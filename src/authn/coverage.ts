import type { CanonicalHeaders } from "./canonical-request.ts";
import { invalidSignature, type Refusal } from "./errors.ts";
import type { SignatureParameters } from "./signature-parameters.ts";

/** Headers that say what a request means: sent twice, two readers could see two requests. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set(["host", "content-type", "content-length", "date"]);

const AMAZON_PREFIX = "x-amz-";
const FORM = /^application\/x-www-form-urlencoded(?:$|[ ;])/i;

/**
 * What a signature must cover, so that nobody on the way can give a signed request another meaning: `host`, the time, and
 * every `x-amz-*` header that is there (`x-amz-target` names the operation). `content-type` chooses the decoder, so it must
 * be covered too, unless it is the form type: curl adds that one to a signed request by itself, and no request that was
 * signed for a JSON service means anything as a form.
 */
export function refuseUncovered(headers: CanonicalHeaders, parameters: SignatureParameters): Refusal | null {
  for (const name of headers.repeated) {
    if (SINGLE_HEADERS.has(name) || name.startsWith(AMAZON_PREFIX)) {
      return invalidSignature(`The header '${name}' was sent more than once.`);
    }
  }
  const signed = parameters.signedHeaders;
  if (!signed.includes("host") && !signed.includes(":authority")) {
    return invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  const unsigned: string[] = [];
  for (const name of headers.values.keys()) {
    if (name.startsWith(AMAZON_PREFIX) && !signed.includes(name)) unsigned.push(name);
  }
  if (parameters.carriedIn === "header" && !headers.values.has("x-amz-date") && !signed.includes("date"))
    unsigned.push("date");
  const contentType = headers.values.get("content-type");
  if (contentType !== undefined && !signed.includes("content-type") && !FORM.test(contentType))
    unsigned.push("content-type");
  if (unsigned.length > 0) {
    return invalidSignature(`There were headers present in the request which were not signed: ${unsigned.join(", ")}`);
  }
  const isAbsent = (name: string): boolean => !headers.values.has(headerThatHolds(name));
  const absent = signed.some(isAbsent) ? signed.filter(isAbsent) : [];
  if (absent.length > 0)
    return invalidSignature(`There are signed headers which the request does not have: ${absent.join(", ")}`);
  return null;
}

/** The HTTP server hands on `:authority` as `host`. */
export const headerThatHolds = (signedName: string): string => (signedName === ":authority" ? "host" : signedName);
