/**
 * What may happen to a lease. Pure: every transition is a function of the stored lease and the server's time. Stored
 * conditionally, so that of two at once one sees the other's result.
 *
 * `counter` is the fencing token: it changes whenever a lease changes hands, and who holds a lease shows it with every word.
 */

/** How far an application has come in a shard: behind this record. */
export interface Checkpoint {
  readonly sequenceNumber: string;
  /** Of a record that holds several (KPL): the last one that is done. Null: all of them. */
  readonly subSequenceNumber: number | null;
}

export interface LeaseRecord {
  /** Null: it was given back. */
  readonly owner: string | null;
  readonly counter: number;
  /** Until when nobody else may take it. */
  readonly untilMs: number;
  /** Null: the application has done nothing in this shard yet. */
  readonly checkpoint: Checkpoint | null;
  /** The shard was read to its end, and nobody needs a lease of it any more. */
  readonly ended: boolean;
  /** Who asked the holder to hand it over. Until then nobody else takes it when it becomes free. */
  readonly request: { readonly owner: string; readonly untilMs: number } | null;
}

/** Who holds the lease now; null: nobody. After a wall clock stepped back it is held longer, never by two. */
export const holderOf = (lease: LeaseRecord, nowMs: number): string | null =>
  nowMs < lease.untilMs ? lease.owner : null;

/** Whose turn it is once the lease is free; null: whoever comes first. */
export const requesterOf = (lease: LeaseRecord, nowMs: number): string | null =>
  lease.request !== null && nowMs < lease.request.untilMs ? lease.request.owner : null;

interface Claim {
  readonly owner: string;
  /** That of the lease as the client saw it last; 0: that there is none. */
  readonly counter: number;
  readonly nowMs: number;
}

interface TimedClaim extends Claim {
  readonly durationMs: number;
}

const shows = (lease: LeaseRecord, { owner, counter }: Claim): boolean =>
  lease.owner === owner && lease.counter === counter;

/** Null: it may not be taken, because it is not as the client saw it, another one holds it or was promised it, or it ended. */
export function taken(lease: LeaseRecord | null, claim: TimedClaim): LeaseRecord | null {
  const { owner, counter, nowMs, durationMs } = claim;
  if ((lease?.counter ?? 0) !== counter) return null;
  if (lease === null)
    return { owner, counter: 1, untilMs: nowMs + durationMs, checkpoint: null, ended: false, request: null };
  if (lease.ended) return null;
  const holder = holderOf(lease, nowMs);
  const requester = requesterOf(lease, nowMs);
  // Its own again: somebody who forgot what it held. The new counter shuts out whatever the forgotten one still does.
  if (holder !== null && holder !== owner) return null;
  if (holder === null && requester !== null && requester !== owner) return null;
  const request = requester === owner ? null : lease.request;
  return { ...lease, owner, counter: counter + 1, untilMs: nowMs + durationMs, request };
}

/** Null: it is lost. One that ran out may still be renewed while nobody else took it: the counter proves that. */
export const renewed = (lease: LeaseRecord | null, claim: TimedClaim): LeaseRecord | null =>
  lease === null || !shows(lease, claim) ? null : { ...lease, untilMs: claim.nowMs + claim.durationMs };

/** Null: it was given back already, or lost. */
export const released = (lease: LeaseRecord | null, claim: Claim): LeaseRecord | null =>
  lease === null || !shows(lease, claim) ? null : { ...lease, owner: null, counter: lease.counter + 1, untilMs: 0 };

/** Asks the holder to hand it over. Null: there is nothing to ask for, or another one asked first. */
export function requested(lease: LeaseRecord | null, claim: Omit<TimedClaim, "counter">): LeaseRecord | null {
  if (lease === null || lease.ended) return null;
  const holder = holderOf(lease, claim.nowMs);
  const requester = requesterOf(lease, claim.nowMs);
  if (holder === null || holder === claim.owner || (requester !== null && requester !== claim.owner)) return null;
  return { ...lease, request: { owner: claim.owner, untilMs: claim.nowMs + claim.durationMs } };
}

/** Null: it is lost, and what was done may be done again by another. The end of a shard gives the lease back as well. */
export function checkpointed(lease: LeaseRecord | null, claim: Claim, done: Checkpoint | "ended"): LeaseRecord | null {
  if (lease === null || !shows(lease, claim)) return null;
  if (done !== "ended") return { ...lease, checkpoint: done };
  return { ...lease, ended: true, owner: null, counter: lease.counter + 1, untilMs: 0, request: null };
}
