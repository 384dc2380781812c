/** Patterns that match a text, or miss it by a little. For tests only. */
import type { Dice } from "./dice.ts";

/** Condition keys of a request. Names are in lower case. */
export type RawContext = Readonly<Record<string, string | readonly string[]>>;

/** A text's own wildcards would be wildcards in a pattern, too; they match themselves all the same. */
export function fitting(dice: Dice, text: string): string {
  let pattern = text;
  for (let count = dice.upTo(2); count > 0 && pattern.length > 0; count--) {
    const at = dice.upTo(pattern.length - 1);
    if (dice.chance(0.5)) pattern = `${pattern.slice(0, at)}?${pattern.slice(at + 1)}`;
    else pattern = `${pattern.slice(0, at)}*${pattern.slice(at + dice.upTo(pattern.length - at))}`;
  }
  return pattern;
}

/** One character more, less or other than what matches. Now and then it matches still: `ab*` when a `*` swallows the change. */
export function missing(dice: Dice, text: string): string {
  const at = dice.upTo(Math.max(0, text.length - 1));
  const [before, character, after] = [text.slice(0, at), text.charAt(at), text.slice(at + 1)];
  const flipped = character === character.toLowerCase() ? character.toUpperCase() : character.toLowerCase();
  const changed = dice.one([before + flipped + after, `${before}q${after}`, before + after, `${text}q`, `q${text}`]);
  const spoiled = changed === text || changed === "" ? `${text}q` : changed;
  return dice.chance(0.3) ? fitting(dice, spoiled) : spoiled;
}

/** A pattern with wildcards, escapes and variables. Not all are valid in all versions of the language; all compile. */
export function closePattern(dice: Dice, text: string, fits: boolean, context: RawContext): string {
  const base = fits ? text : missing(dice, text).replaceAll(/[*?]/g, "q");
  const at = dice.upTo(base.length);
  switch (dice.upTo(5)) {
    case 0:
      return withVariable(dice, base, context);
    case 1:
      return base.replaceAll(/[*?$]/g, (character) => `\${${character}}`);
    case 2:
      return `${base.slice(0, at)}\${aws:None, '${base.slice(at, at + 2).replaceAll(/[^a-z0-9]/gi, "")}'}${base.slice(at + 2)}`;
    default:
      return fits ? fitting(dice, base) : base;
  }
}

/** Writes a variable where the value of one of the request's keys stands, or somewhere, where none does. */
function withVariable(dice: Dice, text: string, context: RawContext): string {
  const candidates = Object.entries(context).filter(
    ([, value]) => typeof value === "string" && value !== "" && text.includes(value),
  );
  const fallback = dice.chance(0.3) ? ", 'ann'" : "";
  if (candidates.length === 0) return `${text.slice(0, 4)}\${aws:username${fallback}}${text.slice(4)}`;
  const [key, value] = dice.one(candidates);
  return text.replace(String(value), () => `\${${dice.one([key, key.toUpperCase()])}${fallback}}`);
}
