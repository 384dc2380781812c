import { madeNow } from "../../../base/lazy.ts";
import type {
  AccessCheck,
  AuditDetails,
  Call,
  Operation,
  OperationContext,
  Outcome,
} from "../../../gateway/contract.ts";
import type { NamesStream, StreamTarget } from "../access.ts";
import {
  accessTo,
  checkOn,
  describeRequest,
  existingStream,
  streamResource,
  targetOfArn,
  targetOfInput,
} from "../access.ts";
import type { ConsumerTarget } from "../consumers.ts";
import { checkOnConsumer, consumerOfArn, consumerResource, existingConsumer, isConsumerArn } from "../consumers.ts";
import { TAG_COUNT_MAX } from "../model.ts";
import { consumers, streamKey, streams } from "../records.ts";
import type {
  AddTagsToStreamInput,
  ListTagsForResourceInput,
  ListTagsForResourceOutput,
  ListTagsForStreamInput,
  ListTagsForStreamOutput,
  Nothing,
  RemoveTagsFromStreamInput,
  Tag,
  TagResourceInput,
  UntagResourceInput,
} from "../shapes.generated.ts";
import { checkTags } from "../tags.ts";

type Tags = Readonly<Record<string, string>>;

const tagContext = (tags: Tags): Readonly<Record<string, string | readonly string[]>> => ({
  ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
  "aws:TagKeys": Object.keys(tags),
});

/** By key, as AWS lists them. */
const tagList = (tags: Tags): readonly Tag[] =>
  Object.keys(tags)
    .toSorted()
    .map((Key) => ({ Key, Value: tags[Key] ?? "" }));

/** What an ARN names: a stream, or one of its consumers. */
type Tagged = StreamTarget | ConsumerTarget;

const taggedOf = (call: Call, { ResourceARN: arn }: { readonly ResourceARN: string }): Tagged =>
  isConsumerArn(arn) ? consumerOfArn(call, arn) : targetOfArn(call, arn);

/** The check on a stream; on a consumer with its own tags as conditions. */
async function checkOnTagged(
  { read }: OperationContext,
  action: string,
  target: Tagged,
  context: Readonly<Record<string, string | readonly string[]>> = {},
): Promise<AccessCheck> {
  if (!("consumerArn" in target)) return checkOn(action, target, context);
  const check = await checkOnConsumer(read, action, target);
  return { ...check, context: { ...madeNow(check.context ?? {}), ...context } };
}

const resourceOf = (target: Tagged): AuditDetails =>
  "consumerArn" in target ? consumerResource(target) : streamResource(target);

async function change(
  { call, read }: OperationContext,
  target: Tagged,
  apply: (tags: Tags) => Tags,
): Promise<Outcome<Nothing>> {
  const stream = await existingStream(read, target, call.nowMs);
  if ("consumerArn" in target) {
    const consumer = await existingConsumer(read, stream, target, call.nowMs);
    const tagged = { ...consumer, tags: apply(consumer.tags) };
    const writes = [consumers.put([stream.streamId, consumer.name], tagged)];
    return { output: {}, writes, audit: consumerResource(target) };
  }
  const changed = { ...stream, tags: apply(stream.tags) };
  return { output: {}, writes: [streams.put(streamKey(target), changed)], audit: streamResource(target) };
}

const added =
  (target: StreamTarget, tags: Tags) =>
  (existing: Tags): Tags => {
    const others = Object.keys(existing).filter((key) => !Object.hasOwn(tags, key));
    checkTags(target, tags, others.length);
    return { ...existing, ...tags };
  };

const removed =
  (keys: readonly string[]) =>
  (existing: Tags): Tags =>
    Object.fromEntries(Object.entries(existing).filter(([key]) => !keys.includes(key)));

const describeArn = (
  { ResourceARN }: { readonly ResourceARN: string },
  extra: object,
): ReturnType<typeof describeRequest> => describeRequest({}, { resourceARN: ResourceARN, ...extra });

export const addTagsToStream: Operation<AddTagsToStreamInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { tags: input.Tags }),
  access: async ({ call }, input) => {
    const target = targetOfInput(call, input);
    return { checks: [checkOn("AddTagsToStream", target, tagContext(input.Tags))], target };
  },
  handle: (context, input, target) => change(context, target, added(target, input.Tags)),
};

export const removeTagsFromStream: Operation<RemoveTagsFromStreamInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { tagKeys: input.TagKeys }),
  access: async ({ call }, input) => {
    const target = targetOfInput(call, input);
    return { checks: [checkOn("RemoveTagsFromStream", target, { "aws:TagKeys": input.TagKeys })], target };
  },
  handle: (context, input, target) => change(context, target, removed(input.TagKeys)),
};

export const listTagsForStream: Operation<ListTagsForStreamInput, ListTagsForStreamOutput, StreamTarget> = {
  event: "management",
  readOnly: true,
  describe: (input: NamesStream) => describeRequest(input),
  access: async ({ call }, input) => accessTo("ListTagsForStream", targetOfInput(call, input)),
  handle: async ({ call, read }, input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const start = input.ExclusiveStartTagKey;
    const rest = tagList(stream.tags).filter(({ Key }) => start === undefined || Key > start);
    const page = rest.slice(0, input.Limit ?? TAG_COUNT_MAX);
    return { output: { Tags: page, HasMoreTags: page.length < rest.length }, audit: streamResource(target) };
  },
};

export const tagResource: Operation<TagResourceInput, Nothing, Tagged> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeArn(input, { tags: input.Tags }),
  access: async (context, input) => {
    const target = taggedOf(context.call, input);
    return { checks: [await checkOnTagged(context, "TagResource", target, tagContext(input.Tags))], target };
  },
  handle: (context, input, target) => change(context, target, added(target, input.Tags)),
};

export const untagResource: Operation<UntagResourceInput, Nothing, Tagged> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeArn(input, { tagKeys: input.TagKeys }),
  access: async (context, input) => {
    const target = taggedOf(context.call, input);
    const tagKeys = { "aws:TagKeys": input.TagKeys };
    return { checks: [await checkOnTagged(context, "UntagResource", target, tagKeys)], target };
  },
  handle: (context, input, target) => change(context, target, removed(input.TagKeys)),
};

export const listTagsForResource: Operation<ListTagsForResourceInput, ListTagsForResourceOutput, Tagged> = {
  event: "management",
  readOnly: true,
  describe: (input) => describeArn(input, {}),
  access: async (context, input) => {
    const target = taggedOf(context.call, input);
    return { checks: [await checkOnTagged(context, "ListTagsForResource", target)], target };
  },
  handle: async ({ call, read }, _input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    const { tags } = "consumerArn" in target ? await existingConsumer(read, stream, target, call.nowMs) : stream;
    return { output: { Tags: tagList(tags) }, audit: resourceOf(target) };
  },
};
