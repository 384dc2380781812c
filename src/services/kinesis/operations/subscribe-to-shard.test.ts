import { describe, expect, test } from "vitest";
import { ServiceError } from "../../../base/errors.ts";
import { ITERATOR_LIFETIME_MS } from "../iterator.ts";
import { TRANSITION_MS } from "../model.ts";
import type { StartingPosition, SubscribeToShardEvent } from "../shapes.generated.ts";
import { ACCOUNT, KEY_ARN, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

const STREAM = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;
const SHARD = "shardId-000000000000";

/** What a client sees of its subscription: events as they come, and how it ended. */
class Listener {
  readonly events: SubscribeToShardEvent[] = [];
  readonly source: AsyncIterator<{ readonly SubscribeToShardEvent: SubscribeToShardEvent }>;
  end: string | null = null;

  constructor(source: AsyncIterator<{ readonly SubscribeToShardEvent: SubscribeToShardEvent }>) {
    this.source = source;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.source.next();
        if (done === true) break;
        this.events.push(value.SubscribeToShardEvent);
      }
      this.end = "ended";
    } catch (error) {
      this.end = error instanceof ServiceError ? error.code : String(error);
    }
  }

  texts(): readonly string[] {
    return this.events.flatMap(({ Records }) => Records.map(({ Data }) => Buffer.from(Data).toString()));
  }
}

/** Lets everything run that needs no time to pass. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
};

async function room(shardCount = 1): Promise<TestKinesis & { readonly consumer: string }> {
  const kinesis = new TestKinesis();
  await kinesis.stream("orders", shardCount);
  const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: STREAM, ConsumerName: "reader" });
  kinesis.clock.advance(TRANSITION_MS);
  return Object.assign(kinesis, { consumer: Consumer.ConsumerARN });
}

async function subscribe(
  kinesis: TestKinesis & { readonly consumer: string },
  start: StartingPosition = { Type: "LATEST" },
  who = principal("ann"),
): Promise<Listener> {
  const input = { ConsumerARN: kinesis.consumer, ShardId: SHARD, StartingPosition: start };
  const { EventStream } = await kinesis.run("SubscribeToShard", input, who);
  const listener = new Listener(EventStream[Symbol.asyncIterator]());
  await settle();
  return listener;
}

describe("a subscription", () => {
  test("begins with an event, gets records as they arrive, and hears something every 5 seconds", async () => {
    const kinesis = await room();
    await kinesis.put("old");
    const listener = await subscribe(kinesis);
    expect(listener.events).toMatchObject([{ Records: [], MillisBehindLatest: 0 }]);
    await kinesis.put("a");
    await settle();
    await kinesis.put("b");
    await settle();
    // No time has passed: nothing was polled for.
    expect(listener.texts()).toEqual(["a", "b"]);
    const before = listener.events.length;
    for (let second = 0; second < 5; second++) {
      kinesis.clock.advance(1000);
      await settle();
    }
    expect(listener.events.slice(before)).toMatchObject([{ Records: [], MillisBehindLatest: 0 }]);
  });

  test("can be taken up again at each continuation without a loss and without a repetition", async () => {
    const kinesis = await room();
    for (const text of ["a", "b", "c"]) await kinesis.put(text);
    const first = await subscribe(kinesis, { Type: "TRIM_HORIZON" });
    expect(first.texts()).toEqual(["a", "b", "c"]);
    kinesis.clock.advance(5_000);
    await settle();
    // Also that of an event without records.
    expect(first.events.at(-1)?.Records).toEqual([]);
    const SequenceNumber = first.events.at(-1)?.ContinuationSequenceNumber ?? "";
    await first.source.return?.();
    await kinesis.put("d");
    const next = await subscribe(kinesis, { Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber });
    expect([first.end, next.texts()]).toEqual(["ended", ["d"]]);
  });

  test("starts where it is told to", async () => {
    const kinesis = await room();
    const a = await kinesis.put("a");
    kinesis.clock.advance(1_000);
    const middle = kinesis.clock.wallMs();
    await kinesis.put("b");
    const from = async (start: StartingPosition): Promise<readonly string[]> => {
      kinesis.clock.advance(5_000);
      const listener = await subscribe(kinesis, start);
      await listener.source.return?.();
      return listener.texts();
    };
    expect(await from({ Type: "TRIM_HORIZON" })).toEqual(["a", "b"]);
    expect(await from({ Type: "LATEST" })).toEqual([]);
    expect(await from({ Type: "AT_SEQUENCE_NUMBER", SequenceNumber: a.SequenceNumber })).toEqual(["a", "b"]);
    expect(await from({ Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber: a.SequenceNumber })).toEqual(["b"]);
    expect(await from({ Type: "AT_TIMESTAMP", Timestamp: middle })).toEqual(["b"]);
    expect((await refusal(from({ Type: "AT_SEQUENCE_NUMBER" }))).code).toBe("InvalidArgumentException");
  });

  test("lasts five minutes", async () => {
    const kinesis = await room();
    const listener = await subscribe(kinesis);
    for (let second = 0; second < 299; second += 5) {
      kinesis.clock.advance(5_000);
      await settle();
      if (second < 290) expect(listener.end).toBeNull();
    }
    expect(listener.end).toBe("ended");
    expect(ITERATOR_LIFETIME_MS).toBe(300_000);
  });

  test("is refused beside another for 5 seconds; then it takes over, and the first one ends", async () => {
    const kinesis = await room();
    const first = await subscribe(kinesis);
    kinesis.clock.advance(4_999);
    expect((await refusal(subscribe(kinesis))).code).toBe("ResourceInUseException");
    kinesis.clock.advance(1);
    const second = await subscribe(kinesis);
    await kinesis.put("a");
    await settle();
    expect([first.end, first.texts(), second.end, second.texts()]).toEqual(["ended", [], null, ["a"]]);
  });

  test("needs a consumer that is ACTIVE, a shard and permission; a dry run takes no place", async () => {
    const kinesis = await room();
    const input = { ConsumerARN: kinesis.consumer, ShardId: SHARD, StartingPosition: { Type: "LATEST" } } as const;
    expect((await refusal(kinesis.run("SubscribeToShard", { ...input, DryRun: true }))).code).toBe(
      "DryRunOperationException",
    );
    const elsewhere = kinesis.run("SubscribeToShard", { ...input, ShardId: "shardId-000000000007" });
    expect((await refusal(elsewhere)).code).toBe("ResourceNotFoundException");
    const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: STREAM, ConsumerName: "young" });
    const young = kinesis.run("SubscribeToShard", { ...input, ConsumerARN: Consumer.ConsumerARN });
    expect((await refusal(young)).code).toBe("ResourceInUseException");
    const old = `${STREAM}/consumer/reader:1`;
    const gone = kinesis.run("SubscribeToShard", { ...input, ConsumerARN: old });
    expect((await refusal(gone)).code).toBe("ResourceNotFoundException");
    kinesis.denied.add("kinesis:SubscribeToShard");
    expect((await refusal(kinesis.run("SubscribeToShard", input))).code).toBe("AccessDeniedException");
    kinesis.denied.clear();
    expect((await subscribe(kinesis)).end).toBeNull();
  });

  test("sends what is large in several events, and reads no further than the client does", async () => {
    const kinesis = await room();
    const Data = Buffer.alloc(500_000, "x");
    for (let at = 0; at < 5; at++) await kinesis.run("PutRecord", { StreamName: "orders", PartitionKey: "k", Data });
    const input = {
      ConsumerARN: kinesis.consumer,
      ShardId: SHARD,
      StartingPosition: { Type: "TRIM_HORIZON" },
    } as const;
    const { EventStream } = await kinesis.run("SubscribeToShard", input);
    const source = EventStream[Symbol.asyncIterator]();
    await settle();
    const counts: number[] = [];
    while (counts.reduce((sum, count) => sum + count, 0) < 5) {
      const { value } = await source.next();
      counts.push((value as { SubscribeToShardEvent: SubscribeToShardEvent }).SubscribeToShardEvent.Records.length);
    }
    expect(counts).toEqual([2, 2, 1]);
    await source.return?.();
  });

  test("a split shard is read to its end, and then its children are named", async () => {
    const kinesis = await room();
    await kinesis.put("a");
    const stop = kinesis.service.start?.();
    const listener = await subscribe(kinesis, { Type: "TRIM_HORIZON" });
    await kinesis.run("SplitShard", {
      StreamName: "orders",
      ShardToSplit: SHARD,
      NewStartingHashKey: (1n << 127n).toString(),
    });
    for (let turn = 0; turn < 10 && listener.end === null; turn++) {
      kinesis.clock.advance(250);
      await settle();
    }
    expect([listener.end, listener.texts()]).toEqual(["ended", ["a"]]);
    const last = listener.events.at(-1);
    expect(last?.ChildShards?.map(({ ShardId, ParentShards }) => [ShardId, ParentShards])).toEqual([
      ["shardId-000000000001", [SHARD]],
      ["shardId-000000000002", [SHARD]],
    ]);
    expect([last?.Records, last?.ContinuationSequenceNumber]).toEqual([[], undefined]);
    await stop?.();
  });
});

describe("what is taken away while a subscription lasts ends it within a second", () => {
  const within = async (kinesis: TestKinesis, listener: Listener): Promise<string | null> => {
    for (let ms = 0; ms < 1_000; ms += 250) {
      kinesis.clock.advance(250);
      await settle();
    }
    return listener.end;
  };
  /** In the real store every change moves the generation; the harness changes permissions beside it. */
  const somethingChanged = (kinesis: TestKinesis): Promise<unknown> =>
    kinesis.run("AddTagsToStream", { StreamName: "orders", Tags: { changed: "yes" } });

  test("permission", async () => {
    const kinesis = await room();
    const listener = await subscribe(kinesis);
    kinesis.denied.add("kinesis:SubscribeToShard");
    await somethingChanged(kinesis);
    expect(await within(kinesis, listener)).toBe("AccessDeniedException");
  });

  test("the consumer, and the stream", async () => {
    const kinesis = await room();
    const listener = await subscribe(kinesis);
    await kinesis.run("DeregisterStreamConsumer", { ConsumerARN: kinesis.consumer });
    expect(await within(kinesis, listener)).toBe("ResourceNotFoundException");
    const other = await room();
    const second = await subscribe(other);
    await other.run("DeleteStream", { StreamName: "orders", EnforceConsumerDeletion: true });
    expect(await within(other, second)).toBe("ResourceNotFoundException");
  });

  test("the key, with records to send and without", async () => {
    const kinesis = await room();
    await kinesis.encrypt();
    await kinesis.put("sealed");
    const idle = await subscribe(kinesis);
    kinesis.kms.states.set(KEY_ARN, "Disabled");
    await somethingChanged(kinesis);
    expect([await within(kinesis, idle), idle.texts()]).toEqual(["KMSDisabledException", []]);
    kinesis.clock.advance(5_000);
    const behind = await subscribe(kinesis, { Type: "TRIM_HORIZON" });
    expect([behind.end, behind.texts()]).toEqual(["KMSDisabledException", []]);
    kinesis.kms.states.set(KEY_ARN, "Enabled");
    kinesis.clock.advance(5_000);
    expect((await subscribe(kinesis, { Type: "TRIM_HORIZON" })).texts()).toEqual(["sealed"]);
  });

  test("an old key may go when the stream has another", async () => {
    const kinesis = await room();
    await kinesis.encrypt();
    await kinesis.put("sealed");
    const listener = await subscribe(kinesis);
    await kinesis.run("StopStreamEncryption", { StreamName: "orders", EncryptionType: "KMS", KeyId: KEY_ARN });
    kinesis.kms.states.set(KEY_ARN, "Disabled");
    expect(await within(kinesis, listener)).toBeNull();
    await kinesis.put("clear");
    await settle();
    expect(listener.texts()).toEqual(["clear"]);
  });

  test("nothing stays behind when clients go away or the service stops", async () => {
    const kinesis = await room();
    const stop = kinesis.service.start?.();
    const listener = await subscribe(kinesis);
    await listener.source.return?.();
    expect(listener.end).toBeNull();
    await settle();
    expect(listener.end).toBe("ended");
    kinesis.clock.advance(5_000);
    const second = await subscribe(kinesis);
    const stopped = stop?.();
    await settle();
    expect(second.end).toBe("ended");
    await stopped;
  });
});

test("within AWS's limits, each consumer gets 2 MiB of a shard in a second", async () => {
  const kinesis = new TestKinesis();
  kinesis.streamLimits = "aws";
  kinesis.restarted();
  await kinesis.stream();
  const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: STREAM, ConsumerName: "reader" });
  const Data = Buffer.alloc(1_000_000);
  for (let at = 0; at < 6; at++) {
    await kinesis.run("PutRecord", { StreamName: "orders", PartitionKey: "k", Data });
    kinesis.clock.advance(1_000);
  }
  const reading = Object.assign(kinesis, { consumer: Consumer.ConsumerARN });
  const listener = await subscribe(reading, { Type: "TRIM_HORIZON" });
  const received: number[] = [];
  for (let second = 0; second < 3; second++) {
    for (let at = 0; at < 10; at++) {
      kinesis.clock.advance(100);
      await settle();
    }
    received.push(listener.texts().length);
  }
  expect(received).toEqual([3, 5, 6]);
  await listener.source.return?.();
});
