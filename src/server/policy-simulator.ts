import { compilePolicy } from "../authz/compile.ts";
import { contextKeysOf } from "../authz/context-keys.ts";
import { simulate } from "../authz/simulate.ts";
import type { CompiledPolicy } from "../authz/types.ts";
import { turnByTurn } from "../services/iam/simulation-pace.ts";
import type { PolicySimulator } from "../services/iam/simulator.ts";

/** Documents of a simulation; as long as a request may carry. */
const POLICY_LENGTH_MAX = 131_072;

type Levels = readonly (readonly CompiledPolicy[])[];

/** IAM's simulator with the evaluator that decides requests. */
export const policySimulator = (controlsOf: (accountId: string) => Levels | Promise<Levels>): PolicySimulator => ({
  compile: (document, id, kind) => compilePolicy(document, { id, kind, lengthMax: POLICY_LENGTH_MAX }),
  contextKeysOf,
  simulate,
  nextTurn: turnByTurn(),
  serviceControlsOf: async (accountId) => controlsOf(accountId),
});
