import { RecentMap } from "../base/recent-map.ts";
import { compareKeys } from "./key-order.ts";
import type { Expectation, MetadataBytes, MetadataStore, StoreKey } from "./metadata-store.ts";
import type { Reader, Table } from "./table.ts";

/** Decoded records kept, over all tables. */
const DECODED_COUNT_MAX = 20_000;

interface Decoded {
  readonly bytes: MetadataBytes;
  readonly value: unknown;
}

/**
 * Reads records, decoding each version of a record once. The bytes are read anew each time and compared, so what it
 * returns is never stale, whoever wrote it.
 */
export class RecordReader implements Reader {
  readonly #store: MetadataStore;
  readonly #decoded = new RecentMap<StoreKey, Decoded>(DECODED_COUNT_MAX);

  constructor(store: MetadataStore) {
    this.#store = store;
  }

  get<T>(from: Table<T>, id: readonly string[]): Promise<T | null> {
    return this.#read(from, from.key(id), null);
  }

  /** Notes in `seen` what was read. What is at hand costs no wait: most requests read the same few records. */
  #read<T>(from: Table<T>, key: StoreKey, seen: Map<StoreKey, MetadataBytes | null> | null): Promise<T | null> {
    const bytes = this.#store.atHand?.(key);
    if (bytes === undefined) return this.#fetch(from, key, seen);
    if (seen !== null && !seen.has(key)) seen.set(key, bytes);
    try {
      return Promise.resolve(bytes === null ? null : this.#decode(from, key, bytes));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #fetch<T>(from: Table<T>, key: StoreKey, seen: Map<StoreKey, MetadataBytes | null> | null): Promise<T | null> {
    const bytes = await this.#store.get(key);
    if (seen !== null && !seen.has(key)) seen.set(key, bytes);
    return bytes === null ? null : this.#decode(from, key, bytes);
  }

  async list<T>(
    from: Table<T>,
    query: Parameters<Reader["list"]>[1],
  ): Promise<readonly { readonly id: readonly string[]; readonly value: T }[]> {
    const reverse = query.reverse ?? false;
    const range =
      query.after === undefined ? from.range(query.prefix) : rangeBehind(from, query.prefix, query.after, reverse);
    const entries = await this.#store.range({ ...range, limit: query.limit, reverse });
    return entries.map(({ key, value }) => ({ id: from.idOf(key), value: this.#decode(from, key, value) }));
  }

  /** A reader that remembers what each record held when it was read first, for an optimistic commit. */
  tracking(): { readonly reader: Reader; readonly expectations: () => readonly Expectation[] } {
    const seen = new Map<StoreKey, MetadataBytes | null>();
    const get = <T>(from: Table<T>, id: readonly string[]): Promise<T | null> => this.#read(from, from.key(id), seen);
    return {
      // A list is not part of the expectations: who must guard a whole range keeps a record for it.
      reader: { get, list: (from, query) => this.list(from, query) },
      expectations: () => [...seen].map(([key, value]) => ({ key, value })),
    };
  }

  #decode<T>(from: Table<T>, key: StoreKey, bytes: MetadataBytes): T {
    const known = this.#decoded.get(key);
    if (known !== undefined && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0))
      return known.value as T;
    const value = from.decode(bytes);
    this.#decoded.set(key, { bytes, value });
    return value;
  }
}

/** The part of a prefix's range that lies behind a key. `after` may come from a caller: it never widens the range. */
function rangeBehind<T>(
  from: Table<T>,
  prefix: readonly string[],
  after: readonly string[],
  reverse: boolean,
): { readonly start: StoreKey; readonly end: StoreKey } {
  const { start, end } = from.range(prefix);
  const key = from.key(after);
  if (reverse) return { start, end: compareKeys(key, end) < 0 ? key : end };
  // The first key behind it that there can be.
  const next = (key + "\u0000") as StoreKey;
  return { start: compareKeys(next, start) > 0 ? next : start, end };
}
