import { LruMap } from "../../base/lru.ts";
import type { Random } from "../../base/random.ts";
import { GuardedKey } from "../../crypto/guarded.ts";
import type { Keyring } from "../../seal/keyring.ts";
import type { Write } from "../../store/metadata-store.ts";
import { type Reader, type SealedText, sealedBytes, sealedText } from "../../store/table.ts";
import { internal } from "./errors.ts";
import type { LentPrivateKey } from "../../crypto/asymmetric/key-workers.ts";
import { factsOf } from "./key-specs.ts";
import { keyArnOf } from "./model.ts";
import { type KeyRecord, idOfKey, materialTable } from "./records.ts";

/** The part of the keyring that key material needs. */
export type MaterialKeyring = Pick<Keyring, "wrapKey" | "unwrapKey" | "rewrapKey" | "onSeal" | "registerRewrap">;

/** Key materials held unwrapped at one time. */
const OPEN_MATERIALS_MAX = 1024;
const PURPOSE = "kms-key-material";
const MATERIAL_ID_BYTES = 32;

/** The material of KMS keys: made, wrapped, and lent for one call at a time out of guarded memory. */
export class KeyMaterials {
  readonly #keyring: MaterialKeyring;
  readonly #random: Random;
  readonly #open = new LruMap<string, GuardedKey>(OPEN_MATERIALS_MAX, (_name, key) => key.destroy());

  constructor(keyring: MaterialKeyring, random: Random) {
    this.#keyring = keyring;
    this.#random = random;
  }

  /** An id is public: it names the material in ciphertexts and in the audit trail. */
  newId(): string {
    return Buffer.from(this.#random.bytes(MATERIAL_ID_BYTES)).toString("hex");
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
      return { value: material.use(run), write: this.#write(key, requireMaterialId(key), key.createdMs, material) };
    } finally {
      material.destroy();
    }
  }

  /** The write that stores a material that was made elsewhere: a private key, or one that was imported. Overwrites `plaintext`. */
  store(key: KeyRecord, materialId: string, createdMs: number, plaintext: Uint8Array): Write {
    const material = GuardedKey.take(plaintext);
    try {
      return this.#write(key, materialId, createdMs, material);
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
    const material = await this.#find(read, key, materialId);
    return material === null ? null : { value: material.use(run) };
  }

  /** Lends a private key to worker threads; null when the key has no such material. */
  async lend(read: Reader, key: KeyRecord, materialId: string): Promise<LentPrivateKey | null> {
    if ((await this.#find(read, key, materialId)) === null) return null;
    const id = bindingOf(key, materialId);
    return {
      id,
      copy: () => {
        const material = this.#open.get(id);
        if (material === undefined) throw internal(new Error(`the material of ${id} was dropped while it was lent`));
        return material.use((bytes) => new Uint8Array(bytes));
      },
    };
  }

  /** Overwrites what is held of a key: it was disabled, or is leaving. */
  forget(keyArn: string): void {
    for (const [name, key] of this.#open.entries()) {
      if (!name.startsWith(`${keyArn} `)) continue;
      this.#open.delete(name);
      key.destroy();
    }
  }

  /** Overwrites all that is held. */
  clear(): void {
    for (const [, key] of this.#open.entries()) key.destroy();
    this.#open.clear();
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

  async #find(read: Reader, key: KeyRecord, materialId: string): Promise<GuardedKey | null> {
    const name = bindingOf(key, materialId);
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const record = await read.get(materialTable, [...idOfKey(key), materialId]);
    if (record === null) return null;
    return this.#open.get(name) ?? this.#unwrap(name, record.wrapped);
  }

  #write(key: KeyRecord, materialId: string, createdMs: number, material: GuardedKey): Write {
    const wrapped = sealedText(this.#keyring.wrapKey(PURPOSE, bindingOf(key, materialId), material));
    return materialTable.put([...idOfKey(key), materialId], { createdMs, wrapped });
  }

  #unwrap(name: string, wrapped: SealedText): GuardedKey {
    const material = this.#keyring.unwrapKey(PURPOSE, name, sealedBytes(wrapped));
    if (material === null) throw internal(new Error(`the material of ${name} does not open: its record was changed`));
    this.#open.set(name, material);
    return material;
  }
}

/** Key ARN and material id: authenticated with the wrapped material, so that none can be put in another's place. */
const bindingOf = (key: Pick<KeyRecord, "accountId" | "region" | "keyId">, materialId: string): string =>
  `${keyArnOf(key)} ${materialId}`;

/** The material of a key whose state says that it has one. */
export function requireMaterialId(key: KeyRecord): string {
  if (key.materialId === null) throw internal(new Error(`key ${key.keyId} has no material`));
  return key.materialId;
}
