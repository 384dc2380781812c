/** The scenarios of `streams-simulation.test.ts` and very many more. About an hour. */
import { expect, test } from "vitest";
import { runScenarios } from "./stream-scenarios.ts";

const SCENARIOS = 10_000;
const HOURS = 3_600_000;

test(
  `${SCENARIOS} scenarios of failing stores, crashes, other keys and shards`,
  async () => {
    const total = await runScenarios(1, SCENARIOS);
    expect(total.acknowledged).toBeGreaterThan(300 * SCENARIOS);
  },
  6 * HOURS,
);
