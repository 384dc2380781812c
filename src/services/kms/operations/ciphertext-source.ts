import { validationError } from "../../../base/errors.ts";
import type { OperationContext } from "../../../gateway/contract.ts";
import { type ParsedCiphertext, openCiphertext, parseCiphertext } from "../ciphertext.ts";
import { type EncryptionContext, canonicalContext } from "../encryption-context.ts";
import { incorrectKey, invalidCiphertext } from "../errors.ts";
import { keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import { type NamedKey, readKey, resolveKey } from "../resolve.ts";

/** A ciphertext with the key that it is to be opened under. */
export interface CiphertextSource {
  readonly named: NamedKey;
  readonly parsed: ParsedCiphertext;
}

/**
 * Finds the key for a ciphertext: the one that the caller names, else the one that the ciphertext itself names. A
 * ciphertext that has no such form, or names a key that is not there, is answered like any other broken one.
 */
export async function findSource(
  kms: KmsParts,
  context: OperationContext,
  blob: Uint8Array | undefined,
  keyId: string | undefined,
): Promise<CiphertextSource> {
  if (blob === undefined) {
    throw validationError(
      "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must not be null",
    );
  }
  const parsed = parseCiphertext(blob);
  if (parsed === null) throw invalidCiphertext();
  if (keyId !== undefined) {
    return { named: await resolveKey(kms, context, keyId, { aliases: true, crossAccount: true }), parsed };
  }
  const record = await keyInHeader(context, parsed);
  if (record === null) throw invalidCiphertext();
  return { named: { arn: keyArnOf(record), accountId: record.accountId, record, alias: null, isNew: false }, parsed };
}

/**
 * Throws IncorrectKeyException when the caller named another key than the ciphertext does. Permission on the named key
 * was checked before, so the answer tells nothing about other people's keys.
 */
export async function requireSameKey(context: OperationContext, { named, parsed }: CiphertextSource): Promise<void> {
  const { header } = parsed;
  const { record } = named;
  if (record?.keyId === header.keyId && record.accountId === header.accountId && record.region === header.region)
    return;
  throw (await keyInHeader(context, parsed)) === null ? invalidCiphertext() : incorrectKey();
}

/** The plaintext, in memory of its own; one opaque error for whatever does not fit. */
export async function openSource(
  kms: KmsParts,
  { read }: OperationContext,
  { parsed }: CiphertextSource,
  key: KeyRecord,
  context: EncryptionContext | undefined,
): Promise<Buffer> {
  const canonical = canonicalContext(context);
  const opened = await kms.materials.use(read, key, parsed.header.materialId, (material) =>
    openCiphertext(material, parsed, canonical),
  );
  if (opened === null || opened.value === null) throw invalidCiphertext();
  return opened.value;
}

const keyInHeader = async ({ call, read }: OperationContext, { header }: ParsedCiphertext): Promise<KeyRecord | null> =>
  header.region === call.region ? await readKey(read, header.accountId, header.region, header.keyId, call.nowMs) : null;
