import type { StreamName } from "./errors.ts";
import { invalidArgument } from "./errors.ts";
import { TAG_COUNT_MAX } from "./model.ts";

const TAG_CHARACTERS = /^[\p{L}\p{N}\p{Z}\s_./=+\-@:]*$/u;

const failed = (of: StreamName, why: string): Error =>
  invalidArgument(`Failed to add tags to stream ${of.name} under account ${of.accountId} because ${why}`);

/** Throws InvalidArgumentException. `otherCount`: tags that the stream has under other keys. */
export function checkTags(of: StreamName, tags: Readonly<Record<string, string>>, otherCount: number): void {
  const entries = Object.entries(tags);
  if (!entries.flat().every((text) => TAG_CHARACTERS.test(text))) {
    throw invalidArgument(
      "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - @ :.",
    );
  }
  if (entries.some(([key]) => key.toLowerCase().startsWith("aws:"))) {
    throw failed(of, "tag keys that start with aws: are reserved.");
  }
  if (entries.length + otherCount > TAG_COUNT_MAX) {
    throw failed(of, `a given stream cannot have more than ${TAG_COUNT_MAX} tags associated with it.`);
  }
}
