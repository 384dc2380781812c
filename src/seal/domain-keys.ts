import { LruMap } from "../base/lru.ts";
import type { Random } from "../base/random.ts";
import { COMMITTING_NONCE_BYTES, KEY_BYTES } from "../crypto/aead.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import { deriveBytes } from "../crypto/kdf.ts";
import { type SealedText, sealedBytes, sealedText } from "../store/table.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import { SealError } from "./errors.ts";
import { domainKeyId, domainKeyTable } from "./records.ts";
import { SECRET_LABEL } from "./sealed-secret.ts";
import { ROOT_KEY_NUMBER, type WrapBinding, unwrap, wrap } from "./wrapped-key.ts";

/** Keys held unwrapped at one time; the others are unwrapped again when something old is opened. */
const OPEN_KEYS_MAX = 64;
const PAGE = 500;

/** The domain keys of one open keyring: all of them wrapped, a few of them in guarded memory. */
export class DomainKeys {
  readonly #rootKey: GuardedKey;
  readonly #random: Random;
  readonly #wrapped = new Map<number, SealedText>();
  readonly #open = new LruMap<string, GuardedKey>(OPEN_KEYS_MAX, (_name, key) => key.destroy());
  #active = 0;

  private constructor(rootKey: GuardedKey, random: Random) {
    this.#rootKey = rootKey;
    this.#random = random;
  }

  /** Takes over the root key. Reads only; throws when a record does not open, because then the store was damaged. */
  static async load(store: MetadataStore, rootKey: GuardedKey, random: Random): Promise<DomainKeys> {
    const keys = new DomainKeys(rootKey, random);
    const range = domainKeyTable.range([]);
    let start = range.start;
    for (;;) {
      const page = await store.range({ start, end: range.end, limit: PAGE });
      for (const entry of page) {
        const number = Number(domainKeyTable.idOf(entry.key)[0]);
        keys.#wrapped.set(number, domainKeyTable.decode(entry.value).wrapped);
        keys.#active = Math.max(keys.#active, number);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      start = `${last.key}\u0000` as typeof start;
    }
    // The newest one proves that root key and records belong together, before anything is written.
    if (keys.#active > 0) keys.use(keys.#active, () => undefined);
    return keys;
  }

  /** The number of the domain key under which new things are sealed; 0 before the first `add`. */
  get active(): number {
    return this.#active;
  }

  /** Makes a domain key, stores it, and makes it the active one when it is durable. */
  async add(store: MetadataStore, nowMs: number): Promise<void> {
    const number = this.#active + 1;
    const key = GuardedKey.random(KEY_BYTES);
    const nonce = this.#random.bytes(COMMITTING_NONCE_BYTES);
    const wrapped = sealedText(
      this.#rootKey.use((root) => key.use((bytes) => wrap(root, ROOT_KEY_NUMBER, nonce, bindingOf(number), bytes))),
    );
    const done = await store
      .commit({
        expect: [{ key: domainKeyTable.key(domainKeyId(number)), value: null }],
        writes: [domainKeyTable.put(domainKeyId(number), { createdMs: nowMs, wrapped })],
      })
      .catch((error: unknown) => {
        key.destroy();
        throw error;
      });
    if (done === "conflict" || this.#rootKey.destroyed) {
      key.destroy();
      if (done === "conflict")
        throw new SealError("damaged", "Another server made a domain key in this store at the same time.");
      return;
    }
    this.#wrapped.set(number, wrapped);
    this.#keep(nameOf(number), key);
    this.#active = number;
  }

  has(number: number): boolean {
    return this.#wrapped.has(number);
  }

  /** Lends a domain key. Throws when there is no such key. */
  use<T>(number: number, run: (key: Uint8Array) => T): T {
    return this.#domainKey(number).use(run);
  }

  /** Lends a domain key's subkey for sealed secrets of one purpose. */
  useSubkey<T>(number: number, purpose: string, run: (key: Uint8Array) => T): T {
    const name = nameOf(number, purpose);
    const known = this.#open.get(name);
    if (known !== undefined) return known.use(run);
    const subkey = GuardedKey.take(
      this.use(number, (key) => deriveBytes(key, SECRET_LABEL, Buffer.from(purpose, "utf8"), KEY_BYTES)),
    );
    this.#keep(name, subkey);
    return subkey.use(run);
  }

  /** Overwrites everything, the root key included. */
  close(): void {
    for (const [, key] of this.#open.entries()) key.destroy();
    this.#open.clear();
    this.#wrapped.clear();
    this.#rootKey.destroy();
  }

  #domainKey(number: number): GuardedKey {
    const known = this.#open.get(nameOf(number));
    if (known !== undefined) return known;
    const wrapped = this.#wrapped.get(number);
    if (wrapped === undefined) throw new SealError("damaged", `Domain key ${number} is missing.`);
    const bytes = this.#rootKey.use((root) => unwrap(root, bindingOf(number), sealedBytes(wrapped)));
    if (bytes === null) throw new SealError("damaged", `Domain key ${number} does not open: its record was damaged.`);
    const key = GuardedKey.take(bytes);
    this.#keep(nameOf(number), key);
    return key;
  }

  #keep(name: string, key: GuardedKey): void {
    this.#open.set(name, key);
  }
}

const bindingOf = (number: number): WrapBinding => ({ purpose: "domain-key", binding: String(number) });

const nameOf = (number: number, purpose?: string): string =>
  purpose === undefined ? String(number) : `${number} ${purpose}`;
