import { compileActions, compileResources } from "./actions-and-resources.ts";
import { compileCondition, type ConditionTest } from "./conditions.ts";
import { parsePolicy, type ParsedStatement, type PolicyOptions } from "./parse.ts";
import { matchNotPrincipal, matchPrincipal } from "./principals.ts";
import type { AuthorizationRequest, CompiledPolicy, CompiledStatement, PrincipalMatch } from "./types.ts";

/**
 * Checks a policy document and compiles it to closures: everything that can be wrong with a document is found here, so
 * that evaluating it cannot fail.
 * @throws PolicyError
 */
export function compilePolicy(document: string, options: PolicyOptions): CompiledPolicy {
  const policy = parsePolicy(document, options);
  // Before version 2012-10-17 the language had no variables; `${…}` is plain text there.
  const variables = policy.version === "2012-10-17";
  return { id: options.id, statements: policy.statements.map((statement) => compileStatement(statement, variables)) };
}

function compileStatement(statement: ParsedStatement, variables: boolean): CompiledStatement {
  const { index, sid, effect, resources } = statement;
  const path = `Statement[${index}]`;
  const coversAction = compileActions(statement.actions, `${path}.Action`);
  const coversResource = resources === null ? null : compileResources(resources, variables, `${path}.Resource`);
  const conditions = statement.conditions.map((condition) =>
    compileCondition(condition, variables, `${path}.Condition.${condition.operator}`),
  );
  return {
    sid,
    index,
    effect,
    matchesPrincipal: compilePrincipals(statement.principals),
    matches: (request) =>
      coversAction(request.action.toLowerCase(), request.context) &&
      (coversResource === null || coversResource(request.resource, request.context)) &&
      allHold(conditions, request),
  };
}

function allHold(conditions: readonly ConditionTest[], request: AuthorizationRequest): boolean {
  for (const holds of conditions) if (!holds(request.context)) return false;
  return true;
}

function compilePrincipals(
  principals: ParsedStatement["principals"],
): (request: AuthorizationRequest) => PrincipalMatch {
  if (principals === null) return () => "exact";
  const { negated, set } = principals;
  return negated ? (request) => matchNotPrincipal(set, request) : (request) => matchPrincipal(set, request.principal);
}
