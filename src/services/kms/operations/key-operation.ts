import type { ContextValues } from "../../../authz/types.ts";
import type { AuditDetails, Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import { auditedKeys, keyAccess, lowerCamel } from "../access.ts";
import { changedKey } from "../event-members.ts";
import { type KeyOperationName, requireCustomerManaged, requireState } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { type KeyRecord, idOfKey, keyTable } from "../records.ts";
import { type KeyForms, type NamedKey, recordOf, resolveKey } from "../resolve.ts";

/** What an operation on one key's metadata answers and changes. */
export interface KeyResult<Output> {
  readonly output: Output;
  /** The key as it is afterwards; absent: unchanged. */
  readonly changed?: KeyRecord;
  readonly writes?: readonly Write[];
  /** The event's; default for what changes something: the key's ARN. */
  readonly responseElements?: AuditDetails["responseElements"];
  readonly committed?: () => void;
}

/** An operation on the metadata of one key that the request names: who may, in which states, and what it does. */
export interface KeyOperationRow<Input, Output> {
  readonly name: KeyOperationName;
  readonly readOnly: boolean;
  readonly forms?: KeyForms;
  /** What the key must be in every state: its origin, its spec. Throws. */
  readonly requires?: (key: KeyRecord) => void;
  readonly conditions?: (input: Input) => ContextValues;
  /** For operations that take grant tokens. */
  readonly grantTokens?: (input: Input) => readonly string[] | undefined;
  /** The event's request parameters; default: all members. */
  readonly describe?: (input: Input) => Readonly<Record<string, unknown>>;
  readonly handle: (
    context: OperationContext,
    input: Input,
    key: KeyRecord,
    named: NamedKey,
  ) => Promise<KeyResult<Output>> | KeyResult<Output>;
}

export function keyOperation<Input extends { readonly KeyId: string }, Output>(
  kms: KmsParts,
  row: KeyOperationRow<Input, Output>,
): Operation<Input, Output, NamedKey> {
  const action = `kms:${row.name}`;
  return {
    event: "management",
    readOnly: row.readOnly,
    describe: (input) => ({ requestParameters: row.describe?.(input) ?? lowerCamel(input) }),
    async access(context, input) {
      const target = await resolveKey(kms, context, input.KeyId, row.forms);
      const use = { conditions: () => row.conditions?.(input) ?? {}, grantTokens: row.grantTokens?.(input) };
      return { checks: [keyAccess(kms, context, target, action, use)], target };
    },
    check({ call }, _input, target) {
      const key = recordOf(target, action);
      if (!row.readOnly) requireCustomerManaged(key, row.name);
      row.requires?.(key);
      requireState(key, row.name, call.nowMs);
    },
    async handle(context, input, target): Promise<Outcome<Output>> {
      const key = recordOf(target, action);
      const result = await row.handle(context, input, key, target);
      const changed = result.changed === undefined ? [] : [keyTable.put(idOfKey(key), result.changed)];
      const { responseElements, committed } = result;
      return {
        output: result.output,
        writes: [...changed, ...(result.writes ?? [])],
        audit: {
          ...(row.readOnly ? auditedKeys(key) : changedKey(key)),
          ...(responseElements === undefined ? {} : { responseElements }),
        },
        ...(committed === undefined ? {} : { committed }),
      };
    },
  };
}
