import { createHash } from "node:crypto";
import { validationError } from "../../../base/errors.ts";
import { type EncryptionContext, foldName } from "../encryption-context.ts";
import type { GrantConstraints } from "../shapes.generated.ts";
import type { GrantLimits } from "./records.ts";

/** Of one constraint on the encryption context (API reference of GrantConstraints). */
export const PAIRS_MAX = 8;
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
    .map(([name, value]) => JSON.stringify([foldName(name), value]))
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
  if (equals !== null) return samePairs(equals, context);
  return subset === null || includes(context, subset);
}

/** Does a grant with `child`'s constraints allow nothing that `parent`'s do not? */
export function isAsStrict(child: GrantLimits, parent: GrantLimits): boolean {
  if (parent.sourceArn !== null && parent.sourceArn !== child.sourceArn) return false;
  if (parent.equals !== null) return child.equals !== null && samePairs(parent.equals, child.equals);
  return parent.subset === null || includes(child.equals ?? child.subset, parent.subset);
}

function samePairs(wanted: EncryptionContext, given: EncryptionContext | undefined): boolean {
  // First, because a request may have thousands of pairs.
  if (Object.keys(wanted).length !== Object.keys(given ?? {}).length) return false;
  const pairs = foldedPairs(given);
  return foldedPairs(wanted).every((pair, at) => pair === pairs[at]);
}

/**
 * Has each name of `wanted` its value in `given`, and no other? A context may hold `Key` and `key`, which are one name to
 * constraints: whoever reads either of them must find what the constraint says.
 */
function includes(given: EncryptionContext | null | undefined, wanted: EncryptionContext): boolean {
  const values = new Map<string, Set<string>>();
  const missing = new Set<string>();
  const lengths = new Set<number>();
  for (const [name, value] of Object.entries(wanted)) {
    const folded = foldName(name);
    values.set(folded, (values.get(folded) ?? new Set()).add(value));
    missing.add(JSON.stringify([folded, value]));
    lengths.add(name.length);
  }
  for (const name in given) {
    // Spares nearly all names of a long context the folding, which leaves the length as it is.
    if (!lengths.has(name.length)) continue;
    const folded = foldName(name);
    const value = given[name] ?? "";
    const allowed = values.get(folded);
    if (allowed === undefined) continue;
    if (!allowed.has(value)) return false;
    missing.delete(JSON.stringify([folded, value]));
  }
  return missing.size === 0;
}
