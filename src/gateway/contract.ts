/**
 * What a service and the gateway owe each other: types only. A service is a table of operations; the gateway is the only
 * one who runs them (see request-path.ts).
 */
import type { Lazy } from "../base/lazy.ts";
import type { SessionLimits } from "../authz/policy-source.ts";
import type { PrincipalIds } from "../authz/principals.ts";
import type { CompiledPolicy, ContextValues } from "../authz/types.ts";
import type { ServiceError } from "../base/errors.ts";
import type { ServiceModel } from "../protocol/model.ts";
import type { Write } from "../store/metadata-store.ts";
import type { Reader } from "../store/table.ts";

/** Who calls. Made by authn from verified credentials, or by the gateway for a service that acts by itself. */
export interface Principal {
  /** "WebIdentity": somebody whom an OpenID Connect provider vouches for, before there is a session (AssumeRoleWithWebIdentity). */
  readonly type: "Root" | "User" | "AssumedRole" | "FederatedUser" | "WebIdentity" | "Service";
  /** e.g. `arn:aws:iam::123456789012:user/ann`; for an assumed role the session's ARN. */
  readonly arn: string;
  readonly accountId: string;
  /** `aws:userid`: the account id for root, AIDA… for a user, AROA…:session for a role session. */
  readonly userId: string;
  readonly userName?: string;
  readonly accessKeyId?: string;
  /** Of temporary credentials: who they were issued from and what they carry. A user's own (GetSessionToken) have it too. */
  readonly session?: PrincipalSession;
}

export interface PrincipalSession {
  /** The role of a role session; the user (or root) whose credentials asked, for the others. */
  readonly issuerArn: string;
  readonly issuerId: string;
  /** Of a role session or a federated user. */
  readonly name: string;
  readonly issuedAtMs: number;
  readonly mfa: boolean;
  readonly tags: Readonly<Record<string, string>>;
  /** Keys of `tags` that sessions which this one assumes inherit. */
  readonly transitiveTagKeys?: readonly string[];
  readonly sourceIdentity?: string;
  /** What was given when the session was made, to limit it. Null or absent: nothing. */
  readonly limits?: SessionLimits | null;
  /** Of a session for a web identity: the ARN of the provider, and `aud`, `sub` ... as condition keys (`HOST:aud`). */
  readonly federation?: { readonly provider: string; readonly claims: Readonly<Record<string, string>> };
}

/** One request on its way through, or one inner call that a service makes for it. */
export interface Call {
  readonly requestId: string;
  readonly principal: Principal;
  readonly region: string;
  /** Service and operation by their wire names: `kms`, `GenerateDataKey`. */
  readonly service: string;
  readonly operation: string;
  /** Wall-clock time when the call began; one call sees one time. */
  readonly nowMs: number;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** The `referer` header, absent when there was none (`aws:Referer`). */
  readonly referer?: string | undefined;
  readonly secureTransport: boolean;
  /** Of the connection, for the audit event; absent on plain HTTP. */
  readonly tls?: { readonly version: string; readonly cipherSuite: string; readonly host: string } | undefined;
  /**
   * The service that makes this call for the principal (`kinesis`). `requestId` is that of the request that the principal sent:
   * the only one it knows. `before`: the services that called one another ahead of that one, the first one first.
   */
  readonly via?: { readonly service: string; readonly requestId?: string; readonly before?: readonly string[] };
  /** For which resource a service calls on its own (`aws:SourceArn`). */
  readonly sourceArn?: string;
}

/** One thing that must be allowed. An operation with several (ReEncrypt, CreateAlias) must have all of them. */
export interface AccessCheck {
  /** `kms:Encrypt`. */
  readonly action: string;
  /** The ARN, or `*` for operations without a resource. */
  readonly resource: string;
  /** What a denial calls the resource, where its ARN says more than the request did: a user's path, who owns a key. */
  readonly shownResource?: string;
  /** The account that owns the resource. */
  readonly resourceAccountId: string;
  /** Where that is not the Region of the call (ReplicateKey makes a key elsewhere). */
  readonly region?: string;
  readonly resourcePolicy?: CompiledPolicy | null;
  /** "required": the resource policy itself must allow or delegate (KMS keys, role trust). Default "optional". */
  readonly resourcePolicyMode?: "optional" | "required";
  /**
   * The operation's own condition keys; the gateway adds the global ones. Made of the input, of the records read and of the
   * call's principal, region and service alone: a remembered permission relies on it. As a function it is made only when a policy
   * asks for one of them: most have no conditions.
   */
  readonly context?: Lazy<ContextValues>;
  /**
   * Condition keys that are the resource's owner's to tell (the tags of a role). In the owner's account every policy sees them.
   * Elsewhere the caller's side sees them only once the resource's policy, which sees them too, has let the caller in: a caller
   * who is not trusted could otherwise read them, one guess at a time, by denying itself with them and looking at the kind
   * of refusal; and one who is trusted is held by its own account's denials, as on AWS. For `resourcePolicyMode` "required".
   */
  readonly ownersContext?: ContextValues | undefined;
  /**
   * Grants that let the caller do this, besides policies (KMS). Asked only when policies allow nothing and deny nothing, or deny
   * without `ownersContext`: an explicit deny wins over every grant.
   */
  readonly grants?: (() => Promise<readonly AppliedGrant[]>) | undefined;
}

/** A grant that covers the operation and whose constraints hold for the request. */
export interface AppliedGrant {
  readonly grantId: string;
  /**
   * "exact": to the caller itself. "role": to the role of its session, which boundary and session policies still limit.
   * "account": to its account, whose own policies must allow it too.
   */
  readonly match: "exact" | "role" | "account";
}

export interface Access<Target> {
  /** Empty: nobody can be denied (sts:GetCallerIdentity). */
  readonly checks: readonly AccessCheck[];
  /** What `access` found on its way (the key that an alias names), for `check` and `handle`. */
  readonly target: Target;
}

export interface AuditResource {
  readonly type: string;
  readonly arn: string;
  readonly accountId: string;
}

/** What an event says beyond who, when and which operation. Never payloads, partition keys, values or key material. */
export interface AuditDetails {
  readonly requestParameters?: Readonly<Record<string, unknown>> | null | undefined;
  readonly responseElements?: Readonly<Record<string, unknown>> | null | undefined;
  readonly additionalEventData?: Readonly<Record<string, unknown>> | undefined;
  readonly resources?: readonly AuditResource[] | undefined;
}

/** An event that a call owes besides its own: what it does in another Region, or as another, is written down there. */
export interface FurtherEvent {
  readonly region: string;
  readonly operation: string;
  readonly details: AuditDetails;
  /** Absent: the call's own. */
  readonly by?: { readonly principal: Principal; readonly service: string };
}

export interface Outcome<Output> {
  readonly output: Output;
  /** Committed by the gateway, together with the audit event, before the answer leaves. */
  readonly writes?: readonly Write[] | undefined;
  /** Added to what `describe` said. */
  readonly audit?: AuditDetails | undefined;
  readonly furtherEvents?: readonly FurtherEvent[] | undefined;
  /**
   * Runs once the commit is durable: to wake a background task, to drop a cache entry. Given the id of the call's audit
   * event; null: it owed none. Must not throw.
   */
  readonly committed?: ((eventId: string | null) => void) | undefined;
}

export interface OperationContext {
  readonly call: Call;
  /**
   * Reads of `access`, `check` and `handle` are remembered; if one has changed when the writes are committed, the operation
   * runs again.
   */
  readonly read: Reader;
  /**
   * Said by a handler before it waits for more than reads (for key threads, say): what was permitted when the wait began may be
   * forbidden when it ends. Permission and preconditions are then asked for again before anything is committed or answered,
   * if any state was changed meanwhile, and a refusal takes the place of the outcome, or of the failure.
   */
  readonly willWait?: () => void;
  /** For a handler whose answer goes on after it has returned (an event stream). */
  readonly afterwards?: Afterwards;
}

/** What was permitted when an answer began may be forbidden while it goes on. */
export interface Afterwards {
  /**
   * Throws the refusal unless the same request would be permitted now, its preconditions included. Without cost while nothing was
   * written, for a second at a time: what only time changes is seen that late.
   */
  stillPermitted(): Promise<void>;
  /** What ended the answer before its time: written down like any refused call. Resolves with what the client may know. */
  endedBy(error: unknown): Promise<ServiceError>;
}

export interface Operation<Input, Output, Target = unknown> {
  /** A data event is written only when it failed or where a selector asks for it; a management event always. */
  readonly event: "management" | "data";
  readonly readOnly: boolean;
  /** Resolves what the request names and says what must be allowed. Throws the service's own error for what does not exist. */
  readonly access: (context: OperationContext, input: Input) => Promise<Access<Target>>;
  /** Preconditions on state that also hold when only permission is asked for (a disabled key). Throws. */
  readonly check?: (context: OperationContext, input: Input, target: Target) => Promise<void> | void;
  /** Does it. Pure but for reads of metadata and appends to the record log: it may run again after a conflict. */
  readonly handle: (context: OperationContext, input: Input, target: Target) => Promise<Outcome<Output>>;
  /**
   * Of an operation whose requests need no signature, because what they carry says who calls (a web identity's token): finds
   * that out, and throws the refusal. What signature there is is not looked at.
   */
  readonly identify?: (input: Input) => Promise<Principal>;
  /** The event's request parameters, from the input alone (it is also called for refused requests). Default: none. */
  readonly describe?: (input: Input) => AuditDetails;
}

// oxlint-disable-next-line no-explicit-any -- a row's own types are checked where it is written; the table holds rows of all types
export type AnyOperation = Operation<any, any, any>;

export interface Service {
  readonly model: ServiceModel;
  /** By wire name. An operation of the model that is not here answers as unsupported. */
  readonly operations: Readonly<Record<string, AnyOperation>>;
  /** What limits the service's use, for each account and Region. Absent: nothing does. */
  readonly quotas?: ServiceQuotas;
  /** How the service reports a denial; default `AccessDeniedException`. */
  readonly accessDeniedCode?: string;
  /** Runs once after start, when keys are open: background tasks. The returned function stops them and waits. */
  readonly start?: () => () => Promise<void>;
}

/** A limit on one kind of request or resource, for each account and Region. */
export interface Quota {
  /** AWS's code, `L-...`, where it is known. */
  readonly code: string;
  readonly name: string;
  /** "rate": requests a second. "count": how many there may be. */
  readonly kind: "rate" | "count";
  readonly adjustable: boolean;
  /** AWS's figure for the Region. */
  readonly defaultIn: (region: string) => number;
}

/** What one call takes out of one request quota. */
export interface QuotaCharge {
  readonly quota: Quota;
  readonly count: number;
  /** Where that is not the Region of the call. */
  readonly region?: string;
}

/** A service's quotas, for Service Quotas to list and the gateway to enforce. */
export interface ServiceQuotas {
  /** The service's full name in Service Quotas. */
  readonly title: string;
  readonly quotas: readonly Quota[];
  /** What a call counts against, once its checks are known. Empty: nothing. */
  readonly charges: (call: Call, input: unknown, checks: readonly AccessCheck[]) => readonly QuotaCharge[];
  /** The refusal of a call that came too soon. */
  readonly throttled: () => ServiceError;
}

/** What is in force: AWS's or the operator's figures, and the increases that were granted. */
export interface QuotaValues {
  /** Requests a second, or a count. */
  valueOf(accountId: string, region: string, service: string, quota: Quota): Promise<number>;
}

/** How one service calls another for its caller: authorized, audited and metered like any other call. */
export interface Dispatch {
  /**
   * Runs `service.operation` as `call`'s principal, with `via` set to the calling service. Throws ServiceError as a client
   * would see it.
   */
  run(call: Call, service: string, operation: string, input: unknown): Promise<unknown>;
  /** Only asks whether it would be allowed now (`access`, the decision, `check`). A refusal is recorded as a refused call. */
  authorize(
    call: Call,
    service: string,
    operation: string,
    input: unknown,
    remembered?: RememberedPermission,
  ): Promise<void>;
  /** Whether `authorize` would say yes for certain, because nothing but lines of logs was written since. False: ask. */
  isStillAllowed(call: Call, remembered: RememberedPermission): boolean;
}

/**
 * For somebody who asks the same question again and again (the data key cache, at each put): the same principal, operation
 * and input. The gateway keeps here what its last yes was based on, and says yes again only while all of that is unchanged.
 */
export interface RememberedPermission {
  /** Null: nothing yet. The gateway's own. */
  given: object | null;
}

/**
 * Port: who stands behind the names in resource policies and grants, for the services that store these. Implemented by
 * services/iam. `read` is the operation's own, so that the operation runs again when a principal is deleted meanwhile.
 */
export interface PrincipalDirectory {
  /** Looks up ARNs of users, roles, role sessions, federated users and accounts' roots, and bare account ids. */
  bind(read: Reader, names: readonly string[]): Promise<BoundPrincipals>;
  /** How a principal is shown that was bound to `id`: by its ARN while it is there, by its id from then on. */
  nameOf(read: Reader, arn: string, id: string): Promise<string>;
  /** A stored policy as it is shown: principals that are gone stand there by their ids, as on AWS. Null: nobody is bound. */
  show(read: Reader, document: string, ids: PrincipalIds | null): Promise<string>;
}

export interface BoundPrincipals {
  /** Of those who have unique ids: what is stored beside the policy. */
  readonly ids: PrincipalIds;
  /** Those who are not there, in the order given. A policy or grant that names any is refused. */
  readonly unknown: readonly string[];
}
