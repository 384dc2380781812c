import { RecentMap } from "../base/recent-map.ts";
import { type CommitGroup, CommitQueue } from "./commit-queue.ts";
import { type LmdbDatabase, type LmdbEnvironment, type LmdbOptions, openLmdbEnvironment } from "./lmdb-environment.ts";
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

interface Batch {
  readonly expect: readonly Expectation[];
  readonly writes: readonly Write[];
}

type Outcome = "committed" | "conflict";

/** Batches are compared on the main thread: this many take a few milliseconds. */
const BATCHES_PER_COMMIT_MAX = 256;

/** A policy or an audit event of up to 4 KB fits into a page beside another. */
const PAGE_BYTES = 8192;
const MAP_BYTES = 64 * 1024 ** 3;

/** What is read again and again (an access key, a user, a stream, a key) stays at hand: 5,000 values of at most 8 KiB. */
const RECENT_COUNT_MAX = 5_000;
const RECENT_VALUE_BYTES_MAX = 8192;

/**
 * The metadata store of a single machine, in one LMDB file (0600) of this path. One process at a time: the data directory's
 * lock sees to that.
 */
export async function openLmdbMetadataStore(path: string, options: Partial<LmdbOptions> = {}): Promise<MetadataStore> {
  const environment = await openLmdbEnvironment(path, { pageBytes: PAGE_BYTES, mapBytes: MAP_BYTES, ...options });
  return new LmdbMetadataStore(environment);
}

class LmdbMetadataStore implements MetadataStore {
  readonly #environment: LmdbEnvironment;
  readonly #entries: LmdbDatabase;
  readonly #queue: CommitQueue<Batch, Outcome>;
  /**
   * Values as they are in the file; null: absent. Right because this process alone writes the file, reads of it take no
   * time in which anything else could happen, and a commit forgets what it wrote before it is acknowledged.
   */
  readonly #recent = new RecentMap<StoreKey, { readonly value: MetadataBytes | null }>(RECENT_COUNT_MAX);

  #generation = 0;

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#entries = environment.database("metadata");
    this.#queue = new CommitQueue((queued) => this.#commitGroup(queued));
  }

  atHand(key: StoreKey): MetadataBytes | null | undefined {
    return this.#recent.get(key)?.value;
  }

  async get(key: StoreKey): Promise<MetadataBytes | null> {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent.value;
    const value = this.#read(checkedKeyBytes(key));
    if (value === null || value.length <= RECENT_VALUE_BYTES_MAX) this.#recent.set(key, { value });
    return value;
  }

  async range(query: RangeQuery): Promise<readonly StoreEntry[]> {
    checkRange(query);
    const start = Buffer.from(query.start);
    const end = Buffer.from(query.end);
    // LMDB has neither empty keys nor ranges whose end comes first.
    if (Buffer.compare(start, end) >= 0) return [];
    const bounds = query.reverse
      ? { start: end, exclusiveStart: true, end: start, inclusiveEnd: true, reverse: true }
      : { start, end };
    const entries: StoreEntry[] = [];
    // Read to its end within this turn of the event loop, so that all of it is one snapshot.
    for (const { key, value } of this.#entries.getRange({ ...bounds, limit: query.limit })) {
      entries.push({ key: Buffer.from(key).toString() as StoreKey, value: value as Uint8Array as MetadataBytes });
    }
    return entries;
  }

  async commit(batch: Batch): Promise<Outcome> {
    checkBatch(batch);
    try {
      return await this.#queue.push(batch);
    } finally {
      if (changesState(batch.writes)) this.#generation++;
      for (const { key } of batch.writes) this.#recent.delete(key);
    }
  }

  generation(): number {
    return this.#generation;
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#environment.close();
  }

  /**
   * Expectations are compared here and not within LMDB's transaction, which would have to call back from its writer thread:
   * nobody else writes the file, and no other group is under way, so what is committed now is what the transaction finds.
   */
  #commitGroup(queued: readonly Batch[]): CommitGroup<Outcome> {
    const group = queued.slice(0, BATCHES_PER_COMMIT_MAX);
    this.#entries.resetReadTxn();
    /** What the batches before this one in the group write. */
    const pending = new Map<StoreKey, MetadataBytes | null>();
    const accepted: Batch[] = [];
    const outcomes = group.map((batch): Outcome => {
      if (!batch.expect.every((expectation) => this.#holds(expectation, pending))) return "conflict";
      accepted.push(batch);
      for (const { key, value } of batch.writes) pending.set(key, value);
      return "committed";
    });
    return { taken: group.length, results: this.#write(accepted).then(() => outcomes) };
  }

  async #write(batches: readonly Batch[]): Promise<void> {
    if (batches.length === 0) return;
    await this.#environment.batch(() => {
      for (const { writes } of batches) {
        for (const { key, value } of writes) {
          if (value === null) void this.#entries.remove(Buffer.from(key));
          else void this.#entries.put(Buffer.from(key), value as Uint8Array as Buffer);
        }
      }
    });
  }

  #holds({ key, value }: Expectation, pending: ReadonlyMap<StoreKey, MetadataBytes | null>): boolean {
    const written = pending.get(key);
    const held = written === undefined ? this.#read(Buffer.from(key)) : written;
    return value === null || held === null ? value === held : Buffer.compare(value, held) === 0;
  }

  #read(key: Buffer): MetadataBytes | null {
    const value: Uint8Array | undefined = this.#entries.getBinary(key);
    return value === undefined ? null : (value as MetadataBytes);
  }
}
