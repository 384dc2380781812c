import { describe, expect, it } from "vitest";
import type { SealedBytes } from "../../base/brand.ts";
import { memoryMetadataStore } from "../memory-metadata-store.ts";
import { memoryRecordLog } from "../memory-record-log.ts";
import type { MetadataBytes, StoreKey } from "../metadata-store.ts";
import { failedChecks } from "./conformance.ts";
import {
  type Fault,
  type FaultPlan,
  InjectedFault,
  faultyMetadataStore,
  faultyRecordLog,
  seededFaults,
} from "./faults.ts";
import { metadataChecks } from "./metadata-conformance.ts";
import { recordLogChecks } from "./record-log-conformance.ts";

const RATES = { fail: 0.2, failAfterWrite: 0.2, delay: 0.5 };

const planOf = (...kinds: Fault["kind"][]): FaultPlan => {
  const left = [...kinds];
  return { next: () => ({ kind: left.shift() ?? "none", delayTurns: 0 }) };
};

const draws = (plan: FaultPlan): string[] => Array.from({ length: 200 }, () => JSON.stringify(plan.next("commit")));

const key = "a" as StoreKey;
const value = new Uint8Array([1]) as MetadataBytes;
const shard = { streamId: "s", shardIndex: 0 };
const block = (index: number): Parameters<ReturnType<typeof memoryRecordLog>["append"]>[1] => ({
  firstIndex: index,
  lastIndex: index,
  lastArrivalMs: index,
  bytes: new Uint8Array([index]) as SealedBytes,
});

describe("seeded faults", () => {
  it("repeat with the seed, differ with another, and come about as often as asked", () => {
    expect(draws(seededFaults(7, RATES))).toEqual(draws(seededFaults(7, RATES)));
    expect(draws(seededFaults(7, RATES))).not.toEqual(draws(seededFaults(8, RATES)));
    const kinds = Array.from(
      { length: 2000 },
      (
        (plan) => () =>
          plan.next("get").kind
      )(seededFaults(1, RATES)),
    );
    for (const kind of ["fail", "fail-after-write"]) {
      const count = kinds.filter((each) => each === kind).length;
      expect(count).toBeGreaterThan(300);
      expect(count).toBeLessThan(500);
    }
  });

  it("fall on the named operations only", () => {
    const plan = seededFaults(3, { ...RATES, fail: 1, operations: ["commit"] });
    expect([plan.next("get").kind, plan.next("commit").kind]).toEqual(["none", "fail"]);
  });
});

describe("a faulty store", () => {
  it("writes nothing when it fails, and everything when it fails afterwards", async () => {
    const store = faultyMetadataStore(memoryMetadataStore(), planOf("fail", "none", "fail-after-write"));
    const commit = (): Promise<string> => store.commit({ expect: [], writes: [{ key, value }] });
    await expect(commit()).rejects.toThrow(InjectedFault);
    expect(await store.get(key)).toBeNull();
    await expect(commit()).rejects.toThrow(InjectedFault);
    expect(await store.get(key)).toEqual(value);
  });

  it("fails the appends that were queued behind a failed one, and goes on with the next call", async () => {
    const log = faultyRecordLog(memoryRecordLog(), planOf("none", "fail-after-write"));
    const settled = await Promise.allSettled([1, 2, 3].map((index) => log.append(shard, block(index))));
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await log.last(shard)).toEqual({ lastIndex: 2, lastArrivalMs: 2 });
    await log.append(shard, block(3));
  });

  it("passes the whole contract when it is only slow", async () => {
    const slow = { fail: 0, failAfterWrite: 0, delay: 0.5 };
    const failed = [
      ...(await failedChecks(metadataChecks, async () => {
        const store = memoryMetadataStore();
        return { store: faultyMetadataStore(store, seededFaults(1, slow)), reopen: null, dispose: () => store.close() };
      })),
      ...(await failedChecks(recordLogChecks, async () => {
        const log = memoryRecordLog();
        return { store: faultyRecordLog(log, seededFaults(1, slow)), reopen: null, dispose: () => log.close() };
      })),
    ];
    expect(failed).toEqual([]);
  });
});
