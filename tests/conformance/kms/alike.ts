import { expect } from "vitest";
import { type Refusal, refusalOf } from "./suite.ts";

/** A copy with one byte changed. */
export const flipped = (original: Uint8Array, at: number, mask = 0x01): Buffer => {
  const changed = Buffer.from(original);
  changed[at] = (changed[at] ?? 0) ^ mask;
  return changed;
};

/** Every answer is the same, whatever was wrong. */
export async function expectAllAlike(calls: readonly (() => Promise<unknown>)[], expected: Refusal): Promise<void> {
  const answers: Refusal[] = [];
  for (let at = 0; at < calls.length; at += 16)
    answers.push(...(await Promise.all(calls.slice(at, at + 16).map(async (call) => refusalOf(call())))));
  expect(answers.length).toBeGreaterThan(0);
  for (const [index, answer] of answers.entries()) expect({ index, ...answer }).toEqual({ index, ...expected });
}
