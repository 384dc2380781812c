import { charge } from "./evaluation.ts";
import { ANY_ONE, ANY_RUN, globMatches, type GlobToken, isShort, literalRuns, runsMatch } from "./glob.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import type { Evaluation } from "./types.ts";
import { foldName } from "./values.ts";

/** Steps of asking the request for one variable. */
const VARIABLE_STEPS = 16;
/** Steps of one comparison, beside its characters. */
const COMPARISON_STEPS = 16;
/** Steps of a `*`, which takes any text: a list of values may ask it for each. */
const ANY_TEXT_STEPS = 4;

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
export type TextMatcher = (text: string, evaluation: Evaluation) => boolean | undefined;

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
  if (comma < 0) return { key: foldName(key), fallback: null };
  const fallback = inner.slice(comma + 1).trim();
  if (
    fallback.length < 2 ||
    !fallback.startsWith("'") ||
    !fallback.endsWith("'") ||
    fallback.slice(1, -1).includes("'")
  ) {
    throw new PolicyError("InvalidVariable", path, "a default value stands in single quotes");
  }
  return { key: foldName(key), fallback: fallback.slice(1, -1) };
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

/** The text of a template that is nothing but text; null for all others. */
export function plainText({ parts }: Template): string | null {
  const [only] = parts;
  if (parts.length === 0) return "";
  return parts.length === 1 && typeof only === "string" ? only : null;
}

/** A variable stands for one value: a key with several has none, as in AWS. */
function valueOf(variable: Variable, evaluation: Evaluation): string | undefined {
  const value = evaluation.context.get(variable.key);
  if (typeof value === "string") return value;
  // One name of the request would hide the other: neither counts as missing nor is either to be taken.
  if (value !== undefined && "alternatives" in value) evaluation.unclear = true;
  return value === undefined && variable.fallback !== null ? variable.fallback : undefined;
}

/**
 * The tokens of a template in a request. Values of variables are literal text: a `*` in one is no wildcard.
 * @returns `undefined` when a variable has no value; `null` when the pattern needs more than `lengthMax` characters and so
 * cannot match a text of that length (which also bounds what long values can make of a short template).
 */
export function resolveTokens(
  template: Template,
  evaluation: Evaluation,
  lengthMax: number,
): readonly GlobToken[] | undefined | null {
  const tokens: GlobToken[] = [];
  let textLength = 0;
  for (const part of template.parts) {
    if (!charge(evaluation, VARIABLE_STEPS)) return null;
    if (typeof part === "number") {
      tokens.push(part);
      continue;
    }
    const text = typeof part === "string" ? part : valueOf(part, evaluation);
    if (text === undefined) return undefined;
    textLength += text.length;
    if (textLength <= lengthMax && charge(evaluation, text.length)) pushText(tokens, text);
  }
  return textLength > lengthMax ? null : tokens;
}

/** The same for a template without ANY_ONE, as literal runs. */
function resolveRuns(
  template: Template,
  evaluation: Evaluation,
  lengthMax: number,
): readonly string[] | undefined | null {
  const runs: string[] = [];
  let run = "";
  let textLength = 0;
  for (const part of template.parts) {
    if (!charge(evaluation, VARIABLE_STEPS)) return null;
    if (typeof part === "number") {
      runs.push(run);
      run = "";
      continue;
    }
    const text = typeof part === "string" ? part : valueOf(part, evaluation);
    if (text === undefined) return undefined;
    textLength += text.length;
    if (textLength <= lengthMax && charge(evaluation, text.length)) run += text;
  }
  runs.push(run);
  return textLength > lengthMax ? null : runs;
}

function pushText(tokens: GlobToken[], text: string): void {
  for (let at = 0; at < text.length; at++) tokens.push(text.charCodeAt(at));
}

/** A matcher for whole texts. What needs no variables is reduced to a comparison where it can be. */
export function compileTemplate(template: Template): TextMatcher {
  const { fixed, parts } = template;
  if (fixed === null) {
    const resolvesToRuns = !parts.includes(ANY_ONE);
    return (text, evaluation) => {
      if (resolvesToRuns && isShort(text.length, 0)) {
        const runs = resolveRuns(template, evaluation, text.length);
        if (runs === undefined || runs === null) return runs === null ? false : undefined;
        return charge(evaluation, text.length) && runsMatch(runs, text, 0, text.length);
      }
      const tokens = resolveTokens(template, evaluation, text.length);
      if (tokens === undefined || tokens === null) return tokens === null ? false : undefined;
      return globMatches(tokens, text, 0, text.length, evaluation);
    };
  }
  const [first, second] = parts;
  const plain = plainText(template);
  if (plain !== null) return (text, evaluation) => charge(evaluation, COMPARISON_STEPS) && text === plain;
  if (parts.length === 1 && first === ANY_RUN) return (_text, evaluation) => charge(evaluation, ANY_TEXT_STEPS);
  if (parts.length === 2 && typeof first === "string" && second === ANY_RUN) {
    return (text, evaluation) => charge(evaluation, COMPARISON_STEPS + first.length) && text.startsWith(first);
  }
  const runs = literalRuns(fixed);
  return (text, evaluation) => {
    if (!charge(evaluation, COMPARISON_STEPS)) return false;
    if (runs !== null && isShort(text.length, fixed.length)) {
      return charge(evaluation, text.length + fixed.length) && runsMatch(runs, text, 0, text.length);
    }
    return globMatches(fixed, text, 0, text.length, evaluation);
  };
}

/** A matcher that does not regard case, for templates without wildcards. It takes texts in lower case. */
export function compileFolded(template: Template): TextMatcher {
  return (text, evaluation) => {
    let expected = "";
    let tooLong = false;
    for (const part of template.parts) {
      if (!charge(evaluation, VARIABLE_STEPS)) return false;
      const value = typeof part === "object" ? valueOf(part, evaluation) : part;
      if (value === undefined) return undefined;
      // Bounds what many long values would be joined to.
      tooLong ||= expected.length > text.length;
      if (!tooLong && charge(evaluation, String(value).length)) expected += String(value).toLowerCase();
    }
    return !tooLong && expected === text;
  };
}
