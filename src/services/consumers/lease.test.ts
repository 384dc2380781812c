import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkpointed, holderOf, type LeaseRecord, released, renewed, requested, taken } from "./lease.ts";

const DURATION_MS = 1_000;

/** What a consumer believes: it holds the lease until then, by its own clock, which runs with the server's. */
interface Belief {
  readonly counter: number;
  readonly untilMs: number;
}

const step = fc.record({
  who: fc.integer({ min: 0, max: 3 }),
  what: fc.constantFrom("take", "take", "take", "renew", "renew", "release", "request", "checkpoint", "forget"),
  waitMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 900, max: 1_300 })),
  /** Between the question and the server's answer: the belief counts from the question. */
  delayMs: fc.integer({ min: 0, max: 300 }),
});

describe("leases under a simulated clock", () => {
  it("are never held by two consumers at once, and only the holder leaves a checkpoint", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 1_000_000;
        let lease: LeaseRecord | null = null;
        let done = 0;
        const beliefs = new Map<string, Belief>();
        const holders = (): readonly string[] =>
          [...beliefs].filter(([, { untilMs }]) => nowMs < untilMs).map(([name]) => name);
        for (const { who, what, waitMs, delayMs } of steps) {
          const owner = `consumer-${who}`;
          nowMs += waitMs;
          const askedMs = nowMs;
          nowMs += delayMs;
          const belief = beliefs.get(owner);
          const claim = { owner, counter: belief?.counter ?? -1, nowMs, durationMs: DURATION_MS };
          const before: LeaseRecord | null = lease;
          if (what === "take") {
            const next = taken(lease, { ...claim, counter: lease?.counter ?? 0 });
            if (next !== null) beliefs.set(owner, { counter: next.counter, untilMs: askedMs + DURATION_MS });
            lease = next ?? lease;
          } else if (what === "renew") {
            const next = renewed(lease, claim);
            if (next !== null) beliefs.set(owner, { counter: next.counter, untilMs: askedMs + DURATION_MS });
            lease = next ?? lease;
          } else if (what === "release") {
            lease = released(lease, claim) ?? lease;
            beliefs.delete(owner);
          } else if (what === "request") {
            lease = requested(lease, claim) ?? lease;
          } else if (what === "forget") {
            beliefs.delete(owner);
          } else {
            const next = checkpointed(lease, claim, { sequenceNumber: String(++done), subSequenceNumber: null });
            // Nobody else took it since: otherwise the counter would be another.
            if (next !== null) expect(before?.counter).toBe(belief?.counter);
            lease = next ?? lease;
          }
          expect(holders().length).toBeLessThanOrEqual(1);
          // Whoever believes to hold it is who the server says.
          for (const holder of holders()) expect(lease === null ? null : holderOf(lease, nowMs)).toBe(holder);
          if (before !== null && lease !== null && before.owner !== lease.owner)
            expect(lease.counter).toBeGreaterThan(before.counter);
        }
      }),
      { numRuns: 500 },
    );
  });

  const held = (owner: string, nowMs: number): LeaseRecord => {
    const lease = taken(null, { owner, counter: 0, nowMs, durationMs: DURATION_MS });
    if (lease === null) throw new Error("a new lease is free");
    return lease;
  };

  it("go to who asked for one, not to who comes first, once the holder hands it over", () => {
    const asked = requested(held("ann", 0), { owner: "bob", nowMs: 100, durationMs: DURATION_MS });
    const free = released(asked, { owner: "ann", counter: 1, nowMs: 200 });
    const claim = { counter: 2, nowMs: 300, durationMs: DURATION_MS };
    expect(taken(free, { ...claim, owner: "eve" })).toBeNull();
    expect(taken(free, { ...claim, owner: "bob" })).toMatchObject({ owner: "bob", counter: 3, request: null });
    expect(taken(free, { ...claim, owner: "eve", nowMs: 1_100 })).toMatchObject({ owner: "eve" });
  });

  it("shut out a holder that slept through its time, though nobody told it", () => {
    const first = held("ann", 0);
    const second = taken(first, { owner: "bob", counter: 1, nowMs: 1_000, durationMs: DURATION_MS });
    const late = { owner: "ann", counter: 1, nowMs: 1_001, durationMs: DURATION_MS };
    expect(second).not.toBeNull();
    expect(checkpointed(second, late, { sequenceNumber: "9", subSequenceNumber: null })).toBeNull();
    expect(renewed(second, late)).toBeNull();
    expect(released(second, late)).toBeNull();
    expect(renewed(first, late)).not.toBeNull();
  });

  it("are given back by the end of their shard, and nobody takes one again", () => {
    const ended = checkpointed(held("ann", 0), { owner: "ann", counter: 1, nowMs: 1 }, "ended");
    expect(ended).toMatchObject({ ended: true, owner: null, counter: 2 });
    expect(taken(ended, { owner: "bob", counter: 2, nowMs: 2, durationMs: DURATION_MS })).toBeNull();
    expect(requested(ended, { owner: "bob", nowMs: 2, durationMs: DURATION_MS })).toBeNull();
  });
});
