/** The service control policies that limit an account: what decisions need, read anew when anything was written. */
import type { CompiledPolicy } from "../../authz/types.ts";
import { LruMap } from "../../base/lru.ts";
import type { Reader } from "../../store/table.ts";
import { type CompilePolicy, FULL_ACCESS_ID, UNIT_DEPTH_MAX } from "./model.ts";
import { findPolicy } from "./policy-lookup.ts";
import { attachedTo } from "./policy-use.ts";
import {
  type NodeRecord,
  nodes,
  type OrganizationRecord,
  organizations,
  type PolicyRecord,
  THE_ORGANIZATION,
} from "./records.ts";

/** A list for each level from the root down to the account. Empty: nothing limits it. */
export type ServiceControls = readonly (readonly CompiledPolicy[])[];

export interface ServiceControlsDeps {
  readonly reader: Reader;
  /** The store's: while it is the same number, nothing that was read has changed. Null: it cannot tell. */
  readonly generation: () => number | null;
  readonly compilePolicy: CompilePolicy;
  /** Told of what was found, each time that it is read (the log). */
  readonly onUnusable: (problem: { readonly accountId: string; readonly id: string; readonly cause: unknown }) => void;
}

/** Accounts whose levels are kept ready. */
const KEPT_COUNT_MAX = 1_000;
/** Root, units and account. */
const LEVELS_MAX = UNIT_DEPTH_MAX + 2;

const NONE: ServiceControls = [];

/** What cannot be read may have denied anything. */
const denyEverything = (id: string): CompiledPolicy => ({
  id,
  statements: [
    { sid: "UnusablePolicy", index: 0, effect: "Deny", matchesPrincipal: () => "exact", matches: () => true },
  ],
  stop: "unreadable",
});

interface Kept {
  readonly generation: number;
  readonly levels: ServiceControls;
}

/**
 * The levels of an account, the same object as long as they are the same. Answers at once while nothing was written to the
 * store; a policy is compiled once for each version of its record. A level that has FullAWSAccess alone takes nothing away and is
 * left out, so that accounts whom nobody limits cost nothing.
 */
export function createServiceControls(
  deps: ServiceControlsDeps,
): (accountId: string) => ServiceControls | Promise<ServiceControls> {
  const kept = new LruMap<string, Kept>(KEPT_COUNT_MAX);
  const compiled = new WeakMap<PolicyRecord, CompiledPolicy>();
  const unusable = new Map<string, CompiledPolicy>();

  const denyFor = (accountId: string, id: string, cause: unknown): CompiledPolicy => {
    deps.onUnusable({ accountId, id, cause });
    // One object for each id, so that what was decided under it is remembered as the same.
    const known = unusable.get(id) ?? denyEverything(id);
    if (unusable.size < KEPT_COUNT_MAX) unusable.set(id, known);
    return known;
  };

  const policyOf = async (accountId: string, policyId: string): Promise<CompiledPolicy> => {
    const record = await findPolicy(deps.reader, policyId);
    if (record === null) return denyFor(accountId, policyId, new Error("the policy is not stored"));
    const known = compiled.get(record);
    if (known !== undefined) return known;
    try {
      const policy = deps.compilePolicy(record.content, policyId);
      compiled.set(record, policy);
      return policy;
    } catch (cause) {
      return denyFor(accountId, policyId, cause);
    }
  };

  const read = async (accountId: string): Promise<ServiceControls> => {
    const organization = await deps.reader.get(organizations, THE_ORGANIZATION);
    if (organization === null || !organization.policiesEnabled) return NONE;
    if (accountId === organization.managementAccountId) return NONE;
    const ids = await levelsOf(deps.reader, organization, accountId);
    if (ids === null)
      return [[denyFor(accountId, accountId, new Error("the account has no place in the organization"))]];
    const levels: (readonly CompiledPolicy[])[] = [];
    for (const level of ids) {
      if (level.length === 1 && level[0] === FULL_ACCESS_ID) continue;
      levels.push(await Promise.all(level.map((policyId) => policyOf(accountId, policyId))));
    }
    return levels.length === 0 ? NONE : levels;
  };

  const refresh = async (accountId: string, generation: number | null): Promise<ServiceControls> => {
    const before = kept.get(accountId)?.levels;
    const now = await read(accountId);
    const levels = before !== undefined && sameLevels(before, now) ? before : now;
    if (generation !== null) kept.set(accountId, { generation, levels });
    return levels;
  };

  return (accountId) => {
    // Before anything is read: what is written meanwhile makes this answer old.
    const generation = deps.generation();
    const known = kept.get(accountId);
    return known !== undefined && known.generation === generation ? known.levels : refresh(accountId, generation);
  };
}

/** Ids of the policies of each level, the root's first; null when the account does not hang on the root. */
async function levelsOf(
  read: Reader,
  organization: OrganizationRecord,
  accountId: string,
): Promise<readonly (readonly string[])[] | null> {
  const levels: (readonly string[])[] = [];
  let id: string | null = accountId;
  while (id !== null) {
    const node: NodeRecord | null = await read.get(nodes, [id]);
    if (node === null || levels.length >= LEVELS_MAX) return null;
    levels.unshift(attachedTo(organization, node));
    if (node.parentId === null && node.id !== organization.rootId) return null;
    id = node.parentId;
  }
  return levels;
}

const sameLevels = (a: ServiceControls, b: ServiceControls): boolean =>
  a.length === b.length &&
  a.every((level, at) => {
    const other = b[at] ?? [];
    return level.length === other.length && level.every((policy, place) => policy === other[place]);
  });
