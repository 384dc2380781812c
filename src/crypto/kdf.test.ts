import { describe, expect, test } from "vitest";
import { counterModeKdf, deriveBytes } from "./kdf.ts";

const hex = (text: string): Buffer => Buffer.from(text, "hex");

describe("SP 800-108 counter mode with HMAC-SHA-256", () => {
  test("gives NIST's answer (CAVP KDFCTR, HMAC_SHA256, BEFORE_FIXED, 32 bits, count 0)", () => {
    const key = hex("dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0");
    const fixed = hex(
      "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b864a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
    );
    expect(counterModeKdf(key, fixed, 16).toString("hex")).toBe("10621342bfb0fd40046c0e29f2cfdbf0");
  });

  // Computed with KBKDFHMAC of pyca/cryptography 48 (rlen 4, llen 4, before fixed): an implementation of its own.
  test("puts label, separator, context and length where an independent implementation does", () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
    expect(deriveBytes(key, "waxseal test", key.subarray(0, 16), 64).toString("hex")).toBe(
      "b9aff75ef52ea8b276f322d568e298aad6b4fd3c090bcad7097e08c282527c88" +
        "5817bfd6af90ee6f6fca927b881cb37718815aaec99aa8c962c8b7cfb17f8afb",
    );
  });

  test("labels, contexts and lengths give unrelated keys", () => {
    const key = Buffer.alloc(32, 1);
    const context = Buffer.alloc(16, 2);
    const answers = [
      deriveBytes(key, "a", context, 32),
      deriveBytes(key, "b", context, 32),
      deriveBytes(key, "a", Buffer.alloc(16, 3), 32),
      deriveBytes(key, "a", context, 64).subarray(0, 32),
    ];
    expect(new Set(answers.map((answer) => answer.toString("hex"))).size).toBe(answers.length);
  });

  test("a label with a zero byte is refused: it would run into the context", () => {
    expect(() => deriveBytes(Buffer.alloc(32), "a\0b", Buffer.alloc(1), 32)).toThrow(RangeError);
  });

  test("derived keys lie in memory of their own, not in Buffer's pool", () => {
    expect(deriveBytes(Buffer.alloc(32), "a", Buffer.alloc(1), 32).buffer.byteLength).toBe(32);
  });
});
