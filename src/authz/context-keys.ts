import { parseStrictJson, type Json, type JsonObject } from "./json.ts";
import { foldName } from "./values.ts";

/** `${key}` and `${key, 'fallback'}`; the escapes `${*}`, `${?}` and `${$}` name no key. */
const VARIABLE = /\$\{\s*([^{}$*?,\s][^{}$*?,]*?)\s*(?:,[^}]*)?\}/g;
const ELEMENTS_WITH_VARIABLES = ["Resource", "NotResource"] as const;

/**
 * The condition keys that a document asks for, in its conditions and as variables, as they are written there first and in the
 * order in which they are met. The document is known to be valid.
 */
export function contextKeysOf(document: string): readonly string[] {
  const keys = new Map<string, string>();
  const add = (name: string): void => {
    const folded = foldName(name);
    if (!keys.has(folded)) keys.set(folded, name);
  };
  const policy = parseStrictJson(document) as JsonObject;
  const addVariables = (json: Json | undefined): void => {
    if (policy["Version"] !== "2012-10-17") return;
    for (const text of listOf(json)) {
      if (typeof text !== "string") continue;
      for (const [, name = ""] of text.matchAll(VARIABLE)) add(name);
    }
  };
  for (const statement of listOf(policy["Statement"]) as readonly JsonObject[]) {
    for (const name of ELEMENTS_WITH_VARIABLES) addVariables(statement[name]);
    for (const condition of Object.values((statement["Condition"] ?? {}) as JsonObject)) {
      for (const [name, values] of Object.entries(condition as JsonObject)) {
        add(name);
        addVariables(values);
      }
    }
  }
  return [...keys.values()];
}

const listOf = (json: Json | undefined): readonly Json[] =>
  json === undefined ? [] : Array.isArray(json) ? (json as readonly Json[]) : [json];
