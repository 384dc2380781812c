/**
 * One stored record's bytes, out and in, without any key: what `waxseal debug record` shows and damages. The server need
 * not run, and nothing is opened.
 */
import type { ClearBytes, SealedBytes } from "../../base/brand.ts";
import type { ParsedBlock } from "../../envelope/record-block.ts";
import { extractRecord, parseBlock, replaceRecord } from "../../envelope/record-block.ts";
import type { Block, RecordLog, ShardRef } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { streamKey, streams } from "./records.ts";
import { parseSequenceNumber } from "./sequence.ts";

/** What a replacement may hold. */
export const REPLACEMENT_BYTES_MAX: number = 2 * 1024 * 1024;

export interface RecordName {
  readonly accountId: string;
  readonly region: string;
  readonly streamName: string;
  readonly sequenceNumber: string;
}

interface Found {
  readonly ref: ShardRef;
  readonly block: Block;
  readonly parsed: ParsedBlock;
  /** Within the block. */
  readonly position: number;
}

export type DebugStores = { readonly reader: Reader; readonly records: RecordLog };

/** Throws an Error that says what is missing. */
async function find({ reader, records }: DebugStores, name: RecordName): Promise<Found> {
  const stream = await reader.get(streams, streamKey({ ...name, name: name.streamName }));
  if (stream === null)
    throw new Error(`there is no stream ${name.streamName} in account ${name.accountId}, ${name.region}`);
  const parts = parseSequenceNumber(name.sequenceNumber);
  if (parts === null) throw new Error(`${name.sequenceNumber} is not a sequence number`);
  const ref: ShardRef = { streamId: stream.streamId, shardIndex: parts.shardIndex };
  const [block] = await records.read(ref, parts.index, { blocksMax: 1, bytesMax: 1 });
  if (block === undefined || block.firstIndex > parts.index)
    throw new Error(`no record ${name.sequenceNumber} is stored`);
  const parsed = parseBlock(block.bytes, block.firstIndex, block.lastIndex);
  if (parsed === null) throw new Error(`the block that holds ${name.sequenceNumber} is damaged as a whole`);
  return { ref, block, parsed, position: parts.index - block.firstIndex };
}

/** The record exactly as it is stored: nonce, ciphertext and tag, or body and checksum where the stream was not encrypted. */
export async function exportRecord(stores: DebugStores, name: RecordName): Promise<SealedBytes | ClearBytes> {
  const { parsed, position } = await find(stores, name);
  const bytes = extractRecord(parsed, position);
  if (bytes === null) throw new Error(`the block ends before the record ${name.sequenceNumber} does`);
  return bytes;
}

/** Puts other bytes in the record's place, durably. Everything else in its block stays as it is. */
export async function overwriteRecord(stores: DebugStores, name: RecordName, bytes: Uint8Array): Promise<void> {
  if (bytes.length > REPLACEMENT_BYTES_MAX)
    throw new RangeError(`a record takes at most ${REPLACEMENT_BYTES_MAX} bytes`);
  const { ref, block, parsed, position } = await find(stores, name);
  await stores.records.append(ref, { ...block, bytes: replaceRecord(parsed, position, bytes) });
}
