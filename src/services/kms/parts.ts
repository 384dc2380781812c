import type { Random } from "../../base/random.ts";
import type { KeyWorkers } from "../../crypto/asymmetric/key-workers.ts";
import type { KeyMaterials } from "./materials.ts";
import type { KeyPolicies } from "./policy.ts";

/** What the operations work with, made once by api.ts. */
export interface KmsParts {
  readonly policies: KeyPolicies;
  readonly materials: KeyMaterials;
  readonly keyWorkers: KeyWorkers;
  /** Nonces and identifiers; never keys. */
  readonly random: Random;
}
