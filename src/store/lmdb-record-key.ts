import type { ShardRef } from "./record-log.ts";

/** A block's frame stands in its key, so that positions and times are found without reading blocks, and a block is stored as it came. */
export interface Frame {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastArrivalMs: number;
}

const SHARD_INDEX_BYTES = 4;
const INDEX_BYTES = 8;
const TIME_BYTES = 8;
const FRAME_BYTES = 2 * INDEX_BYTES + TIME_BYTES;
const MARKER_BYTES = INDEX_BYTES + TIME_BYTES;

/** Ends the stream id: no stream's keys begin with another's. Sorts before whatever a stream id may hold. */
const TERMINATOR = 0;

const TWO_TO_32 = 0x1_0000_0000;

function writeUint64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_TO_32), offset);
  target.writeUInt32BE(value % TWO_TO_32, offset + 4);
}

const readUint64 = (source: Buffer, offset: number): number =>
  source.readUInt32BE(offset) * TWO_TO_32 + source.readUInt32BE(offset + 4);

/** `stream id | 00`: what all keys of a stream begin with. */
export const streamPrefix = (streamId: string): Buffer => Buffer.from(`${streamId}\u0000`, "latin1");

/** The first key behind all keys of a stream. */
export const streamEnd = (streamId: string): Buffer => Buffer.from(`${streamId}\u0001`, "latin1");

/** `stream id | 00 | shard index (4)`: what all keys of a shard begin with, and the key of its marker. */
export function shardKey({ streamId, shardIndex }: ShardRef): Buffer {
  const key = Buffer.allocUnsafe(streamId.length + 1 + SHARD_INDEX_BYTES);
  key.write(streamId, 0, "latin1");
  key[streamId.length] = TERMINATOR;
  key.writeUInt32BE(shardIndex, streamId.length + 1);
  return key;
}

/** `shard key | last index (8) | first index (8) | last arrival (8)`, numbers big-endian. */
export function blockKey({ streamId, shardIndex }: ShardRef, frame: Frame): Buffer {
  const shardOffset = streamId.length + 1;
  const frameOffset = shardOffset + SHARD_INDEX_BYTES;
  const key = Buffer.allocUnsafe(frameOffset + FRAME_BYTES);
  key.write(streamId, 0, "latin1");
  key[streamId.length] = TERMINATOR;
  key.writeUInt32BE(shardIndex, shardOffset);
  writeUint64(key, frame.lastIndex, frameOffset);
  writeUint64(key, frame.firstIndex, frameOffset + INDEX_BYTES);
  writeUint64(key, frame.lastArrivalMs, frameOffset + 2 * INDEX_BYTES);
  return key;
}

export function frameOf(key: Uint8Array): Frame {
  const frame = Buffer.from(key.buffer, key.byteOffset + key.byteLength - FRAME_BYTES, FRAME_BYTES);
  return {
    lastIndex: readUint64(frame, 0),
    firstIndex: readUint64(frame, INDEX_BYTES),
    lastArrivalMs: readUint64(frame, 2 * INDEX_BYTES),
  };
}

/** `shard key | last index (8)`: sorts before the key of the first block that ends at this index or later. */
export function seekKey(shard: ShardRef, lastIndex: number): Buffer {
  const prefix = shardKey(shard);
  const key = Buffer.alloc(prefix.length + INDEX_BYTES);
  prefix.copy(key);
  writeUint64(key, lastIndex, prefix.length);
  return key;
}

/** The first key behind all blocks of a shard: no index reaches 2^53. */
export const shardEnd = (shard: ShardRef): Buffer => Buffer.concat([shardKey(shard), Buffer.alloc(1, 0xff)]);

/** `last index (8) | last arrival (8)`: what remains of a shard whose blocks were all trimmed. */
export function encodeMarker(marker: { readonly lastIndex: number; readonly lastArrivalMs: number }): Buffer {
  const bytes = Buffer.alloc(MARKER_BYTES);
  writeUint64(bytes, marker.lastIndex, 0);
  writeUint64(bytes, marker.lastArrivalMs, INDEX_BYTES);
  return bytes;
}

export function decodeMarker(bytes: Uint8Array): { readonly lastIndex: number; readonly lastArrivalMs: number } {
  const marker = Buffer.from(bytes.buffer, bytes.byteOffset, MARKER_BYTES);
  return { lastIndex: readUint64(marker, 0), lastArrivalMs: readUint64(marker, INDEX_BYTES) };
}
