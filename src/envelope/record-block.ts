/**
 * Blocks of stream records as they lie in the store: docs/formats/record-block.md describes every byte. A block names its
 * wrapped data key once; each record has its own nonce, key and tag, bound to stream, shard, index and arrival time.
 */
import { asBuffer } from "../base/bytes.ts";
import { crc32 } from "node:zlib";
import type { ClearBytes, SealedBytes } from "../base/brand.ts";
import type { Random } from "../base/random.ts";
import { leftInClear } from "./clear.ts";
import type { CipherSuite, RecordKey } from "./suite.ts";
import {
  NONCE_BYTES,
  SEALED_OVERHEAD_BYTES,
  SUITE_CLEAR,
  SUITE_XAES_256_GCM,
  SUITE_XCHACHA20_POLY1305,
  TAG_BYTES,
} from "./suite.ts";

const MAGIC = Buffer.from("WXRB", "latin1");
const VERSION = 1;

const SUITE_AT = 5;
const KEY_ARN_LENGTH_AT = 6;
const WRAPPED_LENGTH_AT = 8;
const COUNT_AT = 10;
const FIRST_INDEX_AT = 14;
const COMMITMENT_AT = 22;
export const COMMITMENT_BYTES = 32;
const FIXED_BYTES = COMMITMENT_AT + COMMITMENT_BYTES;
const TABLE_ENTRY_BYTES = 12;
const CHECKSUM_BYTES = 4;

/** In front of the partition key and of the payload. */
const KEY_LENGTH_BYTES = 2;
const DATA_LENGTH_BYTES = 4;
const BODY_OVERHEAD_BYTES = KEY_LENGTH_BYTES + DATA_LENGTH_BYTES;

const TWO_32 = 0x1_0000_0000;

/** Where a block belongs: part of every record's authenticated data, stored nowhere in the block. */
export interface BlockOrigin {
  /** Immutable, at most 255 bytes of ASCII. */
  readonly streamId: string;
  readonly shardIndex: number;
}

export interface PlainRecord {
  /** 1 to 256 characters. */
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** What a block says about its data key; none of it is secret. */
export interface DataKeyHead {
  /** ARN of the KMS key, for reports and for the call that unwraps. */
  readonly keyArn: string;
  /** The data key as KMS returned it, encrypted. */
  readonly wrapped: Uint8Array;
  readonly commitment: Uint8Array;
}

/** The same, and which suite's key to make of it. */
export interface WrappedDataKey extends DataKeyHead {
  readonly suite: CipherSuite;
}

interface WithHead extends DataKeyHead {
  /** ARN and wrapped key as they stand in every block under the key. */
  readonly head: Buffer;
}

export interface SealingKey extends WithHead, WrappedDataKey {
  readonly key: RecordKey;
  /** The authenticated data of every record under the key, up to what names stream, shard, index and time. */
  readonly boundTo: Buffer;
}

/** Lays out ahead of time what all blocks under one data key share. */
export const sealingKey = (key: RecordKey, dataKey: DataKeyHead): SealingKey => ({
  ...withHead(dataKey),
  suite: key.suite,
  key,
  boundTo: keyBinding(key.suite, dataKey),
});

const withHead = ({ keyArn, wrapped, commitment }: DataKeyHead): WithHead => ({
  keyArn,
  wrapped,
  commitment,
  head: Buffer.concat([Buffer.from(keyArn, "utf8"), wrapped]),
});

/** A block whose header and table are whole. Positions count from 0 within the block. */
export interface ParsedBlock {
  readonly bytes: Buffer;
  readonly suite: typeof SUITE_CLEAR | CipherSuite;
  readonly firstIndex: number;
  readonly count: number;
  /** Null for a block in clear. */
  readonly dataKey: WrappedDataKey | null;
  /** Where each record begins, and one more: where the last one ends. */
  readonly offsets: readonly number[];
  readonly arrivalsMs: readonly number[];
}

export interface OpenedRecord {
  readonly index: number;
  readonly arrivalMs: number;
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

function writeUint64(into: Buffer, value: number, at: number): void {
  into.writeUInt32BE(Math.floor(value / TWO_32), at);
  into.writeUInt32BE(value % TWO_32, at + 4);
}

const readUint64 = (from: Buffer, at: number): number => from.readUInt32BE(at) * TWO_32 + from.readUInt32BE(at + 4);

/** Bytes that a record's content takes before sealing: what limits on size are counted in. */
export const contentBytes = (record: PlainRecord): number =>
  Buffer.byteLength(record.partitionKey) + record.data.length;

/** Bytes of content (partition key and payload) of the record at `position`, from the table alone. */
export function storedContentBytes(block: ParsedBlock, position: number): number {
  const length = (block.offsets[position + 1] ?? 0) - (block.offsets[position] ?? 0);
  const overhead = block.suite === SUITE_CLEAR ? CHECKSUM_BYTES : SEALED_OVERHEAD_BYTES;
  return Math.max(0, length - overhead - BODY_OVERHEAD_BYTES);
}

function keyBinding(suite: CipherSuite, { keyArn, commitment }: DataKeyHead): Buffer {
  const keyArnBytes = Buffer.byteLength(keyArn, "utf8");
  const bytes = Buffer.allocUnsafe(8 + keyArnBytes + COMMITMENT_BYTES);
  MAGIC.copy(bytes, 0);
  bytes[4] = VERSION;
  bytes[SUITE_AT] = suite;
  bytes.writeUInt16BE(keyArnBytes, 6);
  bytes.write(keyArn, 8, "utf8");
  bytes.set(commitment, 8 + keyArnBytes);
  return bytes;
}

/** The authenticated data of all records of a block; the last 16 bytes (index, arrival) change from record to record. */
function associatedData(boundTo: Buffer, { streamId, shardIndex }: BlockOrigin): Buffer {
  if (streamId.length > 255) throw new RangeError("a stream id has at most 255 bytes");
  const aad = Buffer.allocUnsafe(boundTo.length + 1 + streamId.length + 20);
  aad.set(boundTo);
  aad[boundTo.length] = streamId.length;
  const at = boundTo.length + 1 + aad.write(streamId, boundTo.length + 1, "latin1");
  aad.writeUInt32BE(shardIndex, at);
  return aad;
}

function bindRecord(aad: Buffer, index: number, arrivalMs: number): Buffer {
  writeUint64(aad, index, aad.length - 16);
  writeUint64(aad, arrivalMs, aad.length - 8);
  return aad;
}

/** Writes header, table and checksum; `lengths` are those of the stored records. Returns where the records begin. */
function writeHead(
  out: Buffer,
  suite: number,
  dataKey: WithHead | null,
  firstIndex: number,
  lengths: readonly number[],
  arrivalMsOf: (position: number) => number,
): number {
  const wrappedBytes = dataKey?.wrapped.length ?? 0;
  const keyArnBytes = (dataKey?.head.length ?? 0) - wrappedBytes;
  MAGIC.copy(out, 0);
  out[4] = VERSION;
  out[SUITE_AT] = suite;
  out.writeUInt16BE(keyArnBytes, KEY_ARN_LENGTH_AT);
  out.writeUInt16BE(wrappedBytes, WRAPPED_LENGTH_AT);
  out.writeUInt32BE(lengths.length, COUNT_AT);
  writeUint64(out, firstIndex, FIRST_INDEX_AT);
  if (dataKey === null) out.fill(0, COMMITMENT_AT, FIXED_BYTES);
  else {
    out.set(dataKey.commitment, COMMITMENT_AT);
    out.set(dataKey.head, FIXED_BYTES);
  }
  let at = FIXED_BYTES + keyArnBytes + wrappedBytes;
  for (let position = 0; position < lengths.length; position++) {
    out.writeUInt32BE(lengths[position] ?? 0, at);
    writeUint64(out, arrivalMsOf(position), at + 4);
    at += TABLE_ENTRY_BYTES;
  }
  out.writeUInt32BE(crc32(out.subarray(0, at)), at);
  return at + CHECKSUM_BYTES;
}

const headBytes = (dataKey: WithHead | null, count: number): number =>
  FIXED_BYTES + (dataKey?.head.length ?? 0) + count * TABLE_ENTRY_BYTES + CHECKSUM_BYTES;

const sum = (lengths: readonly number[]): number => lengths.reduce((total, length) => total + length, 0);

/** Writes length-prefixed partition key and payload. Returns where they end. */
function writeBody(out: Buffer, record: PlainRecord, at: number): number {
  const keyBytes = out.write(record.partitionKey, at + KEY_LENGTH_BYTES, "utf8");
  out.writeUInt16BE(keyBytes, at);
  const dataAt = at + KEY_LENGTH_BYTES + keyBytes;
  out.writeUInt32BE(record.data.length, dataAt);
  out.set(record.data, dataAt + DATA_LENGTH_BYTES);
  return dataAt + DATA_LENGTH_BYTES + record.data.length;
}

/** Null when the lengths do not add up exactly. The content is that of `bytes` from `start` to `end`. */
function readBody(bytes: Buffer, start: number, end: number, index: number, arrivalMs: number): OpenedRecord | null {
  if (end - start < BODY_OVERHEAD_BYTES) return null;
  const keyAt = start + KEY_LENGTH_BYTES;
  const keyEnd = keyAt + bytes.readUInt16BE(start);
  const dataAt = keyEnd + DATA_LENGTH_BYTES;
  if (dataAt > end || dataAt + bytes.readUInt32BE(keyEnd) !== end) return null;
  return { index, arrivalMs, partitionKey: bytes.toString("utf8", keyAt, keyEnd), data: bytes.subarray(dataAt, end) };
}

/**
 * Seals records that arrived together, the first one at `firstIndex`. The caller counts uses of the key (one per record)
 * and makes sure that it is not destroyed.
 */
export function sealBlock(
  dataKey: SealingKey,
  random: Random,
  origin: BlockOrigin,
  firstIndex: number,
  arrivalMs: number,
  records: readonly PlainRecord[],
): SealedBytes {
  const lengths = records.map((record) => contentBytes(record) + BODY_OVERHEAD_BYTES + SEALED_OVERHEAD_BYTES);
  const bytes = Buffer.allocUnsafeSlow(headBytes(dataKey, records.length) + sum(lengths));
  let at = writeHead(bytes, dataKey.key.suite, dataKey, firstIndex, lengths, () => arrivalMs);
  const offsets = [at];
  for (const record of records) {
    // The plaintext stands in its place for an instant and is overwritten by its ciphertext: no further copy to wipe.
    at = writeBody(bytes, record, at + NONCE_BYTES) + TAG_BYTES;
    offsets.push(at);
  }
  const aad = associatedData(dataKey.boundTo, origin);
  dataKey.key.seal(random, { bytes, offsets }, (position) => bindRecord(aad, firstIndex + position, arrivalMs));
  return bytes as Uint8Array as SealedBytes;
}

/** Packs records of a stream whose owner left it unencrypted. Each carries a checksum, since nothing else would tell of damage. */
export function clearBlock(firstIndex: number, arrivalMs: number, records: readonly PlainRecord[]): ClearBytes {
  const lengths = records.map((record) => contentBytes(record) + BODY_OVERHEAD_BYTES + CHECKSUM_BYTES);
  const out = Buffer.allocUnsafeSlow(headBytes(null, records.length) + sum(lengths));
  let at = writeHead(out, SUITE_CLEAR, null, firstIndex, lengths, () => arrivalMs);
  for (const record of records) {
    const bodyEnd = writeBody(out, record, at);
    out.writeUInt32BE(crc32(out.subarray(at, bodyEnd)), bodyEnd);
    at = bodyEnd + CHECKSUM_BYTES;
  }
  return leftInClear(out);
}

/** Reads header and table. Null when they were damaged or do not fit the frame (`firstIndex` to `lastIndex`). */
export function parseBlock(stored: Uint8Array, firstIndex: number, lastIndex: number): ParsedBlock | null {
  const bytes = asBuffer(stored);
  if (bytes.length < FIXED_BYTES + CHECKSUM_BYTES) return null;
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0 || bytes[4] !== VERSION) return null;
  const suite = bytes[SUITE_AT];
  if (suite !== SUITE_CLEAR && suite !== SUITE_XAES_256_GCM && suite !== SUITE_XCHACHA20_POLY1305) return null;
  const count = bytes.readUInt32BE(COUNT_AT);
  if (count !== lastIndex - firstIndex + 1 || readUint64(bytes, FIRST_INDEX_AT) !== firstIndex) return null;
  const wrappedAt = FIXED_BYTES + bytes.readUInt16BE(KEY_ARN_LENGTH_AT);
  const tableAt = wrappedAt + bytes.readUInt16BE(WRAPPED_LENGTH_AT);
  const tableEnd = tableAt + count * TABLE_ENTRY_BYTES;
  if (tableEnd + CHECKSUM_BYTES > bytes.length) return null;
  if (crc32(bytes.subarray(0, tableEnd)) !== bytes.readUInt32BE(tableEnd)) return null;

  const offsets = [tableEnd + CHECKSUM_BYTES];
  const arrivalsMs: number[] = [];
  for (let position = 0, end = tableEnd + CHECKSUM_BYTES; position < count; position++) {
    const entryAt = tableAt + position * TABLE_ENTRY_BYTES;
    end += bytes.readUInt32BE(entryAt);
    offsets.push(end);
    arrivalsMs.push(readUint64(bytes, entryAt + 4));
  }
  const dataKey: WrappedDataKey | null =
    suite === SUITE_CLEAR
      ? null
      : {
          suite,
          keyArn: bytes.toString("utf8", FIXED_BYTES, wrappedAt),
          wrapped: bytes.subarray(wrappedAt, tableAt),
          commitment: bytes.subarray(COMMITMENT_AT, FIXED_BYTES),
        };
  return { bytes, suite, firstIndex, count, dataKey, offsets, arrivalsMs };
}

/** The stored bytes of one record, or null when the block ends before they do. */
function storedRecord(block: ParsedBlock, position: number): Buffer | null {
  const start = block.offsets[position] ?? Number.POSITIVE_INFINITY;
  const end = block.offsets[position + 1] ?? Number.POSITIVE_INFINITY;
  return end <= block.bytes.length ? block.bytes.subarray(start, end) : null;
}

function openClear(block: ParsedBlock, position: number): OpenedRecord | null {
  const { bytes, offsets } = block;
  const start = offsets[position] ?? Number.POSITIVE_INFINITY;
  const end = (offsets[position + 1] ?? Number.POSITIVE_INFINITY) - CHECKSUM_BYTES;
  if (end + CHECKSUM_BYTES > bytes.length || end < start) return null;
  if (crc32(bytes.subarray(start, end)) !== bytes.readUInt32BE(end)) return null;
  return readBody(bytes, start, end, block.firstIndex + position, block.arrivalsMs[position] ?? 0);
}

/** Position of the first record, from `from` on, that the block does not hold whole. */
function endOfWhole({ bytes, offsets }: ParsedBlock, from: number, to: number): number {
  for (let position = from; position < to; position++) {
    const start = offsets[position] ?? Number.POSITIVE_INFINITY;
    const end = offsets[position + 1] ?? Number.POSITIVE_INFINITY;
    if (end > bytes.length || end - start < SEALED_OVERHEAD_BYTES) return position;
  }
  return to;
}

function openSealed(
  block: ParsedBlock,
  { key, dataKey }: { readonly key: RecordKey; readonly dataKey: WrappedDataKey },
  origin: BlockOrigin,
  from: number,
  to: number,
): readonly OpenedRecord[] {
  const aad = associatedData(keyBinding(dataKey.suite, dataKey), origin);
  const contents = key.open(block, from, endOfWhole(block, from, to), (position) =>
    bindRecord(aad, block.firstIndex + position, block.arrivalsMs[position] ?? 0),
  );
  const opened: OpenedRecord[] = [];
  for (const content of contents) {
    const position = from + opened.length;
    const arrivalMs = block.arrivalsMs[position] ?? 0;
    const record = readBody(content, 0, content.length, block.firstIndex + position, arrivalMs);
    if (record === null) break;
    opened.push(record);
  }
  return opened;
}

/**
 * Opens the records at positions `from` (included) to `to` (excluded), up to the first one that is not authentic: the
 * result is then shorter than asked for. `key` is the block's unwrapped data key, null for a block in clear.
 */
export function openRecords(
  block: ParsedBlock,
  key: RecordKey | null,
  origin: BlockOrigin,
  from: number,
  to: number,
): readonly OpenedRecord[] {
  const opened: OpenedRecord[] = [];
  if (block.suite === SUITE_CLEAR) {
    for (let position = from; position < to; position++) {
      const record = openClear(block, position);
      if (record === null) break;
      opened.push(record);
    }
    return opened;
  }
  const { dataKey } = block;
  if (key === null || dataKey === null || key.suite !== dataKey.suite) return opened;
  return openSealed(block, { key, dataKey }, origin, from, to);
}

/** Exactly what is stored for one record (nonce, ciphertext and tag when sealed). Null when the block does not hold all of it. */
export function extractRecord(block: ParsedBlock, position: number): SealedBytes | ClearBytes | null {
  const stored = storedRecord(block, position);
  if (stored === null) return null;
  const copy = new Uint8Array(stored);
  return block.suite === SUITE_CLEAR ? leftInClear(copy) : (copy as SealedBytes);
}

/**
 * The same block with other bytes in one record's place, of whatever length; all else is untouched. For
 * `waxseal debug record`, which shows what damage does: nothing here makes the bytes authentic.
 */
export function replaceRecord(block: ParsedBlock, position: number, replacement: Uint8Array): SealedBytes | ClearBytes {
  const start = Math.min(block.offsets[position] ?? 0, block.bytes.length);
  const end = Math.min(block.offsets[position + 1] ?? 0, block.bytes.length);
  const lengths = block.arrivalsMs.map((_, at) =>
    at === position ? replacement.length : (block.offsets[at + 1] ?? 0) - (block.offsets[at] ?? 0),
  );
  const recordsAt = block.offsets[0] ?? 0;
  const out = Buffer.alloc(block.bytes.length - (end - start) + replacement.length);
  const dataKey = block.dataKey === null ? null : withHead(block.dataKey);
  writeHead(out, block.suite, dataKey, block.firstIndex, lengths, (at) => block.arrivalsMs[at] ?? 0);
  block.bytes.copy(out, recordsAt, recordsAt, start);
  out.set(replacement, start);
  block.bytes.copy(out, start + replacement.length, end);
  return block.suite === SUITE_CLEAR ? leftInClear(out) : (out as Uint8Array as SealedBytes);
}
