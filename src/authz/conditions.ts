import { OPERATORS, type Operator } from "./operators.ts";
import type { ParsedCondition } from "./parse.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import type { RequestContext, TextMatcher } from "./template.ts";

/** One operator on one key with its values, ready to ask. */
export type ConditionTest = (context: RequestContext) => boolean;

/** What the request says about a condition key; an empty list says nothing. */
function valueOf(context: RequestContext, key: string): string | readonly string[] | undefined {
  const value = context.get(key);
  return value !== undefined && value.length === 0 && typeof value !== "string" ? undefined : value;
}

/**
 * One line of a Condition block. The rules (IAM User Guide, condition operators and multivalued keys):
 * a missing key fails a positive operator and satisfies a negated one; `...IfExists` is satisfied by it; ForAllValues holds
 * for no values, ForAnyValue does not. Values of one key are alternatives, so a negated operator holds if none matches.
 * A variable without a value: that value never matches, and a negated operator does not hold either.
 * Without a qualifier, a key with several values is asked like ForAnyValue, and a negated operator is its complement.
 */
export function compileCondition(condition: ParsedCondition, variables: boolean, path: string): ConditionTest {
  if (condition.operator === "Null") return compileNull(condition, path);
  const operator = OPERATORS.get(condition.operator);
  if (operator === undefined) {
    throw new PolicyError("InvalidCondition", path, `${quoted(condition.operator)} is not a condition operator`);
  }
  const { key, qualifier, ifExists } = condition;
  const matchers = condition.values.map((value, at) => operator.compile(value, variables, `${path}[${at}]`));
  const holds = testOf(operator, matchers);
  switch (qualifier) {
    case "ForAllValues":
      return (context) => {
        const actual = valueOf(context, key);
        if (actual === undefined) return true;
        return typeof actual === "string" ? holds(actual, context) : every(actual, holds, context);
      };
    case "ForAnyValue":
      return (context) => {
        const actual = valueOf(context, key);
        if (actual === undefined) return ifExists;
        return typeof actual === "string" ? holds(actual, context) : some(actual, holds, context);
      };
    default:
      return (context) => {
        const actual = valueOf(context, key);
        // A negated operator without its key holds, but for a variable that cannot be resolved, which any text shows.
        if (actual === undefined) return ifExists || (operator.negated && noneMatches(matchers, "", context, true));
        if (typeof actual === "string") return holds(actual, context);
        return operator.negated ? every(actual, holds, context) : some(actual, holds, context);
      };
  }
}

type Holds = (actual: string, context: RequestContext) => boolean;

function testOf(operator: Operator, matchers: readonly TextMatcher[]): Holds {
  const [first] = matchers;
  if (operator.negated) return (actual, context) => noneMatches(matchers, actual, context, false);
  if (matchers.length === 1 && first !== undefined) return (actual, context) => first(actual, context) === true;
  return (actual, context) => {
    for (const matcher of matchers) if (matcher(actual, context) === true) return true;
    return false;
  };
}

/** False also when a matcher cannot say. `resolvableOnly`: that is the only reason to be false. */
function noneMatches(
  matchers: readonly TextMatcher[],
  actual: string,
  context: RequestContext,
  resolvableOnly: boolean,
): boolean {
  for (const matcher of matchers) {
    const matched = matcher(actual, context);
    if (matched === undefined || (matched && !resolvableOnly)) return false;
  }
  return true;
}

function every(actual: readonly string[], holds: Holds, context: RequestContext): boolean {
  for (const value of actual) if (!holds(value, context)) return false;
  return true;
}

function some(actual: readonly string[], holds: Holds, context: RequestContext): boolean {
  for (const value of actual) if (holds(value, context)) return true;
  return false;
}

/** `Null: {key: "true"}` holds when the key is missing, `"false"` when it is there. */
function compileNull(condition: ParsedCondition, path: string): ConditionTest {
  if (condition.ifExists || condition.qualifier !== null) {
    throw new PolicyError("InvalidCondition", path, "Null takes neither IfExists nor a set operator");
  }
  const { key, values } = condition;
  const folded = values.map((value) => value.toLowerCase());
  if (folded.some((value) => value !== "true" && value !== "false")) {
    throw new PolicyError("InvalidCondition", path, "Null takes true or false");
  }
  const whenMissing = folded.includes("true");
  const whenPresent = folded.includes("false");
  return (context) => (valueOf(context, key) === undefined ? whenMissing : whenPresent);
}
