import { hash } from "node:crypto";
import { ownBytes, wipe } from "./wipe.ts";

const HASH_BYTES = 32;
/** SHA-256's block, which HMAC fills with the key. */
const BLOCK_BYTES = 64;
const COUNTER_BYTES = 4;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/**
 * Key derivation in counter mode (NIST SP 800-108r1, section 4.1) with HMAC-SHA-256, a 32-bit counter before the fixed
 * input: K(i) = HMAC(key, [i] ‖ fixedInput). Use `deriveBytes`; this form exists for NIST's test vectors.
 *
 * The HMAC (RFC 2104) is composed of two one-shot hashes over blocks that are laid out once, because node:crypto's objects
 * cost more than the hashing.
 */
export function counterModeKdf(key: Uint8Array, fixedInput: Uint8Array, byteLength: number): Buffer {
  const output = ownBytes(byteLength);
  const inner = ownBytes(BLOCK_BYTES + COUNTER_BYTES + fixedInput.byteLength);
  const outer = ownBytes(BLOCK_BYTES + HASH_BYTES);
  try {
    padKey(key, inner, outer);
    inner.set(fixedInput, BLOCK_BYTES + COUNTER_BYTES);
    for (let index = 1, offset = 0; offset < byteLength; index += 1, offset += HASH_BYTES) {
      inner.writeUInt32BE(index, BLOCK_BYTES);
      // The inner hash tells nothing without the key. As text it costs a third of what it costs as a buffer.
      outer.write(hash("sha256", inner, "hex"), BLOCK_BYTES, "hex");
      const block = hash("sha256", outer, "buffer");
      output.set(offset + HASH_BYTES <= byteLength ? block : block.subarray(0, byteLength - offset), offset);
      wipe(block);
    }
    return output;
  } finally {
    wipe(inner, outer);
  }
}

/** Writes the key xor RFC 2104's pads into the first block of both. */
function padKey(key: Uint8Array, inner: Buffer, outer: Buffer): void {
  // What is longer than a block counts by its hash.
  const short = key.byteLength > BLOCK_BYTES ? hash("sha256", key, "buffer") : key;
  inner.fill(INNER_PAD, 0, BLOCK_BYTES);
  outer.fill(OUTER_PAD, 0, BLOCK_BYTES);
  for (let at = 0; at < short.byteLength; at += 1) {
    const byte = short[at] ?? 0;
    inner[at] = byte ^ INNER_PAD;
    outer[at] = byte ^ OUTER_PAD;
  }
  if (short !== key) wipe(short);
}

/**
 * Derives `byteLength` bytes for one use. `label` names the use (no zero byte), `context` what is particular to this
 * derivation (a nonce, a name); the fixed input is label ‖ 0x00 ‖ context ‖ length in bits. The caller wipes the result.
 */
export function deriveBytes(key: Uint8Array, label: string, context: Uint8Array, byteLength: number): Buffer {
  const name = Buffer.from(label, "utf8");
  if (name.includes(0)) throw new RangeError("a label holds no zero byte");
  const fixedInput = Buffer.alloc(name.byteLength + 1 + context.byteLength + 4);
  fixedInput.set(name);
  fixedInput.set(context, name.byteLength + 1);
  fixedInput.writeUInt32BE(byteLength * 8, fixedInput.byteLength - 4);
  return counterModeKdf(key, fixedInput, byteLength);
}
