/** Which leases a consumer should take, and which it should ask others for, so that all have their share. Pure. */
import { readyShards, type Shard } from "./shards.ts";

/** A lease as the server tells it. */
export interface Lease {
  readonly shardId: string;
  readonly counter: number;
  /** Who holds it now, by the server's time; null: nobody. */
  readonly owner: string | null;
  readonly requestedBy: string | null;
  readonly ended: boolean;
  readonly checkpoint: { readonly sequenceNumber: string; readonly subSequenceNumber: number | null } | null;
}

export interface Plan {
  readonly take: readonly { readonly shardId: string; readonly counter: number }[];
  readonly request: readonly string[];
  /** Leases of shards that are gone. */
  readonly remove: readonly string[];
}

/** FNV-1a. Consumers begin at different ends of the list, so that they seldom race for the same lease. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}

export function planLeases(
  owner: string,
  shards: readonly Shard[],
  leases: ReadonlyMap<string, Lease>,
  held: ReadonlySet<string>,
): Plan {
  const listed = new Set(shards.map(({ shardId }) => shardId));
  const ready = readyShards(shards, (shardId) => leases.get(shardId)?.ended === true);
  const remove = [...leases.values()]
    .filter((lease) => !listed.has(lease.shardId) && lease.owner === null && lease.requestedBy === null)
    .map(({ shardId }) => shardId);

  // What each has, or was promised.
  const shares = new Map<string, number>([[owner, 0]]);
  const add = (name: string): void => void shares.set(name, (shares.get(name) ?? 0) + 1);
  const free: Lease[] = [];
  const forgotten: Lease[] = [];
  const askable = new Map<string, Lease[]>();
  for (const { shardId } of ready) {
    const lease = leases.get(shardId) ?? unknownLease(shardId);
    const next = lease.requestedBy ?? lease.owner;
    if (next !== null) add(next);
    if (lease.owner === null && (next === null || next === owner)) free.push(lease);
    else if (lease.owner === owner && !held.has(shardId)) forgotten.push(lease);
    else if (lease.owner !== null && lease.requestedBy === null)
      askable.set(lease.owner, [...(askable.get(lease.owner) ?? []), lease]);
    // Who hands one over is still there.
    if (lease.owner !== null && !shares.has(lease.owner)) shares.set(lease.owner, 0);
  }
  const target = Math.ceil(ready.length / shares.size);
  const order = (a: Lease, b: Lease): number => hashOf(owner + a.shardId) - hashOf(owner + b.shardId);
  const promised = free.filter(({ requestedBy }) => requestedBy === owner);
  const others = free.filter(({ requestedBy }) => requestedBy === null).toSorted(order);
  const room = Math.max(0, target - (shares.get(owner) ?? 0));
  const take = [...forgotten, ...promised, ...others.slice(0, room)];
  const mine = (shares.get(owner) ?? 0) + Math.min(room, others.length);
  return {
    take: take.map(({ shardId, counter }) => ({ shardId, counter })),
    request: others.length > room ? [] : asked(owner, mine, shares, askable, order),
    remove,
  };
}

/** One after the other from whoever has most, while that is at least two more than we have. */
function asked(
  owner: string,
  mine: number,
  shares: ReadonlyMap<string, number>,
  askable: ReadonlyMap<string, readonly Lease[]>,
  order: (a: Lease, b: Lease) => number,
): readonly string[] {
  const request: string[] = [];
  const left = new Map([...askable].filter(([name]) => name !== owner).map(([name, of]) => [name, of.toSorted(order)]));
  const counts = new Map(shares);
  for (let have = mine; ; have++) {
    const richest = [...left.keys()]
      .filter((name) => (left.get(name)?.length ?? 0) > 0)
      .toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0))[0];
    if (richest === undefined || (counts.get(richest) ?? 0) - have < 2) return request;
    const lease = left.get(richest)?.shift();
    if (lease !== undefined) request.push(lease.shardId);
    counts.set(richest, (counts.get(richest) ?? 0) - 1);
  }
}

const unknownLease = (shardId: string): Lease => ({
  shardId,
  counter: 0,
  owner: null,
  requestedBy: null,
  ended: false,
  checkpoint: null,
});
