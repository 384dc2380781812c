/**
 * XAES-256-GCM (C2SP, https://c2sp.org/XAES-256-GCM): AES-256-GCM with 24-byte nonces. The first half of a nonce gives a
 * key of its own by two AES blocks (SP 800-108r1 counter mode over CMAC), the second half is GCM's nonce. Random nonces
 * are then safe for as many records as anybody will ever put.
 */
import { asBuffer } from "../base/bytes.ts";
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Cipher } from "node:crypto";
import type { Random } from "../base/random.ts";
import type { Bind, CipherSuite, RecordKey, StoredRecords } from "./suite.ts";
import { DATA_KEY_BYTES, NONCE_BYTES, SUITE_XAES_256_GCM, TAG_BYTES } from "./suite.ts";

const BLOCK_BYTES = 16;
const DERIVED_KEY_BYTES = 32;
/** How many bytes of the nonce go into the derivation; the rest is GCM's nonce. */
const DERIVATION_NONCE_BYTES = 12;

/** Nonces and keys made ahead of use: a call of the cipher costs 2 µs for one record and 3 for this many. */
const SUPPLY_COUNT = 64;

/** Nonces (24 bytes each) with their record keys (32 bytes each). */
interface RecordKeys {
  readonly nonces: Buffer;
  readonly keys: Buffer;
}

/** Doubling in GF(2^128), the CMAC subkey rule (SP 800-38B, section 6.1). */
function double(block: Uint8Array): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  let carry = 0;
  for (let at = BLOCK_BYTES - 1; at >= 0; at--) {
    const byte = block[at] ?? 0;
    result[at] = ((byte << 1) | carry) & 0xff;
    carry = byte >>> 7;
  }
  result[BLOCK_BYTES - 1] = (result[BLOCK_BYTES - 1] ?? 0) ^ (0x87 & -carry);
  return result;
}

/**
 * A data key, ready to derive record keys. The key itself lives nowhere but in OpenSSL's key schedule, outside the
 * JavaScript heap; OpenSSL overwrites the schedule when `destroy` frees it.
 */
export class XaesKey implements RecordKey {
  readonly suite: CipherSuite = SUITE_XAES_256_GCM;
  #ecb: Cipher | null;
  /** The CMAC subkey, folded into both counter blocks ahead of time. */
  readonly #blocks: Buffer;
  /** Of which `#supplyUsed` were handed out. */
  #supply: RecordKeys | null = null;
  #supplyUsed = 0;

  /** `key` is 32 bytes and stays the caller's to overwrite. */
  constructor(key: Uint8Array) {
    if (key.length !== DATA_KEY_BYTES) throw new RangeError("an XAES-256-GCM key has 32 bytes");
    const ecb = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    const zero = ecb.update(Buffer.alloc(BLOCK_BYTES));
    const subkey = double(zero);
    const blocks = Buffer.alloc(2 * BLOCK_BYTES);
    for (let counter = 1; counter <= 2; counter++) {
      const offset = (counter - 1) * BLOCK_BYTES;
      subkey.copy(blocks, offset);
      // M = counter (16 bit) | "X" | 0x00 | first half of the nonce
      blocks[offset + 1] = (blocks[offset + 1] ?? 0) ^ counter;
      blocks[offset + 2] = (blocks[offset + 2] ?? 0) ^ 0x58;
    }
    zero.fill(0);
    subkey.fill(0);
    this.#ecb = ecb;
    this.#blocks = blocks;
  }

  get destroyed(): boolean {
    return this.#ecb === null;
  }

  /**
   * The record keys (32 bytes each) of `nonces` (24 bytes each), all in one pass of the cipher: 0.05 µs a key in a batch
   * of 500, where one by one costs 2. The caller overwrites the result. Throws once the key is destroyed.
   */
  derive(nonces: Uint8Array): Buffer {
    if (this.#ecb === null) throw new Error("the data key was destroyed");
    const count = nonces.length / NONCE_BYTES;
    const input = Buffer.allocUnsafe(count * DERIVED_KEY_BYTES);
    const blocks = this.#blocks;
    for (let item = 0; item < count; item++) {
      const out = item * DERIVED_KEY_BYTES;
      const nonce = item * NONCE_BYTES;
      input.set(blocks, out);
      for (let at = 0; at < DERIVATION_NONCE_BYTES; at++) {
        const byte = nonces[nonce + at] ?? 0;
        input[out + 4 + at] = (input[out + 4 + at] ?? 0) ^ byte;
        input[out + 20 + at] = (input[out + 20 + at] ?? 0) ^ byte;
      }
    }
    const keys = this.#ecb.update(input);
    // The inputs hold the CMAC subkey.
    input.fill(0);
    return keys;
  }

  /** `count` nonces never used before and their keys, for sealing. The caller overwrites the keys. Throws once destroyed. */
  fresh(random: Random, count: number): RecordKeys {
    if (count > SUPPLY_COUNT / 4) return this.#make(random, count);
    if (this.#supply === null || this.#supplyUsed + count > SUPPLY_COUNT) {
      // The last few of the old supply seal nothing.
      this.#supply?.keys.fill(0);
      this.#supply = this.#make(random, SUPPLY_COUNT);
      this.#supplyUsed = 0;
    }
    const { nonces, keys } = this.#supply;
    const from = this.#supplyUsed;
    const to = (this.#supplyUsed += count);
    return {
      nonces: nonces.subarray(from * NONCE_BYTES, to * NONCE_BYTES),
      keys: keys.subarray(from * DERIVED_KEY_BYTES, to * DERIVED_KEY_BYTES),
    };
  }

  seal(random: Random, { bytes, offsets }: StoredRecords, bind: Bind): void {
    const count = offsets.length - 1;
    const { nonces, keys } = this.fresh(random, count);
    for (let position = 0; position < count; position++) {
      const start = offsets[position] as number;
      const contentAt = start + NONCE_BYTES;
      const tagAt = (offsets[position + 1] as number) - TAG_BYTES;
      const nonce = nonces.subarray(position * NONCE_BYTES, (position + 1) * NONCE_BYTES);
      bytes.set(nonce, start);
      const key = keys.subarray(position * DERIVED_KEY_BYTES, (position + 1) * DERIVED_KEY_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce.subarray(DERIVATION_NONCE_BYTES));
      cipher.setAAD(bind(position));
      bytes.set(cipher.update(bytes.subarray(contentAt, tagAt)), contentAt);
      cipher.final();
      bytes.set(cipher.getAuthTag(), tagAt);
    }
    keys.fill(0);
  }

  open({ bytes, offsets }: StoredRecords, from: number, to: number, bind: Bind): readonly Buffer[] {
    const contents: Buffer[] = [];
    const nonces = Buffer.alloc((to - from) * NONCE_BYTES);
    for (let position = from; position < to; position++) {
      const start = offsets[position] as number;
      bytes.copy(nonces, (position - from) * NONCE_BYTES, start, start + NONCE_BYTES);
    }
    const keys = this.derive(nonces);
    for (let position = from; position < to; position++) {
      const start = offsets[position] as number;
      const tagAt = (offsets[position + 1] as number) - TAG_BYTES;
      const keyAt = (position - from) * DERIVED_KEY_BYTES;
      const nonce = bytes.subarray(start + DERIVATION_NONCE_BYTES, start + NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", keys.subarray(keyAt, keyAt + DERIVED_KEY_BYTES), nonce);
      decipher.setAAD(bind(position));
      decipher.setAuthTag(bytes.subarray(tagAt, tagAt + TAG_BYTES));
      const content = decipher.update(bytes.subarray(start + NONCE_BYTES, tagAt));
      try {
        decipher.final();
      } catch {
        // Whatever was wrong (bytes, place, key): one answer.
        content.fill(0);
        break;
      }
      contents.push(content);
    }
    keys.fill(0);
    return contents;
  }

  #make(random: Random, count: number): RecordKeys {
    const drawn = random.bytes(count * NONCE_BYTES);
    const nonces = asBuffer(drawn);
    return { nonces, keys: this.derive(nonces) };
  }

  /** Overwrites the key. Harmless when called again. */
  destroy(): void {
    if (this.#ecb === null) return;
    // Frees the cipher context, which OpenSSL clears; without it the schedule would wait for the garbage collector.
    this.#ecb.final();
    this.#ecb = null;
    this.#blocks.fill(0);
    this.#supply?.keys.fill(0);
    this.#supply = null;
  }
}
