import { asBuffer } from "../base/bytes.ts";
import type { Brand, SealedBytes } from "../base/brand.ts";
import type { MetadataBytes, StoreKey, Write } from "./metadata-store.ts";

/** Sealed bytes as they stand in a record: base64. What a record must keep secret has this type, never `string`. */
export type SealedText = Brand<string, "SealedText">;

export const sealedText = (sealed: SealedBytes): SealedText => asBuffer(sealed).toString("base64") as SealedText;

export const sealedBytes = (text: SealedText): SealedBytes =>
  new Uint8Array(Buffer.from(text, "base64")) as SealedBytes;

/** Between the parts of a key. Sorts before every character that a part may hold, so that a prefix is a range. */
const SEPARATOR = "\u0001";
const AFTER_SEPARATOR = "\u0002";

/** Stores take 1978 bytes (metadata-checks.ts); the bounds of a range are a byte longer than a key. */
const KEY_BYTES_MAX = 1900;
const UTF8_BYTES_PER_UNIT_MAX = 3;

/** Records of one type under one name: how a service keeps its state. Values are shared once decoded and must not be changed. */
export interface Table<T> {
  readonly name: string;
  key(id: readonly string[]): StoreKey;
  /** The identifier parts of a key of this table. */
  idOf(key: StoreKey): readonly string[];
  /** All keys whose identifier begins with these parts. */
  range(prefix: readonly string[]): { readonly start: StoreKey; readonly end: StoreKey };
  encode(value: T): MetadataBytes;
  decode(bytes: MetadataBytes): T;
  put(id: readonly string[], value: T): Write;
  remove(id: readonly string[]): Write;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * `name` is unique in the whole store: service and kind, e.g. `kms.key`. Values are JSON, as `textOf` writes it if the table
 * has a way of its own.
 */
export function table<T>(name: string, textOf: (value: T) => string = JSON.stringify): Table<T> {
  const join = (parts: readonly string[]): string => {
    for (const part of parts) {
      // oxlint-disable-next-line no-control-regex -- control characters would break the order of keys
      if (/[\u0000-\u001f]/.test(part)) throw new RangeError(`a key of ${name} holds a control character`);
      // Encoded as UTF-8, every lone surrogate is the same replacement character: two identifiers would share a key.
      if (!part.isWellFormed()) throw new RangeError(`a key of ${name} is not well-formed Unicode`);
    }
    const key = [name, ...parts].join(SEPARATOR);
    if (key.length * UTF8_BYTES_PER_UNIT_MAX > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX)
      throw new RangeError(`a key of ${name} is too long`);
    return key;
  };
  // A short text goes into Buffer's pool, which costs a fifth of an allocation of its own; a record is no secret (SealedText).
  const encode = (value: T): MetadataBytes => Buffer.from(textOf(value), "utf8") as Uint8Array as MetadataBytes;
  return {
    name,
    key: (id) => join(id) as StoreKey,
    idOf: (key) => key.split(SEPARATOR).slice(1),
    range: (prefix) => ({
      start: (join(prefix) + SEPARATOR) as StoreKey,
      end: (join(prefix) + AFTER_SEPARATOR) as StoreKey,
    }),
    encode,
    decode: (bytes) => JSON.parse(decoder.decode(bytes)) as T,
    put: (id, value) => ({ key: join(id) as StoreKey, value: encode(value) }),
    remove: (id) => ({ key: join(id) as StoreKey, value: null }),
  };
}

/** Reads decoded records. What a handler gets instead of the store itself. */
export interface Reader {
  get<T>(from: Table<T>, id: readonly string[]): Promise<T | null>;
  /** In key order. `after` (an identifier) starts behind that record (before it, when reversed). */
  list<T>(
    from: Table<T>,
    query: {
      readonly prefix: readonly string[];
      readonly after?: readonly string[] | undefined;
      readonly limit: number;
      readonly reverse?: boolean;
    },
  ): Promise<readonly { readonly id: readonly string[]; readonly value: T }[]>;
}
