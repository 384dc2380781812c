import { foldedName } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import { users } from "../records.ts";
import { describe, existing, requestTagContext, userAccess, userResource } from "../row.ts";
import type { Row, UserTarget } from "../row.ts";
import { tagsFrom, tagsOut, tagsWithout } from "../tags.ts";

export const tagUser: Row<"TagUser", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:TagUser", (input: { UserName: string; Tags: readonly { Key: string; Value: string }[] }) =>
    requestTagContext(input.Tags),
  ),
  async handle(_context, input, target) {
    const user = existing(target);
    const tagged = { ...user, tags: tagsFrom(user.tags, input.Tags) };
    return {
      output: {},
      writes: [users.put([user.accountId, foldedName(user.userName)], tagged)],
      audit: { resources: [userResource(user)] },
    };
  },
};

export const untagUser: Row<"UntagUser", UserTarget> = {
  event: "management",
  readOnly: false,
  describe,
  access: userAccess("iam:UntagUser", (input: { UserName: string; TagKeys: readonly string[] }) => ({
    "aws:TagKeys": input.TagKeys,
  })),
  async handle(_context, input, target) {
    const user = existing(target);
    const untagged = { ...user, tags: tagsWithout(user.tags, input.TagKeys) };
    return {
      output: {},
      writes: [users.put([user.accountId, foldedName(user.userName)], untagged)],
      audit: { resources: [userResource(user)] },
    };
  },
};

export const listUserTags: Row<"ListUserTags", UserTarget> = {
  event: "management",
  readOnly: true,
  describe,
  access: userAccess("iam:ListUserTags"),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existing(target).tags, ({ key }) => key, input);
    return { output: { Tags: tagsOut(items), ...tail } };
  },
};
