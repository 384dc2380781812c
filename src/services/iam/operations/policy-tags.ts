import { foldedName } from "../model.ts";
import { pageOfList } from "../pagination.ts";
import type { ManagedPolicy } from "../policy-lookup.ts";
import { policies } from "../records.ts";
import { describe, policyAccess, policyResource, requestTagContext } from "../row.ts";
import type { Row } from "../row.ts";
import { tagsFrom, tagsOut, tagsWithout } from "../tags.ts";
import type { Tag } from "../shapes.generated.ts";
import { changeablePolicy, existingPolicy } from "./policies.ts";

export const tagPolicy: Row<"TagPolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:TagPolicy", (input: { PolicyArn: string; Tags: readonly Tag[] }) =>
    requestTagContext(input.Tags),
  ),
  async handle({ call }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const record = changeablePolicy(target, { arn: input.PolicyArn, action: "iam:TagPolicy", principalArn });
    const tagged = { ...record, tags: tagsFrom(record.tags, input.Tags) };
    return {
      output: {},
      writes: [policies.put([accountId, foldedName(record.policyName)], tagged)],
      audit: { resources: [policyResource(record.arn, accountId)] },
    };
  },
};

export const untagPolicy: Row<"UntagPolicy", ManagedPolicy | null> = {
  event: "management",
  readOnly: false,
  describe,
  access: policyAccess("iam:UntagPolicy", (input: { PolicyArn: string; TagKeys: readonly string[] }) => ({
    "aws:TagKeys": input.TagKeys,
  })),
  async handle({ call }, input, target) {
    const { accountId, arn: principalArn } = call.principal;
    const record = changeablePolicy(target, { arn: input.PolicyArn, action: "iam:UntagPolicy", principalArn });
    const untagged = { ...record, tags: tagsWithout(record.tags, input.TagKeys) };
    return {
      output: {},
      writes: [policies.put([accountId, foldedName(record.policyName)], untagged)],
      audit: { resources: [policyResource(record.arn, accountId)] },
    };
  },
};

export const listPolicyTags: Row<"ListPolicyTags", ManagedPolicy | null> = {
  event: "management",
  readOnly: true,
  describe,
  access: policyAccess("iam:ListPolicyTags"),
  async handle(_context, input, target) {
    const { items, tail } = pageOfList(existingPolicy(target, input.PolicyArn).tags, ({ key }) => key, input);
    return { output: { Tags: tagsOut(items), ...tail } };
  },
};
