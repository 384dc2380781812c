/**
 * A map of bounded size that forgets what was not used lately, without order. A hit costs one look-up, where LruMap pays
 * for removing and inserting: for caches that are asked several times in every request.
 *
 * Two generations: what is used moves into the young one; when that is full, the old one is dropped and the young one
 * takes its place.
 */
export class RecentMap<K, V> {
  readonly #generationCountMax: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** Holds at most `countMax` entries, and at least half of that many of the latest used ones. */
  constructor(countMax: number) {
    this.#generationCountMax = Math.max(1, Math.floor(countMax / 2));
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#generationCountMax && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: K): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
