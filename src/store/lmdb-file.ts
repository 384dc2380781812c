/** What an LMDB file says of itself, read before it is mapped. */
import { open } from "node:fs/promises";
import { OperatorError } from "../base/operator-error.ts";

/** `MDB_meta` of LMDB's data version 2 behind the header of its page (mdb.c, `struct MDB_meta`), little-endian on all we run on. */
const META_OFFSET = 24;
const META_BYTES = 136;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const PAGE_BYTES_OFFSET = 24;
const LAST_PAGE_OFFSET = 120;
const TRANSACTION_OFFSET = 128;
/** LMDB takes no others. */
const PAGE_BYTES_MIN = 256;
const PAGE_BYTES_MAX = 65_536;

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/**
 * Throws OperatorError when the file is shorter than its newest transaction says: a copy that broke off, a disk that lost its
 * end. LMDB maps files, so that a page behind the end would end the process without a word when it is read.
 */
export async function requireWhole(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const first = await metaAt(file, META_OFFSET);
    if (first === null) return;
    const second = await metaAt(file, first.pageBytes + META_OFFSET);
    const newest = second !== null && second.transaction > first.transaction ? second : first;
    const bytes = (newest.lastPage + 1n) * BigInt(newest.pageBytes);
    if (BigInt(size) >= bytes) return;
    throw new OperatorError(
      `${path} is cut off: it has ${size} bytes and should have ${bytes}. Restore it, with the rest of the data directory, from a backup.`,
    );
  } finally {
    await file.close();
  }
}

/** Null where there is none: a new file, or one that LMDB itself will refuse. */
async function metaAt(file: Awaited<ReturnType<typeof open>>, position: number): Promise<Meta | null> {
  const bytes = Buffer.alloc(META_BYTES);
  const { bytesRead } = await file.read(bytes, 0, META_BYTES, position);
  if (bytesRead < META_BYTES || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== DATA_VERSION) return null;
  const pageBytes = bytes.readUInt32LE(PAGE_BYTES_OFFSET);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return null;
  return {
    pageBytes,
    lastPage: bytes.readBigUInt64LE(LAST_PAGE_OFFSET),
    transaction: bytes.readBigUInt64LE(TRANSACTION_OFFSET),
  };
}
