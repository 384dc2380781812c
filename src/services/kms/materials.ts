import { LruMap } from "../../base/lru.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { GuardedKey } from "../../crypto/guarded.ts";
import { ownCopy } from "../../crypto/wipe.ts";
import type { Keyring } from "../../seal/keyring.ts";
import type { Write } from "../../store/metadata-store.ts";
import { type Reader, type SealedText, sealedBytes, sealedText } from "../../store/table.ts";
import { internal } from "./errors.ts";
import { KeyWorkersError } from "../../crypto/asymmetric/key-workers-error.ts";
import type { KeyWorkers, LentPrivateKey } from "../../crypto/asymmetric/key-workers.ts";
import { deriveBytes } from "../../crypto/kdf.ts";
import { factsOf } from "./key-specs.ts";
import { keyArnOf } from "./model.ts";
import { type KeyRecord, idOfKey, materialTable } from "./records.ts";

/** The part of the keyring that key material needs. */
export type MaterialKeyring = Pick<Keyring, "wrapKey" | "unwrapKey" | "rewrapKey" | "onSeal" | "registerRewrap">;

/** Key materials held unwrapped at one time. */
const OPEN_MATERIALS_MAX = 1024;
/** How long a material that is in use stays readable: at a thousand uses a second, one in ten pays for the change of access. */
const AT_HAND_MS = 10;
/** Keys whose materials were forgotten last, known by name. */
const FORGOTTEN_MAX = 1024;
const PURPOSE = "kms-key-material";
const MATERIAL_ID_BYTES = 32;
const IMPORTED_ID_LABEL = "waxseal kms imported material id v1";

/** A material that is held unwrapped, and what it was unwrapped from. */
interface OpenMaterial {
  readonly key: GuardedKey;
  readonly wrapped: SealedText;
}

/** The material of KMS keys: made, wrapped, and lent for one call at a time out of guarded memory. */
export class KeyMaterials {
  readonly #keyring: MaterialKeyring;
  readonly #random: Random;
  readonly #workers: Pick<KeyWorkers, "forget">;
  readonly #open = new LruMap<string, OpenMaterial>(OPEN_MATERIALS_MAX, (_name, { key }) => key.destroy());
  /** By key ARN: the number that `#forgets` had when the key was forgotten. */
  readonly #forgotten = new LruMap<string, number>(FORGOTTEN_MAX, (_keyArn, at) => {
    this.#forgottenUnnamed = Math.max(this.#forgottenUnnamed, at);
  });
  /** The number of the last one whose name is not known any more: since then, any key may have been forgotten before it. */
  #forgottenUnnamed = 0;
  #forgets = 0;

  readonly #names = new WeakMap<KeyRecord, string>();
  readonly #clock: Pick<Clock, "after">;

  /** `workers` keep what they are lent until they are told to forget it. */
  constructor(
    keyring: MaterialKeyring,
    random: Random,
    workers: Pick<KeyWorkers, "forget">,
    clock: Pick<Clock, "after">,
  ) {
    this.#clock = clock;
    this.#keyring = keyring;
    this.#random = random;
    this.#workers = workers;
  }

  /** An id is public: it names the material in ciphertexts and in the audit trail. */
  newId(): string {
    return Buffer.from(this.#random.bytes(MATERIAL_ID_BYTES)).toString("hex");
  }

  /**
   * The id of imported material follows from the key and the material, so that the same material is known again without
   * being kept, and is one material in all Regions of a multi-Region key. `identity`: the material itself, or the public key
   * of a pair, whose private key has several encodings. docs/formats/import-token.md.
   */
  importedId(key: Pick<KeyRecord, "accountId" | "keyId">, identity: Uint8Array): string {
    const context = Buffer.from(`${key.accountId} ${key.keyId}`, "utf8");
    return deriveBytes(identity, IMPORTED_ID_LABEL, context, MATERIAL_ID_BYTES).toString("hex");
  }

  /**
   * Makes the material of a new key, lends it to `run`, and answers the write that stores it wrapped. Until that write is
   * committed the material exists nowhere else, so it is not kept.
   */
  create<T>(key: KeyRecord, run: (material: Uint8Array) => T): { readonly value: T; readonly write: Write } {
    const { materialBytes } = factsOf(key.keySpec);
    if (materialBytes === undefined) throw new Error(`a ${key.keySpec} key is not made of random bytes`);
    const material = GuardedKey.random(materialBytes);
    try {
      const materialId = requireMaterialId(key);
      const value = material.use(run);
      return { value, write: firstMaterial(key, materialId, key.createdMs, this.#wrap(key, materialId, material)) };
    } finally {
      material.destroy();
    }
  }

  /** The write that stores the first material of a key, made elsewhere: a private key. Overwrites `plaintext`. */
  store(key: KeyRecord, materialId: string, createdMs: number, plaintext: Uint8Array): Write {
    return firstMaterial(key, materialId, createdMs, this.wrap(key, materialId, plaintext));
  }

  /** Wraps a material for a key's record. Overwrites `plaintext`. */
  wrap(key: KeyRecord, materialId: string, plaintext: Uint8Array): SealedText {
    const material = GuardedKey.take(plaintext);
    try {
      return this.#wrap(key, materialId, material);
    } finally {
      material.destroy();
    }
  }

  /** A new random material for related keys, wrapped for each of them in their order. */
  make(keys: readonly KeyRecord[], materialId: string, byteLength: number): readonly SealedText[] {
    const material = GuardedKey.random(byteLength);
    try {
      return keys.map((key) => this.#wrap(key, materialId, material));
    } finally {
      material.destroy();
    }
  }

  /** A key's wrapped material, wrapped again for a related key: what is wrapped is bound to its key's ARN. */
  copy(from: KeyRecord, to: KeyRecord, materialId: string, wrapped: SealedText): SealedText {
    const material = this.#unwrap(bindingOf(from, materialId), wrapped);
    try {
      return this.#wrap(to, materialId, material);
    } finally {
      material.destroy();
    }
  }

  /** Lends a material to `run`, synchronously; null when the key has no such material. */
  async use<T>(
    read: Reader,
    key: KeyRecord,
    materialId: string,
    run: (material: Uint8Array) => T,
  ): Promise<{ readonly value: T } | null> {
    const material = (await this.#find(read, key, materialId))?.key;
    if (material === undefined) return null;
    if (!material.isAtHand) this.#clock.after(AT_HAND_MS, material.keepAtHand());
    return { value: material.use(run) };
  }

  /**
   * Lends a private key to worker threads; null when the key has no such material. While a loan waits for a thread, its
   * material may leave for others that are in use: it is then unwrapped once more. But it fails (KeyWorkersError, `forgotten`)
   * when the key was forgotten meanwhile.
   */
  async lend(read: Reader, key: KeyRecord, materialId: string): Promise<LentPrivateKey | null> {
    const since = this.#forgets;
    const material = await this.#find(read, key, materialId);
    if (material === null) return null;
    const { wrapped } = material;
    const id = bindingOf(key, materialId);
    const keyArn = keyArnOf(key);
    return {
      id,
      copy: () => {
        if ((this.#forgotten.get(keyArn) ?? this.#forgottenUnnamed) > since) {
          throw new KeyWorkersError("forgotten", "the key was forgotten while it was lent");
        }
        const open = this.#open.get(id);
        if (open !== undefined) return open.key.use(ownCopy);
        const again = this.#unwrap(id, wrapped);
        try {
          return again.use(ownCopy);
        } finally {
          again.destroy();
        }
      },
    };
  }

  /** Overwrites what is held of a key, here and in the workers: it was disabled, lost a material, or is leaving. */
  forget(keyArn: string): void {
    this.#forgets += 1;
    this.#forgotten.set(keyArn, this.#forgets);
    for (const [name, { key }] of this.#open.entries()) {
      if (!name.startsWith(`${keyArn} `)) continue;
      this.#open.delete(name);
      key.destroy();
    }
    this.#workers.forget(`${keyArn} `);
  }

  /** Overwrites all that is held. */
  clear(): void {
    for (const [, { key }] of this.#open.entries()) key.destroy();
    this.#open.clear();
  }

  /** Key ARN and current material, made once for each version of a key's record. */
  #nameOf(key: KeyRecord, materialId: string): string {
    const known = this.#names.get(key);
    if (known !== undefined && key.materialId === materialId) return known;
    const name = bindingOf(key, materialId);
    if (key.materialId === materialId) this.#names.set(key, name);
    return name;
  }

  /** How many materials are held unwrapped. */
  get openCount(): number {
    return this.#open.size;
  }

  /** The same material under the active domain key; null when it lies there already. */
  rewrap(id: readonly string[], wrapped: SealedText): SealedText | null {
    const [accountId = "", region = "", keyId = "", materialId = ""] = id;
    const again = this.#keyring.rewrapKey(
      PURPOSE,
      bindingOf({ accountId, region, keyId }, materialId),
      sealedBytes(wrapped),
    );
    return again === null ? null : sealedText(again);
  }

  async #find(read: Reader, key: KeyRecord, materialId: string): Promise<OpenMaterial | null> {
    const name = this.#nameOf(key, materialId);
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const record = await read.get(materialTable, [...idOfKey(key), materialId]);
    if (record === null || record.wrapped === null) return null;
    const opened = this.#open.get(name);
    if (opened !== undefined) return opened;
    const material = { key: this.#unwrap(name, record.wrapped), wrapped: record.wrapped };
    this.#open.set(name, material);
    return material;
  }

  #wrap(key: KeyRecord, materialId: string, material: GuardedKey): SealedText {
    return sealedText(this.#keyring.wrapKey(PURPOSE, bindingOf(key, materialId), material));
  }

  #unwrap(name: string, wrapped: SealedText): GuardedKey {
    const material = this.#keyring.unwrapKey(PURPOSE, name, sealedBytes(wrapped));
    if (material === null) throw internal(new Error(`the material of ${name} does not open: its record was changed`));
    return material;
  }
}

const firstMaterial = (key: KeyRecord, materialId: string, createdMs: number, wrapped: SealedText): Write =>
  materialTable.put([...idOfKey(key), materialId], {
    createdMs,
    wrapped,
    state: "CURRENT",
    rotation: null,
    imported: null,
  });

/** Key ARN and material id: authenticated with the wrapped material, so that none can be put in another's place. */
const bindingOf = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">, materialId: string): string =>
  `${keyArnOf(key)} ${materialId}`;

/** The material of a key whose state says that it has one. */
export function requireMaterialId(key: KeyRecord): string {
  if (key.materialId === null) throw internal(new Error(`key ${key.keyId} has no material`));
  return key.materialId;
}
