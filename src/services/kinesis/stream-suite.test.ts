import { beforeEach, expect, test } from "vitest";
import { parseBlock } from "../../envelope/record-block.ts";
import { SUITE_CLEAR, SUITE_XAES_256_GCM, SUITE_XCHACHA20_POLY1305, type SuiteName } from "../../envelope/suite.ts";
import { setStreamSuite } from "./stream-suite.ts";
import { ACCOUNT, refusal, REGION, TestKinesis } from "./testing/harness.ts";
import { streamKey, streams } from "./records.ts";

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream();
  await kinesis.encrypt();
});

const choose = (suite: SuiteName | null, name = "orders"): Promise<void> =>
  setStreamSuite(kinesis, { accountId: ACCOUNT, region: REGION, name }, suite);

/** The suites of the stored blocks, oldest first. */
async function storedSuites(): Promise<readonly (number | undefined)[]> {
  const stream = await kinesis.reader.get(streams, streamKey({ accountId: ACCOUNT, region: REGION, name: "orders" }));
  const shard = { streamId: stream?.streamId ?? "", shardIndex: 0 };
  const blocks = await kinesis.records.read(shard, 1, { blocksMax: 100, bytesMax: 1e6 });
  return blocks.map(({ bytes, firstIndex, lastIndex }) => parseBlock(bytes, firstIndex, lastIndex)?.suite);
}

test("what is put is sealed by AES, by what the stream is told, and by AES again; all of it can be read", async () => {
  await kinesis.put("one");
  await choose("xchacha");
  await kinesis.put("two");
  await choose(null);
  await kinesis.put("three");
  await kinesis.run("StopStreamEncryption", {
    StreamName: "orders",
    EncryptionType: "KMS",
    KeyId: "alias/aws/kinesis",
  });
  await kinesis.put("four");
  expect(await storedSuites()).toEqual([SUITE_XAES_256_GCM, SUITE_XCHACHA20_POLY1305, SUITE_XAES_256_GCM, SUITE_CLEAR]);
  expect(await kinesis.texts()).toEqual(["one", "two", "three", "four"]);
  kinesis.dataKeys.clear();
  expect(await kinesis.texts()).toEqual(["one", "two", "three", "four"]);
});

test("the setting outlives other changes of the stream, and is not the answer's business", async () => {
  await choose("xchacha");
  await kinesis.run("IncreaseStreamRetentionPeriod", { StreamName: "orders", RetentionPeriodHours: 48 });
  await kinesis.put("one");
  expect(await storedSuites()).toEqual([SUITE_XCHACHA20_POLY1305]);
  expect(JSON.stringify(await kinesis.run("DescribeStream", { StreamName: "orders" }))).not.toContain("xchacha");
});

test("a stream that does not exist has no suite", async () => {
  expect((await refusal(choose("aes", "nobody"))).code).toBe("ResourceNotFoundException");
});
