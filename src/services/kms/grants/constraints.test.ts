import { describe, expect, test } from "vitest";
import { contextHolds, isAsStrict } from "./constraints.ts";
import type { GrantLimits } from "./records.ts";

const subset = (pairs: Readonly<Record<string, string>>): GrantLimits => ({
  equals: null,
  subset: pairs,
  sourceArn: null,
});
const equals = (pairs: Readonly<Record<string, string>>): GrantLimits => ({
  equals: pairs,
  subset: null,
  sourceArn: null,
});

describe("names that differ only in case", () => {
  test("are one name, whose values must all be the constraint's", () => {
    const limits = subset({ Key: "IT" });
    expect(contextHolds(limits, { key: "IT", other: "x" })).toBe(true);
    expect(contextHolds(limits, { KEY: "IT", key: "IT" })).toBe(true);
    expect(contextHolds(limits, { Key: "IT", key: "HR" })).toBe(false);
    expect(contextHolds(limits, { Key: "HR", key: "IT" })).toBe(false);
    expect(contextHolds(subset({ Key: "IT", key: "HR" }), { KEY: "HR", kEY: "IT" })).toBe(true);
    expect(contextHolds(subset({ Key: "IT", key: "HR" }), { KEY: "HR" })).toBe(false);
    expect(contextHolds(equals({ Key: "IT" }), { Key: "IT", key: "IT" })).toBe(false);
    expect(contextHolds(equals({ Key: "IT" }), { KEY: "IT" })).toBe(true);
  });

  test("differ only in ASCII letters", () => {
    expect(contextHolds(subset({ Key: "IT" }), { "\u212Aey": "IT" })).toBe(false);
    expect(contextHolds(equals({ Key: "IT" }), { "\u212Aey": "IT" })).toBe(false);
  });

  test("do not make a grant's constraint wider than its parent's", () => {
    expect(isAsStrict(equals({ Key: "HR", key: "IT" }), subset({ Key: "IT" }))).toBe(false);
    expect(isAsStrict(subset({ Key: "HR", key: "IT" }), subset({ Key: "IT" }))).toBe(false);
    expect(isAsStrict(subset({ KEY: "IT", a: "b" }), subset({ Key: "IT" }))).toBe(true);
    expect(isAsStrict(subset({ Key: "IT" }), equals({ Key: "IT" }))).toBe(false);
  });
});
