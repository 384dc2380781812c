import { timingSafeEqual } from "node:crypto";

/** Compares secrets in a time that depends on their length only. Different lengths are unequal. */
export const equalInConstantTime = (a: Uint8Array, b: Uint8Array): boolean =>
  a.byteLength === b.byteLength && timingSafeEqual(a, b);
