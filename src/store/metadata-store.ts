import type { Brand } from "../base/brand.ts";

/** A key of the metadata store. Made by a `Table` (store/table.ts). Keys order by their UTF-8 bytes. */
export type StoreKey = Brand<string, "StoreKey">;

/** An encoded record. Made by a `Table` only, whose type shows what stands in clear and what is sealed. */
export type MetadataBytes = Brand<Uint8Array, "MetadataBytes">;

export interface StoreEntry {
  readonly key: StoreKey;
  readonly value: MetadataBytes;
}

/** A change to one key. A null value removes the key; removing what is absent is no error. */
export interface Write {
  readonly key: StoreKey;
  readonly value: MetadataBytes | null;
  /** A line of a log: a new key, which nothing that is decided or remembered ever reads. It leaves the generation as it is. */
  readonly isLogLine?: true;
}

/** Whether any of these writes can change what somebody has read: the store's generation counts such commits. */
export const changesState = (writes: readonly Write[]): boolean => writes.some(({ isLogLine }) => isLogLine !== true);

/** What a key held (null: nothing) when a decision was based on it. */
export interface Expectation {
  readonly key: StoreKey;
  readonly value: MetadataBytes | null;
}

export interface RangeQuery {
  /** First key of the range, included. */
  readonly start: StoreKey;
  /** End of the range, excluded. */
  readonly end: StoreKey;
  /** How many entries at most, at least 1. */
  readonly limit: number;
  /** From the end of the range towards its start. */
  readonly reverse?: boolean;
}

/**
 * Transactional, ordered keys: everything that is not a stream record or an object's bytes. One conformance suite
 * (store/testing/metadata-conformance.ts) states this contract; every adapter passes it.
 */
export interface MetadataStore {
  /** The value as of the last completed commit, or null. The bytes belong to the caller and never change. */
  get(key: StoreKey): Promise<MetadataBytes | null>;
  /** The same where it is at hand without waiting; undefined where it is not. A store need not have any. */
  atHand?(key: StoreKey): MetadataBytes | null | undefined;
  /** Entries in key order (or reverse), from one consistent snapshot. */
  range(query: RangeQuery): Promise<readonly StoreEntry[]>;
  /**
   * Applies all writes in one transaction, if every expectation still holds at that instant. When this resolves with
   * "committed", the writes are durable: they survive a crash of the process and of the machine. "conflict" means that
   * nothing was written. Rejects when the outcome is a failure of the store itself; then nothing may be assumed.
   */
  commit(batch: {
    readonly expect: readonly Expectation[];
    readonly writes: readonly Write[];
  }): Promise<"committed" | "conflict">;
  /**
   * A number that is another one after every commit that wrote something, from before the commit is acknowledged. While it
   * is the same, every read gives what it gave before, but for the lines of logs. Null: this store cannot tell, since others
   * write to it too.
   */
  generation(): number | null;
  close(): Promise<void>;
}
