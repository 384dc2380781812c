import { type ServiceError, validationError } from "../../base/errors.ts";
import type { ContextValues } from "../../authz/types.ts";

export type EncryptionContext = Readonly<Record<string, string>>;

/**
 * A name as constraints and conditions compare it: without regard to the case of ASCII letters, as authz/ folds the names of
 * condition keys. Unicode's folding would also make one name of `Key` and of the same with a Kelvin sign.
 */
export const foldName = (name: string): string => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** Bytes of all names and values together. Ours: AWS documents no figure. */
const CONTEXT_BYTES_MAX = 8192;

/**
 * The bytes that are authenticated for an encryption context: number of pairs (4), then for each pair, sorted by the
 * UTF-8 bytes of its name, length (4) and name, length (4) and value. `{a: "bc"}` and `{ab: "c"}` differ; an absent
 * context and an empty one are the same, as with AWS.
 */
export function canonicalContext(context: EncryptionContext | undefined): Buffer {
  const pairs = Object.entries(context ?? {})
    .map(([name, value]) => [utf8(name), utf8(value)] as const)
    .sort(([a], [b]) => Buffer.compare(a, b));
  const parts: Buffer[] = [uint32(pairs.length)];
  for (const [name, value] of pairs) parts.push(uint32(name.byteLength), name, uint32(value.byteLength), value);
  const canonical = Buffer.concat(parts);
  if (canonical.byteLength - 4 - 8 * pairs.length > CONTEXT_BYTES_MAX) {
    throw contextTooLong();
  }
  return canonical;
}

/** Throws what `canonicalContext` would, without making the bytes: before permission is asked for. */
export function requireCanonical(context: EncryptionContext | undefined): void {
  let bytes = 0;
  for (const name in context) bytes += utf8Length(name) + utf8Length(context[name] ?? "");
  if (bytes > CONTEXT_BYTES_MAX) throw contextTooLong();
}

const contextTooLong = (): ServiceError =>
  validationError(`The encryption context is longer than ${CONTEXT_BYTES_MAX} bytes.`);

function utf8Length(text: string): number {
  if (!text.isWellFormed()) throw notUnicode();
  return Buffer.byteLength(text, "utf8");
}

/** An unpaired surrogate has no UTF-8 form: two different texts would become the same bytes. */
function utf8(text: string): Buffer {
  if (!text.isWellFormed()) throw notUnicode();
  return Buffer.from(text, "utf8");
}

const notUnicode = (): ServiceError => validationError("The encryption context is not valid Unicode text.");

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** `kms:EncryptionContext:NAME` and `kms:EncryptionContextKeys`. */
export function contextConditions(context: EncryptionContext | undefined): ContextValues {
  const entries = Object.entries(context ?? {});
  if (entries.length === 0) return {};
  return {
    ...Object.fromEntries(entries.map(([name, value]) => [`kms:EncryptionContext:${name}`, value])),
    "kms:EncryptionContextKeys": entries.map(([name]) => name),
  };
}
