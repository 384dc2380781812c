/** IAM's policy simulator: the evaluator that decides requests, asked about requests that nobody makes. */
import type { AuthorizationPrincipal } from "../../../authz/types.ts";
import { accountRootArn, parseArn } from "../../../base/arn.ts";
import { invalidInput } from "../errors.ts";
import { describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
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
    const output = simulateAll(
      simulator,
      {
        ...scenarioOf(simulator, input, caller, given),
        identity: givenPolicies(simulator, "PolicyInputList", input.PolicyInputList),
        boundary: boundaryOf(simulator, input),
        serviceControls: [],
      },
      input,
    );
    return { output };
  },
});

export const simulatePrincipalPolicy = (simulator: PolicySimulator): Row<"SimulatePrincipalPolicy", SourceTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: ({ read }, input) => sourceAccess(read, "iam:SimulatePrincipalPolicy", input.PolicySourceArn),
  async handle({ call, read }, input, target) {
    const source = await policiesOfSource(read, simulator, target);
    // A role or a group is not who a resource's policy can name in a simulation.
    const caller = callerOf(input) ?? (target.type === "user" ? source.principal : null);
    const principal = caller ?? source.principal ?? somebodyOf(call.principal.accountId);
    const output = simulateAll(
      simulator,
      {
        ...scenarioOf(simulator, input, caller, principal),
        identity: [...source.identity, ...givenPolicies(simulator, "PolicyInputList", input.PolicyInputList)],
        boundary: boundaryOf(simulator, input) ?? source.boundary,
        serviceControls: await simulator.serviceControlsOf(principal.accountId),
      },
      input,
    );
    return { output };
  },
});

/** `caller`: null when nobody is named who could stand in a resource's policy. */
function scenarioOf(
  simulator: PolicySimulator,
  input: Input,
  caller: AuthorizationPrincipal | null,
  principal: AuthorizationPrincipal,
) {
  if (input.ResourcePolicy !== undefined && caller === null) {
    throw invalidInput("CallerArn is required with a ResourcePolicy unless the policy source is a user.");
  }
  const named = principal.userId === "" && caller === null ? null : principal;
  return {
    principal,
    resourcePolicy: resourcePolicyOf(simulator, input.ResourcePolicy),
    context: simulationContext(named, input.ContextEntries),
    resourceOwner: ownerOf(input.ResourceOwner) ?? principal.accountId,
    actions: input.ActionNames,
    resources: input.ResourceArns === undefined || input.ResourceArns.length === 0 ? ALL_RESOURCES : input.ResourceArns,
  };
}

const resourcePolicyOf = (simulator: PolicySimulator, document: string | undefined): SimulatedPolicy | null =>
  document === undefined
    ? null
    : simulatedPolicy(simulator, { id: "ResourcePolicy", type: "resource", document }, "resource");

/** It takes the place of the boundary that the principal has. */
function boundaryOf(simulator: PolicySimulator, input: Input): SimulatedPolicy | null {
  const given = givenPolicies(
    simulator,
    "PermissionsBoundaryPolicyInputList",
    input.PermissionsBoundaryPolicyInputList,
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
