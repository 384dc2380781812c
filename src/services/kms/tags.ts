import { tagError } from "./errors.ts";
import type { KeyTag } from "./records.ts";
import type { Tag } from "./shapes.generated.ts";

/** Most tags of one resource (AWS tagging limits). */
export const TAGS_MAX = 50;

/** The tags of a request, checked. Lengths are the model's to check. */
export function tagsOf(tags: readonly Tag[] | undefined): readonly KeyTag[] {
  const keys = (tags ?? []).map((tag) => tag.TagKey);
  requireFreeKeys(keys);
  if (new Set(keys).size < keys.length) throw tagError("Duplicate tag keys");
  if (keys.length > TAGS_MAX) throw tagError("Too many tags");
  return sorted((tags ?? []).map((tag) => ({ key: tag.TagKey, value: tag.TagValue })));
}

/** Old tags with new ones laid over them. */
export function mergedTags(old: readonly KeyTag[], added: readonly KeyTag[]): readonly KeyTag[] {
  const byKey = new Map([...old, ...added].map((tag) => [tag.key, tag] as const));
  if (byKey.size > TAGS_MAX) throw tagError("Too many tags");
  return sorted([...byKey.values()]);
}

/** `aws:` in front, in any case, is AWS's own. */
export function requireFreeKeys(keys: readonly string[]): void {
  if (keys.some((key) => key.toLowerCase().startsWith("aws:"))) throw tagError("Tags beginning with aws: are reserved");
}

const sorted = (tags: readonly KeyTag[]): readonly KeyTag[] =>
  tags.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
