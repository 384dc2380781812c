import { describe, expect, it } from "vitest";
import { type Lease, planLeases } from "./plan.ts";
import type { Shard } from "./shards.ts";

/** Consumers that share leases by these plans: src/services/consumers/sharing.test.ts, with the server's own rules. */
describe("what a consumer takes", () => {
  it("does not wait for parents that expired, and removes what is left of them", () => {
    const child: Shard = { shardId: "shardId-000000000002", parents: ["shardId-000000000000"], isOpen: true };
    const old: Lease = {
      shardId: "shardId-000000000000",
      counter: 4,
      owner: null,
      requestedBy: null,
      ended: false,
      checkpoint: null,
    };
    const plan = planLeases("ann", [child], new Map([[old.shardId, old]]), new Set());
    expect(plan).toEqual({ take: [{ shardId: child.shardId, counter: 0 }], request: [], remove: [old.shardId] });
  });

  it("takes again what is its own and was forgotten", () => {
    const shard: Shard = { shardId: "shardId-000000000000", parents: [], isOpen: true };
    const lease: Lease = {
      shardId: shard.shardId,
      counter: 3,
      owner: "ann",
      requestedBy: null,
      ended: false,
      checkpoint: null,
    };
    expect(planLeases("ann", [shard], new Map([[shard.shardId, lease]]), new Set()).take).toEqual([
      { shardId: shard.shardId, counter: 3 },
    ]);
    expect(planLeases("ann", [shard], new Map([[shard.shardId, lease]]), new Set([shard.shardId])).take).toEqual([]);
  });
});
