import { createEventBuilder } from "../audit/build-event.ts";
import type { AuditLog } from "../audit/log.ts";
import type { PolicySource, PrincipalPolicies } from "../authz/policy-source.ts";
import { internalFailure, ServiceError } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { RecordReader } from "../store/caching-reader.ts";
import type { Expectation, MetadataStore, Write } from "../store/metadata-store.ts";
import type { Reader } from "../store/table.ts";
import { allWrites, eventOf, type EventParts, merge } from "./call-events.ts";
import { closedTo, type IsAccountClosed, type OrganizationOf, requireAccess } from "./access.ts";
import { isAcrossAccounts } from "./denial-keys.ts";
import type { Denials } from "./denials.ts";
import type { RequestQuotas } from "./quotas.ts";
import { operationOf, serviceOf } from "./served.ts";
import { refusedDetails, resourcesOf } from "./refused-details.ts";
import {
  givenPermission,
  type GivenPermission,
  isStillGiven,
  isUntouched,
  REPEATED_MS_MAX,
} from "./remembered-permission.ts";
import type {
  Access,
  AccessCheck,
  Afterwards,
  AnyOperation,
  AuditDetails,
  Call,
  Dispatch,
  OperationContext,
  Outcome,
  Service,
} from "./contract.ts";

/** How often an operation runs again because a record that it read was changed before its commit. */
const CONFLICT_RETRIES_MAX = 16;

export interface OperationsDeps {
  readonly services: ReadonlyMap<string, Service>;
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly policies: PolicySource;
  readonly auditLog: AuditLog;
  readonly clock: Clock;
  readonly random: Random;
  /** Null: requests are not limited. */
  readonly requestQuotas?: RequestQuotas | null;
  /** Where denials are recorded; null: nowhere. */
  readonly denials?: Denials | null;
  /** Null: no account is in an organization. */
  readonly organizationOf?: OrganizationOf | null;
  /** Null: none ever is. */
  readonly isAccountClosed?: IsAccountClosed | null;
}

/**
 * Runs operations: authorize, check, handle, commit the writes and the owed audit event in one transaction. Requests from
 * outside and calls that services make for their callers take the same way.
 */
export interface Operations extends Dispatch {
  run(call: Call, decode: () => unknown): Promise<unknown>;
  run(call: Call, service: string, operation: string, input: unknown): Promise<unknown>;
}

/** What runs an operation. */
type Parts = OperationsDeps & EventParts;

export function createOperations(withDeps: OperationsDeps): Operations {
  const deps: Parts = { ...withDeps, buildEvent: createEventBuilder() };
  const inner = (call: Call, service: string, operation: string): Call => ({
    ...call,
    requestId: deps.random.uuid(),
    service,
    operation,
    via: {
      service: call.service,
      requestId: call.via?.requestId ?? call.requestId,
      ...(call.via === undefined ? {} : { before: [...(call.via.before ?? []), call.via.service] }),
    },
  });

  function run(call: Call, decode: () => unknown): Promise<unknown>;
  function run(call: Call, service: string, operation: string, input: unknown): Promise<unknown>;
  function run(call: Call, first: string | (() => unknown), operation?: string, input?: unknown): Promise<unknown> {
    if (typeof first === "function") return perform(deps, call, first, "handle");
    return perform(deps, inner(call, first, operation ?? ""), () => input, "handle");
  }

  return {
    run,
    async authorize(outer, service, operation, input, remembered) {
      const given = remembered?.given as GivenPermission | null | undefined;
      const generation = deps.store.generation();
      if (remembered && given && (await isStillGiven(given, outer, deps))) {
        remembered.given = { ...given, generation };
        return;
      }
      const answer = await perform(deps, inner(outer, service, operation), () => input, "authorize");
      if (remembered !== undefined) remembered.given = answer;
    },
    isStillAllowed(outer, remembered) {
      const given = remembered.given as GivenPermission | null;
      return given !== null && isUntouched(given, outer, deps);
    },
  };
}

/**
 * One operation from its input to its output, with its event. When only permission is asked for: what it was given on, null
 * if it cannot be given again without deciding again. What it throws is a ServiceError, already written down.
 */
async function perform(deps: Parts, call: Call, decode: () => unknown, mode: "handle"): Promise<unknown>;
async function perform(
  deps: Parts,
  call: Call,
  decode: () => unknown,
  mode: "authorize",
): Promise<GivenPermission | null>;
async function perform(deps: Parts, call: Call, decode: () => unknown, mode: "handle" | "authorize"): Promise<unknown> {
  const service = serviceOf(deps.services, call);
  const operation = operationOf(service, call.operation);
  const asked: AccessCheck[] = [];
  // Made when an event is owed: most puts and gets owe none.
  let describe = (): AuditDetails => ({});
  try {
    const input = decode();
    describe = () => operation.describe?.(input) ?? {};
    let generation = deps.store.generation();
    let policies = await deps.policies.policiesOf(call.principal);
    for (let attempt = 0; attempt <= CONFLICT_RETRIES_MAX; attempt++) {
      if (attempt > 0) {
        // No expectation covers the caller's own policies: what was changed meanwhile may have been they.
        generation = deps.store.generation();
        policies = await deps.policies.policiesOf(call.principal);
      }
      const tracking = deps.reader.tracking();
      // However often it runs, it is one request.
      const requestQuotas = mode === "handle" && attempt === 0 ? (deps.requestQuotas ?? null) : null;
      const { outcome, repeatable } = await attemptOnce(
        { deps, call, read: tracking.reader, service, operation, policies, generation, asked, requestQuotas },
        input,
        mode,
      );
      if (outcome === null) {
        const nowMs = deps.clock.monotonicMs();
        return repeatable ? givenPermission(call, policies, tracking.expectations(), generation, nowMs) : null;
      }
      if (operation.event === "data" && outcome.writes === undefined) {
        outcome.committed?.(null);
        return outcome.output;
      }
      const eventId = deps.random.uuid();
      const event = eventOf(deps, call, service, operation, merge(describe(), outcome.audit), { eventId });
      const writes = allWrites({ deps, call, service, operation }, outcome, event);
      // Without writes nothing was decided that a later change could invalidate: a read needs no expectations.
      const expect: readonly Expectation[] = outcome.writes?.length ? tracking.expectations() : [];
      if (writes.length === 0 || (await commit(deps, expect, writes)) === "committed") {
        outcome.committed?.(event.length === 0 ? null : eventId);
        return outcome.output;
      }
    }
    throw new ServiceError(
      "ConcurrentModificationException",
      "Too many concurrent changes to the same resource. Try again.",
      { status: 500 },
    );
  } catch (error) {
    throw await writeRefusal({ deps, call, service, operation, asked }, error, describe);
  }
}

/** Writes down what a call was refused with, or failed with; resolves with what the caller may know of it. */
async function writeRefusal(
  { deps, call, service, operation, asked }: Pick<Attempt, "deps" | "call" | "service" | "operation" | "asked">,
  error: unknown,
  describe: () => AuditDetails,
): Promise<ServiceError> {
  const refusal = error instanceof ServiceError ? error : internalFailure(error);
  const described = refusedDetails(merge({ resources: resourcesOf(asked) }, describe()));
  const failed = { eventId: deps.random.uuid(), error: { code: refusal.code, message: refusal.message } };
  const why = await whyWrites(deps, call, refusal, failed.eventId, asked);
  await commit(deps, [], [...eventOf(deps, call, service, operation, described, failed), ...why]);
  return refusal;
}

/** An answer that goes on is permitted as long as its request would be. */
function afterwardsOf(attempt: Attempt, input: unknown): Afterwards {
  const { deps, operation } = attempt;
  let { generation } = attempt;
  let askedMs = deps.clock.monotonicMs();
  return {
    async stillPermitted() {
      const nowMs = deps.clock.monotonicMs();
      const now = deps.store.generation();
      if (generation !== null && generation === now && nowMs - askedMs < REPEATED_MS_MAX) return;
      await permitNow(attempt, input);
      generation = now;
      askedMs = nowMs;
    },
    endedBy: (error) => writeRefusal(attempt, error, () => operation.describe?.(input) ?? {}),
  };
}

interface Attempt {
  readonly deps: Parts;
  readonly call: Call;
  readonly read: Reader;
  readonly service: Service;
  readonly operation: AnyOperation;
  readonly policies: PrincipalPolicies;
  /** The store's, from before the policies and all records were read; null: it has none. */
  readonly generation: number | null;
  /** What was asked for permission, for the event of a refusal. */
  readonly asked: AccessCheck[];
  readonly requestQuotas: RequestQuotas | null;
}

/** No outcome: permission was all that was asked for, and it is given. */
async function attemptOnce(
  attempt: Attempt,
  input: unknown,
  mode: "handle" | "authorize",
): Promise<{ readonly outcome: Outcome<unknown> | null; readonly repeatable: boolean }> {
  const { call, service, operation, requestQuotas } = attempt;
  let waits = false;
  const context: OperationContext = {
    call,
    read: attempt.read,
    willWait: () => void (waits = true),
    // Made when it is asked for: few answers go on.
    get afterwards() {
      return afterwardsOf(attempt, input);
    },
  };
  const { checks, target, repeatable } = await permit(attempt, context, attempt.policies, input);
  // What is refused counts against no quota: who may not use a key learns nothing of its kind either.
  if (requestQuotas !== null && service.quotas !== undefined) {
    await requestQuotas.take(call, service.quotas, service.quotas.charges(call, input, checks));
  }
  await operation.check?.(context, input, target);
  if (mode === "authorize") return { outcome: null, repeatable };
  let outcome: Outcome<unknown> | null = null;
  try {
    outcome = await operation.handle(context, input, target);
  } catch (error) {
    // What was taken away during the wait may be why it failed (a key's material is dropped when the key is disabled).
    if (waits) await permitAgain(attempt, input);
    throw error;
  }
  try {
    if (waits) await permitAgain(attempt, input);
  } catch (refusal) {
    wipeOutput(outcome.output);
    throw refusal;
  }
  return { outcome, repeatable };
}

/** Finds what the request names, and throws unless the caller may. */
async function permit(
  { deps, service, operation, asked }: Attempt,
  context: OperationContext,
  policies: PrincipalPolicies,
  input: unknown,
): Promise<Access<unknown> & { readonly repeatable: boolean }> {
  const { checks, target } = await operation.access(context, input);
  asked.length = 0;
  asked.push(...checks);
  let repeatable = true;
  for (const check of checks) {
    const { isAccountClosed } = deps;
    const foreign = isAccountClosed && isAcrossAccounts(context.call, check);
    const closed = foreign && (await isAccountClosed(context.read, check.resourceAccountId));
    const open = closed ? closedTo(check) : check;
    const given = requireAccess(context.call, service, open, policies, deps.organizationOf ?? null);
    repeatable = (typeof given === "boolean" ? given : await given) && repeatable;
  }
  return { checks, target, repeatable };
}

/** Throws unless the same request would also be permitted now, if anything but logs was written since it was. */
async function permitAgain(attempt: Attempt, input: unknown): Promise<void> {
  const { deps, generation } = attempt;
  if (generation !== null && generation === deps.store.generation()) return;
  await permitNow(attempt, input);
}

async function permitNow(attempt: Attempt, input: unknown): Promise<void> {
  const { deps, operation } = attempt;
  const call: Call = { ...attempt.call, nowMs: deps.clock.wallMs() };
  const context: OperationContext = { call, read: deps.reader };
  const policies = await deps.policies.policiesOf(call.principal);
  const { target } = await permit(attempt, context, policies, input);
  await operation.check?.(context, input, target);
}

/** What is not answered may hold secrets. */
function wipeOutput(output: unknown): void {
  if (typeof output !== "object" || output === null) return;
  for (const member of Object.values(output)) if (member instanceof Uint8Array) member.fill(0);
}

/** What tells those who may ask why a call was denied; nothing when it was not. */
async function whyWrites(
  { denials }: OperationsDeps,
  call: Call,
  refusal: ServiceError,
  eventId: string,
  asked: readonly AccessCheck[],
): Promise<readonly Write[]> {
  try {
    return (await denials?.entries(call, refusal, eventId, asked)) ?? [];
  } catch (cause) {
    throw internalFailure(cause);
  }
}

async function commit(
  deps: OperationsDeps,
  expect: readonly Expectation[],
  writes: readonly Write[],
): Promise<"committed" | "conflict"> {
  try {
    return await deps.store.commit({ expect, writes });
  } catch (cause) {
    // What could not be written down did not happen, as far as the caller is told.
    throw internalFailure(cause);
  }
}
