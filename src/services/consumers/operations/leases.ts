import { invalidArgument, leaseLost, tooManyLeases } from "../errors.ts";
import { checkpointed, holderOf, released, renewed, requested, taken } from "../lease.ts";
import { applications, leases } from "../records.ts";
import { describeLease, registered, type Row, row, type StreamLookup, streamIdOf } from "../row.ts";
import type { LeaseDescription } from "../shapes.ts";
import { LEASES_MAX } from "./applications.ts";

const PAGE_MAX = 1_000;
const DATA = { event: "data", readOnly: false } as const;

export const listLeases = (lookup: StreamLookup): Row<"ListLeases"> =>
  row("ListLeases", { event: "data", readOnly: true }, async (context, input, target) => {
    const { call, read } = context;
    const streamId = await streamIdOf(lookup, context, target);
    const prefix = [streamId, (await registered(read, streamId, input.Application)).name];
    const limit = input.MaxResults ?? PAGE_MAX;
    const after = input.NextToken === undefined ? undefined : [...prefix, input.NextToken];
    const found = await read.list(leases, { prefix, after, limit: limit + 1 });
    const page = found.slice(0, limit).map(({ id, value }) => describeLease(id.at(-1) ?? "", value, call.nowMs));
    const last = found.length > limit ? page.at(-1)?.ShardId : undefined;
    return { output: { Leases: page, ...(last === undefined ? {} : { NextToken: last }) } };
  });

/** Losing the race for a lease is an answer like any other, not an error that is written to the trail. */
export const takeLease = (lookup: StreamLookup): Row<"TakeLease"> =>
  row("TakeLease", DATA, async (context, input, target) => {
    const { call, read } = context;
    const streamId = await streamIdOf(lookup, context, target);
    const application = await registered(read, streamId, input.Application);
    const key = [streamId, application.name, input.ShardId];
    const stored = await read.get(leases, key);
    const lease = taken(stored, {
      owner: input.Owner,
      counter: input.Counter,
      durationMs: input.DurationMs,
      nowMs: call.nowMs,
    });
    if (lease === null) {
      const shown = stored === null ? {} : { Lease: describeLease(input.ShardId, stored, call.nowMs) };
      return { output: { Taken: false, ...shown } };
    }
    const leaseCount = application.leaseCount + 1;
    if (stored === null && leaseCount > LEASES_MAX) throw tooManyLeases(LEASES_MAX);
    return {
      output: { Taken: true, Lease: describeLease(input.ShardId, lease, call.nowMs) },
      writes: [
        leases.put(key, lease),
        ...(stored === null ? [applications.put(key.slice(0, 2), { ...application, leaseCount })] : []),
      ],
    };
  });

export const renewLeases = (lookup: StreamLookup): Row<"RenewLeases"> =>
  row("RenewLeases", DATA, async (context, input, target) => {
    const { call, read } = context;
    const streamId = await streamIdOf(lookup, context, target);
    const prefix = [streamId, (await registered(read, streamId, input.Application)).name];
    const counters = new Map(input.Leases.map(({ ShardId, Counter }) => [ShardId, Counter]));
    if (counters.size !== input.Leases.length) throw invalidArgument("A shard is named twice.");
    const kept: LeaseDescription[] = [];
    const lost: string[] = [];
    const writes = [];
    for (const [shardId, counter] of counters) {
      const key = [...prefix, shardId];
      const claim = { owner: input.Owner, counter, nowMs: call.nowMs, durationMs: input.DurationMs };
      const lease = renewed(await read.get(leases, key), claim);
      if (lease === null) {
        lost.push(shardId);
        continue;
      }
      kept.push(describeLease(shardId, lease, call.nowMs));
      writes.push(leases.put(key, lease));
    }
    return { output: { Leases: kept, Lost: lost }, writes };
  });

export const requestLease = (lookup: StreamLookup): Row<"RequestLease"> =>
  row("RequestLease", DATA, async (context, input, target) => {
    const streamId = await streamIdOf(lookup, context, target);
    const { name } = await registered(context.read, streamId, input.Application);
    const key = [streamId, name, input.ShardId];
    const claim = { owner: input.Owner, durationMs: input.DurationMs, nowMs: context.call.nowMs };
    const lease = requested(await context.read.get(leases, key), claim);
    return lease === null
      ? { output: { Requested: false } }
      : { output: { Requested: true }, writes: [leases.put(key, lease)] };
  });

export const releaseLease = (lookup: StreamLookup): Row<"ReleaseLease"> =>
  row("ReleaseLease", DATA, async (context, input, target) => {
    const streamId = await streamIdOf(lookup, context, target);
    const { name } = await registered(context.read, streamId, input.Application);
    const key = [streamId, name, input.ShardId];
    const claim = { owner: input.Owner, counter: input.Counter, nowMs: context.call.nowMs };
    const lease = released(await context.read.get(leases, key), claim);
    return lease === null
      ? { output: { Released: false } }
      : { output: { Released: true }, writes: [leases.put(key, lease)] };
  });

/** Throws LeaseLostException for who does not hold the lease any more: what it did may be done again by another. */
export const putCheckpoint = (lookup: StreamLookup): Row<"PutCheckpoint"> =>
  row("PutCheckpoint", DATA, async (context, input, target) => {
    const { nowMs } = context.call;
    const ended = input.Ended === true;
    if (ended === (input.SequenceNumber !== undefined))
      throw invalidArgument("A checkpoint has either a SequenceNumber or Ended.");
    if (ended && input.SubSequenceNumber !== undefined)
      throw invalidArgument("SubSequenceNumber belongs to a SequenceNumber.");
    const streamId = await streamIdOf(lookup, context, target);
    const { name } = await registered(context.read, streamId, input.Application);
    const key = [streamId, name, input.ShardId];
    const done = ended
      ? "ended"
      : { sequenceNumber: input.SequenceNumber ?? "", subSequenceNumber: input.SubSequenceNumber ?? null };
    const claim = { owner: input.Owner, counter: input.Counter, nowMs };
    const lease = checkpointed(await context.read.get(leases, key), claim, done);
    if (lease === null) throw leaseLost(input.ShardId);
    return { output: { Lease: describeLease(input.ShardId, lease, nowMs) }, writes: [leases.put(key, lease)] };
  });

/** For shards that are gone: their leases would pile up. What somebody holds stays. */
export const deleteLeases = (lookup: StreamLookup): Row<"DeleteLeases"> =>
  row("DeleteLeases", DATA, async (context, input, target) => {
    const { call, read } = context;
    const streamId = await streamIdOf(lookup, context, target);
    const application = await registered(read, streamId, input.Application);
    const deleted: string[] = [];
    for (const shardId of new Set(input.ShardIds)) {
      const lease = await read.get(leases, [streamId, application.name, shardId]);
      if (lease !== null && holderOf(lease, call.nowMs) === null) deleted.push(shardId);
    }
    if (deleted.length === 0) return { output: { Deleted: [] } };
    const leaseCount = Math.max(0, application.leaseCount - deleted.length);
    return {
      output: { Deleted: deleted },
      writes: [
        applications.put([streamId, application.name], { ...application, leaseCount }),
        ...deleted.map((shardId) => leases.remove([streamId, application.name, shardId])),
      ],
    };
  });
