import { describe, expect, test } from "vitest";
import { formatExample, formatExampleBytes } from "../crypto/testing/format-example.ts";
import { deriveBytes } from "../crypto/kdf.ts";
import { decodeRootKeyFile, encodeRootKeyFile } from "./root-key-file.ts";
import { openSecret, SECRET_LABEL, sealSecret, sealedSecretKeyNumber } from "./sealed-secret.ts";
import { unwrap, wrap, wrappingKeyNumber } from "./wrapped-key.ts";

describe("docs/formats/root-key-file.md", () => {
  const bytes = formatExampleBytes("root-key-file.md");
  test("its example is what is written, and is read back", () => {
    expect(encodeRootKeyFile(bytes("root key")).toString("hex")).toBe(bytes("file").toString("hex"));
    expect(Buffer.from(decodeRootKeyFile(bytes("file"), "example"))).toEqual(bytes("root key"));
  });
});

describe("docs/formats/wrapped-key.md", () => {
  const text = formatExample("wrapped-key.md");
  const bytes = formatExampleBytes("wrapped-key.md");

  test("its wrapped key is what is written, and is read back", () => {
    const bound = { purpose: text("purpose"), binding: text("binding") };
    const wrapped = wrap(bytes("wrapping key"), Number(text("number")), bytes("nonce"), bound, bytes("key"));
    expect(Buffer.from(wrapped).toString("hex")).toBe(text("wrapped"));
    expect(wrappingKeyNumber(bytes("wrapped"))).toBe(Number(text("number")));
    expect(unwrap(bytes("wrapping key"), bound, bytes("wrapped"))).toEqual(bytes("key"));
  });

  test("its sealed secret is what is written, and is read back", () => {
    const [purpose, binding] = [text("secret's purpose"), text("secret's binding")];
    const subkey = deriveBytes(bytes("domain key"), SECRET_LABEL, Buffer.from(purpose), 32);
    expect(subkey).toEqual(bytes("subkey"));
    const sealed = sealSecret(
      subkey,
      Number(text("number")),
      bytes("secret's nonce"),
      purpose,
      binding,
      bytes("secret"),
    );
    expect(Buffer.from(sealed).toString("hex")).toBe(text("sealed"));
    expect(sealedSecretKeyNumber(bytes("sealed"))).toBe(Number(text("number")));
    expect(openSecret(subkey, purpose, binding, bytes("sealed"))).toEqual(bytes("secret"));
  });
});
