import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { tidy } from "./tidy/check.ts";
import { blankProse } from "./tidy/source.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/tidy/", import.meta.url));
const TREE = fileURLToPath(new URL("..", import.meta.url));

const RULES = [
  "clear-bytes",
  "console",
  "cycles",
  "environment",
  "file-length",
  "imports",
  "line-length",
  "links",
  "module-state",
  "randomness",
  "rooms",
  "sealed-bytes",
  "service-rooms",
  "time",
  "timers",
  "unfinished",
];

/** A folder is named after its rule, with a suffix when one rule has several. */
const ruleOf = (folder: string): string | undefined =>
  RULES.filter((rule) => folder === rule || folder.startsWith(`${rule}-`)).toSorted((a, b) => b.length - a.length)[0];

const folders = readdirSync(FIXTURES).filter((folder) => folder !== "clean");

describe("tidy", () => {
  test.each(folders)("reports %s once, with its place and what to do", (folder) => {
    const found = tidy(FIXTURES + folder);
    expect(found.map((violation) => violation.rule)).toEqual([ruleOf(folder)]);
    expect(found[0]?.path).toMatch(/^(src|docs|tests)\//);
    expect(found[0]?.line).toBeGreaterThan(0);
    expect(found[0]?.message.length).toBeGreaterThan(20);
  });

  test("has a tree that must fail for every rule", () => {
    expect(new Set(folders.map(ruleOf))).toEqual(new Set(RULES));
  });

  test("passes near misses of every rule", () => {
    expect(tidy(`${FIXTURES}clean`)).toEqual([]);
  });

  test("names the line of the violation", () => {
    expect(tidy(`${FIXTURES}timers-immediate`)[0]?.line).toBe(2);
    expect(tidy(`${FIXTURES}links`)[0]?.line).toBe(3);
  });

  test("passes this repository", () => {
    expect(tidy(TREE).filter((violation) => violation.warning !== true)).toEqual([]);
  });
});

describe("blankProse", () => {
  test.each([
    ["a // b\nc", "a     \nc"],
    ["a /* b\n */ c", "a     \n    c"],
    ['x("a\\"b", 1)', 'x("    ", 1)'],
    ["`a${b}c${`d${e}`}f`", "` ${b} ${` ${e}`} `"],
    ["`a${{ b: 1 }}c`", "` ${{ b: 1 }} `"],
    ["a / b / c", "a / b / c"],
    ['x = /a"[/]b/g;', "x = /       g;"],
    ["return /'/.test(x) ? 'b' : c", "return /  .test(x) ? ' ' : c"],
  ])("%s", (text, expected) => {
    expect(blankProse(text)).toBe(expected);
  });
});
