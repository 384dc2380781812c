import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ANY_ONE, ANY_RUN, automatonMatches, globMatches, type GlobToken, literalRuns, runsMatch } from "./glob.ts";

const tokens = (pattern: string): GlobToken[] =>
  pattern.split("").map((c) => (c === "*" ? ANY_RUN : c === "?" ? ANY_ONE : c.charCodeAt(0)));

/** What a pattern means, by definition. */
function means(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  const rest = pattern.slice(1);
  if (pattern.startsWith("*")) return means(rest, text) || (text !== "" && means(pattern, text.slice(1)));
  return text !== "" && (pattern.startsWith("?") || pattern[0] === text[0]) && means(rest, text.slice(1));
}

describe("glob patterns", () => {
  test.each([
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "a/b:c", true],
    ["?", "", false],
    ["?", "a", true],
    ["a*", "b", false],
    ["a*c", "abbc", true],
    ["a*c", "abbcd", false],
    ["*b*d", "abcd", true],
    ["a?c*", "abcd", true],
    ["a?c*", "acd", false],
  ])("%j takes %j: %j", (pattern, text, expected) => {
    expect(globMatches(tokens(pattern), text)).toBe(expected);
    expect(automatonMatches(tokens(pattern), text, 0, text.length)).toBe(expected);
  });

  test("looking for literal runs follows the definition, also inside a longer text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 9 }),
        fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 }),
        (pattern, text) => {
          const runs = literalRuns(tokens(pattern)) ?? [];
          expect(runsMatch(runs, text, 0, text.length)).toBe(means(pattern, text));
          expect(runsMatch(runs, `ab${text}ba`, 2, 2 + text.length)).toBe(means(pattern, text));
        },
      ),
      { numRuns: 2000 },
    );
    expect(literalRuns(tokens("a?"))).toBeNull();
  });

  test("both matchers follow the definition", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 9 }),
        fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 }),
        (pattern, text) => {
          expect(globMatches(tokens(pattern), text)).toBe(means(pattern, text));
          expect(automatonMatches(tokens(pattern), text, 0, text.length)).toBe(means(pattern, text));
        },
      ),
      { seed: 1, numRuns: 3000 },
    );
  });

  test("the automaton carries its state across word boundaries", () => {
    for (const length of [30, 31, 32, 33, 63, 64, 65, 200]) {
      const literal = "ab".repeat(length).slice(0, length);
      expect(automatonMatches(tokens(`${literal}*z`), `${literal}abz`, 0, length + 3)).toBe(true);
      expect(automatonMatches(tokens(`*${literal}`), `b${literal}`, 0, length + 1)).toBe(true);
      expect(automatonMatches(tokens(literal), literal.slice(1), 0, length - 1)).toBe(false);
    }
  });

  test("a range of the text is matched as if it stood alone", () => {
    expect(globMatches(tokens("b*"), "a:bcd:e", 2, 5)).toBe(true);
    expect(globMatches(tokens("b*e"), "a:bcd:e", 2, 5)).toBe(false);
  });

  test.each([
    ["one long literal", `*${"a".repeat(3000)}b`],
    ["many short literals", `${"*a".repeat(1500)}*b`],
    ["single-character wildcards", `*?${"a".repeat(3000)}?b`],
  ])("hostile text costs a bounded number of steps: %s", (_, pattern) => {
    const length = 6000;
    let looks = 0;
    // Stands in for a text of `length` times "a" and counts how often one of its characters is looked at.
    const text = {
      length,
      charCodeAt: () => {
        looks++;
        return "a".charCodeAt(0);
      },
    } as unknown as string;
    expect(globMatches(tokens(pattern), text)).toBe(false);
    expect(looks).toBeLessThan(9 * (length + pattern.length + 1));
  });
});
