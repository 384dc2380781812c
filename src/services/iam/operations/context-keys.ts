import { describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";
import { policiesOfSource, sourceAccess, type SourceTarget } from "../simulation-source.ts";
import { contextKeysOfAll, givenPolicies, type PolicySimulator, type SimulatedPolicy } from "../simulator.ts";

const namesIn = (simulator: PolicySimulator, policies: readonly SimulatedPolicy[]): readonly string[] => [
  ...contextKeysOfAll(simulator, policies).values(),
];

export const getContextKeysForCustomPolicy = (
  simulator: PolicySimulator,
): Row<"GetContextKeysForCustomPolicy", null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:GetContextKeysForCustomPolicy"),
  async handle(_context, input) {
    const given = givenPolicies(simulator, "PolicyInputList", input.PolicyInputList);
    return { output: { ContextKeyNames: namesIn(simulator, given) } };
  },
});

export const getContextKeysForPrincipalPolicy = (
  simulator: PolicySimulator,
): Row<"GetContextKeysForPrincipalPolicy", SourceTarget> => ({
  event: "management",
  readOnly: true,
  describe,
  access: ({ read }, input) => sourceAccess(read, "iam:GetContextKeysForPrincipalPolicy", input.PolicySourceArn),
  async handle({ read }, input, target) {
    const { identity } = await policiesOfSource(read, simulator, target);
    const given = givenPolicies(simulator, "PolicyInputList", input.PolicyInputList);
    return { output: { ContextKeyNames: namesIn(simulator, [...identity, ...given]) } };
  },
});
