import { runScenario, type ScenarioResult } from "./stream-scenario.ts";

/** Of all scenarios together. */
export type Total = Pick<ScenarioResult, "acknowledged" | "crashes" | "shards">;

/** Failed ones that are told: one is enough to look into. */
const TOLD_MAX = 5;

/** Runs `count` scenarios, from this seed on. Throws what was wrong, with the seeds that show it again. */
export async function runScenarios(firstSeed: number, count: number): Promise<Total> {
  const total = { acknowledged: 0, crashes: 0, shards: 0 };
  const failed: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + count && failed.length < TOLD_MAX; seed++) {
    const { violations, acknowledged, crashes, shards } = await runScenario(seed);
    total.acknowledged += acknowledged;
    total.crashes += crashes;
    total.shards += shards;
    if (violations.length > 0) failed.push([`runScenario(${seed}):`, ...violations].join("\n  "));
  }
  if (failed.length > 0) throw new Error(`the simulation found something wrong\n${failed.join("\n")}`);
  return total;
}
