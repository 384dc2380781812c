import type { Operation } from "../../../gateway/contract.ts";
import { entityAccess, entityResource, existingEntity, putEntity } from "../entities.ts";
import type { BoundedRecord, EntityKind, EntityTarget } from "../entities.ts";
import { pageOfList } from "../pagination.ts";
import type { Page, PageRequest } from "../pagination.ts";
import { describe, requestTagContext } from "../row.ts";
import type { Nothing, Tag } from "../shapes.generated.ts";
import { tagsFrom, tagsOut, tagsWithout } from "../tags.ts";

type WithTags = { readonly Tags: readonly Tag[] };
type WithTagKeys = { readonly TagKeys: readonly string[] };

/** TagUser, TagRole. */
export const tagEntity = <Entity extends BoundedRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & WithTags, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Tag${kind.label}`, (input: Named & WithTags) => requestTagContext(input.Tags)),
  async handle(_context, input, target) {
    const entity = existingEntity(kind, target);
    return {
      output: {},
      writes: [putEntity(kind, { ...entity, tags: tagsFrom(entity.tags, input.Tags) })],
      audit: { resources: [entityResource(kind, entity)] },
    };
  },
});

/** UntagUser, UntagRole. */
export const untagEntity = <Entity extends BoundedRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & WithTagKeys, Nothing, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: false,
  describe,
  access: entityAccess(kind, `iam:Untag${kind.label}`, (input: Named & WithTagKeys) => ({
    "aws:TagKeys": input.TagKeys,
  })),
  async handle(_context, input, target) {
    const entity = existingEntity(kind, target);
    return {
      output: {},
      writes: [putEntity(kind, { ...entity, tags: tagsWithout(entity.tags, input.TagKeys) })],
      audit: { resources: [entityResource(kind, entity)] },
    };
  },
});

/** ListUserTags, ListRoleTags. */
export const listEntityTags = <Entity extends BoundedRecord, Named>(
  kind: EntityKind<Entity, Named>,
): Operation<Named & PageRequest, Page<unknown>["tail"] & { readonly Tags: readonly Tag[] }, EntityTarget<Entity>> => ({
  event: "management",
  readOnly: true,
  describe,
  access: entityAccess(kind, `iam:List${kind.label}Tags`),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existingEntity(kind, target).tags, ({ key }) => key, input);
    return { output: { Tags: tagsOut(items), ...tail } };
  },
});
