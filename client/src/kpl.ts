/**
 * Records that the Kinesis Producer Library put together (its aggregation-format.md): magic, a protobuf message, and the
 * message's MD5.
 *
 *     AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
 *                        repeated Record records = 3; }
 *     Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
 *              required bytes data = 3; repeated Tag tags = 4; }
 */
import { createHash } from "node:crypto";

export interface AggregatedRecord {
  readonly partitionKey: string;
  readonly explicitHashKey: string | null;
  readonly data: Buffer;
}

const MAGIC: Uint8Array = Uint8Array.of(0xf3, 0x89, 0x9a, 0xc2);
const DIGEST_BYTES = 16;

/**
 * The records in one; null for a record that is none of these. What has the magic and not the form, or another digest, is a
 * record that happens to begin so: it is to be handed on as it is. `data` are views of the bytes that were given.
 */
export function deaggregated(record: Uint8Array): readonly AggregatedRecord[] | null {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < MAGIC.length + DIGEST_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const message = bytes.subarray(MAGIC.length, bytes.length - DIGEST_BYTES);
  // The format asks for MD5: against accidents, not against forgers.
  const digest = createHash("md5").update(message).digest();
  if (!digest.equals(bytes.subarray(bytes.length - DIGEST_BYTES))) return null;
  try {
    return aggregate(message);
  } catch (error) {
    if (error instanceof MalformedError) return null;
    throw error;
  }
}

class MalformedError extends Error {}

const needs = (condition: boolean): void => {
  if (!condition) throw new MalformedError();
};

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

interface Field {
  readonly number: number;
  /** Of a varint. */
  readonly value: number | null;
  /** Of what has a length. */
  readonly bytes: Buffer | null;
}

/** The fields of a message, each within its bounds. Those of other wire types are passed over. */
function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    // Eight bytes hold 56 bits; nothing here (an index, a length) needs the 53 that a number has.
    for (let shift = 0; shift < 8; shift++) {
      needs(at < message.length);
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) {
        needs(Number.isSafeInteger(value));
        return value;
      }
    }
    throw new MalformedError();
  };
  const passOver = (count: number): Buffer => {
    needs(count <= message.length - at);
    at += count;
    return message.subarray(at - count, at);
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    needs(number > 0);
    const wireType = tag % 8;
    if (wireType === VARINT) yield { number, value: varint(), bytes: null };
    else if (wireType === LENGTH_DELIMITED) yield { number, value: null, bytes: passOver(varint()) };
    else if (wireType === FIXED_64) passOver(8);
    else if (wireType === FIXED_32) passOver(4);
    else throw new MalformedError();
  }
}

function aggregate(message: Buffer): readonly AggregatedRecord[] {
  const partitionKeys: string[] = [];
  const hashKeys: string[] = [];
  const records: Buffer[] = [];
  for (const { number, bytes } of fieldsOf(message)) {
    if (number < 1 || number > 3) continue;
    if (bytes === null) throw new MalformedError();
    if (number === 3) records.push(bytes);
    else (number === 1 ? partitionKeys : hashKeys).push(textOf(bytes));
  }
  needs(records.length > 0);
  return records.map((record) => single(record, partitionKeys, hashKeys));
}

function single(message: Buffer, partitionKeys: readonly string[], hashKeys: readonly string[]): AggregatedRecord {
  let partitionKey: string | undefined;
  let explicitHashKey: string | null | undefined = null;
  let data: Buffer | null = null;
  for (const { number, value, bytes } of fieldsOf(message)) {
    if (number === 1) partitionKey = partitionKeys[value ?? -1];
    else if (number === 2) explicitHashKey = hashKeys[value ?? -1];
    else if (number === 3) data = bytes;
  }
  if (partitionKey === undefined || explicitHashKey === undefined || data === null) throw new MalformedError();
  return { partitionKey, explicitHashKey, data };
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new MalformedError();
  }
}
