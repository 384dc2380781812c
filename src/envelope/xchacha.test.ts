import { createCipheriv, randomBytes } from "node:crypto";
import sodium from "sodium-native";
import { describe, expect, test } from "vitest";
import { systemRandom } from "../base/random.ts";
import { deriveBytes } from "../crypto/kdf.ts";
import type { StoredRecords } from "./suite.ts";
import { NONCE_BYTES, SEALED_OVERHEAD_BYTES, TAG_BYTES } from "./suite.ts";
import { XChaChaKey } from "./xchacha.ts";

const rotate = (word: number, by: number): number => ((word << by) | (word >>> (32 - by))) >>> 0;

/** HChaCha20 as draft-irtf-cfrg-xchacha-03, section 2.2, words it; slow, and by another hand than libsodium's. */
function hchacha20(key: Uint8Array, nonce: Uint8Array): Buffer {
  const words = (bytes: Uint8Array): number[] => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true));
  };
  const state = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words(key), ...words(nonce.subarray(0, 16))];
  const at = (index: number): number => state[index] ?? 0;
  const quarter = (a: number, b: number, c: number, d: number): void => {
    for (const [first, second, third, by] of [
      [a, b, d, 16],
      [c, d, b, 12],
      [a, b, d, 8],
      [c, d, b, 7],
    ] as const) {
      state[first] = (at(first) + at(second)) >>> 0;
      state[third] = rotate((at(third) ^ at(first)) >>> 0, by);
    }
  };
  for (let round = 0; round < 10; round++) {
    for (let column = 0; column < 4; column++) quarter(column, column + 4, column + 8, column + 12);
    quarter(0, 5, 10, 15);
    quarter(1, 6, 11, 12);
    quarter(2, 7, 8, 13);
    quarter(3, 4, 9, 14);
  }
  const out = Buffer.alloc(32);
  [...state.slice(0, 4), ...state.slice(12)].forEach((word, index) => out.writeUInt32LE(word, index * 4));
  return out;
}

/** XChaCha20-Poly1305 from OpenSSL's ChaCha20-Poly1305 and the HChaCha20 above. */
function reference(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const inner = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]);
  const cipher = createCipheriv("chacha20-poly1305", hchacha20(key, nonce), inner, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

/** Records with their contents in the places where they are sealed. */
function laidOut(contents: readonly Uint8Array[]): StoredRecords {
  const offsets = [0];
  for (const { length } of contents) offsets.push((offsets.at(-1) ?? 0) + length + SEALED_OVERHEAD_BYTES);
  const bytes = Buffer.alloc(offsets.at(-1) ?? 0);
  contents.forEach((content, at) => bytes.set(content, (offsets[at] ?? 0) + NONCE_BYTES));
  return { bytes, offsets };
}

const flip = ({ bytes }: StoredRecords, at: number): void => {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
};

const aad = Buffer.from("where the record belongs");
const bind = (position: number): Buffer => Buffer.concat([aad, Buffer.from([position])]);

describe("XChaCha20-Poly1305", () => {
  test("HChaCha20 of the reference agrees with the draft's vector (section 2.2.1)", () => {
    const key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    expect(hchacha20(key, hex("000000090000004a0000000031415927")).toString("hex")).toBe(
      "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc",
    );
  });

  test("libsodium and the reference agree with the draft's vector (appendix A.3.1)", () => {
    const key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    const nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
    const data = hex("50515253c0c1c2c3c4c5c6c7");
    const text = Buffer.from(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const sealed = Buffer.alloc(text.length + TAG_BYTES);
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, text, data, null, nonce, key);
    expect(sealed.toString("hex", 0, 16)).toBe("bd6d179d3e83d43b9576579493c0e939");
    expect(sealed.toString("hex", text.length)).toBe("c0875924c1c7987947deafd8780acf49");
    expect(reference(key, nonce, text, data).equals(sealed)).toBe(true);
  });

  test("seals each record as the reference does, under a key derived from the data key", () => {
    const dataKey = randomBytes(32);
    const derived = deriveBytes(dataKey, "waxseal/stream-record/xchacha20-poly1305/v1", new Uint8Array(0), 32);
    const contents = [0, 1, 15, 16, 63, 64, 65, 255, 1024, 70_000].map((length) => randomBytes(length));
    const records = laidOut(contents);
    new XChaChaKey(dataKey).seal(systemRandom(), records, bind);
    contents.forEach((content, position) => {
      const stored = records.bytes.subarray(records.offsets[position], records.offsets[position + 1]);
      const expected = reference(derived, stored.subarray(0, NONCE_BYTES), content, bind(position));
      expect(stored.subarray(NONCE_BYTES).equals(expected)).toBe(true);
    });
  });

  test("opens what it sealed, in any part, and stops at the first record that is not authentic", () => {
    const key = new XChaChaKey(randomBytes(32));
    const contents = Array.from({ length: 9 }, (_, at) => randomBytes(at * 100));
    const records = laidOut(contents);
    key.seal(systemRandom(), records, bind);
    const opened = (from: number, to: number): readonly Buffer[] => key.open(records, from, to, bind);
    expect(opened(0, 9).map((content, at) => content.equals(contents[at] ?? Buffer.alloc(1)))).toEqual(
      Array.from({ length: 9 }, () => true),
    );
    expect(opened(3, 5).map(({ length }) => length)).toEqual([300, 400]);
    expect(opened(4, 4)).toEqual([]);
    flip(records, (records.offsets[6] ?? 0) + 30);
    expect(opened(3, 9).map(({ length }) => length)).toEqual([300, 400, 500]);
    expect(opened(6, 9)).toEqual([]);
  });

  test("gives out nothing of what its memory held where it stops", () => {
    const key = new XChaChaKey(randomBytes(32));
    const records = laidOut([Buffer.from("first"), Buffer.alloc(200_000, 7)]);
    key.seal(systemRandom(), records, bind);
    flip(records, records.bytes.length - 1);
    const [first] = key.open(records, 0, 2, bind);
    const rest = new Uint8Array(first?.buffer ?? new ArrayBuffer(0), 5);
    expect(rest.length).toBe(200_000);
    expect(rest.every((byte) => byte === 0)).toBe(true);
  });

  test("never takes a nonce twice, nor those of another key", () => {
    const seen = new Set<string>();
    let count = 0;
    const keys = [new XChaChaKey(randomBytes(32)), new XChaChaKey(randomBytes(32))];
    for (const many of [1, 3, 16, 17, 40, 100, ...Array.from({ length: 60 }, () => 7)]) {
      for (const key of keys) {
        const { bytes, offsets } = laidOut(Array.from({ length: many }, () => Buffer.alloc(3)));
        key.seal(systemRandom(), { bytes, offsets }, bind);
        for (let at = 0; at < many; at++) {
          const start = offsets[at] ?? 0;
          seen.add(bytes.toString("hex", start, start + NONCE_BYTES));
        }
        count += many;
      }
    }
    expect(seen.size).toBe(count);
  });

  test("a destroyed key seals and opens nothing more", () => {
    const key = new XChaChaKey(randomBytes(32));
    const records = laidOut([Buffer.from("text")]);
    key.seal(systemRandom(), records, bind);
    key.destroy();
    key.destroy();
    expect(key.destroyed).toBe(true);
    expect(() => key.seal(systemRandom(), records, bind)).toThrow("destroyed");
    expect(() => key.open(records, 0, 1, bind)).toThrow("destroyed");
  });

  test("takes data keys of 32 bytes only", () => {
    expect(() => new XChaChaKey(Buffer.alloc(16))).toThrow(RangeError);
  });
});
