import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DerError, DerReader, element, integer, OCTET_STRING, SEQUENCE } from "./der.ts";

describe("der", () => {
  it("reads what it writes, whatever its length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (content) => {
        const reader = new DerReader(element(OCTET_STRING, content));
        expect(reader.read(OCTET_STRING)).toEqual(content);
        expect(reader.atEnd).toBe(true);
      }),
    );
  });

  it("fails with its own error on any bytes, and never reads past them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        try {
          expect(new DerReader(bytes).read(SEQUENCE).byteLength).toBeLessThan(bytes.byteLength);
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });

  it.each([
    ["indefinite", "30800000"],
    ["longer than needed", "308100"],
    ["longer than needed, of two bytes", "3082007f"],
    ["of three bytes", "3083000001ff"],
    ["beyond the end", "300500"],
    ["cut off", "3082"],
  ])("refuses a length that is %s", (_what, hex) => {
    expect(() => new DerReader(Buffer.from(hex, "hex")).read(SEQUENCE)).toThrow(DerError);
  });

  it("writes positive integers in their shortest form", () => {
    expect(Buffer.from(integer(Uint8Array.of(0, 0, 5))).toString("hex")).toBe("020105");
    expect(Buffer.from(integer(Uint8Array.of(0x80))).toString("hex")).toBe("02020080");
    expect(Buffer.from(integer(Uint8Array.of(0))).toString("hex")).toBe("020100");
  });
});
