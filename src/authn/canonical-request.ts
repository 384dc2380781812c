/**
 * The canonical form of a request (Signature Version 4, "Create a canonical request"). For every service but S3 the path is
 * normalised and encoded once more. It is computed from the bytes that arrived: a string here holds one byte per
 * character (Latin-1), as node:http and node:http2 hand over request targets and header values.
 */

const UNRESERVED_ONLY = /^[A-Za-z0-9\-_.~]*$/;
const PATH_UNCHANGED = /^[A-Za-z0-9\-_.~/]*$/;

const isUnreserved = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x30 && code <= 0x39) ||
  code === 0x2d ||
  code === 0x5f ||
  code === 0x2e ||
  code === 0x7e;

const percentEncoded = (byte: number): string => `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;

const encodeByte = (byte: number): string => (isUnreserved(byte) ? String.fromCharCode(byte) : percentEncoded(byte));

/** A request target, split at its first question mark. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf("?");
  return mark === -1 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Empty and `.` segments go, `..` takes the one before it along, and what is left is encoded again, `%` included. */
export function canonicalPath(path: string): string {
  if (path === "/" || path === "") return "/";
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  if (kept.length === 0) return "/";
  const normalised = `/${kept.join("/")}${path.endsWith("/") ? "/" : ""}`;
  if (PATH_UNCHANGED.test(normalised)) return normalised;
  let encoded = "";
  for (let at = 0; at < normalised.length; at++) {
    encoded += normalised.charAt(at) === "/" ? "/" : encodeByte(normalised.charCodeAt(at) & 0xff);
  }
  return encoded;
}

/**
 * As S3 has it: nothing is normalised, because an object's key may hold empty and dot segments, and every byte is encoded
 * once. Null when it holds a broken percent sequence.
 */
export function canonicalObjectPath(path: string): string | null {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    const encoded = canonicalComponent(segment, "%2B");
    if (encoded === null) return null;
    segments.push(encoded);
  }
  return segments.join("/");
}

/** One parameter of a query string, name and value in canonical encoding. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/**
 * The parameters of a query string in the order received; null when it holds a broken percent sequence. `+` is a space,
 * because that is how the query protocol reads it: two strings with one canonical form must have one meaning.
 */
export function parseQuery(query: string): readonly QueryParameter[] | null {
  if (query === "") return [];
  const parameters: QueryParameter[] = [];
  for (const piece of query.split("&")) {
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    const name = canonicalComponent(equals === -1 ? piece : piece.slice(0, equals));
    const value = canonicalComponent(equals === -1 ? "" : piece.slice(equals + 1));
    if (name === null || value === null) return null;
    parameters.push({ name, value });
  }
  return parameters;
}

/** `plus`: what stands for a plus sign, which is a space in queries alone. */
function canonicalComponent(raw: string, plus: "%20" | "%2B" = "%20"): string | null {
  if (UNRESERVED_ONLY.test(raw)) return raw;
  let encoded = "";
  for (let at = 0; at < raw.length; at++) {
    const character = raw.charAt(at);
    if (character === "+") encoded += plus;
    else if (character !== "%") encoded += encodeByte(raw.charCodeAt(at) & 0xff);
    else {
      const digits = raw.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return null;
      encoded += encodeByte(Number.parseInt(digits, 16));
      at += 2;
    }
  }
  return encoded;
}

/** Sorted by name, then value, as encoded. `except` names the one parameter that cannot sign itself. */
export function canonicalQuery(parameters: readonly QueryParameter[], except: string): string {
  if (parameters.length === 0) return "";
  return parameters
    .filter(({ name }) => name !== except)
    .sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value))
    .map(({ name, value }) => `${name}=${value}`)
    .join("&");
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Headers by lower-case name, in canonical form. */
export interface CanonicalHeaders {
  /** Values of a repeated header stand joined by commas. */
  readonly values: ReadonlyMap<string, string>;
  /** Names that came more than once. */
  readonly repeated: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

const IRREGULAR_SPACE = /^ | $| {2}|\t/;

/** Space and tab only: further kinds of white space would tear UTF-8 apart, whose bytes stand here one by one. */
const canonicalValue = (value: string): string =>
  IRREGULAR_SPACE.test(value) ? value.replace(/[ \t]+/g, " ").replace(/^ | $/g, "") : value;

export function canonicalHeaders(headers: readonly (readonly [name: string, value: string])[]): CanonicalHeaders {
  const values = new Map<string, string>();
  let repeated: Set<string> | null = null;
  for (const [sentName, sentValue] of headers) {
    const name = sentName.toLowerCase();
    const value = canonicalValue(sentValue);
    const before = values.get(name);
    if (before !== undefined) (repeated ??= new Set()).add(name);
    values.set(name, before === undefined ? value : `${before},${value}`);
  }
  return { values, repeated: repeated ?? NONE };
}
