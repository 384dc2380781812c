import { randomFillSync } from "node:crypto";

/** Overwrites bytes that held a key or a plaintext. */
export function wipe(...all: readonly (Uint8Array | null | undefined)[]): void {
  for (const bytes of all) bytes?.fill(0);
}

/**
 * Zero-filled memory of its own: never a slice of the pool that Buffer shares out among unrelated callers, nor, as small arrays
 * otherwise are, a part of the garbage-collected heap, which moves and leaves copies behind.
 */
export const ownBytes = (byteLength: number): Buffer<ArrayBuffer> => Buffer.from(new ArrayBuffer(byteLength));

/** A copy in memory of its own: of a key on its way to a worker, say, which takes the memory over. */
export function ownCopy(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const copy = ownBytes(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

/** Unpredictable bytes fit to be a key, straight from the operating system, in memory of their own. */
export const randomKeyBytes = (byteLength: number): Buffer => randomFillSync(ownBytes(byteLength));
