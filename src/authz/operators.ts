/** The condition operators: one row each. A negated operator is the complement of the row it names. */
import { charge } from "./evaluation.ts";
import { ANY_RUN, globMatches, type GlobToken, isShort, literalRuns, runsMatch } from "./glob.ts";
import { type IpAddress, type IpNetwork, networkContains, parseAddress, parseNetwork } from "./ip.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import {
  compileFolded,
  compileTemplate,
  parseTemplate,
  plainText,
  resolveTokens,
  type Template,
  type TextMatcher,
} from "./template.ts";
import type { Evaluation } from "./types.ts";
import { parseBase64, parseDecimal, parseInstant } from "./values.ts";

export interface Operator {
  /** True for the operators that hold when no value matches (and when the key is missing). */
  readonly negated: boolean;
  /**
   * Reads the values of one key in the policy. `variables`: whether `${…}` has a meaning in this document.
   * @throws PolicyError `InvalidCondition` or `InvalidVariable`
   */
  readonly compile: (expected: readonly string[], variables: boolean, path: string) => ValueList;
}

/** The values of one key in the policy, read once, so that each value of the request is, too. */
export interface ValueList {
  /** Does one of them match? `undefined`: none does, and one holds a variable that has no value in this request. */
  readonly matches: TextMatcher;
  /** Have all variables a value in this request? */
  readonly resolvable: (evaluation: Evaluation) => boolean;
}

type Compile = Operator["compile"];
type Asked<T> = (actual: T, evaluation: Evaluation) => boolean;

/** Steps of finding a text in a set, beside its characters. */
const LOOK_UP_STEPS = 8;
/** Steps of reading a value of some type, beside its characters: dates and addresses take about a microsecond. */
const PARSE_STEPS = 200;
/** Steps of comparing an address with a network. */
const NETWORK_STEPS = 8;
const SEGMENT_STEPS = 16;

/** Texts, wildcards and variables. What is plain text is looked up, however many values there are. */
function texts(options: { readonly wildcards: boolean; readonly folds: boolean }): Compile {
  const { folds, wildcards } = options;
  return (expected, variables, path) => {
    const templates = expected.map((text, at) => parseTemplate(text, { variables, wildcards }, `${path}[${at}]`));
    const exact = new Set<string>();
    const others: TextMatcher[] = [];
    for (const template of templates) {
      const plain = plainText(template);
      if (plain !== null) exact.add(folds ? plain.toLowerCase() : plain);
      else others.push(folds ? compileFolded(template) : compileTemplate(template));
    }
    // One text is compared sooner than its hash is made.
    const [only] = exact.size === 1 ? exact : [];
    return {
      matches(actual, evaluation) {
        if (!charge(evaluation, LOOK_UP_STEPS + actual.length)) return false;
        const text = folds ? actual.toLowerCase() : actual;
        if (only === undefined ? exact.has(text) : text === only) return true;
        return others.length > 0 && anyOf(others, text, evaluation);
      },
      resolvable: resolvableAll(templates),
    };
  };
}

function anyOf(matchers: readonly TextMatcher[], text: string, evaluation: Evaluation): boolean | undefined {
  let answer: false | undefined = false;
  for (const matcher of matchers) {
    const matched = matcher(text, evaluation);
    if (matched === true) return true;
    if (matched === undefined) answer = undefined;
    if (evaluation.stepsLeft < 0) return false;
  }
  return answer;
}

function resolvableAll(templates: readonly Template[]): ValueList["resolvable"] {
  const open = templates.filter(({ fixed }) => fixed === null);
  return (evaluation) => open.every((template) => resolveTokens(template, evaluation, 0) !== undefined);
}

/** Operators on other types take no variables: a `${…}` there is simply not a value of the type. */
function typed<T, E = T>(
  name: string,
  readExpected: (text: string) => E | null,
  readActual: (text: string) => T | null,
  join: (expected: readonly E[]) => Asked<T>,
): Compile {
  return (expected, _variables, path) => {
    const asked = join(
      expected.map((text, at) => {
        const value = readExpected(text);
        if (value === null)
          throw new PolicyError("InvalidCondition", `${path}[${at}]`, `${quoted(text)} is not ${name}`);
        return value;
      }),
    );
    return {
      matches(text, evaluation) {
        if (!charge(evaluation, PARSE_STEPS + text.length)) return false;
        const actual = readActual(text);
        return actual !== null && asked(actual, evaluation);
      },
      resolvable: () => true,
    };
  };
}

const parseBool = (text: string): boolean | null => {
  const folded = text.toLowerCase();
  return folded === "true" ? true : folded === "false" ? false : null;
};

function equal<T>(expected: readonly T[]): Asked<T> {
  const values = new Set(expected);
  return (actual) => values.has(actual);
}

// Less than one of several numbers is less than the greatest of them.
const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), Infinity);

type JoinNumbers = (expected: readonly number[]) => Asked<number>;

const less: JoinNumbers = (expected) => {
  const bound = greatest(expected);
  return (actual) => actual < bound;
};
const lessOrEqual: JoinNumbers = (expected) => {
  const bound = greatest(expected);
  return (actual) => actual <= bound;
};
const greater: JoinNumbers = (expected) => {
  const bound = least(expected);
  return (actual) => actual > bound;
};
const greaterOrEqual: JoinNumbers = (expected) => {
  const bound = least(expected);
  return (actual) => actual >= bound;
};

const stringEquals = texts({ wildcards: false, folds: false });
const stringEqualsIgnoreCase = texts({ wildcards: false, folds: true });
const stringLike = texts({ wildcards: true, folds: false });
const bool = typed<boolean>("a boolean", parseBool, parseBool, equal);
const binary = typed<string>("base64", parseBase64, parseBase64, equal);
const number = (join: JoinNumbers): Compile => typed<number>("a number", parseDecimal, parseDecimal, join);
const date = (join: JoinNumbers): Compile => typed<number>("a date", parseInstant, parseInstant, join);

const ipAddress = typed<IpAddress, IpNetwork>(
  "an IP address or a CIDR block",
  parseNetwork,
  parseAddress,
  (networks) => (address, evaluation) => {
    for (const network of networks) {
      if (!charge(evaluation, NETWORK_STEPS)) return false;
      if (networkContains(network, address)) return true;
    }
    return false;
  },
);

const COLON = ":".charCodeAt(0);
const ARN_SEGMENT_COUNT = 6;
interface Segment {
  readonly tokens: readonly GlobToken[];
  /** Null when it has a `?`. */
  readonly runs: readonly string[] | null;
}
type Segments = readonly Segment[];
const segmentOf = (tokens: readonly GlobToken[]): Segment => ({ tokens, runs: literalRuns(tokens) });
const ANY_ARN: Segments = Array.from({ length: ARN_SEGMENT_COUNT }, () => segmentOf([ANY_RUN]));

/** ARNs are compared segment by segment: a wildcard in one of the first five does not reach beyond its colon. */
const arnLike: Compile = (expected, variables, path) => {
  const templates = expected.map((text, at) => parseTemplate(text, { variables, wildcards: true }, `${path}[${at}]`));
  const matchers = templates.map((template, at) => arnMatcher(template, expected[at] ?? "", `${path}[${at}]`));
  return {
    matches(actual, evaluation) {
      if (!charge(evaluation, LOOK_UP_STEPS + actual.length)) return false;
      return anyOf(matchers, actual, evaluation);
    },
    resolvable: resolvableAll(templates),
  };
};

function arnMatcher(template: Template, written: string, path: string): TextMatcher {
  if (template.fixed !== null) {
    const segments = arnSegments(template.fixed);
    if (segments === null) throw new PolicyError("InvalidCondition", path, `${quoted(written)} is not an ARN`);
    return (actual, evaluation) => arnMatches(segments, actual, evaluation);
  }
  return (actual, evaluation) => {
    const tokens = resolveTokens(template, evaluation, actual.length);
    if (tokens === undefined || tokens === null) return tokens === null ? false : undefined;
    const segments = arnSegments(tokens);
    return segments !== null && arnMatches(segments, actual, evaluation);
  };
}

/** Null when the pattern has fewer than six segments; a lone `*` stands for any ARN. */
function arnSegments(tokens: readonly GlobToken[]): Segments | null {
  if (tokens.length === 1 && tokens[0] === ANY_RUN) return ANY_ARN;
  const segments: GlobToken[][] = [[]];
  for (const token of tokens) {
    if (token === COLON && segments.length < ARN_SEGMENT_COUNT) segments.push([]);
    else segments.at(-1)?.push(token);
  }
  return segments.length === ARN_SEGMENT_COUNT ? segments.map(segmentOf) : null;
}

function arnMatches(segments: Segments, arn: string, evaluation: Evaluation): boolean {
  let from = 0;
  for (let at = 0; at < ARN_SEGMENT_COUNT; at++) {
    const segment = segments[at];
    const to = at === ARN_SEGMENT_COUNT - 1 ? arn.length : arn.indexOf(":", from);
    // Looking for the colon costs characters, too, though many at a time.
    if (!charge(evaluation, SEGMENT_STEPS + (((to < 0 ? arn.length : to) - from) >> 3))) return false;
    if (to < 0 || segment === undefined || !segmentMatches(segment, arn, from, to, evaluation)) return false;
    from = to + 1;
  }
  return true;
}

function segmentMatches(segment: Segment, arn: string, from: number, to: number, evaluation: Evaluation): boolean {
  const { runs, tokens } = segment;
  // A run is looked for in what is left of the ARN, beyond the segment, too.
  if (runs === null || !isShort(arn.length - from, tokens.length))
    return globMatches(tokens, arn, from, to, evaluation);
  return charge(evaluation, to - from + tokens.length) && runsMatch(runs, arn, from, to);
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
