import { compareKeys } from "./key-order.ts";
import { checkBatch, checkedKeyBytes, checkRange } from "./metadata-checks.ts";
import {
  changesState,
  type Expectation,
  type MetadataBytes,
  type MetadataStore,
  type RangeQuery,
  type StoreEntry,
  type StoreKey,
  type Write,
} from "./metadata-store.ts";

const copyOf = (bytes: Uint8Array): MetadataBytes => new Uint8Array(bytes) as MetadataBytes;

/** A metadata store that forgets everything when it is closed: for tests and simulation. */
export function memoryMetadataStore(): MetadataStore {
  return new MemoryMetadataStore();
}

class MemoryMetadataStore implements MetadataStore {
  /** In key order. */
  readonly #keys: StoreKey[] = [];
  readonly #values = new Map<StoreKey, MetadataBytes>();
  #generation = 0;
  #closed = false;

  async get(key: StoreKey): Promise<MetadataBytes | null> {
    this.#checkOpen();
    checkedKeyBytes(key);
    const value = this.#values.get(key);
    return value === undefined ? null : copyOf(value);
  }

  async range(query: RangeQuery): Promise<readonly StoreEntry[]> {
    this.#checkOpen();
    checkRange(query);
    const start = this.#positionOf(query.start);
    const end = Math.max(start, this.#positionOf(query.end));
    const keys = query.reverse
      ? this.#keys.slice(Math.max(start, end - query.limit), end).toReversed()
      : this.#keys.slice(start, Math.min(end, start + query.limit));
    return keys.map((key) => ({ key, value: copyOf(this.#values.get(key) as MetadataBytes) }));
  }

  async commit(batch: {
    readonly expect: readonly Expectation[];
    readonly writes: readonly Write[];
  }): Promise<"committed" | "conflict"> {
    this.#checkOpen();
    checkBatch(batch);
    if (!batch.expect.every((expectation) => this.#holds(expectation))) return "conflict";
    for (const { key, value } of batch.writes) this.#write(key, value);
    if (changesState(batch.writes)) this.#generation++;
    return "committed";
  }

  generation(): number {
    return this.#generation;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#keys.length = 0;
    this.#values.clear();
  }

  #holds({ key, value }: Expectation): boolean {
    const held = this.#values.get(key);
    return value === null || held === undefined
      ? value === null && held === undefined
      : Buffer.compare(value, held) === 0;
  }

  #write(key: StoreKey, value: MetadataBytes | null): void {
    const known = this.#values.has(key);
    if (value === null) {
      if (known) this.#keys.splice(this.#positionOf(key), 1);
      this.#values.delete(key);
    } else {
      if (!known) this.#keys.splice(this.#positionOf(key), 0, key);
      this.#values.set(key, copyOf(value));
    }
  }

  /** How many keys stand before this one. */
  #positionOf(key: StoreKey): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#keys[middle] as StoreKey, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error("the metadata store is closed");
  }
}
