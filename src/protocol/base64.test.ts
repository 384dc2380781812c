import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BlobArena } from "./base64.ts";

const decode = (text: string): Uint8Array | null => new BlobArena(text.length + 4).decode(text);

test("what an encoder writes is read back, several blobs from one arena", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (blobs) => {
      const texts = blobs.map((blob) => Buffer.from(blob).toString("base64"));
      const arena = new BlobArena(texts.join("").length);
      const decoded = texts.map((text) => arena.decode(text));
      expect(decoded.map((bytes) => bytes && Array.from(bytes))).toEqual(blobs.map((blob) => Array.from(blob)));
    }),
  );
});

test("a text is accepted exactly when encoding its bytes gives the text again", () => {
  const near = fc.string({
    unit: fc.constantFrom("A", "Q", "z", "0", "+", "/", "=", "-", "_", " ", "\n", "\u0141", "é", "\u{1f600}", "."),
    maxLength: 12,
  });
  fc.assert(
    fc.property(near, (text) => {
      const canonical = Buffer.from(text, "base64").toString("base64") === text;
      expect(decode(text) !== null).toBe(canonical);
    }),
    { numRuns: 5000 },
  );
});

test.each(["A", "AA", "AAA", "AAA\n", "AA=A", "A===", "====", "AB==", "AAB=", "-_AA", "\u0141AAA", "AA A"])(
  "%j is refused",
  (text) => {
    expect(decode(text)).toBeNull();
  },
);
