/**
 * Shard iterators: stateless tokens, sealed by the server, so that they can be neither read nor forged nor carried to
 * another stream. docs/formats/shard-iterator.md describes their bytes.
 */
import { asBuffer } from "../../base/bytes.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import { invalidIterator } from "./errors.ts";

export const ITERATOR_LIFETIME_MS = 300_000;

const PURPOSE = "kinesis.shard-iterator";
const VERSION = 1;
/** The model's limit on ShardIterator. */
const TOKEN_CHARACTERS_MAX = 512;
const FIXED_BYTES = 21;
const TWO_32 = 0x1_0000_0000;

export interface ShardIterator {
  readonly accountId: string;
  readonly region: string;
  readonly streamId: string;
  readonly name: string;
  readonly shardIndex: number;
  /** Index of the next record to read, at least 1. */
  readonly position: number;
  readonly createdMs: number;
}

/** The bytes inside a token, before sealing. */
export function encodeIterator(iterator: ShardIterator): Uint8Array {
  const texts = [iterator.accountId, iterator.region, iterator.streamId, iterator.name].map((text) =>
    Buffer.from(text, "utf8"),
  );
  const bytes = Buffer.alloc(FIXED_BYTES + texts.reduce((total, text) => total + 1 + text.length, 0));
  bytes[0] = VERSION;
  bytes.writeUInt32BE(Math.floor(iterator.createdMs / TWO_32), 1);
  bytes.writeUInt32BE(iterator.createdMs % TWO_32, 5);
  bytes.writeUInt32BE(iterator.shardIndex, 9);
  bytes.writeUInt32BE(Math.floor(iterator.position / TWO_32), 13);
  bytes.writeUInt32BE(iterator.position % TWO_32, 17);
  let at = FIXED_BYTES;
  for (const text of texts) {
    bytes.writeUInt8(text.length, at);
    text.copy(bytes, at + 1);
    at += 1 + text.length;
  }
  return bytes;
}

/** The reverse of `encodeIterator`; null for anything else. */
export function decodeIterator(encoded: Uint8Array): ShardIterator | null {
  const bytes = asBuffer(encoded);
  if (bytes.length < FIXED_BYTES || bytes[0] !== VERSION) return null;
  const texts: string[] = [];
  let at = FIXED_BYTES;
  while (at < bytes.length) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end > bytes.length) return null;
    texts.push(bytes.toString("utf8", at + 1, end));
    at = end;
  }
  const [accountId, region, streamId, name] = texts;
  if (accountId === undefined || region === undefined || streamId === undefined || name === undefined) return null;
  return {
    accountId,
    region,
    streamId,
    name,
    shardIndex: bytes.readUInt32BE(9),
    position: bytes.readUInt32BE(13) * TWO_32 + bytes.readUInt32BE(17),
    createdMs: bytes.readUInt32BE(1) * TWO_32 + bytes.readUInt32BE(5),
  };
}

export function sealIterator(box: SecretBox, iterator: ShardIterator): string {
  const sealed = box.seal(PURPOSE, "", encodeIterator(iterator));
  const token = asBuffer(sealed).toString("base64");
  if (token.length > TOKEN_CHARACTERS_MAX) throw new Error(`a shard iterator of ${token.length} characters`);
  return token;
}

/** Throws InvalidArgumentException for whatever this server did not make. Age is the caller's to check: after permission. */
export function openIterator(box: SecretBox, token: string): ShardIterator {
  // AWS takes iterators in double quotes too, as a shell may hand them over.
  const text = /^".*"$/.test(token) ? token.slice(1, -1) : token;
  const sealed = Buffer.from(text, "base64");
  if (sealed.toString("base64") !== text) throw invalidIterator();
  const bytes = box.open(PURPOSE, "", sealed);
  const iterator = bytes === null ? null : decodeIterator(bytes);
  if (iterator === null) throw invalidIterator();
  return iterator;
}
