import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readQuotaProfile } from "../config.ts";

describe("--kms-quotas", () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "waxseal-test-"))));
  afterAll(() => rmSync(directory, { recursive: true }));

  const fileOf = (text: string): string => {
    const path = join(directory, "quotas.json");
    writeFileSync(path, text);
    return path;
  };

  test("names a profile, or a file of figures", () => {
    expect(readQuotaProfile("none")).toBe("none");
    expect(readQuotaProfile("aws")).toBe("aws");
    const path = fileOf('{"CreateKey request rate": 0.5, "L-6E3AF000": 0}');
    const figures = { "CreateKey request rate": 0.5, "L-6E3AF000": 0 };
    expect(readQuotaProfile(path)).toEqual({ path, figures });
  });

  test.each([
    ["{", "is not JSON"],
    ["[1]", "must hold one JSON object"],
    ["3", "must hold one JSON object"],
    ['{"a": "5"}', '"a" must be a number from 0'],
    ['{"a": -1}', '"a" must be a number from 0'],
    ['{"a": 1e11}', '"a" must be a number from 0'],
    [`{"a": ${" ".repeat(70_000)}1}`, "is too long"],
  ])("says what is wrong with a file that holds %.20s", (text, said) => {
    const path = fileOf(text);
    expect(() => readQuotaProfile(path)).toThrow(path);
    expect(() => readQuotaProfile(path)).toThrow(said);
  });

  test("says that there is no such file", () => {
    expect(() => readQuotaProfile(join(directory, "absent.json"))).toThrow("check the path");
  });
});
