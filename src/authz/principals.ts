import { PARTITION, parseArn } from "../base/arn.ts";
import { objectOf, textsOf, type Json } from "./json.ts";
import type { PolicyDocumentKind } from "./policy-document-kind.ts";
import { PolicyError, quoted } from "./policy-error.ts";
import type { AuthorizationPrincipal, AuthorizationRequest, PrincipalMatch } from "./types.ts";

/** Whom a Principal or NotPrincipal element names, sorted by how the rules tell them apart. */
export interface PrincipalSet {
  readonly everyone: boolean;
  /** Account ids, from `arn:aws:iam::ID:root` and bare ids. */
  readonly accounts: ReadonlySet<string>;
  /** ARNs of users, role sessions and federated users. */
  readonly identities: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** `aws:userid` of users and role sessions that were bound to their unique ids, and do not stand in `identities`. */
  readonly userIds: ReadonlySet<string>;
  /** Unique ids of roles that were bound to them, and do not stand in `roles`. */
  readonly roleIds: ReadonlySet<string>;
  /** e.g. `events.amazonaws.com`. */
  readonly services: ReadonlySet<string>;
  /** Identity providers, by ARN; canonical ids are accepted and kept, though no principal here comes from one. */
  readonly others: ReadonlySet<string>;
}

/**
 * Unique ids by ARN: `AIDA...` of a user, `AROA...` of a role, `AROA...:NAME` of a role's session. A stored policy keeps those
 * of the principals that it names, so that one that is deleted and made again under its name is another (IAM user guide,
 * "AWS JSON policy elements: Principal"). ARNs without one are compared as they stand: federated users, who have no unique
 * id, and everyone in what older builds stored.
 */
export type PrincipalIds = Readonly<Record<string, string>>;

/** The members of PrincipalSet that hold names. */
type NameList = Exclude<keyof PrincipalSet, "everyone" | "userIds" | "roleIds">;

const NOBODY: ReadonlySet<string> = new Set();
const UNBOUND = { userIds: NOBODY, roleIds: NOBODY };

const ACCOUNT_ID = /^\d{12}$/;
const NAME = /^[\w+=,.@-]+$/;
/** A segment of a user's or role's path: printable, without the wildcards. */
const PATH_SEGMENT = /^[!-)+-.0->@-~]+$/;
const SERVICE_NAME = /^[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws|amazon)\.com$/;
const PROVIDER = /^([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+$/;
const PROVIDER_ARN = /^arn:aws:iam::\d{12}:(saml-provider|oidc-provider)\/[^\s*?]+$/;
const CANONICAL_ID = /^[0-9a-f]{64}$/;

/** @throws PolicyError `InvalidPrincipal`, `WrongType` */
export function parsePrincipals(json: Json, kind: PolicyDocumentKind, path: string): PrincipalSet {
  let everyone = json === "*";
  const names: Record<NameList, Set<string>> = {
    accounts: new Set(),
    identities: new Set(),
    roles: new Set(),
    services: new Set(),
    others: new Set(),
  };
  if (everyone) return { everyone, ...names, ...UNBOUND };
  if (typeof json === "string")
    throw new PolicyError("InvalidPrincipal", path, `${quoted(json)} is not "*" or an object`);
  const entries = Object.entries(objectOf(json, path));
  if (entries.length === 0) throw new PolicyError("InvalidPrincipal", path, "the element names nobody");
  for (const [type, value] of entries) {
    const given = textsOf(value, `${path}.${type}`);
    if (given.length === 0) throw new PolicyError("InvalidPrincipal", `${path}.${type}`, "the list is empty");
    for (const name of given) {
      const list = type === "AWS" && name === "*" ? "everyone" : listOf(type, name, kind);
      if (list === null)
        throw new PolicyError("InvalidPrincipal", `${path}.${type}`, `${quoted(name)} is not a principal`);
      if (list === "everyone") everyone = true;
      else names[list].add(list === "accounts" ? accountIdOf(name) : name);
    }
  }
  return { everyone, ...names, ...UNBOUND };
}

/** The same principals, by their unique ids where they have one. */
export function bindPrincipals(set: PrincipalSet, ids: PrincipalIds): PrincipalSet {
  const idOf = (arn: string): string[] => {
    const id = Object.hasOwn(ids, arn) ? ids[arn] : undefined;
    return id === undefined ? [] : [id];
  };
  const unbound = (arns: ReadonlySet<string>): Set<string> => new Set([...arns].filter((arn) => !idOf(arn).length));
  return {
    ...set,
    identities: unbound(set.identities),
    roles: unbound(set.roles),
    userIds: new Set([...set.identities].flatMap(idOf)),
    roleIds: new Set([...set.roles].flatMap(idOf)),
  };
}

/** Whom a PrincipalDirectory can know: accounts, users, roles and sessions. */
export const namesIn = (set: PrincipalSet | null): readonly string[] =>
  set === null ? [] : [...set.accounts, ...set.identities, ...set.roles];

/** Null when the name is not a principal of that type. */
function listOf(type: string, name: string, kind: PolicyDocumentKind): NameList | null {
  switch (type) {
    case "AWS":
      return awsListOf(name);
    case "Service":
      return SERVICE_NAME.test(name) ? "services" : null;
    case "Federated":
      return PROVIDER.test(name) || PROVIDER_ARN.test(name) ? "others" : null;
    case "CanonicalUser":
      return kind === "resource" && CANONICAL_ID.test(name) ? "others" : null;
    default:
      return null;
  }
}

/** Wildcards inside an ARN are refused, as in AWS: aws:PrincipalArn with ArnLike is the way to say that. */
function awsListOf(name: string): NameList | null {
  if (ACCOUNT_ID.test(name)) return "accounts";
  const arn = parseArn(name);
  if (arn === null || arn.partition !== PARTITION || arn.region !== "" || !ACCOUNT_ID.test(arn.accountId)) return null;
  if (arn.service === "iam" && arn.resource === "root") return "accounts";
  const [type, ...segments] = arn.resource.split("/");
  if (!NAME.test(segments.at(-1) ?? "") || !segments.every((segment) => PATH_SEGMENT.test(segment))) return null;
  switch (`${arn.service}:${type}`) {
    case "iam:user":
      return "identities";
    case "iam:role":
      return "roles";
    case "sts:assumed-role":
      return segments.length === 2 ? "identities" : null;
    case "sts:federated-user":
      return segments.length === 1 ? "identities" : null;
    default:
      return null;
  }
}

/** Of `arn:aws:iam::ID:root` or the bare id. */
const accountIdOf = (name: string): string => parseArn(name)?.accountId ?? name;

/** How a Principal element names the caller: the strongest way, where it does so in several. */
export function matchPrincipal(set: PrincipalSet, principal: AuthorizationPrincipal): PrincipalMatch {
  if (principal.type === "Service") {
    if (set.services.has(principal.arn)) return "exact";
    return set.everyone ? "everyone" : "none";
  }
  // Somebody whom an identity provider vouches for goes by the provider's ARN, and belongs to no account.
  if (principal.type === "WebIdentity") {
    return set.others.has(principal.arn) ? "exact" : set.everyone ? "everyone" : "none";
  }
  if (isIn(set, principal)) return "exact";
  if (set.everyone) return "everyone";
  if (roleIsIn(set, principal)) return "role";
  return set.accounts.has(principal.accountId) ? "account" : "none";
}

/**
 * How a NotPrincipal element (always with Deny) meets the caller: `none` when the caller is exempt. A caller is exempt only
 * if the element lists its account and itself, for a role session also the role (IAM User Guide, NotPrincipal: the account
 * is looked at first, then the role, then the session). With a permissions boundary nobody is exempt (ibid., boundaries).
 */
export function matchNotPrincipal(set: PrincipalSet, request: AuthorizationRequest): PrincipalMatch {
  const { principal } = request;
  if (principal.type === "Service") return set.everyone || set.services.has(principal.arn) ? "none" : "everyone";
  if (request.boundary !== null) return "everyone";
  if (set.everyone) return "none";
  const listed =
    set.accounts.has(principal.accountId) &&
    (principal.type === "Root" || isIn(set, principal)) &&
    (principal.type !== "AssumedRole" || roleIsIn(set, principal));
  return listed ? "none" : "everyone";
}

const isIn = (set: PrincipalSet, { type, arn, userId }: AuthorizationPrincipal): boolean =>
  set.identities.has(arn) || ((type === "User" || type === "AssumedRole") && set.userIds.has(userId));

function roleIsIn(set: PrincipalSet, { type, roleArn, roleId }: AuthorizationPrincipal): boolean {
  if (type !== "AssumedRole") return false;
  return (roleArn !== undefined && set.roles.has(roleArn)) || (roleId !== undefined && set.roleIds.has(roleId));
}
