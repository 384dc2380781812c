import { createHmac } from "node:crypto";
import { ownBytes, wipe } from "./wipe.ts";

const HASH_BYTES = 32;

/**
 * Key derivation in counter mode (NIST SP 800-108r1, section 4.1) with HMAC-SHA-256, a 32-bit counter before the fixed
 * input: K(i) = HMAC(key, [i] ‖ fixedInput). Use `deriveBytes`; this form exists for NIST's test vectors.
 */
export function counterModeKdf(key: Uint8Array, fixedInput: Uint8Array, byteLength: number): Buffer {
  const output = ownBytes(byteLength);
  const input = Buffer.alloc(4 + fixedInput.byteLength);
  input.set(fixedInput, 4);
  for (let index = 1, offset = 0; offset < byteLength; index += 1, offset += HASH_BYTES) {
    input.writeUInt32BE(index);
    const block = createHmac("sha256", key).update(input).digest();
    output.set(block.subarray(0, Math.min(HASH_BYTES, byteLength - offset)), offset);
    wipe(block);
  }
  return output;
}

/**
 * Derives `byteLength` bytes for one use. `label` names the use (no zero byte), `context` what is particular to this
 * derivation (a nonce, a name); the fixed input is label ‖ 0x00 ‖ context ‖ length in bits. The caller wipes the result.
 */
export function deriveBytes(key: Uint8Array, label: string, context: Uint8Array, byteLength: number): Buffer {
  const nameBytes = Buffer.byteLength(label);
  if (label.includes("\u0000")) throw new RangeError("a label holds no zero byte");
  const fixedInput = Buffer.alloc(nameBytes + 1 + context.byteLength + 4);
  fixedInput.write(label, "utf8");
  fixedInput.set(context, nameBytes + 1);
  fixedInput.writeUInt32BE(byteLength * 8, fixedInput.byteLength - 4);
  return counterModeKdf(key, fixedInput, byteLength);
}
