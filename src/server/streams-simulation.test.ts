import { expect, test } from "vitest";
import { runScenario } from "./testing/stream-scenario.ts";
import { runScenarios } from "./testing/stream-scenarios.ts";

const SCENARIOS = 100;

test(`in ${SCENARIOS} scenarios of faults, crashes and changes no record is lost, doubled or read by who may not`, async () => {
  const total = await runScenarios(1, SCENARIOS);
  // Else nothing of the above has said much.
  expect(total.acknowledged).toBeGreaterThan(300 * SCENARIOS);
  expect(total.crashes).toBeGreaterThan(SCENARIOS);
  expect(total.shards).toBeGreaterThan(4 * SCENARIOS);
}, 600_000);

test("a seed makes the same scenario each time", async () => {
  const first = await runScenario(1);
  expect(await runScenario(1)).toEqual(first);
  expect((await runScenario(2)).trace).not.toBe(first.trace);
}, 60_000);
