/** What a simulation answers for each pair of an action and a resource, as AWS writes it. */
import type { MatchedStatement, Simulation } from "../../authz/simulate.ts";
import type { AuthorizationPrincipal, AuthorizationRequest, CompiledPolicy, ContextValue } from "../../authz/types.ts";
import { parseArn } from "../../base/arn.ts";
import { invalidInput } from "./errors.ts";
import { decodeMarker, encodeMarker, pageCount } from "./pagination.ts";
import type { Pace } from "./simulation-pace.ts";
import { contextKeysOfAll, type PolicySimulator, type SimulatedPolicy } from "./simulator.ts";
import type { EvaluationResult, SimulatePolicyResponse, Statement } from "./shapes.generated.ts";
import { statementPositions, type StatementPosition } from "./statement-positions.ts";

/** All that is the same for every pair. */
export interface Scenario {
  readonly principal: AuthorizationPrincipal;
  readonly identity: readonly SimulatedPolicy[];
  readonly boundary: SimulatedPolicy | null;
  readonly resourcePolicy: SimulatedPolicy | null;
  readonly serviceControls: readonly (readonly CompiledPolicy[])[];
  readonly context: ReadonlyMap<string, ContextValue>;
  /** Owns resources whose ARN names no account. */
  readonly resourceOwner: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/** The work of one call, by evaluation.ts: a page ends early when it is used up, and says that there is more. */
const STEPS_PER_CALL_MAX = 4_000_000;
/** Of a pair, and of a statement or key that its result names, beside what the evaluator says. */
const [PAIR_STEPS, NAMED_STEPS] = [200, 64];
/** A page ends also when its answer has grown to this; a single result is smaller or is a page of its own. */
const PAGE_BYTES_MAX = 1_048_576;
/** The tags of one result, of a statement and of a key's name in XML, rounded up. */
const [RESULT_BYTES, STATEMENT_BYTES, NAME_BYTES] = [1_200, 300, 20];
const ACTION = /^[A-Za-z0-9-]+:[A-Za-z0-9_-]+$/;
const ACCOUNT_ID = /^\d{12}$/;

/** @throws InvalidInput, ValidationError */
export async function simulateAll(
  simulator: PolicySimulator,
  scenario: Scenario,
  page: { readonly Marker?: string | undefined; readonly MaxItems?: number | undefined },
  pace: Pace,
): Promise<SimulatePolicyResponse> {
  const { actions, resources } = scenario;
  for (const action of actions) {
    if (!ACTION.test(action)) throw invalidInput(`Invalid Action: ${action} is not in the form service:action.`);
  }
  for (const resource of resources) {
    if (resource !== "*" && parseArn(resource) === null) throw invalidInput(`Invalid Resource ARN: ${resource}`);
  }
  const pairCount = actions.length * resources.length;
  const first = firstPair(page, pairCount);
  const countMax = pageCount(page);
  const describeMatched = describer(scenario);
  const names = await contextKeysOfAll(simulator, policiesOf(scenario), pace);
  const EvaluationResults: EvaluationResult[] = [];
  const stepsMax = pace.used() + STEPS_PER_CALL_MAX;
  let bytes = 0;
  let next = first;
  const isFull = (): boolean =>
    EvaluationResults.length === countMax || bytes >= PAGE_BYTES_MAX || pace.used() >= stepsMax;
  for (; next < pairCount && !isFull(); next++) {
    const action = actions[Math.floor(next / resources.length)] ?? "";
    const resource = resources[next % resources.length] ?? "*";
    const request = requestOf(scenario, action, resource);
    const simulation = await simulator.simulate(request, pace.spend);
    const missing = simulation.missingKeys.flatMap((key) => names.get(key) ?? []);
    const result = resultOf(request, simulation, simulation.matched.map(describeMatched), missing);
    EvaluationResults.push(result);
    bytes += bytesOf(result);
    await pace.spend(PAIR_STEPS + NAMED_STEPS * (missing.length + simulation.matched.length));
  }
  return next < pairCount
    ? { EvaluationResults, IsTruncated: true, Marker: encodeMarker(String(next)) }
    : { EvaluationResults, IsTruncated: false };
}

function firstPair(page: { readonly Marker?: string | undefined }, pairCount: number): number {
  const marker = decodeMarker(page);
  if (marker === null) return 0;
  if (!/^\d{1,9}$/.test(marker) || Number(marker) >= pairCount) {
    throw invalidInput("The specified value for Marker is not valid.");
  }
  return Number(marker);
}

const policiesOf = ({ identity, boundary, resourcePolicy }: Scenario): readonly SimulatedPolicy[] => [
  ...identity,
  ...(resourcePolicy === null ? [] : [resourcePolicy]),
  ...(boundary === null ? [] : [boundary]),
];

function requestOf(scenario: Scenario, action: string, resource: string): AuthorizationRequest {
  const accountId = parseArn(resource)?.accountId ?? "";
  const { principal, resourcePolicy } = scenario;
  const owner = ACCOUNT_ID.test(accountId) ? accountId : scenario.resourceOwner;
  return {
    principal,
    action,
    resource,
    // Whose the resource is matters beside its policy only (IAM API Reference, ResourceOwner).
    resourceAccountId: resourcePolicy === null ? principal.accountId : owner,
    identityPolicies: scenario.identity.map(({ compiled }) => compiled),
    boundary: scenario.boundary?.compiled ?? null,
    sessionPolicies: null,
    serviceControlPolicies: scenario.serviceControls,
    resourcePolicy: resourcePolicy?.compiled ?? null,
    // A key's policy decides alone whether IAM policies count.
    resourcePolicyMode: resourcePolicy !== null && /^kms:/i.test(action) ? "required" : "optional",
    context: scenario.context,
  };
}

/** Statements of policies that the caller can see; those of service control policies are not among them. */
function describer(scenario: Scenario): (matched: MatchedStatement) => Statement {
  const policies = new Map(policiesOf(scenario).map((policy) => [policy.compiled, policy]));
  const positions = new Map<CompiledPolicy, readonly StatementPosition[]>();
  return ({ policy, index }) => {
    const source = policies.get(policy);
    if (source === undefined) return { SourcePolicyId: "OrganizationsPolicy", SourcePolicyType: "none" };
    const known = positions.get(policy) ?? statementPositions(source.document);
    positions.set(policy, known);
    const position = known[index];
    return {
      SourcePolicyId: source.id,
      SourcePolicyType: source.type,
      ...(position === undefined ? {} : { StartPosition: position.start, EndPosition: position.end }),
    };
  };
}

function resultOf(
  { action, resource, principal, resourceAccountId }: AuthorizationRequest,
  simulation: Simulation,
  MatchedStatements: readonly Statement[],
  MissingContextValues: readonly string[],
): EvaluationResult {
  const { decision, allowedByBoundary, allowedByServiceControls } = simulation;
  const verdict = decision.allowed ? "allowed" : decision.reason === "explicit" ? "explicitDeny" : "implicitDeny";
  const boundary =
    allowedByBoundary === null
      ? {}
      : { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: allowedByBoundary } };
  const details =
    principal.accountId === resourceAccountId
      ? {}
      : { "IAM Policy": simulation.identity, "Resource Policy": simulation.resource };
  return {
    EvalActionName: action,
    EvalResourceName: resource,
    EvalDecision: verdict,
    MatchedStatements,
    MissingContextValues,
    ...(allowedByServiceControls === null
      ? {}
      : { OrganizationsDecisionDetail: { AllowedByOrganizations: allowedByServiceControls } }),
    ...boundary,
    // With a resource, but not with all of them (IAM API Reference, EvaluationResult).
    ...(resource === "*"
      ? {}
      : {
          EvalDecisionDetails: details,
          ResourceSpecificResults: [
            {
              EvalResourceName: resource,
              EvalResourceDecision: verdict,
              MatchedStatements,
              MissingContextValues,
              EvalDecisionDetails: details,
              ...boundary,
            },
          ],
        }),
  };
}

/** About as long as the result is in the answer, where names may need escapes of six characters. */
function bytesOf({
  EvalActionName,
  EvalResourceName = "",
  MatchedStatements,
  MissingContextValues,
}: EvaluationResult): number {
  let repeated = textBytes(EvalResourceName);
  for (const { SourcePolicyId = "" } of MatchedStatements ?? [])
    repeated += STATEMENT_BYTES + textBytes(SourcePolicyId);
  for (const name of MissingContextValues ?? []) repeated += NAME_BYTES + textBytes(name);
  // Once for the result, once for its resource.
  return RESULT_BYTES + EvalActionName.length + 2 * repeated;
}

const textBytes = (text: string): number => Buffer.byteLength(text) + 5 * (text.match(/[<>&"'\t\r\n]/g)?.length ?? 0);
