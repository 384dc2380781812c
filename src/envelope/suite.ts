/** Cipher suites of stream records: what each does with a data key, behind one port, so that a block need not know which it is. */
import type { Random } from "../base/random.ts";

/** Ids as they stand in a block's head: docs/formats/record-block.md. */
export const SUITE_CLEAR = 0;
export const SUITE_XAES_256_GCM = 1;
export const SUITE_XCHACHA20_POLY1305 = 2;

export type CipherSuite = typeof SUITE_XAES_256_GCM | typeof SUITE_XCHACHA20_POLY1305;

/** What operators call them. */
export type SuiteName = "aes" | "xchacha";

export const suiteNamed = (name: SuiteName): CipherSuite =>
  name === "aes" ? SUITE_XAES_256_GCM : SUITE_XCHACHA20_POLY1305;

/** All suites have keys, nonces and tags of the same lengths, and store a record as nonce | ciphertext | tag. */
export const DATA_KEY_BYTES = 32;
export const NONCE_BYTES = 24;
export const TAG_BYTES = 16;
export const SEALED_OVERHEAD_BYTES: number = NONCE_BYTES + TAG_BYTES;

/** Records in a buffer, one behind the other. */
export interface StoredRecords {
  readonly bytes: Buffer;
  /** Where each record begins, and one more: where the last one ends. */
  readonly offsets: readonly number[];
}

/** Gives the authenticated data of the record at a position: the same buffer each time, changed by the next call. */
export type Bind = (position: number) => Buffer;

/** A data key, ready to seal and open records. Whoever made it destroys it. */
export interface RecordKey {
  readonly suite: CipherSuite;
  readonly destroyed: boolean;
  /**
   * Seals all records where they are: each content stands behind the place of its nonce, and is overwritten by its
   * ciphertext. Each record gets a nonce never used before. Throws once the key is destroyed.
   */
  seal(random: Random, records: StoredRecords, bind: Bind): void;
  /**
   * The contents of the records at positions `from` (included) to `to` (excluded), up to the first one that is not
   * authentic. All of them lie whole within `bytes`. Throws once the key is destroyed.
   */
  open(records: StoredRecords, from: number, to: number, bind: Bind): readonly Buffer[];
  /** Overwrites the key. Harmless when called again. */
  destroy(): void;
}
