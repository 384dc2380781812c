/** IAM's policy simulator: the evaluator that decides requests, asked about requests that nobody makes. */
import type { AuthorizationPrincipal } from "../../../authz/types.ts";
import { accountRootArn, parseArn } from "../../../base/arn.ts";
import { invalidInput } from "../errors.ts";
import { describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
import { pacedBy, type Pace } from "../simulation-pace.ts";
import { simulationContext } from "../simulation-context.ts";
import { simulateAll } from "../simulation-results.ts";
import { policiesOfSource, sourceAccess, type SourceTarget } from "../simulation-source.ts";
import { givenPolicies, simulatedPolicy, type PolicySimulator, type SimulatedPolicy } from "../simulator.ts";
import type { SimulateCustomPolicyRequest } from "../shapes.generated.ts";

/** What both operations take. */
type Input = Omit<SimulateCustomPolicyRequest, "PolicyInputList">;

const ALL_RESOURCES: readonly string[] = ["*"];
const USER = /^user\/(?:[!-~]+\/)?[\w+=,.@-]{1,64}$/;

/** Who asks where nobody is named: somebody of the account, of whom nothing is known. */
const somebodyOf = (accountId: string): AuthorizationPrincipal => ({
  type: "User",
  arn: `arn:aws:iam::${accountId}:user/`,
  accountId,
  userId: "",
});

export const simulateCustomPolicy = (simulator: PolicySimulator): Row<"SimulateCustomPolicy", null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:SimulateCustomPolicy"),
  async handle({ call }, input) {
    const caller = callerOf(input);
    const given = caller ?? somebodyOf(call.principal.accountId);
    const pace = pacedBy(() => simulator.nextTurn());
    const output = await simulateAll(
      simulator,
      {
        ...(await scenarioOf(simulator, input, caller, given, pace)),
        identity: await givenPolicies(simulator, "PolicyInputList", input.PolicyInputList, pace),
        boundary: await boundaryOf(simulator, input, pace),
        serviceControls: [],
      },
      input,
      pace,
    );
    return { output };
  },
});

export const simulatePrincipalPolicy = (simulator: PolicySimulator): Row<"SimulatePrincipalPolicy", SourceTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: (context, input) => sourceAccess(context, "iam:SimulatePrincipalPolicy", input.PolicySourceArn),
  async handle({ call, read }, input, target) {
    const pace = pacedBy(() => simulator.nextTurn());
    const source = await policiesOfSource(read, simulator, target, pace);
    // A role or a group is not who a resource's policy can name in a simulation.
    const caller = callerOf(input) ?? (target.type === "user" ? source.principal : null);
    const principal = caller ?? source.principal ?? somebodyOf(call.principal.accountId);
    const given = await givenPolicies(simulator, "PolicyInputList", input.PolicyInputList, pace);
    const output = await simulateAll(
      simulator,
      {
        ...(await scenarioOf(simulator, input, caller, principal, pace)),
        identity: [...source.identity, ...given],
        boundary: (await boundaryOf(simulator, input, pace)) ?? source.boundary,
        // Of the policies' account, which is the caller's own: a CallerArn may name any account, and asks with these policies
        // (IAM API Reference, CallerArn: "as if Bob had David's policies").
        serviceControls: await simulator.serviceControlsOf(call.principal.accountId),
      },
      input,
      pace,
    );
    return { output };
  },
});

/** `caller`: null when nobody is named who could stand in a resource's policy. */
async function scenarioOf(
  simulator: PolicySimulator,
  input: Input,
  caller: AuthorizationPrincipal | null,
  principal: AuthorizationPrincipal,
  pace: Pace,
) {
  if (input.ResourcePolicy !== undefined && caller === null) {
    throw invalidInput("CallerArn is required with a ResourcePolicy unless the policy source is a user.");
  }
  const named = principal.userId === "" && caller === null ? null : principal;
  return {
    principal,
    resourcePolicy: await resourcePolicyOf(simulator, input.ResourcePolicy, pace),
    context: simulationContext(named, input.ContextEntries),
    resourceOwner: ownerOf(input.ResourceOwner) ?? principal.accountId,
    actions: input.ActionNames,
    resources: input.ResourceArns === undefined || input.ResourceArns.length === 0 ? ALL_RESOURCES : input.ResourceArns,
  };
}

const resourcePolicyOf = async (
  simulator: PolicySimulator,
  document: string | undefined,
  pace: Pace,
): Promise<SimulatedPolicy | null> =>
  document === undefined
    ? null
    : await simulatedPolicy(simulator, { id: "ResourcePolicy", type: "resource", document }, pace, "resource");

/** It takes the place of the boundary that the principal has. */
async function boundaryOf(simulator: PolicySimulator, input: Input, pace: Pace): Promise<SimulatedPolicy | null> {
  const given = await givenPolicies(
    simulator,
    "PermissionsBoundaryPolicyInputList",
    input.PermissionsBoundaryPolicyInputList,
    pace,
  );
  if (given.length > 1) throw invalidInput("Only one permissions boundary can be simulated.");
  return given[0] ?? null;
}

/** Only users can be simulated as callers (IAM API Reference, CallerArn). */
function callerOf({ CallerArn: arn }: Input): AuthorizationPrincipal | null {
  if (arn === undefined) return null;
  const parsed = parseArn(arn);
  if (parsed === null || parsed.service !== "iam" || parsed.region !== "" || !USER.test(parsed.resource)) {
    throw invalidInput(`Invalid CallerArn: ${arn} is not the ARN of an IAM user.`);
  }
  return { type: "User", arn, accountId: parsed.accountId, userId: "" };
}

function ownerOf(owner: string | undefined): string | null {
  if (owner === undefined) return null;
  const accountId = /^\d{12}$/.test(owner) ? owner : (parseArn(owner)?.accountId ?? "");
  if (owner !== accountId && owner !== accountRootArn(accountId)) {
    throw invalidInput(`Invalid ResourceOwner: ${owner} is not the ARN of an account.`);
  }
  return accountId;
}
