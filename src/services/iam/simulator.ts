/** What the policy simulator is made of: the real evaluator, handed in, and documents with where they come from. */
import type { Simulation } from "../../authz/simulate.ts";
import type { AuthorizationRequest, CompiledPolicy } from "../../authz/types.ts";
import { invalidInput } from "./errors.ts";
import { foldedKey } from "./simulation-context.ts";
import type { Pace } from "./simulation-pace.ts";
import type { PolicySourceType } from "./shapes.generated.ts";

/** Port: the evaluator that decides requests. */
export interface PolicySimulator {
  /** Throws PolicyError when the document is not valid. */
  compile(document: string, id: string, kind: "identity" | "boundary" | "resource"): CompiledPolicy;
  /** The condition keys that a valid document asks for, as written there. */
  contextKeysOf(document: string): readonly string[];
  /** `spend` is told the steps of each part of the work, and may let others go first. */
  simulate(request: AuthorizationRequest, spend: Pace["spend"]): Promise<Simulation>;
  /** When the next slice of a simulation may run (simulation-pace.ts). */
  nextTurn(): Promise<void>;
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

/** Steps of reading and compiling a document, by its characters (measured; a simulation's may have 131,072 of them). */
const COMPILE_STEPS = 8;

export interface PolicySource {
  readonly id: string;
  readonly type: PolicySourceType;
  readonly document: string;
}

/** @throws InvalidInput where the document is not valid: it may be the caller's. */
export async function simulatedPolicy(
  simulator: PolicySimulator,
  source: PolicySource,
  pace: Pace,
  kind: "identity" | "boundary" | "resource" = "identity",
): Promise<SimulatedPolicy> {
  // Before, too: it cannot be divided, and is not to be added to a slice that is nearly used up.
  await pace.spend(source.document.length * COMPILE_STEPS);
  try {
    return { ...source, compiled: simulator.compile(source.document, source.id, kind) };
  } catch (cause) {
    if (!(cause instanceof Error) || cause.name !== "PolicyError") throw cause;
    throw invalidInput(`Invalid policy ${source.id}: ${cause.message}`);
  }
}

/** One after the other, so that others may go first between them. @throws InvalidInput */
export async function simulatedPolicies(
  simulator: PolicySimulator,
  sources: readonly PolicySource[],
  pace: Pace,
  kind: "identity" | "boundary" = "identity",
): Promise<readonly SimulatedPolicy[]> {
  const policies: SimulatedPolicy[] = [];
  for (const source of sources) policies.push(await simulatedPolicy(simulator, source, pace, kind));
  return policies;
}

/** The documents of a list in the request, under the names by which AWS's answers call them: `PolicyInputList.1`. */
export const givenPolicies = (
  simulator: PolicySimulator,
  name: "PolicyInputList" | "PermissionsBoundaryPolicyInputList",
  documents: readonly string[] | undefined,
  pace: Pace,
): Promise<readonly SimulatedPolicy[]> =>
  simulatedPolicies(
    simulator,
    (documents ?? []).map((document, at) => ({ id: `${name}.${at + 1}`, type: "none", document })),
    pace,
    name === "PolicyInputList" ? "identity" : "boundary",
  );

/** The keys of several documents, each once, as the first of them writes it: under the names that the evaluator compares. */
export async function contextKeysOfAll(
  simulator: PolicySimulator,
  policies: readonly SimulatedPolicy[],
  pace: Pace,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for (const { document } of policies) {
    await pace.spend(document.length * COMPILE_STEPS);
    for (const name of simulator.contextKeysOf(document)) {
      const folded = foldedKey(name);
      if (!names.has(folded)) names.set(folded, name);
    }
  }
  return names;
}
