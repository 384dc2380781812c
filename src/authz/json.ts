import { PolicyError, quoted } from "./policy-error.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Objects and lists inside each other. The language itself needs six: document, Statement, its item, Condition, operator, values. */
const JSON_DEPTH_MAX = 8;
/** Members and items in all; the longest document that any service takes (a 128 KiB request) has room for more than anybody writes. */
const JSON_ITEM_COUNT_MAX = 8192;

/**
 * Parses JSON and refuses what `JSON.parse` lets pass: names that stand twice in one object (the last would silently win,
 * so that a reader and the evaluator could see different policies), deep nesting, too many items.
 */
export function parseStrictJson(document: string): Json {
  let value: Json;
  try {
    value = JSON.parse(document) as Json;
  } catch {
    throw new PolicyError("NotJson", "", "the document is not valid JSON");
  }
  checkShape(document);
  return value;
}

/** Walks the tokens of a text that is known to be valid JSON. */
function checkShape(json: string): void {
  const namesOfOpenContainers: Set<string>[] = [];
  let itemCount = 0;
  for (let at = 0; at < json.length; at++) {
    const character = json.charAt(at);
    if (character === "{" || character === "[") {
      if (namesOfOpenContainers.push(new Set()) > JSON_DEPTH_MAX) {
        throw new PolicyError("TooComplex", "", "the document is nested too deeply");
      }
    } else if (character === "}" || character === "]") {
      namesOfOpenContainers.pop();
    } else if (character === ",") {
      itemCount++;
      if (itemCount > JSON_ITEM_COUNT_MAX)
        throw new PolicyError("TooComplex", "", "the document has too many elements");
    } else if (character === '"') {
      const end = endOfString(json, at);
      if (isName(json, end)) addName(namesOfOpenContainers.at(-1), json.slice(at, end));
      at = end - 1;
    }
  }
}

/** The position after the closing quote of the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json.charAt(at) !== '"') at += json.charAt(at) === "\\" ? 2 : 1;
  return at + 1;
}

/** In valid JSON a string is a member's name exactly if a colon follows. */
function isName(json: string, end: number): boolean {
  let at = end;
  while (" \t\r\n".includes(json.charAt(at)) && at < json.length) at++;
  return json.charAt(at) === ":";
}

function addName(names: Set<string> | undefined, literal: string): void {
  const name = literal.includes("\\") ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  if (names === undefined) return;
  if (names.has(name)) throw new PolicyError("DuplicateKey", "", `the name ${quoted(name)} stands twice in one object`);
  names.add(name);
}

export const isList = (json: Json): json is readonly Json[] => Array.isArray(json);

/** @throws PolicyError `WrongType`, like the readers below */
export function objectOf(json: Json, path: string): JsonObject {
  if (json === null || typeof json !== "object" || isList(json)) throw wrongType(path, "an object");
  return json;
}

export function textOf(json: Json, path: string): string {
  if (typeof json !== "string") throw wrongType(path, "a string");
  return json;
}

/** One string, or a list of strings. */
export function textsOf(json: Json, path: string): readonly string[] {
  return isList(json) ? json.map((item, at) => textOf(item, `${path}[${at}]`)) : [textOf(json, path)];
}

const wrongType = (path: string, expected: string): PolicyError =>
  new PolicyError("WrongType", path, `${expected} is expected`);
