import { beforeEach, describe, expect, test } from "vitest";
import { TRANSITION_MS } from "../model.ts";
import { resourcePolicies, streamPlaces } from "../records.ts";
import { POLICY_BYTES_MAX } from "../resource-policies.ts";
import { ACCOUNT, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

const ARN = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;
const OTHER = "999988887777";
const EVE = principal("eve", OTHER);

const policy = (...statements: readonly object[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Resource: ARN, ...statement })),
  });
const forOther = (...actions: readonly string[]): string =>
  policy({ Principal: { AWS: OTHER }, Action: actions.map((action) => `kinesis:${action}`) });

let kinesis: TestKinesis;
beforeEach(async () => {
  kinesis = new TestKinesis();
  await kinesis.stream();
});

const put = (Policy: string, ResourceARN = ARN) => kinesis.run("PutResourcePolicy", { ResourceARN, Policy });
const get = async (): Promise<string> => (await kinesis.run("GetResourcePolicy", { ResourceARN: ARN })).Policy;

/** What each operation does for the other account: the code of its refusal, or `done`. */
async function outcome(run: Promise<unknown>): Promise<string> {
  return await run.then(
    () => "done",
    (error: { readonly code: string }) => error.code,
  );
}

describe("a stream's policy", () => {
  test("is kept as it was put, and empty before and after", async () => {
    expect(await get()).toBe("{}");
    const document = forOther("PutRecord");
    await put(document);
    expect(await get()).toBe(document);
    await kinesis.run("DeleteResourcePolicy", { ResourceARN: ARN });
    expect(await get()).toBe("{}");
    const error = await refusal(kinesis.run("DeleteResourcePolicy", { ResourceARN: ARN }));
    expect([error.code, error.message]).toEqual([
      "ResourceNotFoundException",
      `No resource policy found for resource ARN ${ARN}`,
    ]);
  });

  test.each([
    ["not JSON", "{"],
    ["without a principal", policy({ Action: "kinesis:PutRecord" })],
    ["without a resource", JSON.stringify({ Statement: { Effect: "Allow", Principal: "*", Action: "kinesis:*" } })],
    ["longer than allowed", policy({ Principal: "*", Action: "kinesis:*", Sid: "x".repeat(POLICY_BYTES_MAX) })],
  ])("is refused when it is %s", async (_what, document) => {
    expect((await refusal(put(document))).code).toBe("InvalidArgumentException");
  });

  test("is of a stream that exists, in this Region", async () => {
    const missing = await refusal(put(forOther("PutRecord"), ARN.replace("orders", "none")));
    expect(missing.code).toBe("ResourceNotFoundException");
    const elsewhere = await refusal(put(forOther("PutRecord"), ARN.replace(REGION, "us-west-2")));
    expect(elsewhere.code).toBe("InvalidArgumentException");
    const odd = await refusal(put(forOther("PutRecord"), `${ARN}/consumer/no-epoch`));
    expect(odd.code).toBe("InvalidArgumentException");
  });

  test("does not pass to the next stream of that name", async () => {
    await put(forOther("PutRecord"));
    await kinesis.run("DeleteStream", { StreamName: "orders" });
    kinesis.clock.advance(TRANSITION_MS);
    await kinesis.stream();
    expect(await get()).toBe("{}");
    const again = kinesis.run("PutRecord", { StreamARN: ARN, PartitionKey: "a", Data: Buffer.from("b") }, EVE);
    expect(await outcome(again)).toBe("AccessDeniedException");
  });

  test("denies in the owner's account, too, from the next request on", async () => {
    const putRecord = (who: string) => outcome(kinesis.put("text", "orders", principal(who)));
    expect(await putRecord("bob")).toBe("done");
    const bob = { AWS: principal("bob").arn };
    await put(policy({ Effect: "Deny", Principal: bob, Action: "kinesis:Put*" }));
    expect([await putRecord("bob"), await putRecord("ann")]).toEqual(["AccessDeniedException", "done"]);
    await put(policy({ Effect: "Deny", Principal: bob, Action: "kinesis:GetRecords" }));
    expect(await putRecord("bob")).toBe("done");
  });

  test("that denies everybody everything can be taken back by the account's root alone", async () => {
    await put(policy({ Effect: "Deny", Principal: "*", Action: "kinesis:*" }));
    const root = { ...principal("root"), type: "Root" as const, arn: `arn:aws:iam::${ACCOUNT}:root` };
    const remove = (who: typeof root | ReturnType<typeof principal>) =>
      outcome(kinesis.run("DeleteResourcePolicy", { ResourceARN: ARN }, who));
    expect(await outcome(kinesis.put("text", "orders", root))).toBe("AccessDeniedException");
    expect(await remove(principal("ann"))).toBe("AccessDeniedException");
    expect(await remove({ ...root, accountId: OTHER, arn: `arn:aws:iam::${OTHER}:root` })).toBe(
      "AccessDeniedException",
    );
    expect(await remove(root)).toBe("done");
    expect(await outcome(kinesis.put("text"))).toBe("done");
  });

  test("sees the stream's tags as conditions", async () => {
    const Condition = { StringEquals: { "aws:ResourceTag/stage": "open" } };
    await put(policy({ Principal: { AWS: OTHER }, Action: "kinesis:DescribeStreamSummary", Condition }));
    const describeIt = () => outcome(kinesis.run("DescribeStreamSummary", { StreamARN: ARN }, EVE));
    expect(await describeIt()).toBe("AccessDeniedException");
    await kinesis.run("TagResource", { ResourceARN: ARN, Tags: { stage: "open" } });
    expect(await describeIt()).toBe("done");
  });
});

describe("another account", () => {
  test("puts and reads by ARN what the policy lets it, with an iterator of its own or of somebody else", async () => {
    await kinesis.encrypt();
    await put(forOther("PutRecord", "PutRecords", "GetShardIterator", "GetRecords", "ListShards"));
    const record = { PartitionKey: "a", Data: Buffer.from("from afar") };
    await kinesis.run("PutRecord", { StreamARN: ARN, ...record }, EVE);
    await kinesis.run("PutRecords", { StreamARN: ARN, Records: [record] }, EVE);
    const { Shards } = await kinesis.run("ListShards", { StreamARN: ARN }, EVE);
    const ShardId = Shards?.[0]?.ShardId ?? "";
    const { ShardIterator = "" } = await kinesis.run(
      "GetShardIterator",
      { StreamARN: ARN, ShardId, ShardIteratorType: "TRIM_HORIZON" },
      EVE,
    );
    for (const iterator of [ShardIterator, await kinesis.iterator()]) {
      const { Records } = await kinesis.run("GetRecords", { StreamARN: ARN, ShardIterator: iterator }, EVE);
      expect(Records.map(({ Data }) => Buffer.from(Data).toString())).toEqual(["from afar", "from afar"]);
    }
    expect(await outcome(kinesis.run("DescribeStream", { StreamARN: ARN }, EVE))).toBe("AccessDeniedException");
  });

  test("by name means its own stream", async () => {
    await put(forOther("*"));
    expect(await outcome(kinesis.put("text", "orders", EVE))).toBe("ResourceNotFoundException");
  });

  test("is given reading and writing at most, whatever the policy says", async () => {
    await put(forOther("*"));
    const runs: readonly Promise<unknown>[] = [
      kinesis.run("DeleteStream", { StreamARN: ARN }, EVE),
      kinesis.run("PutResourcePolicy", { ResourceARN: ARN, Policy: forOther("*") }, EVE),
      kinesis.run("GetResourcePolicy", { ResourceARN: ARN }, EVE),
      kinesis.run("DeleteResourcePolicy", { ResourceARN: ARN }, EVE),
      kinesis.run("StopStreamEncryption", { StreamARN: ARN, EncryptionType: "KMS", KeyId: "alias/x" }, EVE),
      kinesis.run("IncreaseStreamRetentionPeriod", { StreamARN: ARN, RetentionPeriodHours: 48 }, EVE),
      kinesis.run("UpdateMaxRecordSize", { StreamARN: ARN, MaxRecordSizeInKiB: 2048 }, EVE),
      kinesis.run("TagResource", { ResourceARN: ARN, Tags: { a: "b" } }, EVE),
    ];
    for (const run of runs) expect(await outcome(run)).toBe("AccessDeniedException");
    expect(await outcome(kinesis.run("DescribeStream", { StreamARN: ARN }, EVE))).toBe("done");
  });
});

describe("a consumer's policy", () => {
  test("lets another account use the consumer, and goes with it", async () => {
    const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: ARN, ConsumerName: "reader" });
    const ConsumerARN = Consumer.ConsumerARN;
    kinesis.clock.advance(TRANSITION_MS);
    const describeIt = () => outcome(kinesis.run("DescribeStreamConsumer", { ConsumerARN }, EVE));
    await put(forOther("*"));
    expect(await describeIt()).toBe("AccessDeniedException");
    const Resource = ConsumerARN;
    const document = policy({ Principal: { AWS: OTHER }, Action: "kinesis:DescribeStreamConsumer", Resource });
    await put(document, ConsumerARN);
    expect(await describeIt()).toBe("done");
    expect(await get()).toBe(forOther("*"));
    const got = await kinesis.run("GetResourcePolicy", { ResourceARN: ConsumerARN });
    expect(got.Policy).toBe(document);
    await kinesis.run("DeregisterStreamConsumer", { ConsumerARN });
    kinesis.clock.advance(TRANSITION_MS);
    const gone = kinesis.run("GetResourcePolicy", { ResourceARN: ConsumerARN });
    expect((await refusal(gone)).code).toBe("ResourceNotFoundException");
    const absent = await refusal(put(document, `${ARN}/consumer/nobody:1`));
    expect(absent.code).toBe("ResourceNotFoundException");
  });

  test("leaves nothing behind when its stream is deleted", async () => {
    const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: ARN, ConsumerName: "reader" });
    kinesis.clock.advance(TRANSITION_MS);
    await put(forOther("*"));
    await put(forOther("*"), Consumer.ConsumerARN);
    await kinesis.run("DeleteStream", { StreamARN: ARN, EnforceConsumerDeletion: true });
    expect(await kinesis.reader.list(resourcePolicies, { prefix: [], limit: 10 })).toEqual([]);
    expect(await kinesis.reader.list(streamPlaces, { prefix: [], limit: 10 })).toEqual([]);
  });
});
