import { compileActions, compileResources } from "./actions-and-resources.ts";
import { compileCondition, type ConditionTest } from "./conditions.ts";
import { parsePolicy, type ParsedStatement, type PolicyOptions } from "./parse.ts";
import { charge, settled, STATEMENT_STEPS } from "./evaluation.ts";
import { bindPrincipals, matchNotPrincipal, matchPrincipal, namesIn, type PrincipalIds } from "./principals.ts";
import type { AuthorizationRequest, CompiledPolicy, CompiledStatement, Evaluation, PrincipalMatch } from "./types.ts";

/**
 * Checks a policy document and compiles it to closures: everything that can be wrong with a document is found here, so
 * that evaluating it cannot fail. `ids`: what the principals that it names were bound to when it was stored.
 * @throws PolicyError
 */
export function compilePolicy(document: string, options: PolicyOptions, ids: PrincipalIds = {}): CompiledPolicy {
  const policy = parsePolicy(document, options);
  // Before version 2012-10-17 the language had no variables; `${…}` is plain text there.
  const variables = policy.version === "2012-10-17";
  return {
    id: options.id,
    statements: policy.statements.map((statement) => compileStatement(statement, variables, ids)),
    principals: [...new Set(policy.statements.flatMap(({ principals }) => namesIn(principals?.set ?? null)))],
    principalIds: ids,
  };
}

function compileStatement(statement: ParsedStatement, variables: boolean, ids: PrincipalIds): CompiledStatement {
  const { index, sid, effect, resources } = statement;
  const path = `Statement[${index}]`;
  const coversAction = compileActions(statement.actions, `${path}.Action`);
  const coversResource = resources === null ? null : compileResources(resources, variables, `${path}.Resource`);
  const conditions = statement.conditions.map((condition) =>
    compileCondition(condition, { effect, variables }, `${path}.Condition.${condition.operator}`),
  );
  return {
    sid,
    index,
    effect,
    matchesPrincipal: compilePrincipals(statement.principals, ids),
    matches: (evaluation) =>
      settled(charge(evaluation, STATEMENT_STEPS) && coversAction(evaluation.action, evaluation), evaluation, effect) &&
      (coversResource === null ||
        settled(coversResource(evaluation.request.resource, evaluation), evaluation, effect)) &&
      allHold(conditions, evaluation, effect),
  };
}

function allHold(conditions: readonly ConditionTest[], evaluation: Evaluation, effect: "Allow" | "Deny"): boolean {
  for (const holds of conditions) {
    if (!settled(charge(evaluation, STATEMENT_STEPS) && holds(evaluation), evaluation, effect)) return false;
  }
  return true;
}

function compilePrincipals(
  principals: ParsedStatement["principals"],
  ids: PrincipalIds,
): (request: AuthorizationRequest) => PrincipalMatch {
  if (principals === null) return () => "exact";
  const { negated } = principals;
  const set = bindPrincipals(principals.set, ids);
  return negated ? (request) => matchNotPrincipal(set, request) : (request) => matchPrincipal(set, request.principal);
}
