import { LruMap } from "../base/lru.ts";
import type { CanonicalHeaders, QueryParameter } from "./canonical-request.ts";
import { incomplete, missingToken } from "./errors.ts";
import { parseDateHeader, parseSignatureTime, type SignatureTime } from "./signature-time.ts";
import type { CredentialScope } from "./signing-keys.ts";

export const ALGORITHM = "AWS4-HMAC-SHA256";

/** Parameters of a presigned request. Their names are case-sensitive. */
export const SIGNATURE_PARAMETER = "X-Amz-Signature";
const ALGORITHM_PARAMETER = "X-Amz-Algorithm";
const CREDENTIAL_PARAMETER = "X-Amz-Credential";
const DATE_PARAMETER = "X-Amz-Date";
const EXPIRES_PARAMETER = "X-Amz-Expires";
const SIGNED_HEADERS_PARAMETER = "X-Amz-SignedHeaders";
const TOKEN_PARAMETER = "X-Amz-Security-Token";

/** Seven days. */
const EXPIRES_SECONDS_MAX = 604_800;

const SIGNED_HEADER_COUNT_MAX = 128;
const ACCESS_KEY_ID = /^[A-Za-z0-9_]{1,128}$/;
const SIGNATURE = /^[0-9a-f]{64}$/;
/** A field name of RFC 9110 in lower case, or the pseudo-header that the JavaScript SDK signs for `host` over HTTP/2. */
const SIGNED_HEADER = /^(?:[0-9a-z!#$%&'*+\-.^_`|~]+|:authority)$/;

/** What a request says about its own signature, well-formed but not believed yet. */
export interface SignatureParameters {
  readonly carriedIn: "header" | "query";
  /** Null when it has no possible form: nobody has such a key. */
  readonly accessKeyId: string | null;
  readonly scope: CredentialScope;
  readonly terminator: string;
  /** In the order sent. */
  readonly signedHeaders: readonly string[];
  /** 64 hex digits in lower case; null when it is something else, which no request's signature is. */
  readonly signature: string | null;
  readonly time: SignatureTime;
  /** Presigned requests only. */
  readonly expiresMs: number | null;
  readonly sessionToken: string | null;
}

/** Well-formed credentials and lists of signed headers that were parsed lately: a client sends the same ones all day. */
export interface KnownParts {
  readonly credentials: LruMap<string, CredentialParts>;
  readonly signedHeaders: LruMap<string, readonly string[]>;
}

const KNOWN_COUNT_MAX = 1_000;
const KNOWN_LENGTH_MAX = 512;

export const createKnownParts = (): KnownParts => ({
  credentials: new LruMap(KNOWN_COUNT_MAX),
  signedHeaders: new LruMap(KNOWN_COUNT_MAX),
});

function parsedOnce<Parsed>(known: LruMap<string, Parsed>, text: string, parse: (text: string) => Parsed): Parsed {
  const before = known.get(text);
  if (before !== undefined) return before;
  const parsed = parse(text);
  if (text.length <= KNOWN_LENGTH_MAX) known.set(text, parsed);
  return parsed;
}

/** Finds the signature in the Authorization header or in the query string. Throws a Refusal. */
export function readSignatureParameters(
  headers: CanonicalHeaders,
  query: readonly QueryParameter[],
  known: KnownParts,
): SignatureParameters {
  const authorization = headers.values.get("authorization");
  const presigned = query.some(({ name }) => name === ALGORITHM_PARAMETER || name === SIGNATURE_PARAMETER);
  if (authorization !== undefined && presigned) {
    throw incomplete(
      "Only one auth mechanism is allowed: the Authorization header or the X-Amz-Algorithm query parameter.",
    );
  }
  if (authorization !== undefined) return fromHeader(authorization, headers, known);
  if (presigned) return fromQuery(headers, query);
  throw missingToken();
}

function fromHeader(authorization: string, headers: CanonicalHeaders, known: KnownParts): SignatureParameters {
  if (headers.repeated.has("authorization")) throw incomplete("The Authorization header was sent more than once.");
  const fields = authorizationFields(authorization);
  const dateHeader = headers.values.get("x-amz-date");
  const time =
    dateHeader === undefined ? parseDateHeader(headers.values.get("date") ?? "") : parseSignatureTime(dateHeader);
  if (time === null) {
    throw incomplete(
      dateHeader === undefined && !headers.values.has("date")
        ? "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        : "Date must be in ISO-8601 'basic format'.",
    );
  }
  const { accessKeyId, scope, terminator } = parsedOnce(known.credentials, fields.Credential, parseCredential);
  return {
    carriedIn: "header",
    accessKeyId,
    scope,
    terminator,
    signedHeaders: parsedOnce(known.signedHeaders, fields.SignedHeaders, parseSignedHeaders),
    signature: SIGNATURE.test(fields.Signature) ? fields.Signature : null,
    time,
    expiresMs: null,
    sessionToken: headers.values.get("x-amz-security-token") ?? null,
  };
}

/** The form that every SDK sends; anything else goes the slow way, which can say what is wrong. */
const USUAL_AUTHORIZATION = /^AWS4-HMAC-SHA256 Credential=([^,= ]+), ?SignedHeaders=([^,= ]+), ?Signature=([^,= ]+)$/;

const FIELD_NAMES = ["Credential", "SignedHeaders", "Signature"] as const;
type AuthorizationFields = Readonly<Record<(typeof FIELD_NAMES)[number], string>>;

function authorizationFields(authorization: string): AuthorizationFields {
  const usual = USUAL_AUTHORIZATION.exec(authorization);
  if (usual !== null) {
    const [, credential = "", signedHeaders = "", signature = ""] = usual;
    return { Credential: credential, SignedHeaders: signedHeaders, Signature: signature };
  }
  const space = authorization.indexOf(" ");
  const algorithm = space === -1 ? authorization : authorization.slice(0, space);
  if (algorithm !== ALGORITHM)
    throw incomplete(`Unsupported AWS 'algorithm' in the Authorization header: '${ALGORITHM}' is expected.`);
  const fields = new Map<string, string>();
  for (const part of authorization.slice(algorithm.length).split(",")) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals)).trim();
    const value = part.slice(equals + 1).trim();
    if (equals === -1 || fields.has(name) || !(FIELD_NAMES as readonly string[]).includes(name)) {
      throw incomplete("The Authorization header is not a list of Credential, SignedHeaders and Signature, once each.");
    }
    fields.set(name, value);
  }
  const absent = FIELD_NAMES.filter((name) => !fields.get(name));
  if (absent.length > 0)
    throw incomplete(absent.map((name) => `Authorization header requires '${name}' parameter.`).join(" "));
  const field = (name: string): string => fields.get(name) ?? "";
  return { Credential: field("Credential"), SignedHeaders: field("SignedHeaders"), Signature: field("Signature") };
}

function fromQuery(headers: CanonicalHeaders, query: readonly QueryParameter[]): SignatureParameters {
  const optional = (wanted: string): string | null => {
    const found = query.filter(({ name }) => name === wanted);
    if (found.length > 1) throw incomplete(`The query parameter '${wanted}' was sent more than once.`);
    return found[0] === undefined ? null : decoded(found[0].value);
  };
  const required = (wanted: string): string => {
    const value = optional(wanted);
    if (!value) throw incomplete(`AWS query-string parameters must include '${wanted}'.`);
    return value;
  };
  if (required(ALGORITHM_PARAMETER) !== ALGORITHM) {
    throw incomplete(`Unsupported AWS 'algorithm' in the query string: '${ALGORITHM}' is expected.`);
  }
  const credential = required(CREDENTIAL_PARAMETER);
  const signature = required(SIGNATURE_PARAMETER);
  const signedHeaders = required(SIGNED_HEADERS_PARAMETER);
  const time = parseSignatureTime(required(DATE_PARAMETER));
  if (time === null) throw incomplete("X-Amz-Date must be in the ISO-8601 'basic format' \"yyyyMMdd'T'HHmmss'Z'\".");
  const expires = required(EXPIRES_PARAMETER);
  const expiresSeconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (expiresSeconds < 1 || expiresSeconds > EXPIRES_SECONDS_MAX) {
    throw incomplete(`X-Amz-Expires must be a number of seconds between 1 and ${EXPIRES_SECONDS_MAX}.`);
  }
  if (headers.values.has("x-amz-security-token"))
    throw incomplete(`A presigned request carries its session token in '${TOKEN_PARAMETER}'.`);
  return {
    carriedIn: "query",
    ...parseCredential(credential),
    signedHeaders: parseSignedHeaders(signedHeaders),
    signature: SIGNATURE.test(signature) ? signature : null,
    time,
    expiresMs: expiresSeconds * 1000,
    sessionToken: optional(TOKEN_PARAMETER),
  };
}

function decoded(canonicalValue: string): string {
  try {
    return decodeURIComponent(canonicalValue);
  } catch {
    throw incomplete("A query parameter of the signature is not UTF-8.");
  }
}

type CredentialParts = Pick<SignatureParameters, "accessKeyId" | "scope" | "terminator">;

function parseCredential(text: string): CredentialParts {
  const parts = text.split("/");
  const [accessKeyId, date, region, service, terminator] = parts;
  if (parts.length !== 5 || !accessKeyId || !date || region === undefined || !service || !terminator) {
    throw incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term");
  }
  return {
    accessKeyId: ACCESS_KEY_ID.test(accessKeyId) ? accessKeyId : null,
    scope: { date, region, service },
    terminator,
  };
}

function parseSignedHeaders(text: string): readonly string[] {
  const names = text.split(";");
  if (
    names.length > SIGNED_HEADER_COUNT_MAX ||
    new Set(names).size !== names.length ||
    !names.every((name) => SIGNED_HEADER.test(name))
  ) {
    throw incomplete("SignedHeaders must be a list of header names in lower case, each once, separated by semicolons.");
  }
  return names;
}
