import { validationError } from "../../../base/errors.ts";
import type { Call, Operation, OperationContext } from "../../../gateway/contract.ts";
import { accountAccess, keyAccess, lowerCamel } from "../access.ts";
import { aliasNotFound, alreadyExists, limitExceeded, reservedAlias } from "../errors.ts";
import { changedAlias } from "../event-members.ts";
import { MANAGED_ALIAS_PREFIX } from "../managed-keys.ts";
import { aliasArnOf, keyArnOf, requireCustomerManaged, requireState } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import { type AliasRecord, type KeyRecord, aliasTable, idOfKey, keyTable } from "../records.ts";
import { ALIASES_PER_KEY } from "../quotas.ts";
import { type NamedKey, isAliasName, readAlias, recordOf, resolveKey } from "../resolve.ts";
import type { CreateAliasRequest, DeleteAliasRequest, UpdateAliasRequest } from "../shapes.generated.ts";

type Nothing = Readonly<Record<string, never>>;

/** An alias with the key that it points to now, and the key that it is to point to. */
interface AliasTarget {
  readonly alias: AliasRecord;
  readonly current: NamedKey & { readonly record: KeyRecord };
  readonly next: NamedKey;
}

export const createAlias = (kms: KmsParts): Operation<CreateAliasRequest, Nothing, NamedKey> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  async access(context, input) {
    requireOwnAliasName(input.AliasName);
    const target = await resolveTarget(kms, context, input.TargetKeyId);
    return {
      checks: [
        aliasAccess(context, "kms:CreateAlias", input.AliasName),
        keyAccess(kms, context, target, "kms:CreateAlias"),
      ],
      target,
    };
  },
  check({ call }, _input, target) {
    requireManageable(recordOf(target, "kms:CreateAlias"), "CreateAlias", call.nowMs);
  },
  async handle({ call, read }, input, target) {
    const key = recordOf(target, "kms:CreateAlias");
    const { accountId } = call.principal;
    if ((await readAlias(read, accountId, call.region, input.AliasName, call.nowMs)) !== null) {
      throw alreadyExists(aliasArnOf(call.region, accountId, input.AliasName));
    }
    return {
      output: {},
      writes: [
        aliasTable.put([accountId, call.region, input.AliasName], {
          keyId: key.keyId,
          createdMs: call.nowMs,
          updatedMs: call.nowMs,
        }),
        keyTable.put(idOfKey(key), withAlias(key, input.AliasName, await aliasesMax(kms, call))),
      ],
      audit: changedAlias(call, key, input.AliasName),
    };
  },
});

export const updateAlias = (kms: KmsParts): Operation<UpdateAliasRequest, Nothing, AliasTarget> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  async access(context, input) {
    const { alias, current } = await findAlias(context, input.AliasName);
    const next = await resolveTarget(kms, context, input.TargetKeyId);
    return {
      checks: [
        aliasAccess(context, "kms:UpdateAlias", input.AliasName),
        keyAccess(kms, context, current, "kms:UpdateAlias"),
        keyAccess(kms, context, next, "kms:UpdateAlias"),
      ],
      target: { alias, current, next },
    };
  },
  check({ call }, _input, { current, next }) {
    const key = recordOf(next, "kms:UpdateAlias");
    requireManageable(key, "UpdateAlias", call.nowMs);
    if (key.keySpec !== current.record.keySpec || key.keyUsage !== current.record.keyUsage) {
      throw validationError("The current and the new KMS key of an alias must have the same type and the same usage.");
    }
  },
  async handle({ call }, input, { alias, current, next }) {
    const from = current.record;
    const to = recordOf(next, "kms:UpdateAlias");
    const aliasWrite = aliasTable.put([call.principal.accountId, call.region, input.AliasName], {
      ...alias,
      keyId: to.keyId,
      updatedMs: call.nowMs,
    });
    const audit = changedAlias(call, to, input.AliasName);
    if (from.keyId === to.keyId) return { output: {}, writes: [aliasWrite], audit };
    const moved = withAlias(to, input.AliasName, await aliasesMax(kms, call));
    return {
      output: {},
      writes: [
        aliasWrite,
        keyTable.put(idOfKey(from), withoutAlias(from, input.AliasName)),
        keyTable.put(idOfKey(to), moved),
      ],
      audit,
    };
  },
});

export const deleteAlias = (
  kms: KmsParts,
): Operation<DeleteAliasRequest, Nothing, NamedKey & { readonly record: KeyRecord }> => ({
  event: "management",
  readOnly: false,
  describe: (input) => ({ requestParameters: lowerCamel(input) }),
  async access(context, input) {
    const { current } = await findAlias(context, input.AliasName);
    return {
      checks: [
        aliasAccess(context, "kms:DeleteAlias", input.AliasName),
        keyAccess(kms, context, current, "kms:DeleteAlias"),
      ],
      target: current,
    };
  },
  async handle({ call }, input, { record }) {
    return {
      output: {},
      writes: [
        aliasTable.remove([call.principal.accountId, call.region, input.AliasName]),
        keyTable.put(idOfKey(record), withoutAlias(record, input.AliasName)),
      ],
      audit: changedAlias(call, record, input.AliasName),
    };
  },
});

function requireOwnAliasName(name: string): void {
  if (!name.startsWith("alias/")) {
    throw validationError(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    );
  }
  if (name.startsWith(MANAGED_ALIAS_PREFIX)) throw reservedAlias();
  if (!isAliasName(name)) throw validationError(`${name} contains invalid characters for an alias`);
}

async function resolveTarget(kms: KmsParts, context: OperationContext, keyId: string): Promise<NamedKey> {
  if (/^(?:arn:[^:]*:kms:[^:]*:[^:]*:)?alias\//.test(keyId))
    throw validationError("Aliases must refer to keys. Not aliases");
  return await resolveKey(kms, context, keyId);
}

/** An alias of the caller's own account, and its key. */
async function findAlias(
  { call, read }: OperationContext,
  name: string,
): Promise<{ readonly alias: AliasRecord; readonly current: NamedKey & { readonly record: KeyRecord } }> {
  requireOwnAliasName(name);
  const { accountId } = call.principal;
  const found = await readAlias(read, accountId, call.region, name, call.nowMs);
  if (found === null) throw aliasNotFound(aliasArnOf(call.region, accountId, name));
  return {
    alias: found.alias,
    current: { arn: keyArnOf(found.key), accountId, record: found.key, alias: null, isNew: false },
  };
}

const aliasAccess = ({ call }: OperationContext, action: string, name: string): ReturnType<typeof accountAccess> =>
  accountAccess(call, action, aliasArnOf(call.region, call.principal.accountId, name));

function requireManageable(key: KeyRecord, operation: "CreateAlias" | "UpdateAlias", nowMs: number): void {
  requireCustomerManaged(key, operation);
  requireState(key, operation, nowMs);
}

const aliasesMax = (kms: KmsParts, { principal, region }: Call): Promise<number> =>
  kms.quotas.valueOf(principal.accountId, region, "kms", ALIASES_PER_KEY);

function withAlias(key: KeyRecord, name: string, countMax: number): KeyRecord {
  if (key.aliases.length >= countMax) throw limitExceeded(`A KMS key has at most ${countMax} aliases.`);
  return { ...key, aliases: [...key.aliases, name] };
}

const withoutAlias = (key: KeyRecord, name: string): KeyRecord => ({
  ...key,
  aliases: key.aliases.filter((alias) => alias !== name),
});
