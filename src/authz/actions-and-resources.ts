import { PolicyError, quoted } from "./policy-error.ts";
import { compileTemplate, parseTemplate, type TextMatcher } from "./template.ts";
import type { Evaluation } from "./types.ts";

/** Do the listed patterns, or with `negated` none of them, cover the text? */
export type ListMatcher = (text: string, evaluation: Evaluation) => boolean;

/** `*`, or a service's prefix, a colon and the name of an action, with wildcards. */
const ACTION = /^(\*|[A-Za-z0-9-]+):[A-Za-z0-9*?_-]+$/;
const ARN_COLON_COUNT = 5;

/** Patterns are lower-cased, because actions are not case-sensitive: the text to ask about has to be, too. */
export function compileActions(
  actions: { readonly negated: boolean; readonly patterns: readonly string[] },
  path: string,
): ListMatcher {
  const matchers = actions.patterns.map((pattern, at) => {
    if (pattern !== "*" && !ACTION.test(pattern)) {
      throw new PolicyError("InvalidAction", `${path}[${at}]`, `${quoted(pattern)} is not "*" or service:action`);
    }
    return compileTemplate(parseTemplate(pattern.toLowerCase(), { variables: false, wildcards: true }, path));
  });
  return compileList(matchers, actions.negated);
}

/** @throws PolicyError `InvalidResource` or `InvalidVariable` */
export function compileResources(
  resources: { readonly negated: boolean; readonly patterns: readonly string[] },
  variables: boolean,
  path: string,
): ListMatcher {
  const matchers = resources.patterns.map((pattern, at) => {
    const template = parseTemplate(pattern, { variables, wildcards: true }, `${path}[${at}]`);
    if (pattern !== "*" && !hasArnForm(variables ? withoutVariables(pattern) : pattern)) {
      throw new PolicyError("InvalidResource", `${path}[${at}]`, `${quoted(pattern)} is not "*" or an ARN`);
    }
    return compileTemplate(template);
  });
  return compileList(matchers, resources.negated);
}

/** Six segments, or fewer with a `*`, which spans colons and slashes, so that `arn:aws:kms:*` is complete. */
function hasArnForm(pattern: string): boolean {
  if (!pattern.startsWith("arn:")) return false;
  return pattern.includes("*") || pattern.split(":").length > ARN_COLON_COUNT;
}

/** Variables hold colons of their own. They are known to be closed. */
function withoutVariables(pattern: string): string {
  return pattern.replaceAll(/\$\{[^}]*\}/g, "");
}

/**
 * A pattern with a variable that has no value matches nothing. In a negated list it makes the whole list match nothing:
 * a statement must not reach further because a value is missing.
 */
function compileList(matchers: readonly TextMatcher[], negated: boolean): ListMatcher {
  const [first] = matchers;
  if (negated) {
    return (text, evaluation) => {
      for (const matcher of matchers) if (matcher(text, evaluation) !== false) return false;
      return true;
    };
  }
  if (matchers.length === 1 && first !== undefined) return (text, evaluation) => first(text, evaluation) === true;
  return (text, evaluation) => {
    for (const matcher of matchers) if (matcher(text, evaluation) === true) return true;
    return false;
  };
}
