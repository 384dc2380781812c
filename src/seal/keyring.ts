import type { SealedBytes } from "../base/brand.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { COMMITTING_NONCE_BYTES, GCM_NONCE_BYTES } from "../crypto/aead.ts";
import { GuardedKey } from "../crypto/guarded.ts";
import type { SecretBox } from "../envelope/secret-box.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import { openRootKey } from "./configuration.ts";
import { DomainKeys } from "./domain-keys.ts";
import { sealedError } from "./errors.ts";
import type { SealProvider } from "./provider.ts";
import { openSecret, sealSecret, sealedSecretKeyNumber } from "./sealed-secret.ts";
import { unwrap, wrap, wrappingKeyNumber } from "./wrapped-key.ts";

/** AWS rotates its domain keys daily. */
const ROTATE_AFTER_MS = 24 * 60 * 60 * 1000;
/** Secrets are sealed under a 96-bit random nonce: NIST SP 800-38D, section 8.3, allows 2^32 of them under one key. */
const ROTATE_AFTER_USES = 2 ** 31;
const CHECK_EVERY_MS = 10 * 60 * 1000;

export interface KeyringOptions {
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Failures of background work: a rotation that could not be stored is tried again at the next check. */
  readonly onError?: (error: unknown) => void;
  readonly rotateAfterMs?: number;
  readonly rotateAfterUses?: number;
}

/** Wraps again whatever still lies under an older domain key. Runs after each rotation and after each unsealing. */
export type Rewrap = () => Promise<void>;

interface Opened {
  readonly keys: DomainKeys;
  activeSinceMs: number;
  uses: number;
  /** One rotation is asked for at a time, however often it is found to be due. */
  rotationQueued: boolean;
}

/**
 * The keys from the root down. Sealed when it is made; `unseal` opens it, `seal` overwrites every key in it. It lives as
 * long as the server, so that services and hooks may hold on to it through any number of both.
 */
export class Keyring {
  readonly #options: KeyringOptions;
  readonly #rotateAfterMs: number;
  readonly #rotateAfterUses: number;
  readonly #rewraps = new Set<Rewrap>();
  readonly #sealHooks = new Set<() => void>();
  #opened: Opened | null = null;
  #unsealing = false;
  #cancelTimer: (() => void) | null = null;
  /** Background work in the order in which it was asked for; never rejects. */
  #work: Promise<void> = Promise.resolve();
  /** Seals new secrets under the active domain key; opens old ones under the domain key they name. */
  readonly secretBox: SecretBox;

  constructor(options: KeyringOptions) {
    this.#options = options;
    this.#rotateAfterMs = options.rotateAfterMs ?? ROTATE_AFTER_MS;
    this.#rotateAfterUses = options.rotateAfterUses ?? ROTATE_AFTER_USES;
    this.secretBox = {
      seal: (purpose, binding, secret) => this.#sealSecret(purpose, binding, secret),
      open: (purpose, binding, sealed) => this.#openSecret(purpose, binding, sealed),
    };
  }

  get isSealed(): boolean {
    return this.#opened === null;
  }

  /** The number of the active domain key; 0 while sealed. */
  get activeDomainKey(): number {
    return this.#opened?.keys.active ?? 0;
  }

  /**
   * Opens the keyring. The root key is checked first: with a wrong one, WrongRootKeyError is thrown and nothing was
   * written. Each unsealing makes a domain key of its own, so that the count of its uses is complete. Throws when open.
   */
  async unseal(provider: SealProvider): Promise<void> {
    if (this.#opened !== null || this.#unsealing) throw new Error("the keyring is open already");
    this.#unsealing = true;
    try {
      this.#opened = await this.#open(provider);
    } finally {
      this.#unsealing = false;
    }
    this.#scheduleCheck();
    this.#queue(() => this.#rewrapAll());
  }

  async #open(provider: SealProvider): Promise<Opened> {
    const { store, random, clock } = this.#options;
    const rootKey = await openRootKey(store, provider);
    try {
      const keys = await DomainKeys.load(store, rootKey, random);
      await keys.add(store, clock.wallMs());
      return { keys, activeSinceMs: clock.monotonicMs(), uses: 0, rotationQueued: false };
    } catch (error) {
      rootKey.destroy();
      throw error;
    }
  }

  /** Overwrites every key. Requests that still run fail with 503. Resolves when background work has ended. */
  async seal(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const opened = this.#opened;
    this.#opened = null;
    for (const hook of this.#sealHooks) hook();
    opened?.keys.close();
    await this.#work;
  }

  /** Runs `hook` whenever the keyring is sealed: what was unwrapped through it must be overwritten. */
  onSeal(hook: () => void): () => void {
    this.#sealHooks.add(hook);
    return () => void this.#sealHooks.delete(hook);
  }

  /** Keeps `rewrap` running after each rotation, and once now if the keyring is open. */
  registerRewrap(rewrap: Rewrap): () => void {
    this.#rewraps.add(rewrap);
    if (this.#opened !== null) this.#queue(() => this.#run(rewrap));
    return () => void this.#rewraps.delete(rewrap);
  }

  /** Makes a new domain key now and wraps everything registered again. Resolves when that is done. */
  async rotate(): Promise<void> {
    this.#queue(() => this.#rotateNow());
    await this.#work;
  }

  /** Resolves when no background work is waiting. */
  async idle(): Promise<void> {
    await this.#work;
  }

  /** `purpose` and `binding` say what the key is and whose; both must be given again to unwrap it. */
  wrapKey(purpose: string, binding: string, key: GuardedKey): SealedBytes {
    const { keys } = this.#countUse();
    const nonce = this.#options.random.bytes(COMMITTING_NONCE_BYTES);
    return keys.use(keys.active, (wrapping) =>
      key.use((bytes) => wrap(wrapping, keys.active, nonce, { purpose, binding }, bytes)),
    );
  }

  /** The key, owned by the caller; null when it was not wrapped for this purpose and binding, or was changed. */
  unwrapKey(purpose: string, binding: string, wrapped: Uint8Array): GuardedKey | null {
    const { keys } = this.#requireOpen();
    const number = wrappingKeyNumber(wrapped);
    if (number === null || !keys.has(number)) return null;
    const bytes = keys.use(number, (wrapping) => unwrap(wrapping, { purpose, binding }, wrapped));
    return bytes === null ? null : GuardedKey.take(bytes);
  }

  /** The same key under the active domain key; null when it lies there already. Throws when it does not open. */
  rewrapKey(purpose: string, binding: string, wrapped: Uint8Array): SealedBytes | null {
    const { keys } = this.#requireOpen();
    if (wrappingKeyNumber(wrapped) === keys.active) return null;
    const key = this.unwrapKey(purpose, binding, wrapped);
    if (key === null) throw new Error(`a wrapped key (${purpose}) does not open`);
    try {
      return this.wrapKey(purpose, binding, key);
    } finally {
      key.destroy();
    }
  }

  #sealSecret(purpose: string, binding: string, secret: Uint8Array): SealedBytes {
    const { keys } = this.#countUse();
    const nonce = this.#options.random.bytes(GCM_NONCE_BYTES);
    return keys.useSubkey(keys.active, purpose, (subkey) =>
      sealSecret(subkey, keys.active, nonce, purpose, binding, secret),
    );
  }

  #openSecret(purpose: string, binding: string, sealed: Uint8Array): Uint8Array | null {
    const { keys } = this.#requireOpen();
    const number = sealedSecretKeyNumber(sealed);
    if (number === null || !keys.has(number)) return null;
    return keys.useSubkey(number, purpose, (subkey) => openSecret(subkey, purpose, binding, sealed));
  }

  #requireOpen(): Opened {
    if (this.#opened === null) throw sealedError();
    return this.#opened;
  }

  #countUse(): Opened {
    const opened = this.#requireOpen();
    opened.uses += 1;
    if (opened.uses === this.#rotateAfterUses) this.#queueRotation(opened);
    return opened;
  }

  #scheduleCheck(): void {
    this.#cancelTimer = this.#options.clock.after(CHECK_EVERY_MS, () => {
      this.#scheduleCheck();
      const opened = this.#opened;
      if (opened === null) return;
      const ageMs = this.#options.clock.monotonicMs() - opened.activeSinceMs;
      if (ageMs >= this.#rotateAfterMs || opened.uses >= this.#rotateAfterUses) this.#queueRotation(opened);
    });
  }

  #queueRotation(opened: Opened): void {
    if (opened.rotationQueued) return;
    opened.rotationQueued = true;
    this.#queue(() => this.#rotateNow());
  }

  async #rotateNow(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    opened.rotationQueued = false;
    await opened.keys.add(this.#options.store, this.#options.clock.wallMs());
    opened.activeSinceMs = this.#options.clock.monotonicMs();
    opened.uses = 0;
    await this.#rewrapAll();
  }

  async #rewrapAll(): Promise<void> {
    for (const rewrap of this.#rewraps) await this.#run(rewrap);
  }

  async #run(rewrap: Rewrap): Promise<void> {
    if (this.#opened === null) return;
    try {
      await rewrap();
    } catch (error) {
      if (this.#opened !== null) this.#options.onError?.(error);
    }
  }

  #queue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      if (this.#opened !== null) this.#options.onError?.(error);
    });
  }
}

/** A keyring, opened: `new Keyring` and `unseal` in one. */
export async function openKeyring(options: KeyringOptions & { readonly provider: SealProvider }): Promise<Keyring> {
  const keyring = new Keyring(options);
  await keyring.unseal(options.provider);
  return keyring;
}
