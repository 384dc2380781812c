import { expect, test } from "vitest";
import { TRANSITION_MS } from "./model.ts";
import { WINDOW_MS } from "./on-demand.ts";
import { shardLists, streamKey, streams } from "./records.ts";
import { ACCOUNT, REGION, TestKinesis } from "./testing/harness.ts";

async function onDemand(...names: readonly string[]): Promise<TestKinesis> {
  const kinesis = new TestKinesis();
  for (const StreamName of names)
    await kinesis.run("CreateStream", { StreamName, StreamModeDetails: { StreamMode: "ON_DEMAND" } });
  kinesis.clock.advance(TRANSITION_MS);
  return kinesis;
}

/** A third of what a shard takes in a window. */
async function third(kinesis: TestKinesis, StreamName: string): Promise<void> {
  const Data = Buffer.alloc(1024 * 1024 - 1);
  for (let at = 0; at < 20; at++)
    await kinesis.run("PutRecord", { StreamName, PartitionKey: "k", ExplicitHashKey: "0", Data });
}

async function window(kinesis: TestKinesis): Promise<void> {
  kinesis.clock.advance(WINDOW_MS);
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => void setImmediate(resolve));
}

const openCount = async (kinesis: TestKinesis, name: string): Promise<number | undefined> =>
  (await kinesis.reader.get(streams, streamKey({ accountId: ACCOUNT, region: REGION, name })))?.openShardCount;

test("what came in two windows does not count as one when the first could not be judged", async () => {
  const kinesis = await onDemand("orders");
  const stop = kinesis.service.start?.();
  await third(kinesis, "orders");
  const range = kinesis.metadata.range.bind(kinesis.metadata);
  Object.assign(kinesis.metadata, { range: () => Promise.reject(new Error("the store is gone")) });
  await window(kinesis);
  Object.assign(kinesis.metadata, { range });
  await third(kinesis, "orders");
  await window(kinesis);
  expect(await openCount(kinesis, "orders")).toBe(4);
  // Two thirds in one window are enough.
  await third(kinesis, "orders");
  await third(kinesis, "orders");
  await window(kinesis);
  expect(await openCount(kinesis, "orders")).toBe(5);
  await stop?.();
});

test("a stream that cannot be judged keeps no other from being split", async () => {
  const kinesis = await onDemand("broken", "orders");
  const failures: unknown[] = [];
  kinesis.further = { backgroundFailed: (error) => failures.push(error) };
  const stop = kinesis.restarted().start?.();
  await third(kinesis, "orders");
  await third(kinesis, "orders");
  const place = { accountId: ACCOUNT, region: REGION, name: "broken" };
  const broken = await kinesis.reader.get(streams, streamKey(place));
  await kinesis.metadata.commit({ expect: [], writes: [shardLists.remove([broken?.streamId ?? ""])] });
  // A version that no decoded list has: the stored one is looked for.
  const changed = streams.put(streamKey(place), { ...(broken as NonNullable<typeof broken>), shardsVersion: 2 });
  await kinesis.metadata.commit({ expect: [], writes: [changed] });
  await window(kinesis);
  expect(failures.map(String)).toContain("Error: a stream without a list of shards");
  expect(await openCount(kinesis, "orders")).toBe(5);
  await stop?.();
});
