import { expect, test } from "vitest";
import type { Environment } from "./environment.ts";
import { putRecords } from "./put-records.ts";
import { streamKey, streams } from "./records.ts";
import type { Append } from "./shard-writer.ts";
import { ShardMaps } from "./shards.ts";
import { targetOf } from "./access.ts";
import { ACCOUNT, REGION, TestKinesis } from "./testing/harness.ts";

test("an error behind a record that was placed fails the others alone: put again, it would stand there twice", async () => {
  const kinesis = new TestKinesis();
  await kinesis.stream("orders", 2);
  const target = targetOf(ACCOUNT, REGION, "orders");
  const stream = await kinesis.reader.get(streams, streamKey(target));
  if (stream === null) throw new Error("no stream");
  const map = await new ShardMaps(kinesis.reader).of(stream);
  let looks = 0;
  const answers: readonly Append[] = [
    { kind: "placed", firstIndex: 1, arrivalMs: kinesis.clock.wallMs(), placedCount: 1 },
    { kind: "moved" },
  ];
  // What these records meet on their way; the rest of the service is not asked.
  const env = {
    clock: kinesis.clock,
    reader: kinesis.reader,
    shardMaps: { of: () => (looks++ === 0 ? Promise.resolve(map) : Promise.reject(new Error("the store is gone"))) },
    writers: { append: (ref: { readonly shardIndex: number }) => Promise.resolve(answers[ref.shardIndex]) },
    onDemand: { count: () => undefined },
  } as unknown as Environment;
  const records = ["0", (1n << 127n).toString()].map((ExplicitHashKey) => ({
    Data: Buffer.from("x"),
    PartitionKey: "k",
    ExplicitHashKey,
  }));
  const puts = await putRecords(env, kinesis.call("PutRecords"), stream, target, records);
  expect(puts.map(({ kind, shardId }) => [kind, shardId])).toEqual([
    ["placed", "shardId-000000000000"],
    ["failed", "shardId-000000000001"],
  ]);
});
