import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { COMMITTING_OVERHEAD_BYTES, openCommitting, openGcm, sealCommitting, sealGcm } from "./aead.ts";
import { equalInConstantTime } from "./equal.ts";
import { ownBytes, randomKeyBytes } from "./wipe.ts";

const hex = (text: string): Buffer => Buffer.from(text, "hex");
const key = Buffer.alloc(32, 1);
const use = { label: "test", kdfContext: Buffer.alloc(16, 2), aad: Buffer.from("header") };

describe("AES-256-GCM", () => {
  test("gives the answer of the GCM specification's test case 16", () => {
    const sealed = sealGcm(
      hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
      hex("cafebabefacedbaddecaf888"),
      hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
      hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      ),
    );
    expect(sealed.toString("hex")).toBe(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    );
  });

  test("opens what it sealed, and nothing that differs in one bit", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 50 }),
        fc.nat(),
        (plaintext, aad, at) => {
          const nonce = Buffer.alloc(12, 3);
          const sealed = sealGcm(key, nonce, aad, plaintext);
          expect(openGcm(key, nonce, aad, sealed)).toEqual(Buffer.from(plaintext));
          const bit = at % (sealed.byteLength * 8);
          sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect(openGcm(key, nonce, aad, sealed)).toBeNull();
        },
      ),
      { numRuns: 60 },
    );
  });

  test("fewer bytes than a tag are no ciphertext", () => {
    expect(openGcm(key, Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(15))).toBeNull();
  });
});

describe("the committing form", () => {
  test("opens what it sealed", () => {
    const sealed = sealCommitting(key, use, Buffer.from("secret"));
    expect(sealed.byteLength).toBe(6 + COMMITTING_OVERHEAD_BYTES);
    expect(openCommitting(key, use, sealed)?.toString()).toBe("secret");
  });

  test("another key, label, nonce or header opens nothing, nor does any change or truncation", () => {
    const sealed = sealCommitting(key, use, Buffer.from("secret"));
    expect(openCommitting(Buffer.alloc(32, 9), use, sealed)).toBeNull();
    expect(openCommitting(key, { ...use, label: "other" }, sealed)).toBeNull();
    expect(openCommitting(key, { ...use, kdfContext: Buffer.alloc(16, 3) }, sealed)).toBeNull();
    expect(openCommitting(key, { ...use, aad: Buffer.from("Header") }, sealed)).toBeNull();
    for (let at = 0; at < sealed.byteLength; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      expect(openCommitting(key, use, changed), `byte ${at}`).toBeNull();
      expect(openCommitting(key, use, sealed.subarray(0, at)), `first ${at} bytes`).toBeNull();
    }
  });

  test("the commitment differs by key although label and nonce are the same", () => {
    const ofKey = (fill: number): Buffer =>
      sealCommitting(Buffer.alloc(32, fill), use, Buffer.alloc(0)).subarray(0, 32);
    expect(ofKey(1).equals(ofKey(2))).toBe(false);
  });
});

describe("memory and comparison", () => {
  test("key buffers never come from the shared pool", () => {
    for (const bytes of [ownBytes(8), randomKeyBytes(8), sealGcm(key, Buffer.alloc(12), use.aad, Buffer.alloc(4))]) {
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
    }
    const opened = openGcm(key, Buffer.alloc(12), use.aad, sealGcm(key, Buffer.alloc(12), use.aad, Buffer.alloc(4)));
    expect(opened?.buffer.byteLength).toBe(4);
  });

  test("secrets are equal when all bytes are, and never when lengths differ", () => {
    expect(equalInConstantTime(Buffer.from("abc"), Buffer.from("abc"))).toBe(true);
    expect(equalInConstantTime(Buffer.from("abc"), Buffer.from("abd"))).toBe(false);
    expect(equalInConstantTime(Buffer.from("abc"), Buffer.from("abcd"))).toBe(false);
  });
});
