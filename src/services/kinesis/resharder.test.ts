import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { Block, RecordLog, ShardRef } from "../../store/record-log.ts";
import { TRANSITION_MS } from "./model.ts";
import { TestKinesis } from "./testing/harness.ts";

const MIDDLE = (2n ** 127n).toString();
const shardId = (index: number): string => `shardId-${String(index).padStart(12, "0")}`;
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Lets one put be under way until `open` is called. */
function gated(inner: RecordLog): { readonly log: RecordLog; shut: () => void; open: () => void } {
  let gate: Promise<void> = Promise.resolve();
  let open = (): void => undefined;
  const append = async (ref: ShardRef, block: Block): Promise<void> => {
    await gate;
    await inner.append(ref, block);
  };
  const log = new Proxy(inner, {
    get: (of, name) => (name === "append" ? append : (Reflect.get(of, name) as () => void).bind(of)),
  });
  return { log, shut: () => void (gate = new Promise((resolve) => (open = resolve))), open: () => open() };
}

let kinesis: TestKinesis;
let records: ReturnType<typeof gated>;
let stop: (() => Promise<void>) | undefined;
beforeEach(async () => {
  records = gated(memoryRecordLog());
  kinesis = new TestKinesis(records.log);
  stop = kinesis.service.start?.();
  await kinesis.stream();
});
afterEach(async () => await stop?.());

const put = async (text: string): Promise<string> =>
  (
    await kinesis.run("PutRecord", {
      StreamName: "orders",
      PartitionKey: "k",
      Data: Buffer.from(text),
      ExplicitHashKey: "0",
    })
  ).ShardId;
const split = async (): Promise<void> => {
  await kinesis.run("SplitShard", { StreamName: "orders", ShardToSplit: shardId(0), NewStartingHashKey: MIDDLE });
};
const texts = async (index: number): Promise<string[]> => {
  const { ShardIterator } = await kinesis.run("GetShardIterator", {
    StreamName: "orders",
    ShardId: shardId(index),
    ShardIteratorType: "TRIM_HORIZON",
  });
  const { Records } = await kinesis.run("GetRecords", { ShardIterator: ShardIterator ?? "" });
  return Records.map(({ Data }) => Buffer.from(Data).toString());
};
const status = async (): Promise<string | undefined> =>
  (await kinesis.run("DescribeStreamSummary", { StreamName: "orders" })).StreamDescriptionSummary.StreamStatus;

async function turns(count = 20): Promise<void> {
  for (let at = 0; at < count; at++) await turn();
}

/** What the next commits of the resharder (which alone commits two writes that bump the list) do instead. */
function commits(
  ...instead: ((commit: () => Promise<"committed" | "conflict">) => Promise<"committed" | "conflict">)[]
): void {
  const inner = kinesis.metadata.commit.bind(kinesis.metadata);
  const commit: MetadataStore["commit"] = async (batch) => {
    const ours = batch.expect.length === 2 && batch.writes.length === 2;
    const next = ours ? instead.shift() : undefined;
    return next === undefined ? await inner(batch) : await next(() => inner(batch));
  };
  Object.assign(kinesis.metadata, { commit });
}

describe("a round", () => {
  test("waits for the append under way, and sends what came behind it to the children", async () => {
    records.shut();
    const first = put("first");
    await turns();
    await split();
    await turns();
    const second = put("second");
    await turns();
    // Longer than any change takes that has nothing to wait for.
    kinesis.clock.advance(TRANSITION_MS);
    expect(await status()).toBe("UPDATING");
    records.open();
    expect([await first, await second]).toEqual([shardId(0), shardId(1)]);
    expect([await texts(0), await texts(1)]).toEqual([["first"], ["second"]]);
  });

  test("a put that was routed before it and appends after it is routed again", async () => {
    await kinesis.encrypt();
    let go = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (go = resolve));
    const generate = kinesis.kms.generateDataKey.bind(kinesis.kms);
    kinesis.kms.generateDataKey = async (call, scope) => {
      await waiting;
      return await generate(call, scope);
    };
    const late = put("late");
    await turns();
    await split();
    await turns();
    kinesis.clock.advance(TRANSITION_MS);
    expect(await status()).toBe("ACTIVE");
    go();
    expect(await late).toBe(shardId(1));
    expect([await texts(0), await texts(1)]).toEqual([[], ["late"]]);
  });

  test("whose commit fails lets what waits go on into the old shard, and is tried again", async () => {
    commits(async () => {
      throw new Error("disk full");
    });
    await split();
    await turns();
    expect(await put("a")).toBe(shardId(0));
    kinesis.clock.advance(1_000);
    await turns();
    expect([await put("b"), await texts(0), await texts(1)]).toEqual([shardId(1), ["a"], ["b"]]);
  });

  test("whose commit fails but happened puts nothing more into the old shard", async () => {
    commits(async (commit) => {
      await commit();
      throw new Error("connection lost");
    });
    records.shut();
    const first = put("first");
    await turns();
    await split();
    await turns();
    const second = put("second");
    await turns();
    records.open();
    expect([await first, await second]).toEqual([shardId(0), shardId(1)]);
    expect([await texts(0), await texts(1)]).toEqual([["first"], ["second"]]);
  });

  test("is committed beside another change of the stream", async () => {
    commits(async (commit) => {
      await kinesis.run("AddTagsToStream", { StreamName: "orders", Tags: { a: "b" } });
      return await commit();
    });
    await split();
    await turns();
    expect(await put("a")).toBe(shardId(1));
    expect((await kinesis.run("ListTagsForStream", { StreamName: "orders" })).Tags).toEqual([{ Key: "a", Value: "b" }]);
  });

  test("ends with the stream: a name that is given again is left alone", async () => {
    commits(async (commit) => {
      await kinesis.run("DeleteStream", { StreamName: "orders" });
      kinesis.clock.advance(TRANSITION_MS);
      await kinesis.stream();
      return await commit();
    });
    await split();
    await turns();
    expect(await put("a")).toBe(shardId(0));
    expect((await kinesis.run("ListShards", { StreamName: "orders" })).Shards).toHaveLength(1);
  });
});
