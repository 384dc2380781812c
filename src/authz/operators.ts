/** The condition operators: one row each. A negated operator is the complement of the row it names. */
import { ANY_RUN, globMatches, type GlobToken } from "./glob.ts";
import { networkContains, parseAddress, parseNetwork } from "./ip.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import { compileFolded, compileTemplate, parseTemplate, resolveTokens, type TextMatcher } from "./template.ts";
import { parseBase64, parseDecimal, parseInstant } from "./values.ts";

export interface Operator {
  /** True for the operators that hold when no value matches (and when the key is missing). */
  readonly negated: boolean;
  /**
   * Reads one value of the policy. `variables`: whether `${…}` has a meaning in this document.
   * @throws PolicyError `InvalidCondition` or `InvalidVariable`
   */
  readonly compile: (expected: string, variables: boolean, path: string) => TextMatcher;
}

type Compile = Operator["compile"];

const stringEquals: Compile = (expected, variables, path) =>
  compileTemplate(parseTemplate(expected, { variables, wildcards: false }, path));

const stringEqualsIgnoreCase: Compile = (expected, variables, path) =>
  compileFolded(parseTemplate(expected, { variables, wildcards: false }, path));

const stringLike: Compile = (expected, variables, path) =>
  compileTemplate(parseTemplate(expected, { variables, wildcards: true }, path));

/** Operators on other types take no variables: a `${…}` there is simply not a value of the type. */
function typed<T>(
  name: string,
  parse: (text: string) => T | null,
  holds: (actual: T, expected: T) => boolean,
): Compile {
  return (text, _variables, path) => {
    const expected = parse(text);
    if (expected === null) throw new PolicyError("InvalidCondition", path, `${quoted(text)} is not ${name}`);
    return (actual) => {
      const value = parse(actual);
      return value !== null && holds(value, expected);
    };
  };
}

const parseBool = (text: string): boolean | null => {
  const folded = text.toLowerCase();
  return folded === "true" ? true : folded === "false" ? false : null;
};

const bool = typed("a boolean", parseBool, (actual, expected) => actual === expected);
const binary = typed("base64", parseBase64, (actual, expected) => actual === expected);
const number = (holds: (actual: number, expected: number) => boolean): Compile =>
  typed("a number", parseDecimal, holds);
const date = (holds: (actual: number, expected: number) => boolean): Compile => typed("a date", parseInstant, holds);

const equal = (actual: number, expected: number): boolean => actual === expected;
const less = (actual: number, expected: number): boolean => actual < expected;
const lessOrEqual = (actual: number, expected: number): boolean => actual <= expected;
const greater = (actual: number, expected: number): boolean => actual > expected;
const greaterOrEqual = (actual: number, expected: number): boolean => actual >= expected;

const ipAddress: Compile = (text, _variables, path) => {
  const network = parseNetwork(text);
  if (network === null) {
    throw new PolicyError("InvalidCondition", path, `${quoted(text)} is not an IP address or a CIDR block`);
  }
  return (actual) => {
    const address = parseAddress(actual);
    return address !== null && networkContains(network, address);
  };
};

const COLON = ":".charCodeAt(0);
const ARN_SEGMENT_COUNT = 6;
const ANY_ARN: readonly (readonly GlobToken[])[] = Array.from({ length: ARN_SEGMENT_COUNT }, () => [ANY_RUN]);

/** ARNs are compared segment by segment: a wildcard in one of the first five does not reach beyond its colon. */
const arnLike: Compile = (expected, variables, path) => {
  const template = parseTemplate(expected, { variables, wildcards: true }, path);
  if (template.fixed !== null) {
    const segments = arnSegments(template.fixed);
    if (segments === null) throw new PolicyError("InvalidCondition", path, `${quoted(expected)} is not an ARN`);
    return (actual) => arnMatches(segments, actual);
  }
  return (actual, context) => {
    const tokens = resolveTokens(template, context, actual.length);
    if (tokens === undefined || tokens === null) return tokens === null ? false : undefined;
    const segments = arnSegments(tokens);
    return segments !== null && arnMatches(segments, actual);
  };
};

/** Null when the pattern has fewer than six segments; a lone `*` stands for any ARN. */
function arnSegments(tokens: readonly GlobToken[]): readonly (readonly GlobToken[])[] | null {
  if (tokens.length === 1 && tokens[0] === ANY_RUN) return ANY_ARN;
  const segments: GlobToken[][] = [[]];
  for (const token of tokens) {
    if (token === COLON && segments.length < ARN_SEGMENT_COUNT) segments.push([]);
    else segments.at(-1)?.push(token);
  }
  return segments.length === ARN_SEGMENT_COUNT ? segments : null;
}

function arnMatches(segments: readonly (readonly GlobToken[])[], arn: string): boolean {
  let from = 0;
  for (const [at, segment] of segments.entries()) {
    const to = at === ARN_SEGMENT_COUNT - 1 ? arn.length : arn.indexOf(":", from);
    if (to < 0 || !globMatches(segment, arn, from, to)) return false;
    from = to + 1;
  }
  return true;
}

const when = (compile: Compile): Operator => ({ negated: false, compile });
const unless = (compile: Compile): Operator => ({ negated: true, compile });

/** By name, as written in a policy (names are case-sensitive). `Null` is no comparison and stands in conditions.ts. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["StringEquals", when(stringEquals)],
  ["StringNotEquals", unless(stringEquals)],
  ["StringEqualsIgnoreCase", when(stringEqualsIgnoreCase)],
  ["StringNotEqualsIgnoreCase", unless(stringEqualsIgnoreCase)],
  ["StringLike", when(stringLike)],
  ["StringNotLike", unless(stringLike)],
  ["NumericEquals", when(number(equal))],
  ["NumericNotEquals", unless(number(equal))],
  ["NumericLessThan", when(number(less))],
  ["NumericLessThanEquals", when(number(lessOrEqual))],
  ["NumericGreaterThan", when(number(greater))],
  ["NumericGreaterThanEquals", when(number(greaterOrEqual))],
  ["DateEquals", when(date(equal))],
  ["DateNotEquals", unless(date(equal))],
  ["DateLessThan", when(date(less))],
  ["DateLessThanEquals", when(date(lessOrEqual))],
  ["DateGreaterThan", when(date(greater))],
  ["DateGreaterThanEquals", when(date(greaterOrEqual))],
  ["Bool", when(bool)],
  ["BinaryEquals", when(binary)],
  ["IpAddress", when(ipAddress)],
  ["NotIpAddress", unless(ipAddress)],
  // ArnEquals and ArnLike behave alike (IAM User Guide, ARN condition operators).
  ["ArnEquals", when(arnLike)],
  ["ArnLike", when(arnLike)],
  ["ArnNotEquals", unless(arnLike)],
  ["ArnNotLike", unless(arnLike)],
]);
