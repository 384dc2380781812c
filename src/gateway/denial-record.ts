/** What is kept of a denial, so that those who may see it can learn why: who, what, on what, and what decided. */
import { cutTo } from "../base/text.ts";
import { stoppedByAbsence } from "../authz/absent-keys.ts";
import { isOrganizationKey } from "../authz/context.ts";
import { denialMessage, policiesByKind, stopOf } from "../authz/denial.ts";
import type { AuthorizationRequest, ContextValue, Decision, PolicyKind, StopReason } from "../authz/types.ts";
import { ServiceError } from "../base/errors.ts";
import type { AccessCheck, Call, Service } from "./contract.ts";
import { type AbsentKey, type Documented, isAcrossAccounts, type KeyNames, keyNames } from "./denial-keys.ts";

/** A denial as it was decided, with what only the gateway knows of it. Nothing of it is worked out before it is recorded. */
export interface Denied {
  readonly call: Call;
  readonly check: AccessCheck;
  readonly request: AuthorizationRequest;
  readonly decision: Decision;
  /** All condition keys of the request, by lower-cased name. */
  readonly conditions: () => ReadonlyMap<string, ContextValue>;
  /** Of the user or role. */
  readonly principalTags: Readonly<Record<string, string>>;
  /** The keys that policies asked for, in lower case. */
  readonly asked: ReadonlySet<string>;
}

/** Where a denial is recorded. */
export interface DenialPlace {
  readonly accountId: string;
  readonly order: string;
  readonly requestId: string;
}

/** A service's denial, in the service's own form for its caller, with all that the record of it is made of. */
export class AccessDenial extends ServiceError {
  readonly denied: Denied;
  /** Null until it is recorded: a service that passes on what an inner call was refused with does not record it twice. */
  recorded: DenialPlace | null = null;

  constructor(service: Service, denied: Denied) {
    const query = service.model.protocol === "awsQuery";
    super(
      service.accessDeniedCode ?? (query ? "AccessDenied" : "AccessDeniedException"),
      denialMessage(denied.request, denied.decision, denied.check.shownResource),
      { status: query ? 403 : 400 },
    );
    this.denied = denied;
  }
}

export interface DenialCondition {
  /** As AWS or the service writes it. */
  readonly key: string;
  readonly values: readonly string[];
  /** A policy had a condition on it. */
  readonly asked: boolean;
  /** Across accounts: there was room for it only because a policy had asked for it, which the other account must not learn. */
  readonly onlyAsAsked?: true;
}

export interface DenialRecord {
  /** Of the request that the caller sent, though it may have been an inner call that was denied. */
  readonly requestId: string;
  /** Of the audit event that tells of the denied call. */
  readonly eventId: string;
  readonly timeMs: number;
  /** The caller's; of a service that acts by itself, the resource's. */
  readonly accountId: string;
  readonly resourceAccountId: string;
  readonly principal: { readonly type: string; readonly arn: string; readonly id: string };
  readonly service: string;
  readonly operation: string;
  readonly region: string;
  /** The service that called for the caller. */
  readonly via: string | null;
  readonly action: string;
  readonly resource: string;
  readonly message: string;
  readonly decision: {
    /** "service": the service itself refuses this, whatever policies say. */
    readonly kind: PolicyKind | "service";
    readonly reason: "explicit" | "implicit";
    /** What denied; null for a missing allow. `text`: its JSON, where the document was at hand. */
    readonly statement: {
      readonly policyId: string;
      readonly sid: string | null;
      readonly index: number;
      readonly text: string | null;
    } | null;
    /** Set when it is no policy that denies but something that is missing. `policyId`: what of, an ARN or a policy's name. */
    readonly stop?: { readonly reason: StopReason; readonly policyId: string };
    /** The policy of the resource names the caller (`name`), and means who had the name when it was put: that one's id. */
    readonly formerPrincipal?: { readonly name: string; readonly id: string };
    /** Statements that decided by condition keys that the request did not have. */
    readonly stoppedByAbsence?: readonly {
      readonly kind: PolicyKind;
      readonly policyId: string;
      readonly sid: string | null;
      readonly index: number;
      readonly keys: readonly string[];
    }[];
  };
  /** Which policies were looked at, by kind. */
  readonly policies: readonly { readonly kind: PolicyKind; readonly ids: readonly string[] }[];
  readonly conditions: readonly DenialCondition[];
  /** Keys that policies asked for and the request did not have. Missing in what older builds recorded. */
  readonly absent?: readonly AbsentKey[];
  /** How many condition keys found no room. */
  readonly conditionsLeftOut: number;
}

/** The bounds of a record: it must not matter how much a caller puts into a request. */
export const CONDITIONS_LENGTH_MAX = 16_384;
/** The part of it that is kept for what policies asked for, where it must not push out the rest. */
const ASKED_LENGTH_MAX = 4_096;
const VALUE_LENGTH_MAX = 1_024;
const VALUE_COUNT_MAX = 100;
const ARN_LENGTH_MAX = 2_048;
const STATEMENT_LENGTH_MAX = 8_192;
const POLICY_COUNT_MAX = 100;
const KEY_COUNT_MAX = 20;

export function denialRecord(denied: Denied, eventId: string, timeMs: number): DenialRecord {
  const { call, check, request, decision } = denied;
  const present = denied.conditions();
  const names = keyNames({ ...denied, present });
  const { conditions, leftOut } = isAcrossAccounts(call, check)
    ? conditionsAcross(present, denied.asked, names)
    : conditionsOf(present, denied.asked, names);
  const { principal } = call;
  return {
    requestId: call.via?.requestId ?? call.requestId,
    eventId,
    timeMs,
    accountId: principal.accountId === "" ? check.resourceAccountId : principal.accountId,
    resourceAccountId: check.resourceAccountId,
    principal: { type: principal.type, arn: cutTo(principal.arn, ARN_LENGTH_MAX), id: principal.userId },
    service: call.service,
    operation: call.operation,
    region: call.region,
    via: call.via?.service ?? null,
    action: request.action,
    resource: cutTo(request.resource, ARN_LENGTH_MAX),
    message: cutTo(denialMessage(request, decision, check.shownResource), 2 * ARN_LENGTH_MAX),
    decision: decisionOf(request, decision, names),
    policies: policiesByKind(request).map(([kind, policies]) => ({
      kind,
      ids: policies.slice(0, POLICY_COUNT_MAX).map(({ id }) => cutTo(id, ARN_LENGTH_MAX)),
    })),
    conditions,
    absent: names.absent,
    conditionsLeftOut: leftOut,
  };
}

function decisionOf(request: AuthorizationRequest, decision: Decision, { nameOf }: KeyNames): DenialRecord["decision"] {
  // A grant never denies.
  const kind = decision.kind === "grant" ? "identity" : decision.kind;
  const reason = stopOf(request, decision);
  if (reason !== null) {
    const stop = { reason, policyId: cutTo(decision.statement?.policyId ?? "", ARN_LENGTH_MAX) };
    return { kind, reason: "implicit", statement: null, stop };
  }
  const former = formerPrincipal(request);
  const absence = stoppedByAbsence(request, decision);
  return {
    kind,
    reason: decision.reason === "explicit" ? "explicit" : "implicit",
    statement: statementOf(request, decision),
    ...(former === null || decision.reason === "explicit" ? {} : { formerPrincipal: former }),
    ...(absence.length === 0
      ? {}
      : { stoppedByAbsence: absence.map((one) => ({ ...one, keys: one.keys.slice(0, KEY_COUNT_MAX).map(nameOf) })) }),
  };
}

/** Whom the resource's policy names as the caller is named, but bound to another unique id (authz/principals.ts). */
function formerPrincipal({ principal, resourcePolicy }: AuthorizationRequest): { name: string; id: string } | null {
  const ids = resourcePolicy?.principalIds ?? {};
  const own = [
    [principal.arn, principal.userId],
    [principal.roleArn, principal.roleId],
  ] as const;
  for (const [name, id] of own) {
    const bound = name !== undefined && Object.hasOwn(ids, name) ? ids[name] : undefined;
    if (name !== undefined && bound !== undefined && bound !== id)
      return { name: cutTo(name, ARN_LENGTH_MAX), id: bound };
  }
  return null;
}

/** The record of what a service refused by itself, as a denial, after policies had let it pass. */
export function ownDenialRecord(
  call: Call,
  checks: readonly AccessCheck[],
  refusal: ServiceError,
  eventId: string,
  timeMs: number,
): DenialRecord {
  const { principal } = call;
  const [check] = checks;
  // A service that refuses before it asks for permission says on what.
  const resource: unknown = check?.resource ?? refusal.details?.["resource"];
  const resourceAccountId = check?.resourceAccountId ?? principal.accountId;
  return {
    requestId: call.via?.requestId ?? call.requestId,
    eventId,
    timeMs,
    accountId: principal.accountId === "" ? resourceAccountId : principal.accountId,
    resourceAccountId,
    principal: { type: principal.type, arn: cutTo(principal.arn, ARN_LENGTH_MAX), id: principal.userId },
    service: call.service,
    operation: call.operation,
    region: call.region,
    via: call.via?.service ?? null,
    action: check?.action ?? `${call.service}:${call.operation}`,
    resource: cutTo(typeof resource === "string" ? resource : "*", ARN_LENGTH_MAX),
    message: cutTo(refusal.message, 2 * ARN_LENGTH_MAX),
    decision: { kind: "service", reason: "explicit", statement: null },
    policies: [],
    conditions: [],
    conditionsLeftOut: 0,
  };
}

function statementOf(
  request: AuthorizationRequest,
  { kind, statement }: Decision,
): DenialRecord["decision"]["statement"] {
  if (statement === null) return null;
  const policies = policiesByKind(request).find(([of]) => of === kind)?.[1] ?? [];
  const documents = policies.filter(({ id }) => id === statement.policyId).map(({ document }: Documented) => document);
  return { ...statement, text: documents.length === 1 ? statementText(documents[0], statement.index) : null };
}

function statementText(document: string | undefined, index: number): string | null {
  if (document === undefined) return null;
  try {
    const { Statement } = JSON.parse(document) as { readonly Statement?: unknown };
    const statement: unknown = Array.isArray(Statement) ? Statement[index] : Statement;
    const text = statement === undefined ? null : JSON.stringify(statement);
    return text === null || text.length > STATEMENT_LENGTH_MAX ? null : text;
  } catch {
    return null;
  }
}

/** What policies asked for comes first: it is what the reader looks for, and there may be no room for the rest. */
function conditionsOf(
  present: ReadonlyMap<string, ContextValue>,
  asked: ReadonlySet<string>,
  { nameOf }: KeyNames,
): { readonly conditions: readonly DenialCondition[]; readonly leftOut: number } {
  const all = [...present]
    .sort(([a], [b]) => Number(asked.has(b)) - Number(asked.has(a)) || (a < b ? -1 : 1))
    .map(([name, value]) => conditionOf(nameOf(name), value, asked.has(name)));
  const kept = withinRoom(all, CONDITIONS_LENGTH_MAX);
  return { conditions: kept, leftOut: all.length - kept.length };
}

/**
 * Across accounts what is shown must not depend on what the other side's policies asked for: who fills the room would see
 * which keys are kept all the same. So names alone decide, and what policies asked for has a room of its own behind it.
 */
function conditionsAcross(
  present: ReadonlyMap<string, ContextValue>,
  asked: ReadonlySet<string>,
  { nameOf }: KeyNames,
): { readonly conditions: readonly DenialCondition[]; readonly leftOut: number } {
  const all = [...present]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    // Whether there are keys of organizations hangs on whether a policy asked, so they take no room from the others.
    .sort(([a], [b]) => Number(isOrganizationKey(a)) - Number(isOrganizationKey(b)))
    .map(([name, value]) => conditionOf(nameOf(name), value, asked.has(name)));
  const kept = withinRoom(all, CONDITIONS_LENGTH_MAX - ASKED_LENGTH_MAX);
  const known = new Set(kept);
  const left = all.filter((condition) => condition.asked && !known.has(condition));
  const late = withinRoom(left, ASKED_LENGTH_MAX).map((condition) => ({ ...condition, onlyAsAsked: true as const }));
  return {
    conditions: [...late, ...kept].sort((a, b) => Number(b.asked) - Number(a.asked)),
    leftOut: all.length - kept.length - late.length,
  };
}

const conditionOf = (key: string, value: ContextValue, asked: boolean): DenialCondition => ({
  key: cutTo(key, VALUE_LENGTH_MAX),
  values: valuesOf(value),
  asked,
});

/** What finds room, in the order given. */
function withinRoom(conditions: readonly DenialCondition[], lengthMax: number): readonly DenialCondition[] {
  let room = lengthMax;
  return conditions.filter(({ key, values }) => {
    const length = key.length + values.reduce((sum, text) => sum + text.length + 4, 40);
    if (length > room) return false;
    room -= length;
    return true;
  });
}

const valuesOf = (value: ContextValue): readonly string[] =>
  (typeof value === "string" ? [value] : "alternatives" in value ? value.alternatives.flat() : value)
    .slice(0, VALUE_COUNT_MAX)
    .map((text) => cutTo(text, VALUE_LENGTH_MAX));
