import type { ContextValue, ContextValues } from "./types.ts";
import { foldName } from "./values.ts";

/** Up to so many names are looked through one by one, which is sooner done than folding all of them. */
const SCANNED_COUNT_MAX = 24;
const [UPPER_A, UPPER_Z, CASE_BIT] = [0x41, 0x5a, 0x20];

/**
 * An operation's own condition keys, by their folded names. Names that differ only in case are one condition key (an
 * encryption context may hold `Team` and `team`), whose values stand side by side, so that neither hides the other.
 */
export function foldedOwn(own: ContextValues): Map<string, ContextValue> {
  const folded = new Map<string, ContextValue>();
  for (const name of Object.keys(own)) {
    const key = foldName(name);
    const value = beside(folded.get(key), own[name]);
    if (value !== undefined) folded.set(key, value);
  }
  return folded;
}

/** The same keys, asked for one at a time. */
export function ownLookUp(own: ContextValues): (name: string) => ContextValue | undefined {
  const names = Object.keys(own);
  if (names.length > SCANNED_COUNT_MAX) {
    const folded = foldedOwn(own);
    return (name) => folded.get(name);
  }
  // Remembered, because a policy may ask for one long name any number of times.
  const known = new Map<string, ContextValue | undefined>();
  return (name) => {
    let found = known.get(name);
    if (found !== undefined || known.has(name)) return found;
    for (const written of names) if (foldsTo(written, name)) found = beside(found, own[written]);
    known.set(name, found);
    return found;
  };
}

function beside(
  present: ContextValue | undefined,
  value: string | readonly string[] | undefined,
): ContextValue | undefined {
  if (present === undefined || value === undefined) return present ?? value;
  if (typeof present === "object" && "alternatives" in present) {
    return { alternatives: [...present.alternatives, value] };
  }
  return { alternatives: [present, value] };
}

/** Whether `foldName(written)` is `folded`. Folding the case of ASCII letters leaves the length as it is. */
function foldsTo(written: string, folded: string): boolean {
  if (written.length !== folded.length) return false;
  // From the end: names of one service begin alike.
  for (let at = written.length - 1; at >= 0; at--) {
    const code = written.charCodeAt(at);
    if ((code >= UPPER_A && code <= UPPER_Z ? code | CASE_BIT : code) !== folded.charCodeAt(at)) return false;
  }
  return true;
}
