import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkpointed, holderOf, type LeaseRecord, released, renewed, requested, requesterOf, taken } from "./lease.ts";
import { type Lease, planLeases } from "../../../client/src/plan.ts";
import type { Shard } from "../../../client/src/shards.ts";

const shardsOf = (count: number): readonly Shard[] =>
  Array.from({ length: count }, (_, at) => ({
    shardId: `shardId-${String(at).padStart(12, "0")}`,
    parents: [],
    isOpen: true,
  }));

const LEASE_MS = 9_000;
const ROUND_MS = LEASE_MS / 3;

/** Consumers, the server's rules for leases, and a clock that is moved by rounds. */
class Room {
  nowMs = 0;
  readonly leases = new Map<string, LeaseRecord>();
  readonly consumers = new Map<string, Map<string, number>>();
  shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.shards = shards;
  }

  view(): Map<string, Lease> {
    const lease = ([shardId, stored]: [string, LeaseRecord]): [string, Lease] => [
      shardId,
      {
        shardId,
        counter: stored.counter,
        owner: holderOf(stored, this.nowMs),
        requestedBy: requesterOf(stored, this.nowMs),
        ended: stored.ended,
        checkpoint: null,
      },
    ];
    return new Map([...this.leases].map(lease));
  }

  #store(shardId: string, lease: LeaseRecord | null): boolean {
    if (lease !== null) this.leases.set(shardId, lease);
    return lease !== null;
  }

  round(): void {
    this.nowMs += ROUND_MS;
    // All plan on the same view, as those that look at the same moment do: the worst case for races.
    const view = this.view();
    const plans = [...this.consumers].map(([owner, held]) => ({
      owner,
      held,
      plan: planLeases(owner, this.shards, view, new Set(held.keys())),
    }));
    for (const { owner, held, plan } of plans) {
      const claim = { owner, nowMs: this.nowMs, durationMs: LEASE_MS };
      for (const [shardId, counter] of held) {
        const lease = this.leases.get(shardId) ?? null;
        if (!this.#store(shardId, renewed(lease, { ...claim, counter }))) held.delete(shardId);
        else if (![null, owner].includes(requesterOf(this.leases.get(shardId) as LeaseRecord, this.nowMs))) {
          this.#store(shardId, released(this.leases.get(shardId) ?? null, { ...claim, counter }));
          held.delete(shardId);
        }
      }
      for (const { shardId, counter } of plan.take)
        if (this.#store(shardId, taken(this.leases.get(shardId) ?? null, { ...claim, counter })))
          held.set(shardId, this.leases.get(shardId)?.counter ?? 0);
      for (const shardId of plan.request) this.#store(shardId, requested(this.leases.get(shardId) ?? null, claim));
    }
  }

  end(shardId: string): void {
    for (const [owner, held] of this.consumers) {
      const counter = held.get(shardId);
      if (counter === undefined) continue;
      this.#store(
        shardId,
        checkpointed(this.leases.get(shardId) ?? null, { owner, counter, nowMs: this.nowMs }, "ended"),
      );
      held.delete(shardId);
    }
  }

  shares(): readonly number[] {
    return [...this.consumers.values()].map((held) => held.size).sort((a, b) => a - b);
  }
}

describe("sharing the leases", () => {
  it("comes to rest with fair shares, whoever joins and dies, and then nobody asks for anything", () => {
    const change = fc.record({ join: fc.boolean(), which: fc.nat(7) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.array(change, { minLength: 1, maxLength: 8 }),
        (count, changes) => {
          const room = new Room(shardsOf(count));
          let names = 0;
          for (const { join, which } of changes) {
            const dying = [...room.consumers.keys()][which];
            if (join || dying === undefined) room.consumers.set(`consumer-${names++}`, new Map());
            else room.consumers.delete(dying);
            room.round();
          }
          if (room.consumers.size === 0) room.consumers.set("last", new Map());
          for (let rounds = 0; rounds < 16; rounds++) room.round();
          const shares = room.shares();
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(count);
          expect((shares.at(-1) ?? 0) - (shares[0] ?? 0)).toBeLessThanOrEqual(1);
          for (const [owner, held] of room.consumers)
            expect(planLeases(owner, room.shards, room.view(), new Set(held.keys()))).toEqual({
              take: [],
              request: [],
              remove: [],
            });
        },
      ),
      { numRuns: 300 },
    );
  });

  it("takes children only when all of their parents are at their end", () => {
    const [a, b] = shardsOf(2) as [Shard, Shard];
    const child: Shard = { shardId: "shardId-000000000002", parents: [a.shardId, b.shardId], isOpen: true };
    const room = new Room([a, b, child]);
    room.consumers.set("ann", new Map());
    room.round();
    expect([...(room.consumers.get("ann")?.keys() ?? [])].sort()).toEqual([a.shardId, b.shardId]);
    room.end(a.shardId);
    room.round();
    expect(room.leases.has(child.shardId)).toBe(false);
    room.end(b.shardId);
    room.round();
    expect([...(room.consumers.get("ann")?.keys() ?? [])]).toEqual([child.shardId]);
  });
});
