/** What a call owes the audit trail, as writes. */
import type { BuildEvent, CallError } from "../audit/build-event.ts";
import type { AuditLog } from "../audit/log.ts";
import { withOwnersEvents } from "../audit/shared-event.ts";
import type { Random } from "../base/random.ts";
import type { Write } from "../store/metadata-store.ts";
import type { AnyOperation, AuditDetails, Call, Outcome, Service } from "./contract.ts";
import { serviceOf } from "./served.ts";

export interface EventParts {
  readonly services: ReadonlyMap<string, Service>;
  readonly auditLog: AuditLog;
  readonly random: Random;
  readonly buildEvent: BuildEvent;
}

/** A management event always; a data event only when it failed. */
export function eventOf(
  deps: EventParts,
  call: Call,
  service: Service,
  operation: AnyOperation,
  details: AuditDetails,
  { eventId, error }: { readonly eventId: string; readonly error?: CallError },
): readonly Write[] {
  if (operation.event === "data" && error === undefined) return [];
  const event = deps.buildEvent({
    call,
    eventSource: service.model.eventSource,
    readOnly: operation.readOnly,
    category: operation.event === "data" ? "Data" : "Management",
    details,
    eventId,
    error,
  });
  const events = withOwnersEvents(event, () => deps.random.uuid());
  return events.length === 1 ? deps.auditLog.entry(event) : events.flatMap((each) => deps.auditLog.entry(each));
}

/** What the call owes besides its own event. */
const furtherEvents = (
  deps: EventParts,
  call: Call,
  service: Service,
  operation: AnyOperation,
  outcome: Outcome<unknown>,
): readonly Write[] =>
  (outcome.furtherEvents ?? []).flatMap(({ region, operation: name, details, by }) => {
    const done: Call = { ...call, ...by, region, operation: name };
    const of = by === undefined ? service : serviceOf(deps.services, done);
    return eventOf(deps, done, of, operation, details, { eventId: deps.random.uuid() });
  });

/** The writes of a call that succeeded, its events among them. Most calls write nothing but their event. */
export function allWrites(
  of: { readonly deps: EventParts; readonly call: Call; readonly service: Service; readonly operation: AnyOperation },
  outcome: Outcome<unknown>,
  event: readonly Write[],
): readonly Write[] {
  const { writes, furtherEvents: owed } = outcome;
  if (owed === undefined && (writes === undefined || writes.length === 0)) return event;
  return [...(writes ?? []), ...event, ...furtherEvents(of.deps, of.call, of.service, of.operation, outcome)];
}

/** What the outcome says of the event goes before what the input alone said. */
export function merge(first: AuditDetails, second: AuditDetails | undefined): AuditDetails {
  if (second === undefined) return first;
  const { requestParameters, responseElements, additionalEventData, resources } = second;
  return {
    requestParameters: requestParameters === undefined ? first.requestParameters : requestParameters,
    responseElements: responseElements === undefined ? first.responseElements : responseElements,
    additionalEventData: additionalEventData ?? first.additionalEventData,
    resources: resources ?? first.resources,
  };
}
