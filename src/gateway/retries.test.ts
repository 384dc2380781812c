import { expect, test } from "vitest";
import { table } from "../store/table.ts";
import type { Operation } from "./contract.ts";
import { ACCOUNT, gatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

const counters = table<number>("test.counter");

test("an operation that runs again decides on the policies of now", async () => {
  let disturbances = 1;
  const increment: Operation<object, object, number> = {
    event: "management",
    readOnly: false,
    access: async ({ read }) => ({
      checks: [{ action: "kms:Increment", resource: keyArn("k1"), resourceAccountId: ACCOUNT }],
      target: (await read.get(counters, ["k1"])) ?? 0,
    }),
    async handle(_context, _input, value) {
      if (disturbances-- > 0) {
        await room.write(counters.put(["k1"], 10));
        await room.putUser("ann", [{}, { Effect: "Deny", Action: "kms:Increment" }]);
      }
      return { output: {}, writes: [counters.put(["k1"], value + 1)] };
    },
  };
  const room = await gatewayRoom({ Increment: increment });
  expect(await refusalOf(room.operations.run(room.callOf("Increment"), () => ({})))).toBe("AccessDeniedException");
  const bytes = await room.store.get(counters.key(["k1"]));
  expect(bytes === null ? null : counters.decode(bytes)).toBe(10);
});
