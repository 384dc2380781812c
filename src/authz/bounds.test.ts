/** Policies made to cost the server time: compiling and evaluating them stays within a fraction of a second. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { compilePolicy } from "./compile.ts";
import { evaluationOf } from "./evaluation.ts";
import { ANN, policyOf, requestOf } from "./testing/requests.ts";

/** Far above what the work takes (some ten milliseconds), far below what it takes without the bounds. */
const LIMIT_MS = 2000;

function elapsedMs(run: () => void): number {
  const clock = systemClock();
  const beganMs = clock.monotonicMs();
  run();
  return clock.monotonicMs() - beganMs;
}

describe("a policy at its size limit", () => {
  test("full of wildcards, on a resource that nearly matches", () => {
    const patterns = Array.from({ length: 30 }, (_, at) => `arn:aws:kms:*${"a*".repeat(500)}${"a".repeat(500)}b${at}`);
    const policy = policyOf("identity", [{ NotResource: patterns, Condition: { StringLike: { "k:x": patterns } } }]);
    const long = `arn:aws:kms:${"a".repeat(2000)}`;
    const request = requestOf({ resource: long, context: new Map([["k:x", Array.from({ length: 10 }, () => long)]]) });
    let matched = true;
    expect(
      elapsedMs(() => (matched = policy.statements.some((statement) => statement.matches(evaluationOf(request))))),
    ).toBeLessThan(LIMIT_MS);
    expect(matched).toBe(false);
  });

  test("full of variables with long values", () => {
    const values = Array.from({ length: 25 }, () => `*${"${k:long}".repeat(200)}`);
    const policy = policyOf("identity", [
      { Condition: { StringLike: { "k:x": values }, StringEqualsIgnoreCase: { "k:x": values } } },
    ]);
    const context = new Map([
      ["k:long", "a".repeat(100_000)],
      ["k:x", "a".repeat(8000)],
    ]);
    // Written out, these patterns have 500 million characters.
    expect(elapsedMs(() => policy.statements[0]?.matches(evaluationOf(requestOf({ context }))))).toBeLessThan(LIMIT_MS);
  });

  test.each([
    ["open braces", `{"Statement":${"{".repeat(100_000)}`],
    ["open brackets", "[".repeat(120_000)],
    ["backslashes", `{"a":"${"\\\\".repeat(60_000)}`],
    [
      "an unclosed variable",
      JSON.stringify({
        Version: "2012-10-17",
        Statement: { Effect: "Deny", Action: "*", Resource: `arn:${"${".repeat(60_000)}` },
      }),
    ],
    [
      "a long path in a principal",
      JSON.stringify({
        Statement: {
          Effect: "Deny",
          Action: "*",
          Resource: "*",
          Principal: { AWS: `${ANN.arn}${"/a".repeat(60_000)}/` },
        },
      }),
    ],
    [
      "a long service name",
      JSON.stringify({
        Statement: { Effect: "Deny", Action: "*", Resource: "*", Principal: { Service: `${"a.".repeat(60_000)}!` } },
      }),
    ],
  ])("%s are refused at once", (_, document) => {
    let refused = false;
    const compile = (): void => {
      try {
        compilePolicy(document, { id: "p", kind: "resource", lengthMax: 131_072 });
      } catch {
        refused = true;
      }
    };
    expect(elapsedMs(compile)).toBeLessThan(LIMIT_MS);
    expect(refused).toBe(true);
  });
});
