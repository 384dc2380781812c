import type { Operation } from "../../../gateway/contract.ts";
import { lowerCamel, requestTagConditions } from "../access.ts";
import { pageEnd, pageOf } from "../pages.ts";
import type { KmsParts } from "../parts.ts";
import type { NamedKey } from "../resolve.ts";
import type {
  ListResourceTagsRequest,
  ListResourceTagsResponse,
  TagResourceRequest,
  UntagResourceRequest,
} from "../shapes.generated.ts";
import { mergedTags, requireFreeKeys, tagsOf } from "../tags.ts";
import { keyOperation } from "./key-operation.ts";

type Nothing = Readonly<Record<string, never>>;

export const tagResource = (kms: KmsParts): Operation<TagResourceRequest, Nothing, NamedKey> =>
  keyOperation<TagResourceRequest, Nothing>(kms, {
    name: "TagResource",
    readOnly: false,
    conditions: (input) => requestTagConditions(tagsOf(input.Tags)),
    describe: (input) => ({ keyId: input.KeyId, tags: input.Tags.map(lowerCamel) }),
    handle: (_context, input, key) => ({
      output: {},
      changed: { ...key, tags: mergedTags(key.tags, tagsOf(input.Tags)) },
    }),
  });

export const untagResource = (kms: KmsParts): Operation<UntagResourceRequest, Nothing, NamedKey> =>
  keyOperation<UntagResourceRequest, Nothing>(kms, {
    name: "UntagResource",
    readOnly: false,
    conditions: (input) => ({ "aws:TagKeys": input.TagKeys }),
    handle(_context, input, key) {
      requireFreeKeys(input.TagKeys);
      const removed = new Set(input.TagKeys);
      return { output: {}, changed: { ...key, tags: key.tags.filter((tag) => !removed.has(tag.key)) } };
    },
  });

export const listResourceTags = (
  kms: KmsParts,
): Operation<ListResourceTagsRequest, ListResourceTagsResponse, NamedKey> =>
  keyOperation<ListResourceTagsRequest, ListResourceTagsResponse>(kms, {
    name: "ListResourceTags",
    readOnly: true,
    handle(_context, input, key) {
      const { limit, after } = pageOf(input, { default: 50, max: 50 }, (position) => position.length <= 128);
      const rest = key.tags.filter((tag) => after === undefined || tag.key > after);
      const page = rest.slice(0, limit);
      return {
        output: {
          Tags: page.map((tag) => ({ TagKey: tag.key, TagValue: tag.value })),
          ...pageEnd(page.at(-1)?.key, rest.length > limit),
        },
      };
    },
  });
