import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { systemRandom } from "../base/random.ts";
import { NONCE_BYTES } from "./suite.ts";
import { XaesKey } from "./xaes.ts";

function seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const xaes = new XaesKey(key);
  const cipher = createCipheriv("aes-256-gcm", xaes.derive(nonce), nonce.subarray(12));
  cipher.setAAD(aad);
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  xaes.destroy();
  return sealed;
}

const text = (value: string): Buffer => Buffer.from(value, "utf8");

describe("XAES-256-GCM", () => {
  const nonce = text("ABCDEFGHIJKLMNOPQRSTUVWX");

  test("agrees with the C2SP vector whose subkey needs no reduction", () => {
    const sealed = seal(Buffer.alloc(32, 1), nonce, text("XAES-256-GCM"), text(""));
    expect(sealed.toString("hex")).toBe("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
  });

  test("agrees with the C2SP vector whose subkey is reduced", () => {
    const sealed = seal(Buffer.alloc(32, 3), nonce, text("XAES-256-GCM"), text("c2sp.org/XAES-256-GCM"));
    expect(sealed.toString("hex")).toBe("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
  });

  test("agrees with the accumulated C2SP vector of 10 000 random messages", () => {
    const stream = createHash("shake128", { outputLength: 10_000 * (32 + 24 + 2 + 2 * 255) }).digest();
    let at = 0;
    const take = (length: number): Buffer => stream.subarray(at, (at += length));
    const digest = createHash("shake128", { outputLength: 32 });
    for (let round = 0; round < 10_000; round++) {
      const key = take(32);
      const roundNonce = take(24);
      const plaintext = take(take(1)[0] ?? 0);
      const aad = take(take(1)[0] ?? 0);
      digest.update(seal(key, roundNonce, plaintext, aad));
    }
    expect(digest.digest("hex")).toBe("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
  });

  test("derives a batch to the same keys as one by one", () => {
    const key = new XaesKey(randomBytes(32));
    const nonces = randomBytes(7 * NONCE_BYTES);
    const batch = key.derive(nonces);
    for (let item = 0; item < 7; item++) {
      const single = key.derive(nonces.subarray(item * NONCE_BYTES, (item + 1) * NONCE_BYTES));
      expect(batch.subarray(item * 32, item * 32 + 32).equals(single)).toBe(true);
    }
  });

  test("a destroyed key derives nothing more", () => {
    const key = new XaesKey(Buffer.alloc(32, 1));
    key.destroy();
    key.destroy();
    expect(key.destroyed).toBe(true);
    expect(() => key.derive(nonce)).toThrow("destroyed");
  });

  test("fresh keys are those of their nonces, and no nonce comes twice", () => {
    const key = new XaesKey(randomBytes(32));
    const seen = new Set<string>();
    for (const count of [1, 3, 16, 17, 40, 100, ...Array.from({ length: 60 }, () => 7)]) {
      const { nonces, keys } = key.fresh(systemRandom(), count);
      expect([nonces.length, keys.length]).toEqual([count * NONCE_BYTES, count * 32]);
      expect(keys.equals(key.derive(nonces))).toBe(true);
      for (let at = 0; at < nonces.length; at += NONCE_BYTES) {
        seen.add(nonces.toString("hex", at, at + NONCE_BYTES));
      }
      keys.fill(0);
    }
    expect(seen.size).toBe(1 + 3 + 16 + 17 + 40 + 100 + 60 * 7);
  });

  test("a destroyed key leaves no record key behind that was made ahead", () => {
    const key = new XaesKey(randomBytes(32));
    const { keys } = key.fresh(systemRandom(), 1);
    const ahead = new Uint8Array(keys.buffer, keys.byteOffset, 64 * 32);
    expect(ahead.some((byte) => byte !== 0)).toBe(true);
    key.destroy();
    expect(ahead.every((byte) => byte === 0)).toBe(true);
    expect(() => key.fresh(systemRandom(), 1)).toThrow("destroyed");
  });

  test("takes keys of 32 bytes only", () => {
    expect(() => new XaesKey(Buffer.alloc(16))).toThrow(RangeError);
  });
});
