import type { Random } from "../../base/random.ts";
import type { KeyMaterials } from "./materials.ts";
import type { KeyPolicies } from "./policy.ts";

/** What the operations work with, made once by api.ts. */
export interface KmsParts {
  readonly policies: KeyPolicies;
  readonly materials: KeyMaterials;
  /** Nonces and identifiers; never keys. */
  readonly random: Random;
}
