import { randomFillSync } from "node:crypto";

/** Overwrites bytes that held a key or a plaintext. */
export function wipe(...all: readonly (Uint8Array | null | undefined)[]): void {
  for (const bytes of all) bytes?.fill(0);
}

/** Zero-filled memory of its own: never a slice of the pool that Buffer shares out among unrelated callers. */
export const ownBytes = (byteLength: number): Buffer => Buffer.alloc(byteLength);

/** Unpredictable bytes fit to be a key, straight from the operating system, in memory of their own. */
export const randomKeyBytes = (byteLength: number): Buffer => randomFillSync(ownBytes(byteLength));
