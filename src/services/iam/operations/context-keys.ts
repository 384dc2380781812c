import { describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
import { pacedBy, type Pace } from "../simulation-pace.ts";
import { policiesOfSource, sourceAccess, type SourceTarget } from "../simulation-source.ts";
import { contextKeysOfAll, givenPolicies, type PolicySimulator, type SimulatedPolicy } from "../simulator.ts";

const namesIn = async (
  simulator: PolicySimulator,
  policies: readonly SimulatedPolicy[],
  pace: Pace,
): Promise<readonly string[]> => [...(await contextKeysOfAll(simulator, policies, pace)).values()];

export const getContextKeysForCustomPolicy = (
  simulator: PolicySimulator,
): Row<"GetContextKeysForCustomPolicy", null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetContextKeysForCustomPolicy"),
  async handle(_context, input) {
    const pace = pacedBy(() => simulator.nextTurn());
    const given = await givenPolicies(simulator, "PolicyInputList", input.PolicyInputList, pace);
    return { output: { ContextKeyNames: await namesIn(simulator, given, pace) } };
  },
});

export const getContextKeysForPrincipalPolicy = (
  simulator: PolicySimulator,
): Row<"GetContextKeysForPrincipalPolicy", SourceTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: (context, input) => sourceAccess(context, "iam:GetContextKeysForPrincipalPolicy", input.PolicySourceArn),
  async handle({ read }, input, target) {
    const pace = pacedBy(() => simulator.nextTurn());
    const { identity } = await policiesOfSource(read, simulator, target, pace);
    const given = await givenPolicies(simulator, "PolicyInputList", input.PolicyInputList, pace);
    return { output: { ContextKeyNames: await namesIn(simulator, [...identity, ...given], pace) } };
  },
});
