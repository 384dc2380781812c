import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldName, parseInstant } from "./values.ts";

describe("an instant written to the second, in UTC", () => {
  test("is what the calendar says, for every day that there is", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("1000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
        (date) => {
          const text = `${date.toISOString().slice(0, 19)}Z`;
          expect(parseInstant(text)).toBe(Date.parse(text));
        },
      ),
    );
    expect(parseInstant("2024-02-29T00:00:00Z")).toBe(Date.UTC(2024, 1, 29));
  });

  test.each([
    "2023-02-29T00:00:00Z",
    "2024-04-31T00:00:00Z",
    "2024-00-01T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-01-00T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:60:00Z",
    "2024-01-01T00:00:60Z",
    "2024-01-01T00:00:0 Z",
    "2024-01-01t00:00:00Z",
    "2024-01-01T00:00:00z",
    "\u{ff12}024-01-01T00:00:00Z",
  ])("%s is none", (text) => {
    expect(parseInstant(text)).toBeNull();
  });
});

test("names are folded by the case of ASCII letters and nothing else", () => {
  expect(foldName("aws:PrincipalTag/Team")).toBe("aws:principaltag/team");
  // The Kelvin sign is a k to Unicode, and a capital i with a dot becomes two characters.
  expect(foldName("k:\u212A\u0130Z")).toBe("k:\u212A\u0130z");
});
