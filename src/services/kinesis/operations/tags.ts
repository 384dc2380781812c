import type { Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
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
import { TAG_COUNT_MAX } from "../model.ts";
import { streamKey, streams } from "../records.ts";
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
import { checkStreamArn, checkTags } from "../tags.ts";

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

async function change(
  { call, read }: OperationContext,
  target: StreamTarget,
  apply: (tags: Tags) => Tags,
): Promise<Outcome<Nothing>> {
  const stream = await existingStream(read, target, call.nowMs);
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

export const tagResource: Operation<TagResourceInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeArn(input, { tags: input.Tags }),
  access: async ({ call }, input) => {
    const target = targetOfArn(call, checkStreamArn(input.ResourceARN));
    return { checks: [checkOn("TagResource", target, tagContext(input.Tags))], target };
  },
  handle: (context, input, target) => change(context, target, added(target, input.Tags)),
};

export const untagResource: Operation<UntagResourceInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeArn(input, { tagKeys: input.TagKeys }),
  access: async ({ call }, input) => {
    const target = targetOfArn(call, checkStreamArn(input.ResourceARN));
    return { checks: [checkOn("UntagResource", target, { "aws:TagKeys": input.TagKeys })], target };
  },
  handle: (context, input, target) => change(context, target, removed(input.TagKeys)),
};

export const listTagsForResource: Operation<ListTagsForResourceInput, ListTagsForResourceOutput, StreamTarget> = {
  event: "management",
  readOnly: true,
  describe: (input) => describeArn(input, {}),
  access: async ({ call }, input) =>
    accessTo("ListTagsForResource", targetOfArn(call, checkStreamArn(input.ResourceARN))),
  handle: async ({ call, read }, _input, target) => {
    const stream = await existingStream(read, target, call.nowMs);
    return { output: { Tags: tagList(stream.tags) }, audit: streamResource(target) };
  },
};
