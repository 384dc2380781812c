import type { Write } from "../../../store/metadata-store.ts";
import type { Reader } from "../../../store/table.ts";
import { invalidInput, targetNotFound } from "../errors.ts";
import { FULL_ACCESS_ID, kindOf, type Tag } from "../model.ts";
import { pageOfList } from "../pages.ts";
import { nodes, policies } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import { tagsWith, tagsWithout } from "../tags.ts";

/** What can have tags, whatever it is: a root, a unit, an account or a policy. */
async function taggedOf(
  read: Reader,
  id: string,
): Promise<{ readonly tags: readonly Tag[]; readonly put: (tags: readonly Tag[]) => Write }> {
  if (kindOf(id) === "policy") {
    if (id === FULL_ACCESS_ID) {
      throw invalidInput("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.");
    }
    const policy = await read.get(policies, [id]);
    if (policy === null) throw targetNotFound();
    return { tags: policy.tags, put: (tags) => policies.put([id], { ...policy, tags }) };
  }
  const node = await read.get(nodes, [id]);
  if (node === null) throw targetNotFound();
  return { tags: node.tags, put: (tags) => nodes.put([id], { ...node, tags }) };
}

export const tagResource: Row<"TagResource"> = managementRow("TagResource", {
  readOnly: false,
  on: ({ ResourceId }) => [ResourceId],
  tags: ({ Tags }) => Tags,
  async handle({ read }, input) {
    const tagged = await taggedOf(read, input.ResourceId);
    return { output: {}, writes: [tagged.put(tagsWith(tagged.tags, input.Tags))] };
  },
});

export const untagResource: Row<"UntagResource"> = managementRow("UntagResource", {
  readOnly: false,
  on: ({ ResourceId }) => [ResourceId],
  tagKeys: ({ TagKeys }) => TagKeys,
  async handle({ read }, input) {
    const tagged = await taggedOf(read, input.ResourceId);
    return { output: {}, writes: [tagged.put(tagsWithout(tagged.tags, input.TagKeys))] };
  },
});

export const listTagsForResource: Row<"ListTagsForResource"> = managementRow("ListTagsForResource", {
  readOnly: true,
  on: ({ ResourceId }) => [ResourceId],
  async handle({ read }, input) {
    if (input.ResourceId === FULL_ACCESS_ID) return { output: { Tags: [] } };
    const { tags } = await taggedOf(read, input.ResourceId);
    const { items, tail } = pageOfList(tags, input, `tags ${input.ResourceId}`);
    return { output: { Tags: items.map(({ key, value }) => ({ Key: key, Value: value })), ...tail } };
  },
});
