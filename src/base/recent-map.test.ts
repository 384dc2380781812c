import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecentMap } from "./recent-map.ts";

describe("a map of what was used lately", () => {
  test("never answers with a value that was replaced or deleted, whatever was forgotten in between", () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), key: fc.nat(9), value: fc.nat() }),
      fc.record({ kind: fc.constant("delete" as const), key: fc.nat(9), value: fc.constant(0) }),
      fc.record({ kind: fc.constant("get" as const), key: fc.nat(9), value: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const map = new RecentMap<number, number>(4);
        const model = new Map<number, number>();
        for (const { kind, key, value } of operations) {
          if (kind === "set") {
            map.set(key, value);
            model.set(key, value);
          } else if (kind === "delete") {
            map.delete(key);
            model.delete(key);
          } else expect([undefined, model.get(key)]).toContain(map.get(key));
        }
      }),
    );
  });

  test("keeps what is used again and again, and forgets the rest", () => {
    const map = new RecentMap<string, number>(10);
    map.set("hot", 1);
    for (let index = 0; index < 100; index++) {
      map.set(`cold ${index}`, index);
      expect(map.get("hot")).toBe(1);
    }
    expect(map.get("cold 0")).toBeUndefined();
  });
});
