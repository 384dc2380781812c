import type { CompiledPolicy } from "../../authz/types.ts";
import type { Reader } from "../../store/table.ts";
import { awsManagedPolicy } from "./aws-managed-policies.ts";
import type { EntityRecord } from "./entities.ts";
import { foldedName, parsePolicyArn } from "./model.ts";
import type { CompilePolicy } from "./model.ts";
import { policies } from "./records.ts";
import type { PolicyRecord } from "./records.ts";

/** A compiled document, or what kept it from being one. */
export type Compiled = { readonly policy: CompiledPolicy } | { readonly cause: unknown };
export type NamedPolicy = readonly [id: string, compiled: Compiled];

/** What a record of a user, group or role says by itself. */
export interface EntityParts {
  readonly inline: readonly NamedPolicy[];
  readonly tags: Readonly<Record<string, string>>;
}

export function compiledDocument(compile: CompilePolicy, document: string, id: string): Compiled {
  try {
    return { policy: compile(document, id) };
  } catch (cause) {
    return { cause };
  }
}

/** The policies in IAM's records, each compiled once for each version of its record. */
export interface CompiledPolicies {
  /** `idOf`: how decisions call an inline policy of it. */
  partsOf(entity: EntityRecord, idOf: (policyName: string) => string): EntityParts;
  /** What an account sees under the ARN of a managed policy now. */
  managed(accountId: string, arn: string): Promise<Compiled>;
  /** The same of several, in their order. */
  allManaged(accountId: string, arns: Iterable<string>): Promise<readonly NamedPolicy[]>;
}

/** The reader returns the same object while the stored bytes are the same: what is compiled hangs on it. */
export function createCompiledPolicies(reader: Reader, compile: CompilePolicy): CompiledPolicies {
  const entityParts = new WeakMap<EntityRecord, EntityParts>();
  const ownPolicies = new WeakMap<PolicyRecord, Compiled>();
  const servicePolicies = new Map<string, Compiled>();

  const managed = async (accountId: string, arn: string): Promise<Compiled> => {
    const ofService = awsManagedPolicy(arn);
    if (ofService !== null) {
      const compiled = servicePolicies.get(arn) ?? compiledDocument(compile, ofService.document, arn);
      servicePolicies.set(arn, compiled);
      return compiled;
    }
    const parsed = parsePolicyArn(arn);
    const record =
      parsed?.accountId === accountId ? await reader.get(policies, [accountId, foldedName(parsed.policyName)]) : null;
    if (record?.arn !== arn) return { cause: new Error("the policy is not stored") };
    const compiled = ownPolicies.get(record) ?? compiledDocument(compile, record.defaultDocument, arn);
    ownPolicies.set(record, compiled);
    return compiled;
  };

  return {
    partsOf(entity, idOf) {
      const known = entityParts.get(entity);
      if (known !== undefined) return known;
      const parts: EntityParts = {
        inline: entity.inlinePolicies.map(({ name, document }) => {
          const id = idOf(name);
          return [id, compiledDocument(compile, document, id)] as const;
        }),
        tags: Object.fromEntries((entity.tags ?? []).map(({ key, value }) => [key, value])),
      };
      entityParts.set(entity, parts);
      return parts;
    },
    managed,
    allManaged: (accountId, arns) =>
      Promise.all([...arns].map(async (arn) => [arn, await managed(accountId, arn)] as const)),
  };
}
