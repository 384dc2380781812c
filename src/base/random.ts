import { randomFillSync } from "node:crypto";

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
  return { bytes: take, uuid: () => uuidOf(take(16)) };
}

/** Formats 16 random bytes as a version-4 UUID. */
export function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex");
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
