import { createSecretKey } from "node:crypto";

/** Up to this size glibc hands out what was freed last, size by size in steps of 16 bytes (its thread cache). */
const CACHED_BYTES_MAX = 1032;
const STEP_BYTES = 16;
const SMALLEST_BYTES = 24;
const LARGEST_BYTES = 64 * 1024;
/** Blocks of each small size, and bytes in blocks of each larger one: several times what reading a key leaves behind. */
const SMALL_BLOCKS = 128;
const LARGE_BYTES = 4 * 1024 * 1024;

/**
 * Overwrites memory that this thread has freed, by asking for blocks of every size until it has been handed out again, with
 * zeros in it. OpenSSL 3 frees some of what it makes while it reads and writes private keys without overwriting it (the DER
 * between two of its decoders, the seed of Ed25519, the parameters of an EC key), and offers no way around that.
 * Takes some 100 ms. What it took becomes free when this thread ends.
 */
export function overwriteFreedMemory(): void {
  const taken: unknown[] = [];
  const zeros = new Uint8Array(CACHED_BYTES_MAX);
  const takeSmall = (byteLength: number): void => {
    // A key is copied into a block of its very size; an ArrayBuffer would come from elsewhere, as it asks for zeros.
    for (let count = 0; count < SMALL_BLOCKS; count += 1) taken.push(createSecretKey(zeros.subarray(0, byteLength)));
  };
  for (let size = SMALLEST_BYTES; size <= CACHED_BYTES_MAX; size += STEP_BYTES) takeSmall(size);
  for (let size = LARGEST_BYTES; size > CACHED_BYTES_MAX; size /= 2) {
    for (let sum = 0; sum < LARGE_BYTES; sum += size) taken.push(Buffer.allocUnsafeSlow(size).fill(0));
  }
  // Taking large blocks leaves small remainders.
  for (let size = CACHED_BYTES_MAX; size >= SMALLEST_BYTES; size -= STEP_BYTES) takeSmall(size);
}
