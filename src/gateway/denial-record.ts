/** What is kept of a denial, so that those who may see it can learn why: who, what, on what, and what decided. */
import { GLOBAL_KEYS } from "../authz/context.ts";
import { denialMessage } from "../authz/denial.ts";
import type { AuthorizationRequest, CompiledPolicy, ContextValue, Decision, PolicyKind } from "../authz/types.ts";
import { ServiceError } from "../base/errors.ts";
import type { AccessCheck, Call, Service } from "./contract.ts";

/** A denial as it was decided, with what only the gateway knows of it. Nothing of it is worked out before it is recorded. */
export interface Denied {
  readonly call: Call;
  readonly check: AccessCheck;
  readonly request: AuthorizationRequest;
  readonly decision: Decision;
  /** All condition keys of the request, by lower-cased name. */
  readonly conditions: () => ReadonlyMap<string, ContextValue>;
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
      denialMessage(denied.request, denied.decision),
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
  };
  /** Which policies were looked at, by kind. */
  readonly policies: readonly { readonly kind: PolicyKind; readonly ids: readonly string[] }[];
  readonly conditions: readonly DenialCondition[];
  /** How many condition keys found no room. */
  readonly conditionsLeftOut: number;
}

/** The bounds of a record: it must not matter how much a caller puts into a request. */
export const CONDITIONS_LENGTH_MAX = 16_384;
const VALUE_LENGTH_MAX = 1_024;
const VALUE_COUNT_MAX = 100;
const ARN_LENGTH_MAX = 2_048;
const STATEMENT_LENGTH_MAX = 8_192;
const POLICY_COUNT_MAX = 100;

const cut = (text: string, lengthMax: number): string =>
  text.length <= lengthMax ? text : `${text.slice(0, lengthMax).toWellFormed()}…`;

/** A policy whose document is at hand. */
type Documented = CompiledPolicy & { readonly document?: string };

export function denialRecord(denied: Denied, eventId: string, timeMs: number): DenialRecord {
  const { call, check, request, decision } = denied;
  const { conditions, leftOut } = conditionsOf(denied);
  const { principal } = call;
  return {
    requestId: call.via?.requestId ?? call.requestId,
    eventId,
    timeMs,
    accountId: principal.accountId === "" ? check.resourceAccountId : principal.accountId,
    resourceAccountId: check.resourceAccountId,
    principal: { type: principal.type, arn: cut(principal.arn, ARN_LENGTH_MAX), id: principal.userId },
    service: call.service,
    operation: call.operation,
    region: call.region,
    via: call.via?.service ?? null,
    action: request.action,
    resource: cut(request.resource, ARN_LENGTH_MAX),
    message: cut(denialMessage(request, decision), 2 * ARN_LENGTH_MAX),
    decision: {
      // A grant never denies.
      kind: decision.kind === "grant" ? "identity" : decision.kind,
      reason: decision.reason === "explicit" ? "explicit" : "implicit",
      statement: statementOf(request, decision),
    },
    policies: policiesOf(request).map(([kind, policies]) => ({
      kind,
      ids: policies.slice(0, POLICY_COUNT_MAX).map(({ id }) => cut(id, ARN_LENGTH_MAX)),
    })),
    conditions,
    conditionsLeftOut: leftOut,
  };
}

/** The record of what a service refused by itself, as a denial, after policies had let it pass. */
export function ownDenialRecord(
  call: Call,
  checks: readonly AccessCheck[],
  message: string,
  eventId: string,
  timeMs: number,
): DenialRecord {
  const { principal } = call;
  const [check] = checks;
  const resourceAccountId = check?.resourceAccountId ?? principal.accountId;
  return {
    requestId: call.via?.requestId ?? call.requestId,
    eventId,
    timeMs,
    accountId: principal.accountId === "" ? resourceAccountId : principal.accountId,
    resourceAccountId,
    principal: { type: principal.type, arn: cut(principal.arn, ARN_LENGTH_MAX), id: principal.userId },
    service: call.service,
    operation: call.operation,
    region: call.region,
    via: call.via?.service ?? null,
    action: check?.action ?? `${call.service}:${call.operation}`,
    resource: cut(check?.resource ?? "*", ARN_LENGTH_MAX),
    message: cut(message, 2 * ARN_LENGTH_MAX),
    decision: { kind: "service", reason: "explicit", statement: null },
    policies: [],
    conditions: [],
    conditionsLeftOut: 0,
  };
}

/** The policies that had a say, by kind, in the order in which they are looked at; kinds that do not limit the caller are missing. */
function policiesOf(request: AuthorizationRequest): readonly (readonly [PolicyKind, readonly CompiledPolicy[]])[] {
  const { identityPolicies, boundary, sessionPolicies, serviceControlPolicies, resourcePolicy } = request;
  return [
    ...(serviceControlPolicies.length === 0 ? [] : [["service control", serviceControlPolicies.flat()] as const]),
    ...(resourcePolicy === null ? [] : [["resource", [resourcePolicy]] as const]),
    ["identity", identityPolicies],
    ...(boundary === null ? [] : [["boundary", [boundary]] as const]),
    ...(sessionPolicies === null ? [] : [["session", sessionPolicies] as const]),
  ];
}

function statementOf(
  request: AuthorizationRequest,
  { kind, statement }: Decision,
): DenialRecord["decision"]["statement"] {
  if (statement === null) return null;
  const policies = policiesOf(request).find(([of]) => of === kind)?.[1] ?? [];
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
function conditionsOf({ check, conditions, asked }: Denied): {
  readonly conditions: readonly DenialCondition[];
  readonly leftOut: number;
} {
  const names = new Map(
    [...GLOBAL_KEYS, ...Object.keys(check.context ?? {})].map((name) => [name.toLowerCase(), name] as const),
  );
  const all = [...conditions()].sort(([a], [b]) => Number(asked.has(b)) - Number(asked.has(a)) || (a < b ? -1 : 1));
  const kept: DenialCondition[] = [];
  let room = CONDITIONS_LENGTH_MAX;
  for (const [name, value] of all) {
    const condition = {
      key: cut(names.get(name) ?? name, VALUE_LENGTH_MAX),
      values: valuesOf(value),
      asked: asked.has(name),
    };
    const length = condition.key.length + condition.values.reduce((sum, text) => sum + text.length + 4, 40);
    if (length > room) continue;
    room -= length;
    kept.push(condition);
  }
  return { conditions: kept, leftOut: all.length - kept.length };
}

const valuesOf = (value: ContextValue): readonly string[] =>
  (typeof value === "string" ? [value] : "alternatives" in value ? value.alternatives.flat() : value)
    .slice(0, VALUE_COUNT_MAX)
    .map((text) => cut(text, VALUE_LENGTH_MAX));
