/** Values of condition keys in a request. Names are matched without regard to case; absent means absent. */
export type ContextValues = Readonly<Record<string, string | readonly string[]>>;

/**
 * Values of condition keys whose names differ only in case: policies see one key, the request has several. What holds must
 * hold for each of them in an Allow, and for any in a Deny, so that none can stand in for another.
 */
export interface Alternatives {
  readonly alternatives: readonly (string | readonly string[])[];
}

export type ContextValue = string | readonly string[] | Alternatives;

/** The condition keys of a request: names in lower case (ASCII). Undefined: the request has no such key. */
export interface RequestContext {
  readonly get: (name: string) => ContextValue | undefined;
}

/** What a computation may still cost: see evaluation.ts. Negative: it is used up. */
export interface Work {
  stepsLeft: number;
}

/** One decision under way. */
export interface Evaluation extends Work {
  readonly request: AuthorizationRequest;
  /** In lower case. */
  readonly action: string;
  readonly context: RequestContext;
  /** Set when a variable names a key with alternatives: neither of its values may be taken. */
  unclear: boolean;
}

/**
 * Why nothing is permitted, though no policy says so: the principal was deleted, another one has its name now, it has another
 * name or path now, or what decides cannot be read.
 */
export type StopReason = "deleted" | "replaced" | "renamed" | "unreadable";

/** A policy document, parsed, checked and compiled to closures. Opaque outside authz/. */
export interface CompiledPolicy {
  /** How the policy is called in decisions: an ARN or `inline:NAME`. */
  readonly id: string;
  readonly statements: readonly CompiledStatement[];
  /**
   * The users, roles, sessions and accounts (by id) that Principal and NotPrincipal name: whoever stores the policy asks a
   * PrincipalDirectory for them. Absent: none.
   */
  readonly principals?: readonly string[];
  /** The unique ids that names among them were bound to when the policy was stored, by name. */
  readonly principalIds?: Readonly<Record<string, string>>;
  /** Nobody wrote it: it denies everything in the place of what is missing, for this reason. */
  readonly stop?: StopReason;
}

export interface CompiledStatement {
  readonly sid: string | null;
  /** Position in the document, from 0. */
  readonly index: number;
  readonly effect: "Allow" | "Deny";
  /** Does the statement apply to this principal? Always true for identity policies. */
  readonly matchesPrincipal: (request: AuthorizationRequest) => PrincipalMatch;
  /** Do action, resource and conditions apply? */
  readonly matches: (evaluation: Evaluation) => boolean;
}

/**
 * How a statement's Principal named the caller: the rules for same-account access differ by it. `account`: by its account
 * (the root ARN), which only delegates. `role`: by the role of its session. `exact`: by its own ARN or service name.
 */
export type PrincipalMatch = "none" | "account" | "everyone" | "role" | "exact";

export interface AuthorizationPrincipal {
  readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "WebIdentity" | "Service";
  /** For an assumed role the session's ARN; for a service its name, `events.amazonaws.com`. */
  readonly arn: string;
  readonly accountId: string;
  readonly userId: string;
  /** For a role session: the role's ARN. */
  readonly roleArn?: string;
  /** For a role session: the role's unique id, `AROA...`. */
  readonly roleId?: string;
}

export interface AuthorizationRequest {
  readonly principal: AuthorizationPrincipal;
  readonly action: string;
  readonly resource: string;
  readonly resourceAccountId: string;
  readonly identityPolicies: readonly CompiledPolicy[];
  /** Null: no boundary is set. */
  readonly boundary: CompiledPolicy | null;
  /**
   * Null: none limit the session. Otherwise at least one of them must allow, so an empty list (a federated user without
   * policies) allows nothing.
   */
  readonly sessionPolicies: readonly CompiledPolicy[] | null;
  /** Service control policies, a list per level from the root down; each level must allow. Empty: none in force. */
  readonly serviceControlPolicies: readonly (readonly CompiledPolicy[])[];
  readonly resourcePolicy: CompiledPolicy | null;
  /** "required": without an allow (or a delegation to the account) in the resource policy nobody has access. */
  readonly resourcePolicyMode: "optional" | "required";
  /** All condition keys of the request. */
  readonly context: RequestContext;
}

export type PolicyKind = "identity" | "resource" | "session" | "boundary" | "service control";

/** A grant that covers the request and whose own constraints hold for it (KMS). */
export interface ApplicableGrant {
  readonly grantId: string;
  /** How it names the caller: see `PrincipalMatch`. */
  readonly match: "exact" | "role" | "account";
}

export interface Decision {
  readonly allowed: boolean;
  /** "explicit": a Deny statement matched. "implicit": nothing allowed it. "allow": a statement allowed it. */
  readonly reason: "allow" | "explicit" | "implicit";
  /** The kind of policy that decided: that held the deny, that lacked the allow, or that allowed. A grant only allows. */
  readonly kind: PolicyKind | "grant";
  /** The statement that decided; null for a missing allow and for root's own power. */
  readonly statement: { readonly policyId: string; readonly sid: string | null; readonly index: number } | null;
  /** Of the grant that allowed. */
  readonly grantId?: string;
}
