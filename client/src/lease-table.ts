/** The leases of one application, kept by the server. */
import type { Answer, Api, CallOptions } from "./api.ts";
import type { Lease } from "./plan.ts";
import type { Position } from "./records.ts";
import { naming } from "./shards.ts";

/** Where an application begins that is new to the stream. */
export type Start = "TRIM_HORIZON" | "LATEST" | Date;

export interface LeaseTable {
  /** Registers the application, or finds it. Resolves with where it begins in a shard that it has done nothing in. */
  register(start: Start): Promise<Position>;
  list(): Promise<ReadonlyMap<string, Lease>>;
  /** Null: somebody else was faster. */
  take(shardId: string, counter: number): Promise<Lease | null>;
  renew(held: readonly { readonly shardId: string; readonly counter: number }[], timeoutMs: number): Promise<Renewal>;
  request(shardId: string): Promise<boolean>;
  release(shardId: string, counter: number): Promise<void>;
  /** Throws ApiError `LeaseLostException`. */
  checkpoint(shardId: string, counter: number, done: Lease["checkpoint"] | "ended"): Promise<void>;
  remove(shardIds: readonly string[]): Promise<void>;
}

export interface Renewal {
  readonly kept: readonly Lease[];
  readonly lost: readonly string[];
}

/** What the server takes in one request. */
const BATCH_COUNT_MAX = 100;

interface WireLease {
  readonly ShardId: string;
  readonly Counter: number;
  readonly Owner?: string;
  readonly RequestedBy?: string;
  readonly SequenceNumber?: string;
  readonly SubSequenceNumber?: number;
  readonly Ended: boolean;
}

const leaseOf = (wire: WireLease): Lease => ({
  shardId: wire.ShardId,
  counter: wire.Counter,
  owner: wire.Owner ?? null,
  requestedBy: wire.RequestedBy ?? null,
  ended: wire.Ended,
  checkpoint:
    wire.SequenceNumber === undefined
      ? null
      : { sequenceNumber: wire.SequenceNumber, subSequenceNumber: wire.SubSequenceNumber ?? null },
});

export function createLeaseTable(
  api: Api,
  of: { readonly stream: string; readonly application: string; readonly owner: string; readonly leaseMs: number },
): LeaseTable {
  const application = { ...naming(of.stream), Application: of.application };
  const lease = (shardId: string): object => ({ ...application, ShardId: shardId, Owner: of.owner });
  const call = (operation: string, input: object, options: CallOptions = {}): Promise<Answer> =>
    api.consumers(operation, input, { timeoutMs: of.leaseMs, ...options });
  return {
    async register(start) {
      const from =
        start instanceof Date ? { Start: "AT_TIMESTAMP", Timestamp: start.getTime() / 1000 } : { Start: start };
      const answer = await call("RegisterApplication", { ...application, ...from });
      const seconds = answer["StartTimestamp"];
      return typeof seconds === "number"
        ? { type: "AT_TIMESTAMP", timestampMs: Math.round(seconds * 1000) }
        : { type: "TRIM_HORIZON" };
    },
    async list() {
      const found = new Map<string, Lease>();
      let token: unknown;
      do {
        const input = token === undefined ? application : { ...application, NextToken: token };
        const page = await call("ListLeases", input);
        for (const wire of (page["Leases"] ?? []) as readonly WireLease[]) found.set(wire.ShardId, leaseOf(wire));
        token = page["NextToken"];
      } while (token !== undefined);
      return found;
    },
    async take(shardId, counter) {
      const answer = await call("TakeLease", { ...lease(shardId), Counter: counter, DurationMs: of.leaseMs });
      return answer["Taken"] === true ? leaseOf(answer["Lease"] as WireLease) : null;
    },
    async renew(held, timeoutMs) {
      const kept: Lease[] = [];
      const lost: string[] = [];
      for (let at = 0; at < held.length; at += BATCH_COUNT_MAX) {
        const Leases = held
          .slice(at, at + BATCH_COUNT_MAX)
          .map(({ shardId, counter }) => ({ ShardId: shardId, Counter: counter }));
        const input = { ...application, Owner: of.owner, DurationMs: of.leaseMs, Leases };
        const answer = await call("RenewLeases", input, { timeoutMs });
        kept.push(...((answer["Leases"] ?? []) as readonly WireLease[]).map(leaseOf));
        lost.push(...((answer["Lost"] ?? []) as readonly string[]));
      }
      return { kept, lost };
    },
    async request(shardId) {
      return (await call("RequestLease", { ...lease(shardId), DurationMs: of.leaseMs }))["Requested"] === true;
    },
    async release(shardId, counter) {
      await call("ReleaseLease", { ...lease(shardId), Counter: counter });
    },
    async checkpoint(shardId, counter, done) {
      const what =
        done === "ended"
          ? { Ended: true }
          : {
              SequenceNumber: done?.sequenceNumber,
              ...(typeof done?.subSequenceNumber === "number" ? { SubSequenceNumber: done.subSequenceNumber } : {}),
            };
      await call("PutCheckpoint", { ...lease(shardId), Counter: counter, ...what });
    },
    async remove(shardIds) {
      for (let at = 0; at < shardIds.length; at += BATCH_COUNT_MAX)
        await call("DeleteLeases", { ...application, ShardIds: shardIds.slice(at, at + BATCH_COUNT_MAX) });
    },
  };
}
