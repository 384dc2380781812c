import { ANY_ONE, ANY_RUN, globMatches, type GlobToken } from "./glob.ts";
import { PolicyError, quoted } from "./policy-error.ts";

/** The condition keys of a request: lower-cased names. Undefined: the request has no such key. */
export type RequestContext = Pick<ReadonlyMap<string, string | readonly string[]>, "get">;

/** `${key}` or `${key, 'fallback'}`. */
interface Variable {
  /** Lower-cased, as in the request's context. */
  readonly key: string;
  readonly fallback: string | null;
}

type Part = string | GlobToken | Variable;

/** Text of a policy, read once: literal runs, wildcards and variables. */
export interface Template {
  readonly parts: readonly Part[];
  /** The literal and wildcard tokens when there are no variables. */
  readonly fixed: readonly GlobToken[] | null;
}

export interface TemplateSyntax {
  /** `${…}` is a variable; only in documents of version 2012-10-17. */
  readonly variables: boolean;
  /** `*` and `?` are wildcards. */
  readonly wildcards: boolean;
}

/** Does the text match? `undefined`: a variable of the template has no value in this request, so nothing can be said. */
export type TextMatcher = (text: string, context: RequestContext) => boolean | undefined;

/** The name in front of a colon and whatever follows but what would end or nest the variable. */
const VARIABLE_KEY = /^[A-Za-z0-9._/-]+:[^{}$'*?,]+$/;
/** `${*}`, `${?}` and `${$}` stand for these characters themselves. */
const ESCAPED_CHARACTERS: ReadonlySet<string> = new Set(["*", "?", "$"]);

/** @throws PolicyError `InvalidVariable` for a variable that is not closed, empty, nested or without a key's form. */
export function parseTemplate(text: string, syntax: TemplateSyntax, path: string): Template {
  const parts: Part[] = [];
  let literal = "";
  const add = (part: GlobToken | Variable): void => {
    if (literal !== "") parts.push(literal);
    literal = "";
    // Neighbouring runs mean the same as one, and would only cost the matcher time.
    if (part !== ANY_RUN || parts.at(-1) !== ANY_RUN) parts.push(part);
  };
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (syntax.variables && character === "$" && text.charAt(at + 1) === "{") {
      const end = text.indexOf("}", at);
      if (end < 0) throw new PolicyError("InvalidVariable", path, "a variable lacks its closing brace");
      const inner = text.slice(at + 2, end);
      if (ESCAPED_CHARACTERS.has(inner)) literal += inner;
      else add(parseVariable(inner, path));
      at = end;
    } else if (syntax.wildcards && character === "*") add(ANY_RUN);
    else if (syntax.wildcards && character === "?") add(ANY_ONE);
    else literal += character;
  }
  if (literal !== "") parts.push(literal);
  return { parts, fixed: fixedTokens(parts) };
}

function parseVariable(inner: string, path: string): Variable {
  const comma = inner.indexOf(",");
  const key = (comma < 0 ? inner : inner.slice(0, comma)).trim();
  if (!VARIABLE_KEY.test(key)) {
    throw new PolicyError("InvalidVariable", path, `${quoted(inner)} is not the name of a condition key`);
  }
  if (comma < 0) return { key: key.toLowerCase(), fallback: null };
  const fallback = inner.slice(comma + 1).trim();
  if (
    fallback.length < 2 ||
    !fallback.startsWith("'") ||
    !fallback.endsWith("'") ||
    fallback.slice(1, -1).includes("'")
  ) {
    throw new PolicyError("InvalidVariable", path, "a default value stands in single quotes");
  }
  return { key: key.toLowerCase(), fallback: fallback.slice(1, -1) };
}

function fixedTokens(parts: readonly Part[]): readonly GlobToken[] | null {
  const tokens: GlobToken[] = [];
  for (const part of parts) {
    if (typeof part === "object") return null;
    if (typeof part === "string") pushText(tokens, part);
    else tokens.push(part);
  }
  return tokens;
}

/** A variable stands for one value: a key with several has none, as in AWS. */
function valueOf(variable: Variable, context: RequestContext): string | undefined {
  const value = context.get(variable.key);
  if (typeof value === "string") return value;
  return value === undefined && variable.fallback !== null ? variable.fallback : undefined;
}

/**
 * The tokens of a template in a request. Values of variables are literal text: a `*` in one is no wildcard.
 * @returns `undefined` when a variable has no value; `null` when the pattern needs more than `lengthMax` characters and so
 * cannot match a text of that length (which also bounds what long values can make of a short template).
 */
export function resolveTokens(
  template: Template,
  context: RequestContext,
  lengthMax: number,
): readonly GlobToken[] | undefined | null {
  const tokens: GlobToken[] = [];
  let textLength = 0;
  for (const part of template.parts) {
    if (typeof part === "number") {
      tokens.push(part);
      continue;
    }
    const text = typeof part === "string" ? part : valueOf(part, context);
    if (text === undefined) return undefined;
    textLength += text.length;
    if (textLength <= lengthMax) pushText(tokens, text);
  }
  return textLength > lengthMax ? null : tokens;
}

function pushText(tokens: GlobToken[], text: string): void {
  for (let at = 0; at < text.length; at++) tokens.push(text.charCodeAt(at));
}

/** A matcher for whole texts. What needs no variables is reduced to a comparison where it can be. */
export function compileTemplate(template: Template): TextMatcher {
  const { fixed, parts } = template;
  if (fixed === null) {
    return (text, context) => {
      const tokens = resolveTokens(template, context, text.length);
      if (tokens === undefined || tokens === null) return tokens === null ? false : undefined;
      return globMatches(tokens, text);
    };
  }
  const [first, second] = parts;
  if (parts.length === 0) return (text) => text === "";
  if (parts.length === 1 && first === ANY_RUN) return () => true;
  if (parts.length === 1 && typeof first === "string") return (text) => text === first;
  if (parts.length === 2 && typeof first === "string" && second === ANY_RUN) return (text) => text.startsWith(first);
  return (text) => globMatches(fixed, text);
}

/** A matcher that does not regard case, for templates without wildcards. */
export function compileFolded(template: Template): TextMatcher {
  return (text, context) => {
    let expected = "";
    let tooLong = false;
    for (const part of template.parts) {
      const value = typeof part === "object" ? valueOf(part, context) : part;
      if (value === undefined) return undefined;
      // Folding can change a text's length, threefold at most (U+0130 and its like).
      tooLong ||= expected.length > 3 * text.length;
      if (!tooLong) expected += String(value).toLowerCase();
    }
    return !tooLong && expected === text.toLowerCase();
  };
}
