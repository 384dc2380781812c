import type { Clock } from "../base/clock.ts";
import { LruMap } from "../base/lru.ts";
import type { Call, QuotaCharge, QuotaValues, ServiceQuotas } from "./contract.ts";

/** Buckets kept; one that is forgotten begins full again. Far more than a deployment has accounts, Regions and quotas. */
const BUCKETS_MAX = 50_000;

/** A bucket that is full to within a rounding error counts as full. */
const TOLERANCE = 1e-9;

export interface RequestQuotas {
  /**
   * Counts a call that the caller is allowed to make against the caller's account, whoever owns what it is about. Throws
   * the service's refusal, and counts nothing, when one of its quotas is used up.
   */
  take(call: Call, quotas: ServiceQuotas, charges: readonly QuotaCharge[]): Promise<void>;
}

interface Bucket {
  /** Requests that could be made at `atMs`; below zero after one that counts for several. */
  tokens: number;
  atMs: number;
}

/**
 * Token buckets, one for each account, Region and request quota: filled without pause at the quota's rate, and holding one
 * second's worth, but at least one request, so that a rate below one a second works. They start full and live in memory.
 */
export function createRequestQuotas(deps: { readonly clock: Clock; readonly values: QuotaValues }): RequestQuotas {
  const buckets = new LruMap<string, Bucket>(BUCKETS_MAX);

  return {
    async take(call, quotas, charges) {
      const { accountId } = call.principal;
      const rates: number[] = [];
      for (const { quota, region = call.region } of charges) {
        rates.push(await deps.values.valueOf(accountId, region, call.service, quota));
      }
      // From here on in one turn of the event loop: two calls never take the same token.
      const nowMs = deps.clock.monotonicMs();
      const taken: (() => void)[] = [];
      for (const [at, { quota, count, region = call.region }] of charges.entries()) {
        const rate = rates[at] ?? 0;
        if (rate === Infinity) continue;
        const id = `${accountId} ${region} ${call.service} ${quota.code}`;
        const capacity = rate === 0 ? 0 : Math.max(1, rate);
        const bucket = buckets.get(id) ?? { tokens: capacity, atMs: nowMs };
        const tokens = Math.min(capacity, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * rate);
        // A call that counts for more than the bucket holds waits for a full one, and those after it for the rest.
        if (rate === 0 || tokens < Math.min(count, capacity) - TOLERANCE) throw quotas.throttled();
        taken.push(() => buckets.set(id, { tokens: tokens - count, atMs: nowMs }));
      }
      for (const take of taken) take();
    },
  };
}
