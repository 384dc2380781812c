import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatExample, formatExampleBytes } from "../../crypto/testing/format-example.ts";
import { CIPHERTEXT_BYTES_MAX, openCiphertext, parseCiphertext, sealCiphertext } from "./ciphertext.ts";
import { canonicalContext } from "./encryption-context.ts";

const material = Buffer.alloc(32, 7);
const header = {
  keyId: "1234abcd-12ab-34cd-56ef-1234567890ab",
  accountId: "000000000042",
  region: "eu-central-1",
  materialId: "ab".repeat(32),
  nonce: Buffer.alloc(16, 3),
};
const context = canonicalContext({ a: "bc" });

const open = (blob: Uint8Array, key: Uint8Array = material, aad: Uint8Array = context): Buffer | null => {
  const parsed = parseCiphertext(blob);
  return parsed === null ? null : openCiphertext(key, parsed, aad);
};

describe("the ciphertext blob", () => {
  test("opens to its plaintext, and names its key", () => {
    const blob = sealCiphertext(material, header, context, Buffer.from("hello"));
    expect(parseCiphertext(blob)?.header).toEqual(header);
    expect(open(blob)?.toString()).toBe("hello");
  });

  test("keeps the key ids of multi-Region keys", () => {
    const mrk = { ...header, keyId: `mrk-${"0123456789abcdef".repeat(2)}` };
    expect(parseCiphertext(sealCiphertext(material, mrk, context, Buffer.alloc(1)))?.header).toEqual(mrk);
  });

  test("with one bit changed anywhere, or cut anywhere, or prolonged, opens to nothing", () => {
    const blob = sealCiphertext(material, header, context, Buffer.from("hello"));
    for (let bit = 0; bit < blob.byteLength * 8; bit += 1) {
      const changed = Uint8Array.from(blob);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(open(changed), `bit ${bit}`).toBeNull();
    }
    for (let length = 0; length < blob.byteLength; length += 1) {
      expect(open(blob.subarray(0, length)), `first ${length} bytes`).toBeNull();
    }
    expect(open(Buffer.concat([blob, Buffer.alloc(1)]))).toBeNull();
  });

  test("under another header, material or context opens to nothing", () => {
    const blob = sealCiphertext(material, header, context, Buffer.from("hello"));
    const other = sealCiphertext(material, { ...header, accountId: "000000000043" }, context, Buffer.from("hello"));
    const bodyOffset = parseCiphertext(blob)?.headerBytes.byteLength ?? 0;
    expect(open(Buffer.concat([other.subarray(0, bodyOffset), blob.subarray(bodyOffset)]))).toBeNull();
    expect(open(blob, Buffer.alloc(32, 8))).toBeNull();
    expect(open(blob, material, canonicalContext({ ab: "c" }))).toBeNull();
    expect(open(blob, material, canonicalContext(undefined))).toBeNull();
  });

  test("stays below what KMS allows for the longest plaintext and Region", () => {
    const longest = sealCiphertext(material, { ...header, region: "a".repeat(32) }, context, Buffer.alloc(4096));
    expect(longest.byteLength).toBeLessThan(CIPHERTEXT_BYTES_MAX);
  });

  test("hostile bytes are parsed to something or nothing, never to an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
        open(tail);
        open(Buffer.concat([Buffer.from([1, 1, 1]), tail]));
      }),
      { numRuns: 300 },
    );
    expect(parseCiphertext(Buffer.alloc(CIPHERTEXT_BYTES_MAX + 1, 1))).toBeNull();
  });
});

describe("the canonical encryption context", () => {
  const arbitraryContext = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), {
    maxKeys: 5,
  });

  test("differs whenever the contexts differ", () => {
    fc.assert(
      fc.property(arbitraryContext, arbitraryContext, (a, b) => {
        const sorted = (value: object): string =>
          JSON.stringify(Object.entries(value).toSorted(([x], [y]) => (x < y ? -1 : 1)));
        expect(canonicalContext(a).equals(canonicalContext(b))).toBe(sorted(a) === sorted(b));
      }),
    );
  });

  test("does not depend on the order of the pairs, and none is the same as an empty one", () => {
    expect(canonicalContext({ a: "1", b: "2" })).toEqual(canonicalContext({ b: "2", a: "1" }));
    expect(canonicalContext(undefined)).toEqual(canonicalContext({}));
    expect(canonicalContext({ a: "bc" })).not.toEqual(canonicalContext({ ab: "c" }));
  });

  test("refuses texts that would become the same bytes, and contexts without end", () => {
    expect(() => canonicalContext({ a: "\ud800" })).toThrow(expect.objectContaining({ code: "ValidationException" }));
    expect(() => canonicalContext({ a: "x".repeat(8192) })).toThrow(/longer than/);
  });
});

describe("docs/formats/kms-ciphertext.md", () => {
  const text = formatExample("kms-ciphertext.md");
  const bytes = formatExampleBytes("kms-ciphertext.md");

  test("its example is what is written, and is read back", () => {
    const example = {
      keyId: text("key id"),
      accountId: text("account"),
      region: text("Region"),
      materialId: text("material id"),
      nonce: bytes("nonce"),
    };
    const canonical = canonicalContext(JSON.parse(text("encryption context")) as Record<string, string>);
    expect(canonical.toString("hex")).toBe(text("canonical context"));
    const blob = sealCiphertext(bytes("key material"), example, canonical, bytes("plaintext"));
    expect(Buffer.from(blob).toString("hex")).toBe(text("ciphertext blob"));
    expect(open(bytes("ciphertext blob"), bytes("key material"), canonical)).toEqual(bytes("plaintext"));
  });
});
