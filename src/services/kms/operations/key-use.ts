import type { ContextValues } from "../../../authz/types.ts";
import { wipe } from "../../../crypto/wipe.ts";
import type { AuditDetails, Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { type KeyUse, auditedKeys, keyAccess } from "../access.ts";
import { type EncryptionContext, contextConditions, requireCanonical } from "../encryption-context.ts";
import { dryRunSucceeded, incompatibleAlgorithm } from "../errors.ts";
import { type SpecFacts, factsOf, isPairSpec } from "../key-specs.ts";
import { type KeyOperationName, requireState, requireUsage } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import { type KeyForms, type NamedKey, recordOf, resolveKey } from "../resolve.ts";
import type { KeyUsageType } from "../shapes.generated.ts";

/** What the requests of cryptographic operations have in common. */
export interface KeyUseInput {
  readonly KeyId: string;
  readonly EncryptionContext?: EncryptionContext | undefined;
  readonly GrantTokens?: readonly string[] | undefined;
  readonly DryRun?: boolean | undefined;
}

/** The kinds of algorithms, by their member in the facts of a key spec. */
export type AlgorithmKind = keyof Pick<SpecFacts, "encryption" | "signing" | "mac" | "agreement" | "encapsulation">;

/** The condition key that sees the algorithm of a request. There is none for key encapsulation. */
const ALGORITHM_CONDITIONS: Readonly<Record<AlgorithmKind, string | null>> = {
  encryption: "kms:EncryptionAlgorithm",
  signing: "kms:SigningAlgorithm",
  mac: "kms:MacAlgorithm",
  agreement: "kms:KeyAgreementAlgorithm",
  encapsulation: null,
};

/** What an operation demands of a key, beside its state. */
export interface Demand {
  readonly usage: KeyUsageType;
  readonly kind: AlgorithmKind;
}

export const ENCRYPTS: Demand = { usage: "ENCRYPT_DECRYPT", kind: "encryption" };
export const SIGNS: Demand = { usage: "SIGN_VERIFY", kind: "signing" };
export const AUTHENTICATES: Demand = { usage: "GENERATE_VERIFY_MAC", kind: "mac" };
export const AGREES: Demand = { usage: "KEY_AGREEMENT", kind: "agreement" };
export const ENCAPSULATES: Demand = { usage: "ENCAPSULATE_DECAPSULATE", kind: "encapsulation" };

/** Throws what AWS answers unless a key in this state, for this usage and of this spec can do it. */
export function requireUsable(
  key: KeyRecord,
  operation: KeyOperationName,
  nowMs: number,
  demand: Demand,
  algorithm: string,
): void {
  requireState(key, operation, nowMs);
  requireUsage(key, operation, demand.usage);
  const algorithms: readonly string[] | undefined = factsOf(key.keySpec)[demand.kind];
  if (algorithms === undefined || !algorithms.includes(algorithm)) throw incompatibleAlgorithm(algorithm, key.keySpec);
}

/** How a request means to use a key, with its algorithm, for conditions and grants. */
export function useOf(
  demand: Demand,
  algorithm: string,
  input: Pick<KeyUseInput, "EncryptionContext" | "GrantTokens">,
  others?: () => ContextValues,
): KeyUse {
  const conditionKey = ALGORITHM_CONDITIONS[demand.kind];
  return {
    conditions: () => ({
      ...(conditionKey === null ? {} : { [conditionKey]: algorithm }),
      ...contextConditions(input.EncryptionContext),
      ...others?.(),
    }),
    encryptionContext: input.EncryptionContext,
    grantTokens: input.GrantTokens,
  };
}

/** What a use of a key answers. */
export interface KeyUseResult<Output> {
  readonly output: Output;
  readonly writes?: readonly Write[];
  /** For the event; of symmetric keys alone. The materials of others have no name outside. */
  readonly materialId?: string | undefined;
}

/** An operation with the material of one key that the request names. */
export interface KeyUseRow<Input extends KeyUseInput, Output extends object> {
  readonly name: KeyOperationName;
  readonly demand: Demand;
  /** The algorithm that the request names or means. */
  readonly algorithm: (input: Input) => string;
  /** First use of an AWS managed key's alias creates the key. */
  readonly createsManaged?: boolean;
  /** The event's request parameters beside key, encryption context and DryRun. */
  readonly describe: (input: Input) => Readonly<Record<string, unknown>>;
  /** What can be refused without knowing the key. Throws. */
  readonly requireInput?: (input: Input) => void;
  /** Condition keys beside the algorithm's and the encryption context's. */
  readonly conditions?: (input: Input) => ContextValues;
  /** What only this operation asks of key and input, once the key is usable. Throws. */
  readonly check?: (input: Input, key: KeyRecord) => void;
  /** Whether it would succeed shows only by doing it: a dry run does it too, and throws the answer away. */
  readonly triedInDryRun?: boolean;
  readonly handle: (
    context: OperationContext,
    input: Input,
    key: KeyRecord,
    named: NamedKey,
  ) => Promise<KeyUseResult<Output>> | KeyUseResult<Output>;
}

/** Makes an operation of its row: find the key, ask for permission, check, do it (unless it is a dry run), write it down. */
export function keyUse<Input extends KeyUseInput, Output extends object>(
  kms: KmsParts,
  row: KeyUseRow<Input, Output>,
): Operation<Input, Output, NamedKey> {
  const action = `kms:${row.name}`;
  const forms: KeyForms = { aliases: true, crossAccount: true, createsManaged: row.createsManaged ?? false };
  return {
    event: "management",
    readOnly: true,
    describe: (input) => describeUse(input.KeyId, input.EncryptionContext, row.describe(input), input.DryRun),

    async access(context, input) {
      row.requireInput?.(input);
      requireCanonical(input.EncryptionContext);
      const target = await resolveKey(kms, context, input.KeyId, forms);
      const use = useOf(row.demand, row.algorithm(input), input, () => row.conditions?.(input) ?? {});
      return { checks: [keyAccess(kms, context, target, action, use)], target };
    },

    check({ call }, input, target) {
      const key = recordOf(target, action);
      requireUsable(key, row.name, call.nowMs, row.demand, row.algorithm(input));
      row.check?.(input, key);
    },

    async handle(context, input, target): Promise<Outcome<Output>> {
      const key = recordOf(target, action);
      if (input.DryRun && !row.triedInDryRun) throw dryRunSucceeded();
      if (isPairSpec(key.keySpec)) context.willWait?.();
      const { output, writes, materialId } = await row.handle(context, input, key, target);
      if (input.DryRun) {
        wipe(...Object.values(output).filter((member) => member instanceof Uint8Array));
        throw dryRunSucceeded();
      }
      return { output, writes, audit: usedMaterial(key, materialId) };
    },
  };
}

/** What the event of a use of key material says beside its request parameters. */
export const usedMaterial = (key: KeyRecord, materialId: string | undefined): AuditDetails => ({
  resources: auditedKeys(key).resources,
  additionalEventData: materialId === undefined ? undefined : { keyMaterialId: materialId },
});

/** Request parameters as the trail keeps them: never plaintexts, messages, ciphertexts or signatures. */
export const describeUse = (
  keyId: string | undefined,
  context: EncryptionContext | undefined,
  others: Readonly<Record<string, unknown>>,
  dryRun: boolean | undefined,
): AuditDetails => ({ requestParameters: { keyId, encryptionContext: context, ...others, dryRun } });
