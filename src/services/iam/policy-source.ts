import type { PolicyHolder, PolicySource, PrincipalPolicies, SessionLimits } from "../../authz/policy-source.ts";
import type { CompiledPolicy, StopReason } from "../../authz/types.ts";
import { accountRootArn } from "../../base/arn.ts";
import type { Reader } from "../../store/table.ts";
import { compiledDocument, createCompiledPolicies } from "./compiled-policies.ts";
import type { CompiledPolicies, NamedPolicy } from "./compiled-policies.ts";
import { foldedName, parseIssuerArn } from "./model.ts";
import type { CompilePolicy } from "./model.ts";
import { inlinePolicyId } from "./operations/inline-policies.ts";
import { groups, renamedUsers, roles, users } from "./records.ts";
import type { GroupRecord, RoleRecord, UserRecord } from "./records.ts";

/** Why a principal is denied everything: something that decisions need is missing or cannot be read. */
export interface UnusablePolicy {
  readonly principalArn: string;
  /** An ARN, or the name of an inline policy. */
  readonly policyId: string;
  readonly cause: unknown;
}

export interface PolicySourceDeps {
  readonly reader: Reader;
  readonly compilePolicy: CompilePolicy;
  readonly compileSessionPolicy: CompilePolicy;
  /** Told of what was found, for each request that meets it (the log). */
  readonly onUnusablePolicy: (problem: UnusablePolicy) => void;
}

const NOTHING: PrincipalPolicies = {
  identityPolicies: [],
  boundary: null,
  sessionPolicies: null,
  serviceControlPolicies: [],
  tags: {},
};

/** Always this object: who remembers a permission compares it. */
const NO_SESSION_POLICIES: readonly CompiledPolicy[] = [];

const everything = (id: string, effect: "Allow" | "Deny", sid: string | null): CompiledPolicy => ({
  id,
  statements: [{ sid, index: 0, effect, matchesPrincipal: () => "exact", matches: () => true }],
});

/** An explicit deny, because a policy that cannot be read may have held one. */
const denyEverything = (id: string, stop: StopReason): CompiledPolicy => ({
  ...everything(id, "Deny", "UnusablePolicy"),
  stop,
});

const nothingFor = (principalArn: string, stop: StopReason): PrincipalPolicies => ({
  ...NOTHING,
  identityPolicies: [denyEverything(principalArn, stop)],
});

/** The account's root may do everything, without a policy that says so: what sessions of a federated user of root begin with. */
const ROOT_POLICIES: PrincipalPolicies = { ...NOTHING, identityPolicies: [everything("root", "Allow", null)] };

/** Tells of a policy that cannot be used, and puts a deny in its place. */
type Usable = (principalArn: string, named: NamedPolicy) => CompiledPolicy;

/**
 * The policies of IAM's principals. Reads the user or role, a user's groups and all attached policies at each call, so that a
 * change is in force with the next request.
 */
export function createPolicySource(deps: PolicySourceDeps): PolicySource {
  const compiled = createCompiledPolicies(deps.reader, deps.compilePolicy);
  const usable: Usable = (principalArn, [policyId, result]) => {
    if ("policy" in result) return result.policy;
    deps.onUnusablePolicy({ principalArn, policyId, cause: result.cause });
    return denyEverything(policyId, "unreadable");
  };
  const entities = entityPolicies(deps, compiled, usable);
  const sessionPoliciesOf = sessionPolicies(deps.compileSessionPolicy, compiled, usable);
  return {
    async policiesOf(principal) {
      const { type, session } = principal;
      // Root needs no policy; who has no account here yet, and a service that acts by itself, have none: what they may do,
      // policies of resources and roles say.
      if (type === "Service" || type === "WebIdentity") return NOTHING;
      // Root's sessions (GetSessionToken) carry no limits; one that does is none of ours.
      if (type === "Root")
        return (session?.limits ?? null) === null ? NOTHING : nothingFor(principal.arn, "unreadable");
      const unlimited = await unlimitedPolicies(entities, principal);
      if (session === undefined && type !== "FederatedUser") return unlimited;
      return { ...unlimited, sessionPolicies: await sessionPoliciesOf(principal) };
    },
  };
}

/** All but what limits the session. */
async function unlimitedPolicies(entities: EntityPolicies, principal: PolicyHolder): Promise<PrincipalPolicies> {
  const { type, arn, accountId, userId, userName, session } = principal;
  if (type === "User" && userName !== undefined) {
    if (session !== undefined && session.issuerId !== userId) return nothingFor(arn, "replaced");
    return entities.ofUser(arn, { accountId, name: userName, arn, id: userId });
  }
  if (session === undefined) return nothingFor(arn, "deleted");
  const { issuerArn, issuerId } = session;
  if (type === "FederatedUser" && issuerArn === accountRootArn(accountId)) return ROOT_POLICIES;
  const issuer = parseIssuerArn(issuerArn);
  const identity = { accountId, name: issuer?.name ?? "", arn: issuerArn, id: issuerId };
  if (type === "FederatedUser" && issuer?.type === "user") return entities.ofUser(arn, identity);
  if (type === "AssumedRole" && issuer?.type === "role") return entities.ofRole(arn, identity);
  return nothingFor(arn, "deleted");
}

/** Which user or role is meant. Another one that was made under its name later, and so has another id, is not. */
interface Identity {
  readonly accountId: string;
  readonly name: string;
  readonly arn: string;
  readonly id: string;
}

interface EntityPolicies {
  ofUser(principalArn: string, user: Identity): Promise<PrincipalPolicies>;
  ofRole(principalArn: string, role: Identity): Promise<PrincipalPolicies>;
}

/** Of a user that is not under its name any more; `found`: the id of the one that is. */
async function whatBecameOf(
  reader: Reader,
  { accountId, id }: Identity,
  found: string | undefined,
): Promise<StopReason> {
  if (found === id) return "renamed";
  const renamed = await reader.get(renamedUsers, [accountId, id]);
  const user = renamed === null ? null : await reader.get(users, [accountId, foldedName(renamed.userName)]);
  if (user?.userId === id) return "renamed";
  return found === undefined ? "deleted" : "replaced";
}

/** How often a user is read again because one of its groups has gone in between. */
const RETRIES_MAX = 2;

function entityPolicies(deps: PolicySourceDeps, compiled: CompiledPolicies, usable: Usable): EntityPolicies {
  const { reader } = deps;

  /** What follows from a user's or role's own record, and from its groups'. */
  const policiesOf = async (
    principalArn: string,
    entity: UserRecord | RoleRecord,
    ofGroups: readonly GroupRecord[],
  ): Promise<PrincipalPolicies> => {
    const { accountId, boundaryArn } = entity;
    const { inline, tags } = compiled.partsOf(entity, inlinePolicyId);
    const inlineOfGroups = ofGroups.flatMap((group) => compiled.partsOf(group, groupPolicyId(group)).inline);
    // What is attached to a user and to its groups as well counts once.
    const arns = new Set([entity, ...ofGroups].flatMap(({ attachedPolicyArns }) => attachedPolicyArns));
    const all = [...inline, ...inlineOfGroups, ...(await compiled.allManaged(accountId, arns))];
    return {
      ...NOTHING,
      identityPolicies: all.map((named) => usable(principalArn, named)),
      boundary:
        boundaryArn === null
          ? null
          : usable(principalArn, [boundaryArn, await compiled.managed(accountId, boundaryArn)]),
      tags,
    };
  };

  const ofUser = async (principalArn: string, of: Identity, retries = RETRIES_MAX): Promise<PrincipalPolicies> => {
    const read = () => reader.get(users, [of.accountId, foldedName(of.name)]);
    const user = await read();
    // Changed since the request was authenticated: afterwards its credentials are nobody's (credential-source.ts).
    if (user === null || user.arn !== of.arn || user.userId !== of.id) {
      return nothingFor(principalArn, await whatBecameOf(reader, of, user?.userId));
    }
    const names = user.groupNames ?? [];
    const found = await Promise.all(names.map((name) => reader.get(groups, [of.accountId, name])));
    const missing = names.find((_name, at) => found[at] === null);
    if (missing === undefined) {
      return policiesOf(
        principalArn,
        user,
        found.flatMap((group) => (group === null ? [] : [group])),
      );
    }
    // A group that was renamed or deleted between the two reads has changed its users, too.
    if (retries > 0 && (await read()) !== user) return ofUser(principalArn, of, retries - 1);
    const cause = new Error("a group of the user is not stored");
    deps.onUnusablePolicy({ principalArn, policyId: `group/${missing}`, cause });
    return nothingFor(principalArn, "unreadable");
  };

  return {
    ofUser: (principalArn, user) => ofUser(principalArn, user),
    async ofRole(principalArn, of) {
      const role = await reader.get(roles, [of.accountId, foldedName(of.name)]);
      if (role === null || role.arn !== of.arn || role.roleId !== of.id) {
        return nothingFor(principalArn, role === null ? "deleted" : "replaced");
      }
      return policiesOf(principalArn, role, []);
    },
  };
}

/** How decisions call a group's inline policy. */
const groupPolicyId =
  ({ groupName }: GroupRecord) =>
  (policyName: string): string =>
    inlinePolicyId(`group/${groupName}/${policyName}`);

/** What was made of a session's limits. */
interface LimitParts {
  readonly inline: readonly NamedPolicy[];
  /** As it was answered last: the same list as long as it holds the same, for who remembers a permission. */
  last: readonly CompiledPolicy[];
}

/** A session without limits has all of its issuer's power; a federated user has none of it but what limits let through. */
function sessionPolicies(
  compile: CompilePolicy,
  compiled: CompiledPolicies,
  usable: Usable,
): (principal: PolicyHolder) => Promise<readonly CompiledPolicy[] | null> {
  const known = new WeakMap<SessionLimits, LimitParts>();

  const partsOf = (limits: SessionLimits): LimitParts => {
    const before = known.get(limits);
    if (before !== undefined) return before;
    const inline = limits.documents.map((document, at) => {
      const id = `session:${at}`;
      return [id, compiledDocument(compile, document, id)] as const;
    });
    const parts = { inline, last: NO_SESSION_POLICIES };
    known.set(limits, parts);
    return parts;
  };

  return async ({ type, arn, accountId, session }) => {
    const limits = session?.limits ?? null;
    if (limits === null) return type === "FederatedUser" ? NO_SESSION_POLICIES : null;
    const parts = partsOf(limits);
    const all = [...parts.inline, ...(await compiled.allManaged(accountId, new Set(limits.policyArns)))];
    const now = all.map((named) => usable(arn, named));
    const { last } = parts;
    if (now.length !== last.length || now.some((policy, at) => policy !== last[at])) parts.last = now;
    return parts.last;
  };
}
