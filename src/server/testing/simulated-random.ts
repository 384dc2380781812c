import type { Random } from "../../base/random.ts";

/** Choices that follow from a seed alone (mulberry32), and the port's identifiers and nonces made of them. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** A whole number from 0 up to, but not including, `end`. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const chosen = from[this.below(from.length)];
    if (chosen === undefined) throw new RangeError("nothing to pick from");
    return chosen;
  }

  bytes(length: number): Uint8Array {
    const made = new Uint8Array(length);
    for (let at = 0; at < length; at++) made[at] = this.below(256);
    return made;
  }

  uuid(): string {
    const hex = Buffer.from(this.bytes(16)).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** Another line of choices that follows from this one. */
  fork(): SeededRandom {
    return new SeededRandom(this.below(0x1_0000_0000));
  }
}
