import { describe, expect, test } from "vitest";
import { auditEvents } from "../audit/audit-log.ts";
import { ServiceError } from "../base/errors.ts";
import { table } from "../store/table.ts";
import type { AnyOperation, Operation, OperationContext } from "./contract.ts";
import { ACCOUNT, gatewayRoom, keyArn, refusalOf } from "./testing/room.ts";

interface Counter {
  readonly value: number;
  readonly closed?: boolean;
}

interface Input {
  readonly id: string;
}

type Row = Operation<Input, { readonly value: number }, Counter>;

const counters = table<Counter>("test.counter");

/** Adds one to the counter of a key. */
const increment: Row = {
  event: "management",
  readOnly: false,
  async access({ read }, { id }) {
    const counter = (await read.get(counters, [id])) ?? { value: 0 };
    return { checks: [{ action: "kms:Increment", resource: keyArn(id), resourceAccountId: ACCOUNT }], target: counter };
  },
  check(_context, _input, { closed }) {
    if (closed) throw new ServiceError("ClosedException", "closed");
  },
  async handle(_context, { id }, { value }) {
    return { output: { value: value + 1 }, writes: [counters.put([id], { value: value + 1 })] };
  },
  describe: ({ id }) => ({ requestParameters: { id } }),
};

/** Tells the counter of a key, and writes nothing. */
const look: Row = {
  ...increment,
  readOnly: true,
  handle: async (_context, _input, { value }) => ({ output: { value } }),
};

const failing = (thrown: Error): Row => ({ ...increment, handle: () => Promise.reject(thrown) });

/** A room with an operation called Increment, and how to run it on key k1 from outside. */
async function counting(operation: AnyOperation = increment) {
  const room = await gatewayRoom({ Increment: operation });
  const run = (name = "Increment"): Promise<unknown> => room.operations.run(room.callOf(name), () => ({ id: "k1" }));
  const stored = async (): Promise<number | null> => {
    const bytes = await room.store.get(counters.key(["k1"]));
    return bytes === null ? null : counters.decode(bytes).value;
  };
  return { room, run, stored };
}

describe("an operation", () => {
  test("commits its writes and its event in one batch, then tells, then answers", async () => {
    const told: (number | null)[] = [];
    const { room, run, stored } = await counting({
      ...increment,
      handle: async (context, input, target: Counter) => {
        const outcome = await increment.handle(context, input, target);
        return {
          ...outcome,
          audit: { responseElements: { done: true } },
          committed: () => told.push(room.batches.length),
        };
      },
    });
    expect(await run()).toEqual({ value: 1 });
    expect(told).toEqual([1]);
    expect(await stored()).toBe(1);
    const written = room.batches.map(({ writes }) => writes.map(({ key }) => key));
    const { start, end } = auditEvents.range([ACCOUNT]);
    const eventKey = expect.toSatisfy((key: string) => start <= key && key < end);
    expect(written).toEqual([[counters.key(["k1"]), eventKey]]);
    const [event] = await room.events();
    expect(event).toMatchObject({
      eventName: "Increment",
      eventCategory: "Management",
      readOnly: false,
      requestParameters: { id: "k1" },
      responseElements: { done: true },
    });
    expect(event).not.toHaveProperty("errorCode");
  });

  test("that reaches into another Region is written down there, too, in the same batch and of the same caller", async () => {
    const { room, run } = await counting({
      ...increment,
      handle: async (context, input, target: Counter) => ({
        ...(await increment.handle(context, input, target)),
        furtherEvents: [
          { region: "us-west-2", operation: "Elsewhere", details: { responseElements: { there: true } } },
        ],
      }),
    });
    await run();
    expect(room.batches).toHaveLength(1);
    const there = room.batches[0]?.writes.at(-1);
    expect(there?.value ? auditEvents.decode(there.value) : null).toMatchObject({
      eventName: "Elsewhere",
      awsRegion: "us-west-2",
      requestParameters: null,
      responseElements: { there: true },
      userIdentity: { userName: "ann" },
    });
  });

  test("may need a permission for another Region, which is the one that conditions see", async () => {
    const { room, run } = await counting({
      ...increment,
      async access(context, input) {
        const { checks, target } = await increment.access(context, input);
        return {
          checks: checks.map((check) => ({ ...check, context: check.context ?? {}, region: "us-west-2" })),
          target,
        };
      },
    });
    const onlyIn = (region: string): Readonly<Record<string, unknown>> => ({
      Condition: { StringEquals: { "aws:RequestedRegion": region } },
    });
    await room.putUser("ann", [onlyIn(room.callOf("Increment").region)]);
    expect(await refusalOf(run())).toBe("AccessDeniedException");
    await room.putUser("ann", [onlyIn("us-west-2")]);
    expect(await run()).toEqual({ value: 1 });
  });

  test("that a handler refuses leaves an event with the error, and no writes", async () => {
    const { room, run, stored } = await counting(failing(new ServiceError("LimitExceededException", "too many")));
    expect(await refusalOf(run())).toBe("LimitExceededException");
    expect(await stored()).toBeNull();
    const events = await room.events();
    expect(events).toMatchObject([
      { errorCode: "LimitExceededException", errorMessage: "too many", requestParameters: { id: "k1" } },
    ]);
    expect(events[0]?.responseElements).toBeNull();
  });

  test("that fails by a bug answers InternalFailure, and its cause is not written down", async () => {
    const { room, run } = await counting(failing(new TypeError("a detail of ours")));
    expect(await refusalOf(run())).toBe("InternalFailure");
    const events = await room.events();
    expect(events).toMatchObject([{ errorCode: "InternalFailure" }]);
    expect(JSON.stringify(events)).not.toContain("a detail of ours");
  });

  test("whose input does not decode is written down without parameters", async () => {
    const { room } = await counting();
    const run = room.operations.run(room.callOf("Increment"), () => {
      throw new ServiceError("SerializationException", "not JSON");
    });
    expect(await refusalOf(run)).toBe("SerializationException");
    expect(await room.events()).toMatchObject([{ errorCode: "SerializationException", requestParameters: null }]);
  });

  test.each(["Unheard", "toString", "__proto__"])(
    "that the table lacks is refused and written down: %s",
    async (name) => {
      const { room, run } = await counting();
      expect(await refusalOf(run(name))).toBe("UnsupportedOperationException");
      expect(await room.events()).toMatchObject([{ eventName: name, errorCode: "UnsupportedOperationException" }]);
    },
  );

  test("that policies refuse does nothing, and its event names the resource that it was about", async () => {
    const { room, run, stored } = await counting();
    await room.putUser("ann", [{}, { Effect: "Deny", Action: "kms:Increment" }]);
    expect(await refusalOf(run())).toBe("AccessDeniedException");
    expect(await stored()).toBeNull();
    expect(await room.events()).toMatchObject([
      {
        errorCode: "AccessDenied",
        requestParameters: { id: "k1" },
        resources: [{ ARN: keyArn("k1"), accountId: ACCOUNT, type: "AWS::KMS::Key" }],
      },
    ]);
  });

  test("needs every one of its checks", async () => {
    const { room, run, stored } = await counting({
      ...increment,
      access: async () => ({
        checks: ["k1", "k2"].map((id) => ({ action: "kms:Use", resource: keyArn(id), resourceAccountId: ACCOUNT })),
        target: { value: 0 },
      }),
    });
    await room.putUser("ann", [{ Resource: keyArn("k1") }]);
    expect(await refusalOf(run())).toBe("AccessDeniedException");
    expect(await stored()).toBeNull();
    await room.putUser("ann", [{ Resource: [keyArn("k1"), keyArn("k2")] }]);
    expect(await run()).toEqual({ value: 1 });
  });
});

describe("a data event", () => {
  test("is not written when the operation succeeds: neither with writes nor without", async () => {
    const reading = await counting({ ...look, event: "data" });
    expect(await reading.run()).toEqual({ value: 0 });
    expect(reading.room.batches).toEqual([]);
    const writing = await counting({ ...increment, event: "data" });
    await writing.run();
    expect(await writing.stored()).toBe(1);
    expect(await writing.room.events()).toEqual([]);
  });

  test("is written when it fails", async () => {
    const { room, run } = await counting({ ...failing(new ServiceError("ThrottledException", "")), event: "data" });
    expect(await refusalOf(run())).toBe("ThrottledException");
    expect(await room.events()).toMatchObject([
      { eventCategory: "Data", managementEvent: false, errorCode: "ThrottledException" },
    ]);
  });
});

describe("a record that changes between its reading and the commit", () => {
  /** Increment, with something that happens behind its back while it runs, `times` times. */
  const disturbed = (operation: Row, happens: () => Promise<void>, times = 1): Row => {
    let left = times;
    return {
      ...operation,
      async handle(context, input, target) {
        if (left-- > 0) await happens();
        return operation.handle(context, input, target);
      },
    };
  };

  test("makes the operation run again on what is there now, and is written down once", async () => {
    const { room, run, stored } = await counting(
      disturbed(increment, () => room.write(counters.put(["k1"], { value: 10 }))),
    );
    expect(await run()).toEqual({ value: 11 });
    expect(await stored()).toBe(11);
    expect(room.batches).toHaveLength(2);
    expect(await room.events()).toHaveLength(1);
  });

  test("is checked again, too", async () => {
    const closed: Counter = { value: 10, closed: true };
    const { room, run, stored } = await counting(disturbed(increment, () => room.write(counters.put(["k1"], closed))));
    expect(await refusalOf(run())).toBe("ClosedException");
    expect(await stored()).toBe(10);
    expect(await room.events()).toMatchObject([{ errorCode: "ClosedException" }]);
  });

  test("does not disturb an operation that writes nothing", async () => {
    const { room, run } = await counting(disturbed(look, () => room.write(counters.put(["k1"], { value: 10 }))));
    expect(await run()).toEqual({ value: 0 });
    expect(room.batches).toHaveLength(1);
  });

  test("again and again ends in an error, with nothing written but the event", async () => {
    let value = 100;
    const { room, run, stored } = await counting(
      disturbed(increment, () => room.write(counters.put(["k1"], { value: ++value })), Infinity),
    );
    expect(await refusalOf(run())).toBe("ConcurrentModificationException");
    expect(await stored()).toBe(value);
    expect(await room.events()).toMatchObject([{ errorCode: "ConcurrentModificationException" }]);
  });
});

describe("when the store fails", () => {
  test.each(["fail", "fail-after-write"] as const)("nothing is acknowledged: %s", async (fault) => {
    let acknowledged = false;
    const { room, run } = await counting({
      ...increment,
      handle: async (context, input, target: Counter) => ({
        ...(await increment.handle(context, input, target)),
        committed: () => (acknowledged = true),
      }),
    });
    room.commitFault = fault;
    expect(await refusalOf(run())).toBe("InternalFailure");
    expect(acknowledged).toBe(false);
  });

  test("neither the writes nor the event are there", async () => {
    const { room, run, stored } = await counting();
    room.commitFault = "fail";
    await refusalOf(run());
    expect(await stored()).toBeNull();
    expect(await room.events()).toEqual([]);
  });

  test("a read whose event cannot be written down is not answered", async () => {
    const { room, run } = await counting(look);
    room.commitFault = "fail";
    expect(await refusalOf(run())).toBe("InternalFailure");
  });
});

describe("a call that a service makes for its caller", () => {
  test("runs as the caller, and its event names the service in the client's place", async () => {
    const { room } = await counting();
    const outer = room.callOf("PutRecord", { service: "kinesis" });
    expect(await room.operations.run(outer, "kms", "Increment", { id: "k1" })).toEqual({ value: 1 });
    const [event] = await room.events();
    expect(event).toMatchObject({
      eventName: "Increment",
      userIdentity: { userName: "ann", invokedBy: "kinesis.amazonaws.com" },
      sourceIPAddress: "kinesis.amazonaws.com",
    });
    expect(event?.requestID).not.toBe(outer.requestId);
  });

  test("that only asks for permission neither runs the handler nor writes anything", async () => {
    const { room, stored } = await counting();
    await room.operations.authorize(room.callOf("PutRecord", { service: "kinesis" }), "kms", "Increment", { id: "k1" });
    expect(await stored()).toBeNull();
    expect(room.batches).toEqual([]);
  });

  test("that only asks for permission is written down when it is refused", async () => {
    const { room } = await counting();
    await room.write(counters.put(["k1"], { value: 1, closed: true }));
    const outer = room.callOf("PutRecord", { service: "kinesis" });
    expect(await refusalOf(room.operations.authorize(outer, "kms", "Increment", { id: "k1" }))).toBe("ClosedException");
    expect(await room.events()).toMatchObject([{ eventName: "Increment", errorCode: "ClosedException" }]);
  });
});

describe("an operation that waits", () => {
  /** Increment or look, with something that happens while its handler waits. `secret` is part of what it would answer. */
  const waiting = (
    happens: () => Promise<void>,
    { secret = new Uint8Array(0), fails = null }: { secret?: Uint8Array; fails?: Error | null } = {},
  ): Operation<Input, { readonly value: number; readonly secret: Uint8Array }, Counter> => ({
    ...increment,
    async handle({ willWait }, { id }, { value }) {
      willWait?.();
      await happens();
      if (fails !== null) throw fails;
      return { output: { value, secret }, writes: [counters.put([`${id}-made`], { value })] };
    },
  });
  const closed = counters.put(["k1"], { value: 0, closed: true });
  const deny = [{}, { Effect: "Deny", Action: "kms:Increment" }];

  test("is refused what was taken from the caller meanwhile: nothing is written, and its secrets are overwritten", async () => {
    const secret = new Uint8Array([1, 2, 3]);
    const { room, run } = await counting(waiting(() => room.putUser("ann", deny), { secret }));
    expect(await refusalOf(run())).toBe("AccessDeniedException");
    expect([...secret]).toEqual([0, 0, 0]);
    expect(await room.store.get(counters.key(["k1-made"]))).toBeNull();
    expect(await room.events()).toMatchObject([{ errorCode: "AccessDenied" }]);
  });

  test("is refused what a precondition forbids by now, even if it writes nothing", async () => {
    const { room, run } = await counting({
      ...look,
      async handle({ willWait }, _input, { value }) {
        willWait?.();
        await room.write(closed);
        return { output: { value } };
      },
    });
    expect(await refusalOf(run())).toBe("ClosedException");
    expect(await room.events()).toMatchObject([{ errorCode: "ClosedException" }]);
  });

  test("that fails because of it is refused, and fails as it would when nothing forbids it", async () => {
    const fails = new Error("the material is gone");
    const refused = await counting(waiting(() => refused.room.write(closed), { fails }));
    expect(await refusalOf(refused.run())).toBe("ClosedException");
    const failed = await counting(waiting(() => failed.room.write(counters.put(["k2"], { value: 1 })), { fails }));
    expect(await refusalOf(failed.run())).toBe("InternalFailure");
  });

  test("is answered when what changed does not forbid it", async () => {
    const secret = new Uint8Array([1, 2, 3]);
    const { room, run } = await counting(waiting(() => room.write(counters.put(["k2"], { value: 1 })), { secret }));
    expect(await run()).toEqual({ value: 0, secret });
    expect([...secret]).toEqual([1, 2, 3]);
  });

  test("is not asked about again when nothing was written, nor is one that does not wait", async () => {
    let asked = 0;
    const counted = (operation: AnyOperation): AnyOperation => ({
      ...operation,
      access(context: OperationContext, input: unknown) {
        asked++;
        return operation.access(context, input);
      },
    });
    const still = await counting(counted(waiting(async () => undefined)));
    await still.run();
    expect(asked).toBe(1);
    const hasty = await counting(
      counted({
        ...look,
        handle: (...given) => hasty.room.write(closed).then(() => look.handle(...given)),
      }),
    );
    await hasty.run();
    expect(asked).toBe(2);
  });
});
