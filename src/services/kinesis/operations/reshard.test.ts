import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { memoryRecordLog } from "../../../store/memory-record-log.ts";
import type { Block, RecordLog, ShardRef } from "../../../store/record-log.ts";
import { DAY_MS, HOUR_MS, TRANSITION_MS } from "../model.ts";
import { MERGE_AFTER_WINDOWS, WINDOW_MS } from "../on-demand.ts";
import { refusal, REGION, ACCOUNT, TestKinesis } from "../testing/harness.ts";

const MIDDLE = (2n ** 127n).toString();
const shardId = (index: number): string => `shardId-${String(index).padStart(12, "0")}`;

let kinesis: TestKinesis;
let stop: (() => Promise<void>) | undefined;
const begin = (): void => void (stop = kinesis.service.start?.());
beforeEach(() => {
  kinesis = new TestKinesis();
  begin();
});
afterEach(async () => await stop?.());

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Until no plan is left, and past UPDATING. */
async function settled(StreamName = "orders"): Promise<void> {
  for (let turns = 0; turns < 1_000; turns++) {
    kinesis.clock.advance(TRANSITION_MS);
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName });
    if (StreamDescriptionSummary.StreamStatus === "ACTIVE") return;
    await turn();
  }
  throw new Error("it never ends");
}

async function split(shard = 0, NewStartingHashKey = MIDDLE): Promise<void> {
  await kinesis.run("SplitShard", { StreamName: "orders", ShardToSplit: shardId(shard), NewStartingHashKey });
  await settled();
}

async function merge(lower: number, upper: number): Promise<void> {
  await kinesis.run("MergeShards", {
    StreamName: "orders",
    ShardToMerge: shardId(lower),
    AdjacentShardToMerge: shardId(upper),
  });
  await settled();
}

const put = async (text: string, ExplicitHashKey = "0"): Promise<string> =>
  (
    await kinesis.run("PutRecord", {
      StreamName: "orders",
      PartitionKey: "k",
      Data: Buffer.from(text),
      ExplicitHashKey,
    })
  ).ShardId;

async function iteratorOf(index: number, more: object = { ShardIteratorType: "TRIM_HORIZON" }): Promise<string> {
  const input = { StreamName: "orders", ShardId: shardId(index), ...more } as never;
  return (await kinesis.run("GetShardIterator", input)).ShardIterator ?? "";
}
const read = async (index: number, more?: object): ReturnType<typeof kinesis.run<"GetRecords">> =>
  await kinesis.run("GetRecords", { ShardIterator: await iteratorOf(index, more) });
const texts = async (index: number): Promise<string[]> =>
  (await read(index)).Records.map(({ Data }) => Buffer.from(Data).toString());
const list = async (ShardFilter?: object): Promise<number[]> =>
  ((await kinesis.run("ListShards", { StreamName: "orders", ShardFilter: ShardFilter as never })).Shards ?? []).map(
    ({ ShardId }) => Number(ShardId.slice(8)),
  );

describe("SplitShard and MergeShards", () => {
  beforeEach(async () => {
    await kinesis.stream();
  });

  test("close the parents, open the children, and show who came from whom", async () => {
    await split();
    await merge(1, 2);
    const { Shards } = (await kinesis.run("DescribeStream", { StreamName: "orders" })).StreamDescription;
    expect(
      Shards.map((shard) => [
        shard.ParentShardId,
        shard.AdjacentParentShardId,
        shard.SequenceNumberRange.EndingSequenceNumber !== undefined,
      ]),
    ).toEqual([
      [undefined, undefined, true],
      [shardId(0), undefined, true],
      [shardId(0), undefined, true],
      [shardId(1), shardId(2), false],
    ]);
    expect(Shards[3]?.HashKeyRange).toEqual(Shards[0]?.HashKeyRange);
    expect(Shards[2]?.HashKeyRange.StartingHashKey).toBe(MIDDLE);
    expect(await kinesis.run("DescribeLimits", {})).toMatchObject({ OpenShardCount: 1 });
  });

  test("the stream is UPDATING meanwhile, and takes no other change", async () => {
    const input = { StreamName: "orders", ShardToSplit: shardId(0), NewStartingHashKey: MIDDLE };
    await kinesis.run("SplitShard", input);
    const again = await refusal(kinesis.run("SplitShard", input));
    expect(["InvalidArgumentException", "ResourceInUseException"]).toContain(again.code);
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    expect(StreamDescriptionSummary.StreamStatus).toBe("UPDATING");
    const merging = kinesis.run("UpdateShardCount", {
      StreamName: "orders",
      TargetShardCount: 2,
      ScalingType: "UNIFORM_SCALING",
    });
    expect((await refusal(merging)).code).toBe("ResourceInUseException");
  });

  test("records stay where they are, new ones go to the children, readers are led from one to the other", async () => {
    expect(await put("a")).toBe(shardId(0));
    const waiting = await iteratorOf(0, { ShardIteratorType: "LATEST" });
    await split();
    expect([await put("b"), await put("c", MIDDLE)]).toEqual([shardId(1), shardId(2)]);
    expect([await texts(0), await texts(1), await texts(2)]).toEqual([["a"], ["b"], ["c"]]);
    for (const page of [await read(0), await kinesis.run("GetRecords", { ShardIterator: waiting })]) {
      expect([page.NextShardIterator, page.MillisBehindLatest]).toEqual([undefined, 0]);
      expect(page.ChildShards?.map((child) => [child.ShardId, child.ParentShards])).toEqual([
        [shardId(1), [shardId(0)]],
        [shardId(2), [shardId(0)]],
      ]);
    }
    const open = await read(1);
    expect([open.NextShardIterator === undefined, open.ChildShards]).toEqual([false, undefined]);
  });

  test("a page that ends before the end of a closed shard goes on there", async () => {
    for (const text of ["a", "b", "c"]) await put(text);
    await split();
    const first = await kinesis.run("GetRecords", { ShardIterator: await iteratorOf(0), Limit: 2 });
    expect([first.Records.length, first.ChildShards]).toEqual([2, undefined]);
    const second = await kinesis.run("GetRecords", { ShardIterator: first.NextShardIterator ?? "" });
    expect([second.Records.length, second.NextShardIterator, second.ChildShards?.length]).toEqual([1, undefined, 2]);
  });

  test("every kind of iterator finds its place in a closed shard", async () => {
    const times: number[] = [];
    for (const text of ["a", "b"]) {
      kinesis.clock.advance(1_000);
      times.push(kinesis.clock.wallMs());
      await put(text);
    }
    await split();
    const [shard] = (await kinesis.run("ListShards", { StreamName: "orders" })).Shards ?? [];
    const ending = shard?.SequenceNumberRange.EndingSequenceNumber;
    const numbers = (await read(0)).Records.map(({ SequenceNumber }) => SequenceNumber);
    const count = async (more: object): Promise<number> => (await read(0, more)).Records.length;
    expect(await count({ ShardIteratorType: "LATEST" })).toBe(0);
    expect(await count({ ShardIteratorType: "AT_TIMESTAMP", Timestamp: times[1] })).toBe(1);
    expect(await count({ ShardIteratorType: "AT_TIMESTAMP", Timestamp: (times[1] ?? 0) + 1 })).toBe(0);
    for (const [type, number, expected] of [
      ["AT_SEQUENCE_NUMBER", numbers[1], 1],
      ["AFTER_SEQUENCE_NUMBER", numbers[1], 0],
      ["AT_SEQUENCE_NUMBER", shard?.SequenceNumberRange.StartingSequenceNumber, 2],
      ["AT_SEQUENCE_NUMBER", ending, 0],
      ["AFTER_SEQUENCE_NUMBER", ending, 0],
    ] as const) {
      expect(await count({ ShardIteratorType: type, StartingSequenceNumber: number })).toBe(expected);
    }
    const [child] = (await read(0, { ShardIteratorType: "LATEST" })).ChildShards ?? [];
    expect(child?.ShardId).toBe(shardId(1));
  });

  test("are refused as AWS refuses them", async () => {
    await split();
    const splitting = (shard: string, NewStartingHashKey: string): Promise<unknown> =>
      kinesis.run("SplitShard", { StreamName: "orders", ShardToSplit: shard, NewStartingHashKey });
    const merging = (ShardToMerge: string, AdjacentShardToMerge: string): Promise<unknown> =>
      kinesis.run("MergeShards", { StreamName: "orders", ShardToMerge, AdjacentShardToMerge });
    const cases: readonly (readonly [Promise<unknown>, string, string])[] = [
      [splitting(shardId(9), "5"), "ResourceNotFoundException", "Could not find shard shardId-000000000009 in stream"],
      [splitting(shardId(1), "1"), "InvalidArgumentException", "is not both greater than one plus the shard's"],
      [splitting(shardId(1), (2n ** 127n - 1n).toString()), "InvalidArgumentException", "is not both greater than"],
      [splitting(shardId(2), "9".repeat(39)), "InvalidArgumentException", "is not both greater than"],
      [splitting(shardId(0), "5"), "InvalidArgumentException", "has already been merged or split"],
      [merging(shardId(2), shardId(1)), "InvalidArgumentException", "are not an adjacent pair of shards"],
      [merging(shardId(1), shardId(1)), "InvalidArgumentException", "are not an adjacent pair of shards"],
      [merging(shardId(1), "x"), "ResourceNotFoundException", "Could not find shard x in stream"],
    ];
    for (const [run, code, message] of cases) {
      const error = await refusal(run);
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
    }
  });

  test("a closed shard leaves when its records have expired; its children keep their indices", async () => {
    await put("a");
    await split();
    kinesis.clock.advance(24 * HOUR_MS - 2_000);
    expect(await list()).toEqual([0, 1, 2]);
    kinesis.clock.advance(3_000);
    expect(await list()).toEqual([1, 2]);
    expect((await refusal(iteratorOf(0))).code).toBe("ResourceNotFoundException");
    kinesis.clock.advance(HOUR_MS);
    await stop?.();
    // Starting sweeps: the list itself is shorter now.
    kinesis.restarted();
    begin();
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(await put("b", MIDDLE)).toBe(shardId(2));
    expect(await texts(2)).toEqual(["b"]);
    await split(2, (2n ** 127n + 2n ** 126n).toString());
    expect(await list()).toEqual([1, 2, 3, 4]);
  });

  test("ListShards filters by what was open when", async () => {
    const start = kinesis.clock.wallMs();
    kinesis.clock.advance(10_000);
    await split();
    kinesis.clock.advance(10_000);
    await split(1, (2n ** 126n).toString());
    expect(await list()).toEqual([0, 1, 2, 3, 4]);
    expect(await list({ Type: "FROM_TRIM_HORIZON" })).toEqual([0, 1, 2, 3, 4]);
    expect(await list({ Type: "AT_TRIM_HORIZON" })).toEqual([0]);
    expect(await list({ Type: "AT_LATEST" })).toEqual([2, 3, 4]);
    expect(await list({ Type: "AT_TIMESTAMP", Timestamp: start })).toEqual([0]);
    expect(await list({ Type: "AT_TIMESTAMP", Timestamp: start + 15_000 })).toEqual([1, 2]);
    expect(await list({ Type: "FROM_TIMESTAMP", Timestamp: start + 15_000 })).toEqual([1, 2, 3, 4]);
    expect(await list({ Type: "AFTER_SHARD_ID", ShardId: shardId(2) })).toEqual([3, 4]);
  });
});

describe("UpdateShardCount", () => {
  const update = (TargetShardCount: number): ReturnType<typeof kinesis.run<"UpdateShardCount">> =>
    kinesis.run("UpdateShardCount", { StreamName: "orders", TargetShardCount, ScalingType: "UNIFORM_SCALING" });

  test("reaches the count, and says what it was", async () => {
    await kinesis.stream("orders", 3);
    expect(await update(5)).toMatchObject({ CurrentShardCount: 3, TargetShardCount: 5, StreamName: "orders" });
    await settled();
    const open = (await kinesis.run("ListShards", { StreamName: "orders", ShardFilter: { Type: "AT_LATEST" } })).Shards;
    expect(open).toHaveLength(5);
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    expect(StreamDescriptionSummary.OpenShardCount).toBe(5);
  });

  test("at most doubles, at least halves, ten times a day, within the account's limit", async () => {
    await kinesis.stream("orders", 2);
    for (const count of [5, 10_001]) expect((await refusal(update(count))).code).toBe("LimitExceededException");
    expect((await refusal(update(5))).message).toBe(
      "UpdateShardCount cannot scale up over double your current open shard count. " +
        "Current open shard count: 2, Target shard count: 5",
    );
    for (let times = 0; times < 10; times++) {
      await update(times % 2 === 0 ? 4 : 2);
      await settled();
    }
    const error = await refusal(update(4));
    expect([error.code, error.message]).toEqual(["LimitExceededException", expect.stringContaining("10 times")]);
    kinesis.clock.advance(DAY_MS);
    await update(4);
    await settled();
    expect((await refusal(update(1))).message).toContain("cannot scale down below half");
    await kinesis.stream("large", 4_994);
    expect((await refusal(update(7))).message).toContain("would exceed the shard limit for the account");
  });

  test("a plan that the server did not finish is carried out at its next start", async () => {
    await kinesis.stream("orders", 2);
    await put("a");
    await stop?.();
    await update(4);
    expect(await list({ Type: "AT_LATEST" })).toEqual([0, 1]);
    kinesis.restarted();
    begin();
    await settled();
    expect(await list({ Type: "AT_LATEST" })).toEqual([2, 3, 4, 5]);
    expect([await put("b"), await texts(0)]).toEqual([shardId(2), ["a"]]);
  });
});

/** A record log whose appends take a while. */
function slow(inner: RecordLog): RecordLog {
  const append = async (ref: ShardRef, block: Block): Promise<void> => {
    await turn();
    await inner.append(ref, block);
  };
  return new Proxy(inner, {
    get: (of, name) => (name === "append" ? append : (Reflect.get(of, name) as () => void).bind(of)),
  });
}

describe("puts during resharding", () => {
  test.each([[false], [true]])("succeed, each once, in the order of their key; encrypted: %s", async (encrypted) => {
    await stop?.();
    kinesis = new TestKinesis(slow(memoryRecordLog()));
    begin();
    await kinesis.stream("orders", 2);
    if (encrypted) await kinesis.encrypt();
    const acknowledged: string[] = [];
    const load = { goesOn: true };
    const writer = async (name: string): Promise<void> => {
      for (let count = 0; load.goesOn; count += 5) {
        const all = Array.from({ length: 5 }, (_, nth) => `${name}/${count + nth}`);
        const Records = all.map((text) => ({ PartitionKey: name, Data: Buffer.from(text) }));
        const answer = await kinesis.run("PutRecords", { StreamName: "orders", Records });
        expect(answer.FailedRecordCount).toBe(0);
        acknowledged.push(...all);
      }
    };
    const writers = Array.from({ length: 12 }, (_, nth) => writer(`writer-${nth}`));
    for (const TargetShardCount of [4, 3, 6, 4, 2, 1]) {
      await kinesis.run("UpdateShardCount", { StreamName: "orders", TargetShardCount, ScalingType: "UNIFORM_SCALING" });
      await settled();
      for (let turns = 0; turns < 5; turns++) await turn();
    }
    load.goesOn = false;
    await Promise.all(writers);
    expect(acknowledged.length).toBeGreaterThan(500);

    // By index is parents before children.
    const next = new Map<string, number>();
    let seen = 0;
    for (const index of await list()) {
      let iterator: string | undefined = await iteratorOf(index);
      while (iterator !== undefined) {
        const page: Awaited<ReturnType<typeof kinesis.run<"GetRecords">>> = await kinesis.run("GetRecords", {
          ShardIterator: iterator,
        });
        for (const { Data } of page.Records) {
          const [name = "", count] = Buffer.from(Data).toString().split("/");
          expect(Number(count)).toBe(next.get(name) ?? 0);
          next.set(name, Number(count) + 1);
          seen++;
        }
        iterator = page.Records.length === 0 ? undefined : page.NextShardIterator;
      }
    }
    expect(seen).toBe(acknowledged.length);
  });
});

describe("on-demand streams", () => {
  beforeEach(async () => {
    await kinesis.run("CreateStream", { StreamName: "orders", StreamModeDetails: { StreamMode: "ON_DEMAND" } });
    kinesis.clock.advance(TRANSITION_MS);
  });
  const window = async (): Promise<void> => {
    kinesis.clock.advance(WINDOW_MS);
    for (let turns = 0; turns < 5; turns++) await turn();
    await settled();
  };
  const openCount = async (): Promise<number> => (await list({ Type: "AT_LATEST" })).length;

  test("let nobody else choose their shards", async () => {
    const error = await refusal(
      kinesis.run("SplitShard", { StreamName: "orders", ShardToSplit: shardId(0), NewStartingHashKey: "5" }),
    );
    expect([error.code, error.message]).toEqual([
      "ValidationException",
      `Request is invalid. Stream orders under account ${ACCOUNT} is in On-Demand mode.`,
    ]);
  });

  test("split what is half full, and merge what has been idle for an hour, down to four", async () => {
    // Half of a mebibyte a second, for a minute.
    for (let at = 0; at < 32; at++) {
      const Data = Buffer.alloc(1024 * 1024 - 1);
      await kinesis.run("PutRecord", { StreamName: "orders", PartitionKey: "k", ExplicitHashKey: "0", Data });
    }
    await window();
    expect(await list({ Type: "AT_LATEST" })).toEqual([1, 2, 3, 4, 5]);
    for (let windows = 0; windows < MERGE_AFTER_WINDOWS - 2; windows++) await window();
    expect(await openCount()).toBe(5);
    for (let windows = 0; windows < 4; windows++) await window();
    expect(await openCount()).toBe(4);
    for (let windows = 0; windows < 2 * MERGE_AFTER_WINDOWS; windows++) await window();
    expect(await openCount()).toBe(4);
  });

  test("keep what was warmed up", async () => {
    const StreamARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;
    await kinesis.run("UpdateAccountSettings", { MinimumThroughputBillingCommitment: { Status: "ENABLED" } });
    const StreamModeDetails = { StreamMode: "ON_DEMAND" } as const;
    await kinesis.run("UpdateStreamMode", { StreamARN, StreamModeDetails, WarmThroughputMiBps: 10 });
    await settled();
    expect(await openCount()).toBe(10);
    for (let windows = 0; windows < MERGE_AFTER_WINDOWS + 2; windows++) await window();
    expect(await openCount()).toBe(10);
  });

  test("become provisioned and back, twice a day, shards kept", async () => {
    const StreamARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;
    const become = async (StreamMode: "ON_DEMAND" | "PROVISIONED"): Promise<void> => {
      await kinesis.run("UpdateStreamMode", { StreamARN, StreamModeDetails: { StreamMode } });
      await settled();
    };
    await become("ON_DEMAND");
    await become("PROVISIONED");
    await split(0, "5");
    await become("ON_DEMAND");
    expect(await openCount()).toBe(5);
    expect((await refusal(become("PROVISIONED"))).code).toBe("LimitExceededException");
    kinesis.clock.advance(DAY_MS);
    await become("PROVISIONED");
  });
});
