import { constraintViolation, invalidInput } from "./errors.ts";
import { type Tag, TAGS_MAX } from "./model.ts";
import type { Tag as WireTag } from "./shapes.generated.ts";

/** The tags after adding these. Throws for what Organizations does not take. */
export function tagsWith(before: readonly Tag[], given: readonly WireTag[] | undefined): readonly Tag[] {
  const added = new Map<string, string>();
  for (const { Key, Value } of given ?? []) {
    if (/^aws:/i.test(Key)) {
      throw invalidInput("INVALID_SYSTEM_TAGS_PARAMETER", "Tag keys that begin with aws: are reserved for AWS use.");
    }
    if (added.has(Key)) {
      throw invalidInput("DUPLICATE_TAG_KEY", "Tag keys must be unique among the tags attached to the same entity.");
    }
    added.set(Key, Value);
  }
  const kept = before.filter(({ key }) => !added.has(key));
  const after = [...kept, ...[...added].map(([key, value]) => ({ key, value }))];
  if (after.length > TAGS_MAX) {
    throw constraintViolation(
      "MAX_TAG_LIMIT_EXCEEDED",
      `You have exceeded the number of tags allowed on this resource (${TAGS_MAX}).`,
    );
  }
  return after;
}

export const tagsWithout = (before: readonly Tag[], keys: readonly string[]): readonly Tag[] =>
  before.filter(({ key }) => !keys.includes(key));
