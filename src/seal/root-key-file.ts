import { createHash } from "node:crypto";
import { equalInConstantTime } from "../crypto/equal.ts";
import { ownBytes } from "../crypto/wipe.ts";
import { SealError } from "./errors.ts";
import { ROOT_KEY_BYTES } from "./provider.ts";

/**
 * The bytes of a root key file, 64 in all. Layout and example: docs/formats/root-key-file.md.
 *
 *   "waxseal root key" (16) ‖ version (4) ‖ root key (32) ‖ checksum (12)
 */
const MAGIC = Buffer.from("waxseal root key", "latin1");
const VERSION = 1;
const VERSION_OFFSET = 16;
const KEY_OFFSET = 20;
const CHECKSUM_OFFSET = KEY_OFFSET + ROOT_KEY_BYTES;
export const ROOT_KEY_FILE_BYTES: number = CHECKSUM_OFFSET + 12;

/** The caller overwrites the result. */
export function encodeRootKeyFile(rootKey: Uint8Array): Buffer {
  const file = ownBytes(ROOT_KEY_FILE_BYTES);
  file.set(MAGIC);
  file.writeUInt32BE(VERSION, VERSION_OFFSET);
  file.set(rootKey, KEY_OFFSET);
  file.set(checksumOf(file), CHECKSUM_OFFSET);
  return file;
}

/** The root key as a view of `file`. `name` says in errors which file is meant. */
export function decodeRootKeyFile(file: Buffer, name: string): Uint8Array {
  const malformed = (what: string): SealError =>
    new SealError(
      "root-key-malformed",
      `The root key file ${name} ${what}. Restore it from your copy; nothing was changed.`,
    );
  if (file.byteLength < MAGIC.byteLength || !file.subarray(0, VERSION_OFFSET).equals(MAGIC)) {
    throw malformed("is not a Waxseal root key file");
  }
  if (file.byteLength !== ROOT_KEY_FILE_BYTES) {
    throw malformed(`has ${file.byteLength} bytes instead of ${ROOT_KEY_FILE_BYTES}`);
  }
  const version = file.readUInt32BE(VERSION_OFFSET);
  if (version !== VERSION) throw malformed(`has format version ${version}, and this server knows version ${VERSION}`);
  if (!equalInConstantTime(checksumOf(file), file.subarray(CHECKSUM_OFFSET))) {
    throw malformed("does not match its checksum: it was damaged");
  }
  return file.subarray(KEY_OFFSET, CHECKSUM_OFFSET);
}

/** Finds damage, not forgery: whoever can write the file can also write the checksum. */
const checksumOf = (file: Buffer): Buffer =>
  createHash("sha256").update(file.subarray(0, CHECKSUM_OFFSET)).digest().subarray(0, 12);
