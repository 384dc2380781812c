/** The differential test at length: `npm run torture`. */
import { expect, test } from "vitest";
import { compareMany, shareOf } from "./differential.ts";

const BATCH_COUNT = 50;
const CASES_PER_BATCH = 20_000;

test(
  "a million requests are decided as a line-by-line reading of the policies decides them",
  { timeout: 3_600_000 },
  () => {
    for (let batch = 0; batch < BATCH_COUNT; batch++) {
      const outcomes = compareMany(7_000 + batch, CASES_PER_BATCH);
      for (const reason of ["allow", "explicit", "implicit"]) expect(shareOf(outcomes, reason)).toBeGreaterThan(0.15);
    }
  },
);
