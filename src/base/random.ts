import { randomFillSync, randomUUID } from "node:crypto";

/**
 * Where unpredictable bytes come from. Production uses the operating system's generator; a simulation hands in one that
 * follows a seed. Key material is never drawn from here but straight from node:crypto (see crypto/).
 */
export interface Random {
  bytes(length: number): Uint8Array;
  /** A random UUID, version 4, lower case. */
  uuid(): string;
}

/** Bytes drawn ahead of use, because one call into the generator costs 4 µs whatever it returns. */
const POOL_BYTES = 16_384;

/** The operating system's generator behind a pool. The pool feeds nonces and identifiers, which are public anyway. */
export function systemRandom(): Random {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  const take = (length: number): Uint8Array => {
    if (length > POOL_BYTES / 4) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + length);
    used += length;
    return bytes;
  };
  return { bytes: take, uuid: () => randomUUID() };
}
