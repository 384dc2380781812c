import { describe, expect, test } from "vitest";
import { TRANSITION_MS } from "../model.ts";
import { consumers, resourcePolicies } from "../records.ts";
import { ACCOUNT, principal, refusal, REGION, TestKinesis } from "../testing/harness.ts";

const STREAM = `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/orders`;

async function room(): Promise<TestKinesis> {
  const kinesis = new TestKinesis();
  await kinesis.stream();
  return kinesis;
}

async function register(kinesis: TestKinesis, ConsumerName = "reader"): Promise<string> {
  const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: STREAM, ConsumerName });
  return Consumer.ConsumerARN;
}

describe("a consumer", () => {
  test("is CREATING, then ACTIVE, then DELETING, then gone, and its name may be given again", async () => {
    const kinesis = await room();
    const { Consumer } = await kinesis.run("RegisterStreamConsumer", { StreamARN: STREAM, ConsumerName: "reader" });
    const seconds = Math.floor(kinesis.clock.wallMs() / 1000);
    expect(Consumer).toEqual({
      ConsumerName: "reader",
      ConsumerARN: `${STREAM}/consumer/reader:${seconds}`,
      ConsumerStatus: "CREATING",
      ConsumerCreationTimestamp: seconds * 1000,
    });
    kinesis.clock.advance(TRANSITION_MS);
    const byName = { StreamARN: STREAM, ConsumerName: "reader" };
    const { ConsumerDescription } = await kinesis.run("DescribeStreamConsumer", byName);
    expect(ConsumerDescription).toEqual({ ...Consumer, ConsumerStatus: "ACTIVE", StreamARN: STREAM });
    await kinesis.run("DeregisterStreamConsumer", { ConsumerARN: Consumer.ConsumerARN });
    expect((await kinesis.run("DescribeStreamConsumer", byName)).ConsumerDescription.ConsumerStatus).toBe("DELETING");
    expect((await refusal(register(kinesis))).code).toBe("ResourceInUseException");
    kinesis.clock.advance(TRANSITION_MS);
    expect((await refusal(kinesis.run("DescribeStreamConsumer", byName))).code).toBe("ResourceNotFoundException");
    kinesis.clock.advance(1000);
    expect(await register(kinesis)).not.toBe(Consumer.ConsumerARN);
    // The ARN of the first one names nobody any more.
    const old = kinesis.run("DescribeStreamConsumer", { ConsumerARN: Consumer.ConsumerARN });
    expect((await refusal(old)).code).toBe("ResourceNotFoundException");
  });

  test("counts against the twenty, and goes with its stream, even when another change began before it", async () => {
    const kinesis = await room();
    for (let at = 0; at < 19; at++) await register(kinesis, `c-${at}`);
    /** A registration that is done as soon as the list of consumers was read for something else. */
    const meanwhile = (name: string): void => {
      const range = kinesis.metadata.range.bind(kinesis.metadata);
      let isDone = false;
      Object.assign(kinesis.metadata, {
        range: async (query: Parameters<typeof range>[0]) => {
          const answer = await range(query);
          if (!isDone) {
            isDone = true;
            await register(kinesis, name);
          }
          return answer;
        },
      });
    };
    meanwhile("first");
    expect((await refusal(register(kinesis, "second"))).code).toBe("LimitExceededException");
    await kinesis.run("DeregisterStreamConsumer", { StreamARN: STREAM, ConsumerName: "c-0" });
    kinesis.clock.advance(TRANSITION_MS);
    meanwhile("third");
    await kinesis.run("DeleteStream", { StreamARN: STREAM, EnforceConsumerDeletion: true });
    expect(await kinesis.reader.list(consumers, { prefix: [], limit: 100 })).toEqual([]);
  });

  test("leaves no policy behind, not even one that was put while it was DELETING", async () => {
    const kinesis = await room();
    const ResourceARN = await register(kinesis);
    kinesis.clock.advance(TRANSITION_MS);
    await kinesis.run("DeregisterStreamConsumer", { ConsumerARN: ResourceARN });
    const Statement = [
      { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kinesis:SubscribeToShard", Resource: ResourceARN },
    ];
    await kinesis.run("PutResourcePolicy", {
      ResourceARN,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement }),
    });
    kinesis.clock.advance(TRANSITION_MS);
    await register(kinesis, "another");
    expect(await kinesis.reader.list(resourcePolicies, { prefix: [], limit: 100 })).toEqual([]);
  });

  test("is one of 20 at most, counted and listed page by page", async () => {
    const kinesis = await room();
    for (let at = 0; at < 20; at++) await register(kinesis, `c-${String(at).padStart(2, "0")}`);
    expect(await refusal(register(kinesis, "one-more"))).toMatchObject({ code: "LimitExceededException" });
    const { StreamDescriptionSummary } = await kinesis.run("DescribeStreamSummary", { StreamName: "orders" });
    expect(StreamDescriptionSummary.ConsumerCount).toBe(20);
    const first = await kinesis.run("ListStreamConsumers", { StreamARN: STREAM, MaxResults: 15 });
    const second = await kinesis.run("ListStreamConsumers", { StreamARN: STREAM, NextToken: first.NextToken });
    const names = [...(first.Consumers ?? []), ...(second.Consumers ?? [])].map(({ ConsumerName }) => ConsumerName);
    expect([names.length, new Set(names).size, second.NextToken]).toEqual([20, 20, undefined]);
    kinesis.clock.advance(300_001);
    const late = kinesis.run("ListStreamConsumers", { StreamARN: STREAM, NextToken: first.NextToken });
    expect((await refusal(late)).code).toBe("ExpiredNextTokenException");
    const both = { StreamARN: STREAM, NextToken: first.NextToken, StreamCreationTimestamp: 1 };
    expect((await refusal(kinesis.run("ListStreamConsumers", both))).code).toBe("InvalidArgumentException");
  });

  test("two registrations at once cannot both be the twentieth", async () => {
    const kinesis = await room();
    for (let at = 0; at < 19; at++) await register(kinesis, `c-${at}`);
    const both = await Promise.allSettled([register(kinesis, "a"), register(kinesis, "b")]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test("keeps its stream from being deleted, unless that is meant; a new stream has none", async () => {
    const kinesis = await room();
    const arn = await register(kinesis);
    const refused = await refusal(kinesis.run("DeleteStream", { StreamName: "orders" }));
    expect(refused.code).toBe("ResourceInUseException");
    await kinesis.run("DeleteStream", { StreamName: "orders", EnforceConsumerDeletion: true });
    kinesis.clock.advance(TRANSITION_MS);
    await kinesis.stream();
    expect((await kinesis.run("ListStreamConsumers", { StreamARN: STREAM })).Consumers).toEqual([]);
    const gone = kinesis.run("DescribeStreamConsumer", { ConsumerARN: arn });
    expect((await refusal(gone)).code).toBe("ResourceNotFoundException");
  });

  test("has tags of its own", async () => {
    const kinesis = await room();
    const { Consumer } = await kinesis.run("RegisterStreamConsumer", {
      StreamARN: STREAM,
      ConsumerName: "reader",
      Tags: { team: "a" },
    });
    expect(kinesis.actions.slice(-2)).toEqual(["kinesis:RegisterStreamConsumer", "kinesis:TagResource"]);
    const { ConsumerARN: ResourceARN } = Consumer;
    await kinesis.run("TagResource", { ResourceARN, Tags: { stage: "test" } });
    await kinesis.run("UntagResource", { ResourceARN, TagKeys: ["team"] });
    const tags = await kinesis.run("ListTagsForResource", { ResourceARN });
    expect(tags.Tags).toEqual([{ Key: "stage", Value: "test" }]);
    expect((await kinesis.run("ListTagsForResource", { ResourceARN: STREAM })).Tags).toEqual([]);
  });

  test("is named by its ARN, or the stream's and a name, which must agree", async () => {
    const kinesis = await room();
    const ConsumerARN = await register(kinesis);
    const describeIt = (input: object): Promise<unknown> => kinesis.run("DescribeStreamConsumer", input);
    await describeIt({ ConsumerARN, StreamARN: STREAM, ConsumerName: "reader" });
    for (const input of [
      {},
      { StreamARN: STREAM },
      { ConsumerName: "reader" },
      { ConsumerARN, ConsumerName: "another" },
      { ConsumerARN, StreamARN: `${STREAM}2` },
      { ConsumerARN: STREAM },
      { ConsumerARN: ConsumerARN.replace(REGION, "us-west-2") },
    ]) {
      expect((await refusal(describeIt(input))).code).toBe("InvalidArgumentException");
    }
    kinesis.denied.add("kinesis:DescribeStreamConsumer");
    const denied = kinesis.run("DescribeStreamConsumer", { ConsumerARN }, principal("bob"));
    expect((await refusal(denied)).code).toBe("AccessDeniedException");
  });
});
