import { expect, test } from "vitest";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { Block, RecordLog, ShardRef } from "../../store/record-log.ts";
import { DAY_MS } from "./model.ts";
import { shardLists, streams } from "./records.ts";
import { TestKinesis } from "./testing/harness.ts";

const SEEDS = 12;
const RESHARDS = 8;
const WRITERS = 6;
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** The mulberry32 generator: what it finds can be found again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Appends take a while and sometimes fail, some of them only after they were stored. */
function failingLog(random: () => number): RecordLog {
  const inner = memoryRecordLog();
  const broken = new Set<string>();
  const append = async (ref: ShardRef, block: Block): Promise<void> => {
    const shard = `${ref.shardIndex}`;
    // As the contract has it: what is queued behind a failure fails too.
    const wasBroken = broken.has(shard);
    const fails = wasBroken || random() < 0.05;
    if (fails) broken.add(shard);
    for (let turns = Math.floor(random() * 4); turns >= 0; turns--) await turn();
    broken.delete(shard);
    if (!fails || (!wasBroken && random() < 0.5)) await inner.append(ref, block);
    if (fails) throw new Error("disk full");
  };
  return new Proxy(inner, {
    get: (of, name) => (name === "append" ? append : (Reflect.get(of, name) as () => void).bind(of)),
  });
}

/** The resharder's commits sometimes fail, before or after they have happened, and so does looking which it was. */
function failingCommits(metadata: MetadataStore, random: () => number): void {
  const commit = metadata.commit.bind(metadata);
  const get = metadata.get.bind(metadata);
  Object.assign(metadata, {
    commit: async (batch: Parameters<MetadataStore["commit"]>[0]) => {
      const isRound = batch.expect.length === 2 && batch.writes.length === 2;
      const failsBefore = isRound && random() < 0.2;
      if (failsBefore) throw new Error("store is gone");
      const answer = await commit(batch);
      if (isRound && random() < 0.2) throw new Error("connection lost");
      return answer;
    },
    get: async (key: Parameters<MetadataStore["get"]>[0]) => {
      if (key.startsWith("kinesis.shards") && random() < 0.02) throw new Error("cannot read");
      return await get(key);
    },
  });
}

async function settled(kinesis: TestKinesis): Promise<void> {
  for (let turns = 0; turns < 2_000; turns++) {
    await turn();
    if (turns % 5 === 0) kinesis.clock.advance(300);
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    if (StreamDescriptionSummary.StreamStatus === "ACTIVE") return;
  }
  throw new Error("it never ends");
}

async function write(kinesis: TestKinesis, name: string, load: { goesOn: boolean }, done: Set<string>): Promise<void> {
  for (let count = 0; load.goesOn; count += 3) {
    const all = Array.from({ length: 3 }, (_, nth) => `${name}/${count + nth}`);
    const Records = all.map((text) => ({ PartitionKey: name, Data: Buffer.from(text) }));
    try {
      const answer = await kinesis.run("PutRecords", { StreamName: "orders", Records });
      answer.Records.forEach((entry, nth) => {
        if (entry.SequenceNumber !== undefined) done.add(all[nth] ?? "");
      });
    } catch {
      // Nothing was acknowledged.
    }
    await turn();
  }
}

/** All records, parents before children: an index is larger than its parents'. */
async function readAll(kinesis: TestKinesis): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { ShardId } of (await kinesis.run("ListShards", { StreamName: "orders" })).Shards ?? []) {
    const input = { StreamName: "orders", ShardId, ShardIteratorType: "TRIM_HORIZON" } as const;
    let iterator = (await kinesis.run("GetShardIterator", input)).ShardIterator;
    while (iterator !== undefined) {
      const page: Awaited<ReturnType<typeof kinesis.run<"GetRecords">>> = await kinesis.run("GetRecords", {
        ShardIterator: iterator,
      });
      found.push(...page.Records.map(({ Data }) => Buffer.from(Data).toString()));
      iterator = page.Records.length === 0 ? undefined : page.NextShardIterator;
    }
  }
  return found;
}

/** Nothing lies behind the end of a closed shard that is written down: a reader may have passed there before it came. */
async function checkEnds(kinesis: TestKinesis): Promise<number> {
  const [stream] = await kinesis.reader.list(streams, { prefix: [], limit: 1 });
  const streamId = stream?.value.streamId ?? "";
  const shards = (await kinesis.reader.get(shardLists, [streamId]))?.shards ?? [];
  for (const { index, closed } of shards) {
    if ((closed ?? null) === null) continue;
    const last = await kinesis.records.last({ streamId, shardIndex: index });
    expect([index, last?.lastIndex ?? 0]).toEqual([index, closed?.lastIndex]);
  }
  return shards.length;
}

test(`in ${SEEDS} runs in which stores fail at random, nothing acknowledged is lost, nothing doubled or out of order`, async () => {
  let acknowledgedCount = 0;
  let shardCount = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seeded(seed);
    const kinesis = new TestKinesis(failingLog(random));
    const get = kinesis.metadata.get.bind(kinesis.metadata);
    const stop = kinesis.service.start?.();
    await kinesis.stream("orders", 2);
    failingCommits(kinesis.metadata, random);
    const load = { goesOn: true };
    const acknowledged = new Set<string>();
    const writers = Array.from({ length: WRITERS }, (_, nth) => write(kinesis, `w${nth}`, load, acknowledged));
    for (let times = 0; times < RESHARDS; times++) {
      const TargetShardCount = 1 + Math.floor(random() * 4);
      const input = { StreamName: "orders", TargetShardCount, ScalingType: "UNIFORM_SCALING" } as const;
      // Too far from what there is, or the store failed: then it is another one's turn.
      await kinesis.run("UpdateShardCount", input).catch(() => null);
      await settled(kinesis);
    }
    load.goesOn = false;
    await Promise.all(writers);
    Object.assign(kinesis.metadata, { get });

    const last = new Map<string, number>();
    const seen = new Set<string>();
    for (const text of await readAll(kinesis)) {
      const [name = "", count] = text.split("/");
      expect([seed, text, seen.has(text), Number(count) > (last.get(name) ?? -1)]).toEqual([seed, text, false, true]);
      seen.add(text);
      last.set(name, Number(count));
    }
    expect([seed, [...acknowledged].filter((text) => !seen.has(text))]).toEqual([seed, []]);
    acknowledgedCount += acknowledged.size;
    shardCount += await checkEnds(kinesis);
    expect(kinesis.clock.wallMs()).toBeLessThan(1_700_000_000_000 + DAY_MS);
    await stop?.();
  }
  // Else nothing of the above has said much.
  expect(acknowledgedCount).toBeGreaterThan(100 * SEEDS);
  expect(shardCount).toBeGreaterThan(8 * SEEDS);
}, 60_000);
