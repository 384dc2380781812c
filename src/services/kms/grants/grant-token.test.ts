import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeGrantName, encodeGrantName, type GrantName } from "./grant-token.ts";

const NAME: GrantName = {
  accountId: "111122223333",
  region: "eu-central-1",
  keyId: "1234abcd-12ab-34cd-56ef-1234567890ab",
  grantId: "a".repeat(64),
};

describe("a grant's name in bytes", () => {
  test("comes back as it was, for both forms of key ids", () => {
    for (const keyId of [NAME.keyId, `mrk-${"0".repeat(32)}`]) {
      const name = { ...NAME, keyId };
      expect(decodeGrantName(encodeGrantName(name))).toEqual(name);
    }
  });

  test("is nothing else: cut short, continued, of another version, or with other texts in it", () => {
    const bytes = encodeGrantName(NAME);
    for (let length = 0; length < bytes.length; length++) expect(decodeGrantName(bytes.subarray(0, length))).toBeNull();
    expect(decodeGrantName(Buffer.concat([bytes, Buffer.of(0)]))).toBeNull();
    expect(decodeGrantName(Buffer.concat([Buffer.of(2), bytes.subarray(1)]))).toBeNull();
    expect(decodeGrantName(encodeGrantName({ ...NAME, grantId: "b" }))).toBeNull();
    expect(decodeGrantName(encodeGrantName({ ...NAME, keyId: "alias" }))).toBeNull();
  });

  test("is laid out as docs/formats/grant-token.md shows it", () => {
    const page = readFileSync(new URL("../../../../docs/formats/grant-token.md", import.meta.url), "utf8");
    const example = /```hex token\n([0-9a-f\n]+)```/.exec(page)?.[1]?.replaceAll("\n", "");
    expect(Buffer.from(encodeGrantName(NAME)).toString("hex")).toBe(example);
  });
});
