import { describe, expect, test } from "vitest";
import { type MovableClock, movableClock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { Call, Quota, QuotaCharge, ServiceQuotas } from "./contract.ts";
import { createRequestQuotas } from "./quotas.ts";
import { gatewayRoom, principalOf, refusalOf } from "./testing/room.ts";

const quota = (code: string, perSecond: number): Quota => ({
  code,
  name: code,
  kind: "rate",
  adjustable: true,
  defaultIn: () => perSecond,
});

const declared: ServiceQuotas = {
  title: "Test",
  quotas: [],
  charges: () => [],
  throttled: () => new ServiceError("ThrottlingException", "slow down"),
};

const callOf = (accountId = "111122223333", region = "eu-central-1"): Call =>
  ({ principal: { ...principalOf("ann"), accountId }, region, service: "kms" }) as Call;

interface Buckets {
  readonly clock: MovableClock;
  /** How many of `tries` calls in a row are let through. */
  passed(tries: number, charges: readonly QuotaCharge[], call?: Call): Promise<number>;
}

function buckets(values: (quota: Quota, region: string) => number = (one, region) => one.defaultIn(region)): Buckets {
  const clock = movableClock();
  const quotas = createRequestQuotas({
    clock,
    values: { valueOf: (_account, region, _service, one) => Promise.resolve(values(one, region)) },
  });
  return {
    clock,
    async passed(tries, charges, call = callOf()) {
      let count = 0;
      for (let at = 0; at < tries; at++) {
        try {
          await quotas.take(call, declared, charges);
          count++;
        } catch (error) {
          if (!(error instanceof ServiceError) || error.code !== "ThrottlingException") throw error;
        }
      }
      return count;
    },
  };
}

const once = (one: Quota): readonly QuotaCharge[] => [{ quota: one, count: 1 }];

describe("a request quota", () => {
  test("lets one second's worth through at once, and then as many as time brings", async () => {
    const { passed, clock } = buckets();
    const charge = once(quota("a", 50));
    expect(await passed(80, charge)).toBe(50);
    clock.advance(100);
    expect(await passed(80, charge)).toBe(5);
    clock.advance(60_000);
    expect(await passed(80, charge)).toBe(50);
  });

  test("below one a second lets one through in each interval, however often it is tried between", async () => {
    const { passed, clock } = buckets();
    const charge = once(quota("a", 0.1));
    expect(await passed(3, charge)).toBe(1);
    for (let second = 1; second < 10; second++) {
      clock.advance(1_000);
      expect(await passed(2, charge)).toBe(0);
    }
    clock.advance(1_000);
    expect(await passed(2, charge)).toBe(1);
  });

  test("of zero lets nothing through, and one without a limit everything", async () => {
    const { passed } = buckets();
    expect(await passed(3, once(quota("none", 0)))).toBe(0);
    expect(await passed(300, once(quota("all", Infinity)))).toBe(300);
  });

  test("is an account's and a Region's own, and each quota is counted for itself", async () => {
    const { passed } = buckets();
    const charge = once(quota("a", 2));
    expect(await passed(5, charge)).toBe(2);
    expect(await passed(5, charge, callOf("444455556666"))).toBe(2);
    expect(await passed(5, charge, callOf("111122223333", "us-east-1"))).toBe(2);
    expect(await passed(5, once(quota("b", 2)))).toBe(2);
    expect(await passed(5, charge)).toBe(0);
  });

  test("that is used up takes nothing from the others that the call counts against", async () => {
    const { passed } = buckets();
    const [plenty, scarce] = [quota("plenty", 3), quota("scarce", 1)];
    const both = [...once(plenty), ...once(scarce)];
    expect(await passed(9, both)).toBe(1);
    expect(await passed(9, once(plenty))).toBe(2);
  });

  test("pays later for a call that counts for more than it holds", async () => {
    const { passed, clock } = buckets();
    const one = quota("a", 1);
    expect(await passed(2, [{ quota: one, count: 2 }])).toBe(1);
    clock.advance(1_999);
    expect(await passed(1, once(one))).toBe(0);
    clock.advance(1);
    expect(await passed(1, once(one))).toBe(1);
  });

  test("counts in another Region what the call does there", async () => {
    const { passed } = buckets();
    const there: readonly QuotaCharge[] = [{ quota: quota("a", 1), count: 1, region: "us-west-2" }];
    expect(await passed(2, there)).toBe(1);
    expect(await passed(2, once(quota("a", 1)))).toBe(1);
    expect(await passed(2, there, callOf("111122223333", "us-west-2"))).toBe(0);
  });

  test("that is increased lets more through from then on", async () => {
    let perSecond = 2;
    const { passed, clock } = buckets(() => perSecond);
    const charge = once(quota("a", 0));
    expect(await passed(9, charge)).toBe(2);
    perSecond = 6;
    clock.advance(1_000);
    expect(await passed(9, charge)).toBe(6);
  });
});

describe("the gateway", () => {
  const row = {
    event: "management" as const,
    readOnly: true,
    access: async () => ({
      checks: [{ action: "kms:Look", resource: "*", resourceAccountId: "111122223333" }],
      target: null,
    }),
    handle: async () => ({ output: {} }),
  };
  const limited = quota("a", 2);

  async function room() {
    const clock = movableClock();
    const requestQuotas = createRequestQuotas({
      clock,
      values: { valueOf: (_account, region, _service, one) => Promise.resolve(one.defaultIn(region)) },
    });
    return await gatewayRoom({ Look: row }, { requestQuotas, quotas: { ...declared, charges: () => once(limited) } });
  }

  test("answers the service's refusal when a quota is used up, and writes it down", async () => {
    const { operations, callOf: of, events } = await room();
    const look = (): Promise<unknown> => operations.run(of("Look"), () => ({}));
    await look();
    await look();
    expect(await refusalOf(look())).toBe("ThrottlingException");
    expect((await events()).map(({ errorCode }) => errorCode)).toEqual([undefined, undefined, "ThrottlingException"]);
  });

  test("counts what a service asks for on its caller's behalf, but not the question whether it may", async () => {
    const { operations, callOf: of } = await room();
    const outer = of("PutRecord", { service: "kinesis" });
    for (let at = 0; at < 5; at++) await operations.authorize(outer, "kms", "Look", {});
    await operations.run(outer, "kms", "Look", {});
    await operations.run(outer, "kms", "Look", {});
    expect(await refusalOf(operations.run(outer, "kms", "Look", {}))).toBe("ThrottlingException");
  });

  test("counts nothing for a caller who is refused", async () => {
    const { operations, callOf: of, putUser } = await room();
    await putUser("bob", [{ Effect: "Deny" }]);
    const bob = of("Look", { principal: principalOf("bob") });
    for (let at = 0; at < 5; at++) {
      expect(await refusalOf(operations.run(bob, () => ({})))).toBe("AccessDeniedException");
    }
    await operations.run(of("Look"), () => ({}));
  });
});
