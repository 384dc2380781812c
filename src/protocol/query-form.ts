import { ServiceError } from "../base/errors.ts";
import type { WireObject } from "./decoder.ts";

/** Most parameters of one form; the largest lists of the services that speak this protocol hold some hundreds. */
const PARAMETER_COUNT_MAX = 5_000;
/** Longest value, as written, that `formParameter` decodes: no action, version or credential comes near it. */
const ROUTING_VALUE_BYTES_MAX = 256;
/** Most dotted parts of a parameter's name: `Tags.member.1.Key` has four. */
const PART_COUNT_MAX = 16;

type FormNode = { [part: string]: FormNode | string };

const malformedForm = (): ServiceError =>
  new ServiceError("MalformedQueryString", "The query string contains a syntax error.");

/**
 * The value of one parameter, without decoding the rest of the form; the last one if it is repeated, as in `readForm`.
 * The name must be written without escapes. Null when it is absent. Anybody may have this run, so it costs a native search
 * and no more: a value of more than 256 bytes comes back cut and not decoded, too long to be the name of anything.
 */
export function formParameter(form: string | Buffer, name: string): string | null {
  const bytes = typeof form === "string" ? Buffer.from(form, "utf8") : form;
  const start = valueStart(bytes, `${name}=`);
  if (start === -1) return null;
  const ampersand = bytes.indexOf(AMPERSAND, start);
  const end = ampersand === -1 ? bytes.length : ampersand;
  if (end - start > ROUTING_VALUE_BYTES_MAX) return bytes.toString("latin1", start, start + ROUTING_VALUE_BYTES_MAX);
  return decodePart(bytes.toString("utf8", start, end));
}

const AMPERSAND = 0x26;

/** Where the value behind the last `head` begins; -1 when there is none. */
function valueStart(bytes: Buffer, head: string): number {
  const at = bytes.lastIndexOf(`&${head}`);
  if (at !== -1) return at + 1 + head.length;
  return bytes.toString("latin1", 0, head.length) === head ? head.length : -1;
}

/**
 * Reads `a=b&c=d` into a tree along the dots of the names: `Tags.member.1.Key=x` becomes
 * `{Tags: {member: {1: {Key: "x"}}}}`. A name that is both a value and a branch is refused.
 */
export function readForm(form: string): WireObject {
  const root = Object.create(null) as FormNode;
  let count = 0;
  for (let at = 0; at < form.length;) {
    const ampersand = form.indexOf("&", at);
    const end = ampersand === -1 ? form.length : ampersand;
    if (end > at) {
      count += 1;
      if (count > PARAMETER_COUNT_MAX) throw malformedForm();
      place(root, form.slice(at, end));
    }
    at = end + 1;
  }
  return root;
}

function place(root: FormNode, pair: string): void {
  const equals = pair.indexOf("=");
  const name = decodePart(equals === -1 ? pair : pair.slice(0, equals));
  const value = equals === -1 ? "" : decodePart(pair.slice(equals + 1));
  const parts = name.split(".", PART_COUNT_MAX + 1);
  if (parts.length > PART_COUNT_MAX) throw malformedForm();
  const leaf = parts.pop() ?? "";
  let node = root;
  for (const part of parts) {
    const next = (node[part] ??= Object.create(null) as FormNode);
    if (typeof next === "string") throw malformedForm();
    node = next;
  }
  if (typeof node[leaf] === "object") throw malformedForm();
  node[leaf] = value;
}

function decodePart(text: string): string {
  // Unlike replaceAll, whose result is a chain of small strings, this stays linear on a text full of pluses.
  const spaced = text.split("+").join(" ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw malformedForm();
  }
}
