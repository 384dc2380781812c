import { validationError } from "../../../base/errors.ts";
import type { OperationContext } from "../../../gateway/contract.ts";
import { type ParsedCiphertext, namesKey, openCiphertext, parseCiphertext } from "../ciphertext.ts";
import { type EncryptionContext, canonicalContext } from "../encryption-context.ts";
import { incorrectKey, invalidCiphertext, keyIdRequired } from "../errors.ts";
import { SYMMETRIC_DEFAULT, keyArnOf } from "../model.ts";
import type { KmsParts } from "../parts.ts";
import type { KeyRecord } from "../records.ts";
import { type NamedKey, readKey, resolveKey } from "../resolve.ts";
import type { DryRunModifierType, EncryptionAlgorithmSpec } from "../shapes.generated.ts";
import { decryptWithRsa } from "./encryption.ts";

/** The decrypting half of a request. */
export interface SourceRequest {
  readonly blob: Uint8Array | undefined;
  readonly keyId: string | undefined;
  readonly algorithm: EncryptionAlgorithmSpec;
  /** Only permission on the named key is asked for. */
  readonly ignoresCiphertext: boolean;
}

/** A ciphertext with the key that it is to be opened under. */
export type CiphertextSource =
  | { readonly form: "symmetric"; readonly named: NamedKey; readonly parsed: ParsedCiphertext }
  | {
      readonly form: "rsa";
      readonly named: NamedKey;
      readonly algorithm: EncryptionAlgorithmSpec;
      readonly ciphertext: Uint8Array;
    }
  | { readonly form: "ignored"; readonly named: NamedKey };

/** Modifiers are read in dry runs only. */
export const ignoresCiphertext = (input: {
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly DryRunModifierType[] | undefined;
}): boolean => (input.DryRun ?? false) && (input.DryRunModifiers ?? []).includes("IGNORE_CIPHERTEXT");

/**
 * Finds the key for a ciphertext: the one that the caller names, else the one that the ciphertext itself names. A
 * ciphertext that has no such form, or names a key that is not there, is answered like any other broken one. Those of key
 * pairs name none, and neither does one that is ignored.
 */
export async function findSource(
  kms: KmsParts,
  context: OperationContext,
  { blob, keyId, algorithm, ignoresCiphertext: ignored }: SourceRequest,
): Promise<CiphertextSource> {
  const named = async (): Promise<NamedKey> => {
    if (keyId === undefined) throw keyIdRequired();
    return await resolveKey(kms, context, keyId, { aliases: true, crossAccount: true });
  };
  if (ignored) return { form: "ignored", named: await named() };
  if (blob === undefined) {
    throw validationError(
      "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must not be null",
    );
  }
  if (algorithm !== SYMMETRIC_DEFAULT) {
    return { form: "rsa", named: await named(), algorithm, ciphertext: blob };
  }
  const parsed = parseCiphertext(blob);
  if (parsed === null) throw invalidCiphertext();
  if (keyId !== undefined) return { form: "symmetric", named: await named(), parsed };
  const record = await keyInHeader(context, parsed);
  if (record === null) throw invalidCiphertext();
  const { accountId } = record;
  return {
    form: "symmetric",
    named: { arn: keyArnOf(record), accountId, record, alias: null, isNew: false },
    parsed,
  };
}

/**
 * Throws IncorrectKeyException when the caller named another key than the ciphertext does, which is one of the caller's own
 * account. Of another account's keys nothing is told, not even whether they exist: a ciphertext that names one is answered
 * like a broken one, since anybody can make such a header up.
 */
export async function requireSameKey(context: OperationContext, source: CiphertextSource): Promise<void> {
  if (source.form !== "symmetric") return;
  const { header } = source.parsed;
  const { record } = source.named;
  if (record !== null && namesKey(header, record)) return;
  const isOwn = header.accountId === context.call.principal.accountId;
  throw isOwn && (await keyInHeader(context, source.parsed)) !== null ? incorrectKey() : invalidCiphertext();
}

/** The plaintext, in memory of its own; one opaque error for whatever does not fit. Null: the ciphertext is ignored. */
export async function openSource(
  kms: KmsParts,
  context: OperationContext,
  source: CiphertextSource,
  key: KeyRecord,
  encryptionContext: EncryptionContext | undefined,
): Promise<Uint8Array | null> {
  if (source.form === "ignored") return null;
  if (source.form === "rsa") {
    context.willWait?.();
    return await decryptWithRsa(kms, context, key, source.algorithm, source.ciphertext);
  }
  const canonical = canonicalContext(encryptionContext);
  const opened = await kms.materials.use(context.read, key, source.parsed.header.materialId, (material) =>
    openCiphertext(material, source.parsed, canonical),
  );
  if (opened === null || opened.value === null) throw invalidCiphertext();
  return opened.value;
}

/** The material that the ciphertext names; undefined for those of key pairs. */
export const sourceMaterialId = (source: CiphertextSource): string | undefined =>
  source.form === "symmetric" ? source.parsed.header.materialId : undefined;

/** The key that a header names, in the Region of the call: of a multi-Region key the one that is related to it there. */
const keyInHeader = async ({ call, read }: OperationContext, { header }: ParsedCiphertext): Promise<KeyRecord | null> =>
  namesKey(header, { ...header, region: call.region })
    ? await readKey(read, header.accountId, call.region, header.keyId, call.nowMs)
    : null;
