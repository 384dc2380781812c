import { describe, expect, test } from "vitest";
import { auditEvents } from "../audit/audit-log.ts";
import { ServiceError } from "../base/errors.ts";
import { table } from "../store/table.ts";
import type { Afterwards, Operation } from "./contract.ts";
import { ACCOUNT, gatewayRoom, type GatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

const gates = table<{ readonly closed: boolean }>("test.gate");

/** An answer that goes on, of which the test keeps what its handler was given to ask with. */
async function listening(): Promise<{
  readonly room: GatewayRoom;
  readonly afterwards: Afterwards;
  readonly asked: () => number;
}> {
  let kept: Afterwards | undefined;
  let asked = 0;
  const listen: Operation<{ readonly id: string }, object, null> = {
    event: "data",
    readOnly: true,
    async access(_context, { id }) {
      asked++;
      return { checks: [{ action: "kms:Listen", resource: keyArn(id), resourceAccountId: ACCOUNT }], target: null };
    },
    async check({ read }, { id }) {
      if ((await read.get(gates, [id]))?.closed === true) throw new ServiceError("ClosedException", "closed");
    },
    async handle({ afterwards }) {
      kept = afterwards;
      return { output: {} };
    },
    describe: ({ id }) => ({ requestParameters: { id } }),
  };
  const room = await gatewayRoom({ Listen: listen });
  await room.operations.run(room.callOf("Listen"), () => ({ id: "k1" }));
  if (kept === undefined) throw new Error("the handler was given nothing to ask with");
  return { room, afterwards: kept, asked: () => asked };
}

describe("an answer that goes on", () => {
  test("leaves no event, and costs nothing while nothing is written, for a second at a time", async () => {
    const { room, afterwards, asked } = await listening();
    for (let turn = 0; turn < 100; turn++) await afterwards.stillPermitted();
    expect(asked()).toBe(1);
    room.clock.advance(1_000);
    await afterwards.stillPermitted();
    await afterwards.stillPermitted();
    expect(asked()).toBe(2);
    await room.write(gates.put(["k2"], { closed: false }));
    await afterwards.stillPermitted();
    expect(asked()).toBe(3);
    expect(await room.events()).toEqual([]);
  });

  test("is refused what was taken away, and that is written down with the parameters of its request", async () => {
    const { room, afterwards } = await listening();
    await room.putUser("ann", [{}, { Effect: "Deny", Action: "kms:Listen" }]);
    const refused: unknown = await afterwards.stillPermitted().then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(ServiceError);
    expect((await afterwards.endedBy(refused)).code).toBe("AccessDeniedException");
    expect(await room.events()).toMatchObject([
      {
        eventName: "Listen",
        eventCategory: "Data",
        errorCode: "AccessDenied",
        requestParameters: { id: "k1" },
        resources: [{ ARN: keyArn("k1") }],
      },
    ]);
    expect((await room.denials.latest(5)).denials).toMatchObject([{ action: "kms:Listen" }]);
  });

  test("is refused what a precondition forbids by now", async () => {
    const { room, afterwards } = await listening();
    await room.write(gates.put(["k1"], { closed: true }));
    expect(await refusalOf(afterwards.stillPermitted())).toBe("ClosedException");
  });

  test("tells nothing of a failure inside, and fails when its end cannot be written down", async () => {
    const { room, afterwards } = await listening();
    const told = await afterwards.endedBy(new Error("secret"));
    expect([told.code, told.message.includes("secret")]).toEqual(["InternalFailure", false]);
    expect(await room.events()).toMatchObject([{ errorCode: "InternalFailure" }]);
    room.commitFault = "fail";
    expect(await refusalOf(afterwards.endedBy(new ServiceError("ClosedException", "closed")))).toBe("InternalFailure");
    expect(room.batches.at(-1)?.writes.some(({ key }) => key.startsWith(auditEvents.name))).toBe(true);
  });
});
