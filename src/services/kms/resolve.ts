import { PARTITION, parseArn } from "../../base/arn.ts";
import type { OperationContext } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { accessDenied, aliasNotFound, invalidArn, invalidKeyId, keyNotFound, notFound } from "./errors.ts";
import { managedKeyService } from "./managed-keys.ts";
import { aliasArnOf, isDeleted, isKeyId, keyArnOf } from "./model.ts";
import { draftManagedKey } from "./new-key.ts";
import type { KmsParts } from "./parts.ts";
import { type AliasRecord, type KeyRecord, aliasTable, keyTable } from "./records.ts";

/** What a request's KeyId turned out to name. */
export interface NamedKey {
  readonly arn: string;
  readonly accountId: string;
  /** Null: in another account and not there, or not open to other accounts. Such a key is denied, never reported missing. */
  readonly record: KeyRecord | null;
  /** The alias by which the request named it. */
  readonly alias: string | null;
  /** An AWS managed key that does not exist yet: the handler creates it. */
  readonly isNew: boolean;
}

/** Which forms of KeyId an operation takes. The defaults are those of management operations. */
export interface KeyForms {
  readonly aliases?: boolean;
  readonly crossAccount?: boolean;
  /** First use of an AWS managed key's alias creates the key. */
  readonly createsManaged?: boolean;
}

/** Finds the key that `keyId` names: a key id, key ARN, alias name or alias ARN. Throws AWS's error for what names nothing. */
export function resolveKey(
  kms: KmsParts,
  context: OperationContext,
  keyId: string,
  forms: KeyForms = {},
): Promise<NamedKey> {
  const { call } = context;
  const own = call.principal.accountId;
  if (keyId.startsWith("arn:")) return resolveArn(kms, context, keyId, forms);
  if (keyId.startsWith("alias/")) return resolveAlias(kms, context, keyId, own, forms);
  if (!isKeyId(keyId)) return Promise.reject(invalidKeyId(keyId));
  return resolveKeyId(context, keyId, own, forms);
}

async function resolveArn(kms: KmsParts, context: OperationContext, text: string, forms: KeyForms): Promise<NamedKey> {
  const arn = parseArn(text);
  if (arn === null || arn.partition !== PARTITION || arn.service !== "kms" || !/^\d{12}$/.test(arn.accountId))
    throw invalidArn(text);
  if (arn.region !== context.call.region) throw notFound(`Invalid arn ${arn.region}`);
  if (arn.resource.startsWith("alias/"))
    return await resolveAlias(kms, context, arn.resource, arn.accountId, forms, text);
  const keyId = arn.resource.startsWith("key/") ? arn.resource.slice("key/".length) : "";
  if (!isKeyId(keyId)) throw invalidKeyId(keyId === "" ? text : keyId);
  return await resolveKeyId(context, keyId, arn.accountId, forms);
}

async function resolveKeyId(
  { call, read }: OperationContext,
  keyId: string,
  accountId: string,
  forms: KeyForms,
): Promise<NamedKey> {
  const arn = keyArnOf({ keyId, accountId, region: call.region });
  const foreign = accountId !== call.principal.accountId;
  const record = foreign && !forms.crossAccount ? null : await readKey(read, accountId, call.region, keyId, call.nowMs);
  if (record === null && !foreign) throw keyNotFound(arn);
  return { arn, accountId, record, alias: null, isNew: false };
}

async function resolveAlias(
  kms: KmsParts,
  { call, read }: OperationContext,
  name: string,
  accountId: string,
  forms: KeyForms,
  asSent: string = name,
): Promise<NamedKey> {
  if (!forms.aliases) throw invalidKeyId(asSent);
  if (!isAliasName(name)) throw invalidKeyId(asSent);
  const aliasArn = aliasArnOf(call.region, accountId, name);
  const foreign = accountId !== call.principal.accountId;
  const record =
    foreign && !forms.crossAccount ? null : await readAliasedKey(read, accountId, call.region, name, call.nowMs);
  if (record !== null) return { arn: keyArnOf(record), accountId, record, alias: name, isNew: false };
  if (foreign) return { arn: aliasArn, accountId, record: null, alias: name, isNew: false };
  const service = forms.createsManaged ? managedKeyService(name) : null;
  if (service === null) throw aliasNotFound(aliasArn);
  const draft = draftManagedKey(kms, call, service);
  return { arn: keyArnOf(draft), accountId, record: draft, alias: name, isNew: true };
}

/** `alias/` and a name; the characters are AliasNameType's without the colon, which would break an ARN. */
export const isAliasName = (text: string): boolean => /^alias\/[a-zA-Z0-9/_-]{1,250}$/.test(text);

/** A key as it is now; null when there is none, or its deletion date has come. */
export async function readKey(
  read: Reader,
  accountId: string,
  region: string,
  keyId: string,
  nowMs: number,
): Promise<KeyRecord | null> {
  const record = await read.get(keyTable, [accountId, region, keyId]);
  return record === null || isDeleted(record, nowMs) ? null : record;
}

/** An alias that points to a key that exists; null otherwise. */
export async function readAlias(
  read: Reader,
  accountId: string,
  region: string,
  name: string,
  nowMs: number,
): Promise<{ readonly alias: AliasRecord; readonly key: KeyRecord } | null> {
  const alias = await read.get(aliasTable, [accountId, region, name]);
  if (alias === null) return null;
  const key = await readKey(read, accountId, region, alias.keyId, nowMs);
  return key === null ? null : { alias, key };
}

async function readAliasedKey(
  read: Reader,
  accountId: string,
  region: string,
  name: string,
  nowMs: number,
): Promise<KeyRecord | null> {
  return (await readAlias(read, accountId, region, name, nowMs))?.key ?? null;
}

/** The record, once access was granted. A key that could not be resolved is denied even if authorization let it pass. */
export function recordOf(named: NamedKey, action: string): KeyRecord {
  if (named.record === null) throw accessDenied(action, named.arn);
  return named.record;
}
