import { OPERATORS, type Operator, type ValueList } from "./operators.ts";
import type { ParsedCondition } from "./parse.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import type { Alternatives, ContextValue, Evaluation } from "./types.ts";

/** One operator on one key with its values, ready to ask. */
export type ConditionTest = (evaluation: Evaluation) => boolean;

export interface ConditionOptions {
  /** Of the statement that the condition stands in. */
  readonly effect: "Allow" | "Deny";
  /** Whether `${…}` has a meaning in this document. */
  readonly variables: boolean;
}

/** An empty list says nothing about its key. */
function presentOf<T extends ContextValue>(value: T | undefined): T | undefined {
  return typeof value === "object" && "length" in value && value.length === 0 ? undefined : value;
}

const isAlternatives = (value: ContextValue | undefined): value is Alternatives =>
  typeof value === "object" && "alternatives" in value;

/**
 * One line of a Condition block. The rules (IAM User Guide, condition operators and multivalued keys):
 * a missing key fails a positive operator and satisfies a negated one; `...IfExists` is satisfied by it; ForAllValues holds
 * for no values, ForAnyValue does not. Values of one key are alternatives, so a negated operator holds if none matches.
 * A variable without a value: that value never matches, and a negated operator does not hold either.
 * Without a qualifier, a key with several values is asked like ForAnyValue, and a negated operator is its complement.
 * Ours: of names that are one key but for case, each is asked by itself; an Allow needs all of them, a Deny one.
 */
export function compileCondition(condition: ParsedCondition, options: ConditionOptions, path: string): ConditionTest {
  if (condition.operator === "Null") return compileNull(condition, path);
  const operator = OPERATORS.get(condition.operator);
  if (operator === undefined) {
    throw new PolicyError("InvalidCondition", path, `${quoted(condition.operator)} is not a condition operator`);
  }
  const { key } = condition;
  const asked = compileQuestion(condition, operator, operator.compile(condition.values, options.variables, path));
  return (evaluation) => {
    const value = evaluation.context.get(key);
    if (!isAlternatives(value)) return asked(presentOf(value), evaluation);
    const holds = (one: Value): boolean => asked(presentOf(one), evaluation);
    return options.effect === "Allow" ? value.alternatives.every(holds) : value.alternatives.some(holds);
  };
}

type Value = string | readonly string[];
type Question = (actual: Value | undefined, evaluation: Evaluation) => boolean;

function compileQuestion(condition: ParsedCondition, operator: Operator, list: ValueList): Question {
  const { qualifier, ifExists } = condition;
  const { negated } = operator;
  // False also for a negated operator when a value cannot be told.
  const holds: Holds = negated
    ? (actual, evaluation) => list.matches(actual, evaluation) === false
    : (actual, evaluation) => list.matches(actual, evaluation) === true;
  switch (qualifier) {
    case "ForAllValues":
      return (actual, evaluation) => {
        if (actual === undefined) return true;
        return typeof actual === "string" ? holds(actual, evaluation) : every(actual, holds, evaluation);
      };
    case "ForAnyValue":
      return (actual, evaluation) => {
        if (actual === undefined) return ifExists;
        return typeof actual === "string" ? holds(actual, evaluation) : some(actual, holds, evaluation);
      };
    default:
      return (actual, evaluation) => {
        // A negated operator without its key holds, but for a variable that cannot be resolved.
        if (actual === undefined) return ifExists || (negated && list.resolvable(evaluation));
        if (typeof actual === "string") return holds(actual, evaluation);
        return negated ? every(actual, holds, evaluation) : some(actual, holds, evaluation);
      };
  }
}

type Holds = (actual: string, evaluation: Evaluation) => boolean;

function every(actual: readonly string[], holds: Holds, evaluation: Evaluation): boolean {
  for (const value of actual) if (evaluation.stepsLeft < 0 || !holds(value, evaluation)) return false;
  return true;
}

function some(actual: readonly string[], holds: Holds, evaluation: Evaluation): boolean {
  for (const value of actual) {
    if (evaluation.stepsLeft < 0) return false;
    if (holds(value, evaluation)) return true;
  }
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
  return ({ context }) => (presentOf(context.get(key)) === undefined ? whenMissing : whenPresent);
}
