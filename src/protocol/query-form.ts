import { ServiceError } from "../base/errors.ts";
import type { WireObject } from "./decoder.ts";

/** Most parameters of one form; the largest lists of the services that speak this protocol hold some hundreds. */
const PARAMETER_COUNT_MAX = 5_000;
/** Most dotted parts of a parameter's name: `Tags.member.1.Key` has four. */
const PART_COUNT_MAX = 16;

type FormNode = { [part: string]: FormNode | string };

const malformedForm = (): ServiceError =>
  new ServiceError("MalformedQueryString", "The query string contains a syntax error.");

/**
 * The value of one parameter, without decoding the rest of the form; the last one if it is repeated, as in `readForm`.
 * The name must be written without escapes. Null when it is absent.
 */
export function formParameter(form: string, name: string): string | null {
  const head = `${name}=`;
  for (let at = form.lastIndexOf(head); at !== -1; at = at === 0 ? -1 : form.lastIndexOf(head, at - 1)) {
    if (at !== 0 && form[at - 1] !== "&") continue;
    const end = form.indexOf("&", at);
    return decodePart(form.slice(at + head.length, end === -1 ? form.length : end));
  }
  return null;
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
  const spaced = text.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw malformedForm();
  }
}
