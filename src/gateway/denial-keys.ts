/** How the condition keys of a denial are written for people, and which of those that policies asked for were not there. */
import { GLOBAL_KEYS, ownContext } from "../authz/context.ts";
import { contextKeysOf } from "../authz/context-keys.ts";
import { policiesByKind } from "../authz/denial.ts";
import type { AuthorizationRequest, CompiledPolicy, ContextValue, PolicyKind } from "../authz/types.ts";
import { foldName } from "../authz/values.ts";
import type { AccessCheck, Call } from "./contract.ts";

/** A policy whose document is at hand. */
export type Documented = CompiledPolicy & { readonly document?: string };

/** What is asked for by a policy and not in the request. */
export interface AbsentKey {
  readonly key: string;
  /** The policies that speak of it. */
  readonly kinds: readonly PolicyKind[];
  /** Policies speak of it, but none was asked whether it applies by it. Only across accounts: see `absentKeys`. */
  readonly unasked?: true;
}

/** AWS's spelling of what stands before the tag's name, which policies may write as they like. */
const TAG_KEYS = ["aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/"] as const;
const ABSENT_COUNT_MAX = 50;
const KEY_LENGTH_MAX = 256;
/** Of documents that are read for their keys: what they hold is asked for while a caller waits. */
const DOCUMENTS_LENGTH_MAX = 262_144;

export interface KeyNames {
  readonly nameOf: (folded: string) => string;
  readonly absent: readonly AbsentKey[];
}

export function keyNames(denied: {
  readonly call: Call;
  readonly check: AccessCheck;
  readonly request: AuthorizationRequest;
  readonly principalTags: Readonly<Record<string, string>>;
  readonly asked: ReadonlySet<string>;
  readonly present: ReadonlyMap<string, ContextValue>;
}): KeyNames {
  const { call, check, request, principalTags, asked, present } = denied;
  const { session } = call.principal;
  const tags = Object.keys({ ...principalTags, ...session?.tags }).map((tag) => `aws:PrincipalTag/${tag}`);
  const own = [...Object.keys(ownContext(check.context)), ...Object.keys(session?.federation?.claims ?? {})];
  const names = new Map([...tags, ...own, ...GLOBAL_KEYS].map((name) => [foldName(name), name] as const));
  const missing = [...asked].filter((name) => !isPresent(present.get(name)));
  const across = isAcrossAccounts(call, check);
  const kinds = missing.length === 0 && !across ? new Map<string, Set<PolicyKind>>() : keysOfDocuments(request, names);
  const nameOf = (folded: string): string => names.get(folded) ?? folded;
  const unasked = across ? [...kinds.keys()].filter((name) => !asked.has(name) && !isPresent(present.get(name))) : [];
  return { nameOf, absent: absentKeys([...missing, ...unasked], { kinds, nameOf, unasked: new Set(unasked) }) };
}

/** A service that acts by itself does so for the resource's account. */
export const isAcrossAccounts = ({ principal }: Call, { resourceAccountId }: AccessCheck): boolean =>
  principal.accountId !== "" && principal.accountId !== resourceAccountId;

/**
 * Across accounts with the keys that nobody asked for: each side is told which keys its own policies speak of, so that what it
 * is told does not depend on whether the other side's policy asked for one of them. For the same reason each side has
 * its own room.
 */
function absentKeys(
  folded: readonly string[],
  {
    kinds,
    nameOf,
    unasked,
  }: {
    readonly kinds: ReadonlyMap<string, ReadonlySet<PolicyKind>>;
    readonly nameOf: (folded: string) => string;
    readonly unasked: ReadonlySet<string>;
  },
): readonly AbsentKey[] {
  let [ofResource, ofCaller] = [0, 0];
  return [...folded].sort().flatMap((name) => {
    const of = [...(kinds.get(name) ?? [])];
    const isOfResource = of.includes("resource") && ofResource++ < ABSENT_COUNT_MAX;
    const isOfCaller = (of.length === 0 || of.some((kind) => kind !== "resource")) && ofCaller++ < ABSENT_COUNT_MAX;
    if (!isOfResource && !isOfCaller) return [];
    const shown = of.filter((kind) => (kind === "resource" ? isOfResource : isOfCaller));
    const key = nameOf(name).slice(0, KEY_LENGTH_MAX);
    return [unasked.has(name) ? { key, kinds: shown, unasked: true as const } : { key, kinds: shown }];
  });
}

/** An empty list is none to conditions. */
const isPresent = (value: ContextValue | undefined): boolean =>
  value !== undefined && !(Array.isArray(value) && value.length === 0);

/** Which kinds of policies speak of a key; `names` learns how they write those that nobody else has written. */
function keysOfDocuments(request: AuthorizationRequest, names: Map<string, string>): Map<string, Set<PolicyKind>> {
  const kinds = new Map<string, Set<PolicyKind>>();
  let room = DOCUMENTS_LENGTH_MAX;
  for (const [kind, policies] of policiesByKind(request)) {
    for (const { document } of policies as readonly Documented[]) {
      if (document === undefined || document.length > room) continue;
      room -= document.length;
      for (const name of contextKeysOf(document)) {
        const folded = foldName(name);
        if (!names.has(folded)) names.set(folded, awsSpelling(name));
        kinds.set(folded, (kinds.get(folded) ?? new Set<PolicyKind>()).add(kind));
      }
    }
  }
  return kinds;
}

function awsSpelling(name: string): string {
  const prefix = TAG_KEYS.find((head) => foldName(name).startsWith(foldName(head)));
  return prefix === undefined ? name : `${prefix}${name.slice(prefix.length)}`;
}
