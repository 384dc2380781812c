import type { Expectation, RangeQuery, StoreKey, Write } from "./metadata-store.ts";

/** What LMDB takes at a page size of 4096. Adapters that could take more refuse it too, so that data can move between them. */
export const KEY_BYTES_MAX = 1978;

/** A record is an object's description, not its content. lmdb-js reads values below 16 MiB as copies, larger ones out of its map. */
export const VALUE_BYTES_MAX: number = 8 * 1024 * 1024;

/** The UTF-8 bytes of a key that names a record. Throws RangeError for the empty key and for one that is too long. */
export function checkedKeyBytes(key: StoreKey): Buffer {
  const bytes = Buffer.from(key);
  if (bytes.length === 0 || bytes.length > KEY_BYTES_MAX) throw new RangeError(`a store key of ${bytes.length} bytes`);
  return bytes;
}

/** Throws RangeError before anything of the batch is written. */
export function checkBatch(batch: {
  readonly expect: readonly Expectation[];
  readonly writes: readonly Write[];
}): void {
  for (const { key } of batch.expect) checkedKeyBytes(key);
  for (const { key, value } of batch.writes) {
    checkedKeyBytes(key);
    if (value !== null && value.byteLength > VALUE_BYTES_MAX)
      throw new RangeError(`a store value of ${value.byteLength} bytes`);
  }
}

export function checkRange(query: RangeQuery): void {
  if (!(query.limit >= 1)) throw new RangeError("a range needs a limit of at least 1");
}
