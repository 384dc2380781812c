import { expect, test } from "vitest";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Operations } from "./shapes.generated.ts";
import { TestKinesis } from "./testing/harness.ts";

const RECORD_BYTES = 1024;

/** A log that counts the bytes that are read from it. */
function counting(): { readonly log: RecordLog; readonly readBytes: () => number } {
  const inner = memoryRecordLog();
  let bytes = 0;
  const log = new Proxy(inner, {
    get(target, name) {
      if (name === "read") {
        return async (...args: Parameters<RecordLog["read"]>) => {
          const blocks = await target.read(...args);
          for (const block of blocks) bytes += block.bytes.length;
          return blocks;
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return { log, readBytes: () => bytes };
}

test("a read takes from the store about what it returns, however much lies behind it", async () => {
  const { log, readBytes } = counting();
  const kinesis = new TestKinesis(log);
  await kinesis.stream();
  const record = (at: number): { PartitionKey: string; Data: Uint8Array } => ({
    PartitionKey: `${at}`,
    Data: new Uint8Array(RECORD_BYTES),
  });
  const BATCHES = 20;
  for (let batch = 0; batch < BATCHES; batch++) {
    const Records = Array.from({ length: 100 }, (_, at) => record(batch * 100 + at));
    await kinesis.run("PutRecords", { StreamName: "orders", Records });
  }
  let iterator: string | undefined = await kinesis.iterator();
  const keys: string[] = [];
  for (let reads = 0; reads < BATCHES * 2; reads++) {
    const before = readBytes();
    const answer: Operations["GetRecords"]["output"] = await kinesis.run("GetRecords", {
      ShardIterator: iterator ?? "",
      Limit: 50,
    });
    keys.push(...answer.Records.map(({ PartitionKey }) => PartitionKey ?? ""));
    // 50 records; the first page is read without knowing how large they are.
    expect(readBytes() - before).toBeLessThan(500 * RECORD_BYTES);
    iterator = answer.NextShardIterator ?? undefined;
  }
  expect(keys).toEqual(Array.from({ length: BATCHES * 100 }, (_, at) => `${at}`));
  const { Records, MillisBehindLatest } = await kinesis.run("GetRecords", { ShardIterator: await kinesis.iterator() });
  expect([Records.length, MillisBehindLatest]).toEqual([BATCHES * 100, 0]);
});
