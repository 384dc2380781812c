import { invalidInput, tooManyTags } from "./errors.ts";
import { TAGS_MAX } from "./model.ts";
import type { Tag } from "./model.ts";
import type { Tag as WireTag } from "./shapes.generated.ts";

/** Tag keys of IAM differ by more than case, and keep the case in which they were first given. */
const folded = (key: string): string => key.toLowerCase();

/** The tags after adding some. Throws InvalidInput for a key given twice or reserved, LimitExceeded beyond fifty. */
export function tagsFrom(before: readonly Tag[], added: readonly WireTag[]): readonly Tag[] {
  const tags = new Map(before.map((tag) => [folded(tag.key), tag]));
  const given = new Set<string>();
  for (const { Key, Value } of added) {
    const key = folded(Key);
    if (given.has(key)) {
      throw invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    }
    if (key.startsWith("aws:")) throw invalidInput("Tag keys that begin with aws: are reserved for system use.");
    given.add(key);
    tags.set(key, { key: tags.get(key)?.key ?? Key, value: Value });
  }
  if (tags.size > TAGS_MAX) throw tooManyTags();
  return [...tags.values()];
}

export function tagsWithout(before: readonly Tag[], keys: readonly string[]): readonly Tag[] {
  const removed = new Set(keys.map(folded));
  return before.filter(({ key }) => !removed.has(folded(key)));
}

export const tagsOut = (tags: readonly Tag[]): readonly WireTag[] =>
  tags.map(({ key, value }) => ({ Key: key, Value: value }));
