import { LruMap } from "../../base/lru.ts";
import type { Clock } from "../../base/clock.ts";
import type { SealedBytes } from "../../base/brand.ts";
import type { Random } from "../../base/random.ts";
import { COMMITTING_NONCE_BYTES } from "../../crypto/aead.ts";
import type { KeyWorkers, LentPrivateKey } from "../../crypto/asymmetric/key-workers.ts";
import { GuardedKey } from "../../crypto/guarded.ts";
import { ownCopy, randomKeyBytes } from "../../crypto/wipe.ts";
import { unwrap, wrap, wrappingKeyNumber } from "../../seal/wrapped-key.ts";
import type { RecordReader } from "../../store/caching-reader.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { type SealedText, type Table, sealedBytes, sealedText, table } from "../../store/table.ts";
import type { MaterialKeyring } from "./materials.ts";

/**
 * Keys of Waxseal's own, for services that protect something for which no customer chose a key. No account sees them: they
 * have no ARN, stand in no list, and their use leaves no event; the operator's log tells of it.
 */
export interface OwnedKeys {
  /** A new data key of 32 bytes under the newest version. The caller overwrites `plaintext`. */
  generateDataKey(
    name: string,
    binding: string,
  ): Promise<{ readonly plaintext: Uint8Array; readonly wrapped: SealedBytes }>;
  /** The data key, which the caller overwrites; null unless it was made for this name and binding, and is unchanged. */
  openDataKey(name: string, binding: string, wrapped: Uint8Array): Promise<Uint8Array | null>;
  /** Ed25519 over at most 4096 bytes, with the newest version. */
  sign(name: string, message: Uint8Array): Promise<{ readonly version: number; readonly signature: Uint8Array }>;
  /** Public keys (SubjectPublicKeyInfo DER) of all versions, oldest first: old signatures stay good. Empty: never used. */
  publicKeys(name: string): Promise<readonly OwnedPublicKey[]>;
  /** Keeps keys wrapped under the active domain key, and the log informed. The returned function stops it. */
  start(): () => Promise<void>;
}

export interface OwnedPublicKey {
  readonly version: number;
  readonly createdMs: number;
  readonly publicKey: Uint8Array;
}

export interface OwnedKeysDeps {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly keyring: MaterialKeyring;
  readonly keyWorkers: Pick<KeyWorkers, "generate" | "sign">;
  readonly log: { info(message: string, details?: Readonly<Record<string, unknown>>): void };
}

interface OwnedKeyRecord {
  readonly kind: Kind;
  readonly createdMs: number;
  /** SubjectPublicKeyInfo DER in base64, of keys that sign. */
  readonly publicKey: string | null;
  /** 32 bytes, or PKCS#8, wrapped by the keyring: docs/formats/wrapped-key.md. */
  readonly wrapped: SealedText;
}

type Kind = "data keys" | "signatures";

interface Version {
  readonly number: number;
  readonly record: OwnedKeyRecord;
}

/** [name, version] */
const ownedKeyTable: Table<OwnedKeyRecord> = table<OwnedKeyRecord>("kms.owned-key");

const KEY_BYTES = 32;
const PURPOSE = "kms-owned-key";
const DATA_KEY_PURPOSE = "kms-owned-data-key";
/** As AWS managed keys. */
const ROTATED_AFTER_MS = 365 * 24 * 60 * 60 * 1000;
/** Uses are counted and told to the log this often: a line for each would drown it. */
const LOG_EVERY_MS = 60_000;
const OPEN_KEYS_MAX = 64;
const VERSION_DIGITS = 8;
const NAME_PATTERN = /^[a-z][a-z0-9-]{0,63}$/;

export function createOwnedKeys(deps: OwnedKeysDeps): OwnedKeys {
  const keys = new OwnedKeyVersions(deps);
  const uses = new Map<string, { readonly key: string; readonly operation: string; count: number }>();
  let cancelTimer: (() => void) | null = null;

  const tell = (): void => {
    for (const { key, operation, count } of uses.values()) {
      deps.log.info("an AWS owned key was used", { key, operation, count });
    }
    uses.clear();
  };
  const used = (key: string, operation: string): void => {
    const id = `${key} ${operation}`;
    const use = uses.get(id) ?? { key, operation, count: 0 };
    use.count += 1;
    uses.set(id, use);
    cancelTimer ??= deps.clock.after(LOG_EVERY_MS, () => {
      cancelTimer = null;
      tell();
    });
  };

  return {
    async generateDataKey(name, binding) {
      const version = await keys.newest(name, "data keys");
      const plaintext = randomKeyBytes(KEY_BYTES);
      const nonce = deps.random.bytes(COMMITTING_NONCE_BYTES);
      const bound = { purpose: DATA_KEY_PURPOSE, binding: `${name} ${binding}` };
      const wrapped = keys.use(name, version, (key) => wrap(key, version.number, nonce, bound, plaintext));
      used(name, "generateDataKey");
      return { plaintext, wrapped };
    },
    async openDataKey(name, binding, wrapped) {
      const number = wrappingKeyNumber(wrapped);
      const version = number === null ? null : await keys.find(name, number);
      if (version === null || version.record.kind !== "data keys") return null;
      used(name, "openDataKey");
      const bound = { purpose: DATA_KEY_PURPOSE, binding: `${name} ${binding}` };
      return keys.use(name, version, (key) => unwrap(key, bound, wrapped));
    },
    async sign(name, message) {
      const version = await keys.newest(name, "signatures");
      const lent: LentPrivateKey = {
        id: `owned ${bindingOf(name, version.number)}`,
        copy: () => keys.use(name, version, ownCopy),
      };
      const signature = await deps.keyWorkers.sign("ECC_NIST_EDWARDS25519", lent, "ED25519_SHA_512", "RAW", message);
      used(name, "sign");
      return { version: version.number, signature };
    },
    publicKeys: (name) => keys.publicKeys(name),
    start() {
      const unregister = deps.keyring.registerRewrap(() => keys.rewrap());
      return async () => {
        unregister();
        cancelTimer?.();
        cancelTimer = null;
        tell();
        await keys.clear();
      };
    },
  };
}

/** The versions of each key: made when they are needed, and lent out of guarded memory. */
class OwnedKeyVersions {
  readonly #deps: OwnedKeysDeps;
  readonly #open = new LruMap<string, GuardedKey>(OPEN_KEYS_MAX, (_name, key) => key.destroy());
  /** Versions that are being made: whoever needs one meanwhile waits for the same. */
  readonly #making = new Map<string, Promise<Version>>();

  constructor(deps: OwnedKeysDeps) {
    this.#deps = deps;
    deps.keyring.onSeal(() => this.#forget());
  }

  /** The version to use now, which is made first if there is none, or the last one is a year old. */
  async newest(name: string, kind: Kind): Promise<Version> {
    if (!NAME_PATTERN.test(name)) throw new RangeError(`${name} is no name of an owned key`);
    const last = await this.#last(name);
    if (last !== null && last.record.kind !== kind) throw new Error(`the owned key ${name} is not for ${kind}`);
    if (last !== null && this.#deps.clock.wallMs() - last.record.createdMs < ROTATED_AFTER_MS) return last;
    const under = this.#making.get(name);
    if (under !== undefined) return under;
    const made = this.#make(name, kind, (last?.number ?? 0) + 1).finally(() => this.#making.delete(name));
    this.#making.set(name, made);
    return made;
  }

  async find(name: string, number: number): Promise<Version | null> {
    const record = await this.#deps.reader.get(ownedKeyTable, idOf(name, number));
    return record === null ? null : { number, record };
  }

  /** Lends the key for one synchronous call. */
  use<T>(name: string, { number, record }: Version, run: (key: Uint8Array) => T): T {
    const binding = bindingOf(name, number);
    const key = this.#open.get(binding) ?? this.#unwrap(binding, record);
    return key.use(run);
  }

  async publicKeys(name: string): Promise<readonly OwnedPublicKey[]> {
    const versions = await this.#deps.reader.list(ownedKeyTable, { prefix: [name], limit: 1_000 });
    return versions.flatMap(({ id, value: { createdMs, publicKey } }) =>
      publicKey === null
        ? []
        : [{ version: Number(id[1]), createdMs, publicKey: new Uint8Array(Buffer.from(publicKey, "base64")) }],
    );
  }

  /** Wraps all of them again that lie under an older domain key. */
  async rewrap(): Promise<void> {
    const { reader, store, keyring } = this.#deps;
    for (const { id } of await reader.list(ownedKeyTable, { prefix: [], limit: 10_000 })) {
      const tracking = reader.tracking();
      const record = await tracking.reader.get(ownedKeyTable, id);
      if (record === null) continue;
      const binding = bindingOf(id[0] ?? "", Number(id[1]));
      const wrapped = keyring.rewrapKey(PURPOSE, binding, sealedBytes(record.wrapped));
      if (wrapped === null) continue;
      const again = ownedKeyTable.put(id, { ...record, wrapped: sealedText(wrapped) });
      await store.commit({ expect: tracking.expectations(), writes: [again] });
    }
  }

  /** Waits for versions that are being made, and overwrites what is held. */
  async clear(): Promise<void> {
    await Promise.allSettled(this.#making.values());
    this.#forget();
  }

  #forget(): void {
    for (const [, key] of this.#open.entries()) key.destroy();
    this.#open.clear();
  }

  async #last(name: string): Promise<Version | null> {
    const [last] = await this.#deps.reader.list(ownedKeyTable, { prefix: [name], limit: 1, reverse: true });
    return last === undefined ? null : { number: Number(last.id[1]), record: last.value };
  }

  async #make(name: string, kind: Kind, number: number): Promise<Version> {
    const { clock, keyring, keyWorkers, store, log } = this.#deps;
    const pair = kind === "signatures" ? await keyWorkers.generate("ECC_NIST_EDWARDS25519") : null;
    const key = pair === null ? GuardedKey.random(KEY_BYTES) : GuardedKey.take(pair.privateKey);
    try {
      const record: OwnedKeyRecord = {
        kind,
        createdMs: clock.wallMs(),
        publicKey: pair === null ? null : Buffer.from(pair.publicKey).toString("base64"),
        wrapped: sealedText(keyring.wrapKey(PURPOSE, bindingOf(name, number), key)),
      };
      const write = ownedKeyTable.put(idOf(name, number), record);
      const outcome = await store.commit({ expect: [{ key: write.key, value: null }], writes: [write] });
      if (outcome === "committed") {
        log.info("an AWS owned key was made", { key: name, version: number });
        return { number, record };
      }
    } finally {
      key.destroy();
    }
    // Another server made it first.
    return this.newest(name, kind);
  }

  #unwrap(binding: string, record: OwnedKeyRecord): GuardedKey {
    const key = this.#deps.keyring.unwrapKey(PURPOSE, binding, sealedBytes(record.wrapped));
    if (key === null) throw new Error(`the owned key ${binding} does not open: its record was changed`);
    this.#open.set(binding, key);
    return key;
  }
}

const idOf = (name: string, number: number): readonly string[] => [name, String(number).padStart(VERSION_DIGITS, "0")];

/** Authenticated with the wrapped key, so that none can be put in another's place. */
const bindingOf = (name: string, number: number): string => `${name} ${number}`;
