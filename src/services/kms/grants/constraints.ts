import { createHash } from "node:crypto";
import { validationError } from "../../../base/errors.ts";
import type { EncryptionContext } from "../encryption-context.ts";
import type { GrantConstraints } from "../shapes.generated.ts";
import type { GrantLimits } from "./records.ts";

/** Of one constraint on the encryption context (API reference of GrantConstraints). */
const PAIRS_MAX = 8;
/** The guide speaks of 384 characters of "the encryption context value in each constraint". */
const VALUE_CHARACTERS_MAX = 384;
/** Hexadecimal digits of a digest in an index row. What is found there is compared in full. */
const DIGEST_LENGTH = 32;

/** Reads the constraints of a request. Throws ValidationException for what no grant can have. */
export function limitsOf(constraints: GrantConstraints | undefined): GrantLimits {
  const { EncryptionContextEquals, EncryptionContextSubset, SourceArn } = constraints ?? {};
  // Recorded of AWS, also for one of the two being empty.
  if (EncryptionContextEquals !== undefined && EncryptionContextSubset !== undefined) {
    throw validationError("More than one constraint supplied");
  }
  for (const context of [EncryptionContextEquals, EncryptionContextSubset]) requireBounded(context ?? {});
  return {
    equals: EncryptionContextEquals ?? null,
    // Every context includes the empty one.
    subset: Object.keys(EncryptionContextSubset ?? {}).length === 0 ? null : (EncryptionContextSubset ?? null),
    sourceArn: SourceArn ?? null,
  };
}

function requireBounded(context: EncryptionContext): void {
  const pairs = Object.entries(context);
  if (pairs.length > PAIRS_MAX) {
    throw validationError(`A grant constraint can have at most ${PAIRS_MAX} encryption context pairs.`);
  }
  for (const [name, value] of pairs) {
    if (name.length > VALUE_CHARACTERS_MAX || value.length > VALUE_CHARACTERS_MAX) {
      throw validationError(
        `The names and values of a grant constraint can have at most ${VALUE_CHARACTERS_MAX} characters.`,
      );
    }
    if (!name.isWellFormed() || !value.isWellFormed()) {
      throw validationError("The grant constraint is not valid Unicode text.");
    }
  }
}

/** The pairs as constraints compare them, sorted: names without regard to case, values with. */
export function foldedPairs(context: EncryptionContext | null | undefined): readonly string[] {
  return Object.entries(context ?? {})
    .map(([name, value]) => JSON.stringify([name.toLowerCase(), value]))
    .sort();
}

export const digestOf = (text: string): string =>
  createHash("sha256").update(text, "utf8").digest("hex").slice(0, DIGEST_LENGTH);

/** Of one of `foldedPairs`. */
export const pairDigest = (pair: string): string => digestOf(`pair ${pair}`);

/** Of a whole context, as constraints compare it. */
export const contextDigest = (context: EncryptionContext | null | undefined): string =>
  digestOf(`context [${foldedPairs(context).join()}]`);

/** Do the constraints on the encryption context hold for a request with this one? */
export function contextHolds({ equals, subset }: GrantLimits, context: EncryptionContext | undefined): boolean {
  const given = foldedPairs(context);
  if (equals !== null) return sameList(foldedPairs(equals), given);
  return subset === null || isSubset(foldedPairs(subset), given);
}

/** Does a grant with `child`'s constraints allow nothing that `parent`'s do not? */
export function isAsStrict(child: GrantLimits, parent: GrantLimits): boolean {
  if (parent.sourceArn !== null && parent.sourceArn !== child.sourceArn) return false;
  if (parent.equals !== null) {
    return child.equals !== null && sameList(foldedPairs(child.equals), foldedPairs(parent.equals));
  }
  return parent.subset === null || isSubset(foldedPairs(parent.subset), foldedPairs(child.equals ?? child.subset));
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, at) => item === b[at]);

function isSubset(wanted: readonly string[], given: readonly string[]): boolean {
  const all = new Set(given);
  return wanted.every((pair) => all.has(pair));
}
