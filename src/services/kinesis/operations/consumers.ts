import type { AccessCheck, Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, checkOn, existingStream, streamResource, targetOfArn } from "../access.ts";
import type { ConsumerTarget, NamesConsumer } from "../consumers.ts";
import {
  changeWrites,
  checkOnConsumer,
  CONSUMER_COUNT_MAX,
  consumerArn,
  consumerOfInput,
  consumerResource,
  consumersOf,
  consumersToChange,
  consumerStatusOf,
  describeConsumer,
  existingConsumer,
  removePolicy,
} from "../consumers.ts";
import type { Environment } from "../environment.ts";
import { consumerExists, invalidArgument, invalidNextToken, limitExceeded, streamNotActive } from "../errors.ts";
import { servesData, statusOf } from "../model.ts";
import { checkNextTokenAge, openNextToken, sealNextToken } from "../next-token.ts";
import { consumers } from "../records.ts";
import type { ConsumerRecord } from "../records.ts";
import type {
  DeregisterStreamConsumerInput,
  DescribeStreamConsumerInput,
  DescribeStreamConsumerOutput,
  ListStreamConsumersInput,
  ListStreamConsumersOutput,
  Nothing,
  RegisterStreamConsumerInput,
  RegisterStreamConsumerOutput,
} from "../shapes.generated.ts";
import { checkTags } from "../tags.ts";

const PAGE_COUNT_MAX = 100;

const describeInput = (
  input: NamesConsumer,
): ReturnType<NonNullable<Operation<NamesConsumer, Nothing>["describe"]>> => ({
  requestParameters: {
    ...(input.StreamARN === undefined ? {} : { streamARN: input.StreamARN }),
    ...(input.ConsumerName === undefined ? {} : { consumerName: input.ConsumerName }),
    ...(input.ConsumerARN === undefined ? {} : { consumerARN: input.ConsumerARN }),
  },
});

export const registerStreamConsumer: Operation<
  RegisterStreamConsumerInput,
  RegisterStreamConsumerOutput,
  ConsumerTarget
> = {
  event: "management",
  readOnly: false,
  describe: describeInput,
  access: async ({ call }, input) => {
    const stream = targetOfArn(call, input.StreamARN);
    const { ConsumerName: consumerName } = input;
    const target = { ...stream, consumerName, consumerArn: consumerArn(stream.arn, consumerName, call.nowMs) };
    const tags = Object.entries(input.Tags ?? {});
    const context: AccessCheck["context"] = {
      ...Object.fromEntries(tags.map(([key, value]) => [`aws:RequestTag/${key}`, value])),
      "aws:TagKeys": tags.map(([key]) => key),
    };
    const checks = [checkOn("RegisterStreamConsumer", stream, tags.length === 0 ? undefined : context)];
    if (tags.length > 0) {
      const { accountId: resourceAccountId } = stream;
      checks.push({ action: "kinesis:TagResource", resource: target.consumerArn, resourceAccountId, context });
    }
    return { checks, target };
  },
  handle: async ({ call, read }, input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const status = statusOf(stream, call.nowMs);
    if (!servesData(status)) throw streamNotActive(target, status ?? "DELETING");
    const changing = await consumersToChange(read, stream.streamId, call.nowMs);
    const { present } = changing;
    if (present.some(({ name }) => name === input.ConsumerName)) throw consumerExists(target);
    if (present.length >= CONSUMER_COUNT_MAX) {
      throw limitExceeded(
        `Stream ${target.name} under account ${target.accountId} has ${present.length} registered consumers. ` +
          `Limit: ${CONSUMER_COUNT_MAX}.`,
      );
    }
    checkTags(target, input.Tags ?? {}, 0);
    const consumer: ConsumerRecord = {
      name: input.ConsumerName,
      createdAtMs: Math.floor(call.nowMs),
      deletedAtMs: null,
      tags: { ...input.Tags },
    };
    const described = describeConsumer(target, consumer, call.nowMs);
    return {
      output: { Consumer: described },
      writes: [
        ...changeWrites(stream.streamId, changing),
        consumers.put([stream.streamId, consumer.name], consumer),
        // One of the same name and second may have been deregistered: its policy is not this one's.
        removePolicy(stream.streamId, consumer),
      ],
      audit: {
        ...consumerResource(target),
        responseElements: {
          consumer: {
            consumerName: described.ConsumerName,
            consumerARN: described.ConsumerARN,
            consumerStatus: described.ConsumerStatus,
          },
        },
      },
    };
  },
};

export const describeStreamConsumer: Operation<
  DescribeStreamConsumerInput,
  DescribeStreamConsumerOutput,
  ConsumerTarget
> = {
  event: "management",
  readOnly: true,
  describe: describeInput,
  access: async ({ call, read }, input) => {
    const target = await consumerOfInput(read, call, input);
    return { checks: [await checkOnConsumer(read, "DescribeStreamConsumer", target)], target };
  },
  handle: async ({ call, read }, _input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const consumer = await existingConsumer(read, stream, target, call.nowMs);
    return {
      output: { ConsumerDescription: { ...describeConsumer(target, consumer, call.nowMs), StreamARN: target.arn } },
      audit: consumerResource(target),
    };
  },
};

export const deregisterStreamConsumer: Operation<DeregisterStreamConsumerInput, Nothing, ConsumerTarget> = {
  event: "management",
  readOnly: false,
  describe: describeInput,
  access: async ({ call, read }, input) => {
    const target = await consumerOfInput(read, call, input);
    return { checks: [await checkOnConsumer(read, "DeregisterStreamConsumer", target)], target };
  },
  handle: async ({ call, read }, _input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const consumer = await existingConsumer(read, stream, target, call.nowMs);
    // Asked for twice, it goes on as it began.
    if (consumerStatusOf(consumer, call.nowMs) === "DELETING") return { output: {}, audit: consumerResource(target) };
    const changing = await consumersToChange(read, stream.streamId, call.nowMs);
    return {
      output: {},
      writes: [
        ...changeWrites(stream.streamId, changing),
        consumers.put([stream.streamId, consumer.name], { ...consumer, deletedAtMs: Math.floor(call.nowMs) }),
        removePolicy(stream.streamId, consumer),
      ],
      audit: consumerResource(target),
    };
  },
};

/** Throws for a token that was made for another stream. */
function afterOf(
  env: Environment,
  input: ListStreamConsumersInput,
  target: StreamTarget,
  nowMs: number,
): string | null {
  if (input.NextToken === undefined) return null;
  if (input.StreamCreationTimestamp !== undefined) {
    throw invalidArgument("NextToken and StreamCreationTimestamp cannot be provided together.");
  }
  const token = openNextToken(env.secretBox, "ListStreamConsumers", input.NextToken);
  const { accountId, region, name } = token.scope;
  if (accountId !== target.accountId || region !== target.region || name !== target.name) throw invalidNextToken();
  checkNextTokenAge(token, nowMs);
  return token.after;
}

export function listStreamConsumers(
  env: Environment,
): Operation<ListStreamConsumersInput, ListStreamConsumersOutput, StreamTarget> {
  return {
    event: "management",
    readOnly: true,
    describe: describeInput,
    access: async ({ call }, input) => accessTo("ListStreamConsumers", targetOfArn(call, input.StreamARN)),
    handle: async ({ call, read }, input, target) => {
      const stream = await existingStream(read, target, call.nowMs);
      const after = afterOf(env, input, target, call.nowMs);
      const { present } = await consumersOf(read, stream.streamId, call.nowMs);
      const rest = present.filter(({ name }) => after === null || name > after);
      const page = rest.slice(0, Math.min(input.MaxResults ?? PAGE_COUNT_MAX, PAGE_COUNT_MAX));
      const last = page.at(-1);
      const { accountId, region, name, arn } = target;
      const scope = { accountId, region, name };
      return {
        output: {
          Consumers: page.map((consumer) => describeConsumer({ accountId, region, name, arn }, consumer, call.nowMs)),
          ...(page.length < rest.length && last !== undefined
            ? {
                NextToken: sealNextToken(env.secretBox, "ListStreamConsumers", {
                  scope,
                  after: last.name,
                  createdMs: call.nowMs,
                }),
              }
            : {}),
        },
        audit: streamResource(target),
      };
    },
  };
}
