/** What the policy simulator is made of: the real evaluator, handed in, and documents with where they come from. */
import type { Simulation } from "../../authz/simulate.ts";
import type { AuthorizationRequest, CompiledPolicy } from "../../authz/types.ts";
import { invalidInput } from "./errors.ts";
import type { PolicySourceType } from "./shapes.generated.ts";

/** Port: the evaluator that decides requests. */
export interface PolicySimulator {
  /** Throws PolicyError when the document is not valid. */
  compile(document: string, id: string, kind: "identity" | "boundary" | "resource"): CompiledPolicy;
  /** The condition keys that a valid document asks for, as written there. */
  contextKeysOf(document: string): readonly string[];
  simulate(request: AuthorizationRequest): Simulation;
  /** The service control policies in force for an account; none for accounts outside of an organization. */
  serviceControlsOf(accountId: string): Promise<readonly (readonly CompiledPolicy[])[]>;
}

/** A policy that takes part in a simulation. */
export interface SimulatedPolicy {
  readonly id: string;
  readonly type: PolicySourceType;
  readonly document: string;
  readonly compiled: CompiledPolicy;
}

interface Source {
  readonly id: string;
  readonly type: PolicySourceType;
  readonly document: string;
}

/** @throws InvalidInput where the document is not valid: it may be the caller's. */
export function simulatedPolicy(
  simulator: PolicySimulator,
  source: Source,
  kind: "identity" | "boundary" | "resource" = "identity",
): SimulatedPolicy {
  try {
    return { ...source, compiled: simulator.compile(source.document, source.id, kind) };
  } catch (cause) {
    if (!(cause instanceof Error) || cause.name !== "PolicyError") throw cause;
    throw invalidInput(`Invalid policy ${source.id}: ${cause.message}`);
  }
}

/** The documents of a list in the request, under the names by which AWS's answers call them: `PolicyInputList.1`. */
export const givenPolicies = (
  simulator: PolicySimulator,
  name: "PolicyInputList" | "PermissionsBoundaryPolicyInputList",
  documents: readonly string[] | undefined,
): readonly SimulatedPolicy[] =>
  (documents ?? []).map((document, at) =>
    simulatedPolicy(
      simulator,
      { id: `${name}.${at + 1}`, type: "none", document },
      name === "PolicyInputList" ? "identity" : "boundary",
    ),
  );

/** The keys of several documents, each once, as the first of them writes it. */
export function contextKeysOfAll(
  simulator: PolicySimulator,
  policies: readonly SimulatedPolicy[],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { document } of policies) {
    for (const name of simulator.contextKeysOf(document)) {
      const folded = name.toLowerCase();
      if (!names.has(folded)) names.set(folded, name);
    }
  }
  return names;
}
