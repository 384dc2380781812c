import { randomFillSync } from "node:crypto";
import sodium from "sodium-native";
import { wipe } from "./wipe.ts";

/**
 * A plaintext key in libsodium's guarded memory: between guard pages, locked against swapping, without any access while
 * idle, overwritten when it is destroyed. Whoever holds a GuardedKey owns it and destroys it; nothing else keeps a copy.
 */
export class GuardedKey {
  readonly byteLength: number;
  #memory: Buffer | null;
  #users = 0;
  #isAtHand = false;
  #destroyRequested = false;

  private constructor(byteLength: number, fill: (memory: Buffer) => void) {
    if (!Number.isInteger(byteLength) || byteLength < 1) throw new RangeError("a key has at least one byte");
    const memory = sodium.sodium_malloc(byteLength);
    try {
      fill(memory);
    } catch (error) {
      sodium.sodium_free(memory);
      throw error;
    }
    sodium.sodium_mprotect_noaccess(memory);
    this.byteLength = byteLength;
    this.#memory = memory;
  }

  /** A new key from the operating system's generator, written straight into guarded memory. */
  static random(byteLength: number): GuardedKey {
    return new GuardedKey(byteLength, (memory) => void randomFillSync(memory));
  }

  /** Moves a key into guarded memory: the given bytes are overwritten. */
  static take(bytes: Uint8Array): GuardedKey {
    try {
      return new GuardedKey(bytes.byteLength, (memory) => memory.set(bytes));
    } finally {
      wipe(bytes);
    }
  }

  get destroyed(): boolean {
    return this.#memory === null;
  }

  /**
   * Lends the key, read-only, for the length of one synchronous call. Touching it later ends the process (SIGSEGV), unless
   * it is kept at hand; writing to it does so at once: neither must go unnoticed. Throws when the key was destroyed.
   */
  use<T>(run: (key: Uint8Array) => T): T {
    const memory = this.#memory;
    if (memory === null) throw new Error("the key was destroyed");
    if (this.#users === 0 && !this.#isAtHand) sodium.sodium_mprotect_readonly(memory);
    this.#users += 1;
    try {
      return run(memory);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) {
        if (this.#destroyRequested) this.#release(memory);
        else if (!this.#isAtHand) sodium.sodium_mprotect_noaccess(memory);
      }
    }
  }

  /** Is it readable between uses? */
  get isAtHand(): boolean {
    return this.#isAtHand;
  }

  /**
   * Leaves a key that is busy readable between uses, until the returned function is called, which must be soon. Changing the
   * access makes every core forget what it knows of the process's memory: with what that slows down, it costs a use 10 to
   * 25 µs. Destroying the key does not wait for the end. Throws when the key was destroyed.
   */
  keepAtHand(): () => void {
    if (this.#memory === null) throw new Error("the key was destroyed");
    if (this.#users === 0 && !this.#isAtHand) sodium.sodium_mprotect_readonly(this.#memory);
    this.#isAtHand = true;
    return () => {
      if (!this.#isAtHand) return;
      this.#isAtHand = false;
      if (this.#memory !== null && this.#users === 0) sodium.sodium_mprotect_noaccess(this.#memory);
    };
  }

  /** A second holder with its own memory: each is destroyed by its own owner. */
  copy(): GuardedKey {
    return this.use((key) => new GuardedKey(key.byteLength, (memory) => memory.set(key)));
  }

  /** Overwrites and releases the memory; within `use`, as soon as that ends. Doing it twice is no error. */
  destroy(): void {
    if (this.#memory === null) return;
    if (this.#users > 0) this.#destroyRequested = true;
    else this.#release(this.#memory);
  }

  #release(memory: Buffer): void {
    this.#memory = null;
    this.#isAtHand = false;
    // sodium_free overwrites before it returns the pages, whatever their protection was.
    sodium.sodium_free(memory);
  }
}
