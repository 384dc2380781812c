import type { StoreKey } from "./metadata-store.ts";

/** Ranks a UTF-16 code unit as UTF-8 would: surrogates stand for code points above U+FFFF, so they come last. */
const rank = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

/**
 * Negative, zero or positive: the order of two keys by their UTF-8 bytes, which is the order of every store. JavaScript's
 * own `<` compares UTF-16 code units and puts U+10000 before U+FFFF.
 */
export function compareKeys(a: StoreKey, b: StoreKey): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference !== 0) return rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
  }
  return a.length - b.length;
}
