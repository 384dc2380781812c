import type { AuditLog } from "../../audit/log.ts";
import type { Random } from "../../base/random.ts";
import type { KeyWorkers } from "../../crypto/asymmetric/key-workers.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import type { PrincipalDirectory, QuotaValues } from "../../gateway/contract.ts";
import type { HeaderStarts } from "./ciphertext.ts";
import type { KeyCounts } from "./key-counts.ts";
import type { LastUsage } from "./last-usage.ts";
import type { ImportTokens } from "./import-token.ts";
import type { KeyMaterials } from "./materials.ts";
import type { KeyPolicies } from "./policy.ts";

/** What the operations work with, made once by api.ts. */
export interface KmsParts {
  readonly policies: KeyPolicies;
  /** For grants. */
  readonly principals: PrincipalDirectory;
  readonly materials: KeyMaterials;
  readonly headerStarts: HeaderStarts;
  readonly keyWorkers: KeyWorkers;
  /** For what KMS does by itself in the course of an operation; the operation's own event is the gateway's. */
  readonly auditLog: Pick<AuditLog, "entry">;
  readonly importTokens: ImportTokens;
  /** For grant tokens. */
  readonly secretBox: SecretBox;
  /** That this server answers for: where replicas can be. */
  readonly regions: readonly string[];
  /** How many of what there may be. */
  readonly quotas: QuotaValues;
  readonly keyCounts: KeyCounts;
  readonly lastUsage: LastUsage;
  /** Nonces and identifiers; never keys. */
  readonly random: Random;
}
