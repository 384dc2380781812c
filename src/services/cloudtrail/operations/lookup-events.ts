import type { FoundEvent, LookupQuery } from "../../../audit/event.ts";
import type { AuditLog } from "../../../audit/log.ts";
import { ServiceError } from "../../../base/errors.ts";
import type { AuditDetails, Operation } from "../../../gateway/contract.ts";
import type { Event, LookupEventsRequest, Operations } from "../shapes.generated.ts";
import { decodeNextToken, encodeNextToken, invalidNextToken } from "./next-token.ts";

type Shapes = Operations["LookupEvents"];

const RESULTS_MAX = 50;
const LOOKUP_MS_MAX = 90 * 86_400_000;

/** The events of the caller's account and Region, newest first (CloudTrail API reference, LookupEvents). */
export const lookupEvents = (auditLog: AuditLog): Operation<Shapes["input"], Shapes["output"], null> => ({
  event: "management",
  readOnly: true,
  describe,
  access: async ({ call }) => ({
    target: null,
    checks: [{ action: "cloudtrail:LookupEvents", resource: "*", resourceAccountId: call.principal.accountId }],
  }),
  async handle({ call }, input) {
    const { accountId } = call.principal;
    const query = queryOf(input, accountId, call.region, call.nowMs);
    // Nothing here watches for unusual activity, so there are no Insights events to find.
    if (input.EventCategory === "insight") return { output: { Events: [] } };
    const { events, cursor } = await pageOf(auditLog, query);
    return {
      output: {
        Events: events.map(eventOut),
        ...(cursor === null ? {} : { NextToken: encodeNextToken(cursor, input, accountId, call.region) }),
      },
    };
  },
});

function queryOf(input: LookupEventsRequest, accountId: string, region: string, nowMs: number): LookupQuery {
  const limit = input.MaxResults ?? RESULTS_MAX;
  if (limit < 1 || limit > RESULTS_MAX) {
    throw new ServiceError("InvalidMaxResultsException", `A valid number must be between 1 and ${RESULTS_MAX}.`);
  }
  const startMs = input.StartTime ?? nowMs - LOOKUP_MS_MAX;
  const endMs = input.EndTime ?? nowMs;
  if (startMs > endMs) {
    throw new ServiceError("InvalidTimeRangeException", "The start time of the range is after its end time.");
  }
  const attributes = input.LookupAttributes ?? [];
  if (attributes.length > 1) {
    throw new ServiceError("InvalidLookupAttributesException", "You can only specify one lookup attribute at a time.");
  }
  const [attribute] = attributes;
  const cursor = input.NextToken === undefined ? undefined : decodeNextToken(input.NextToken, input, accountId, region);
  return {
    accountId,
    region,
    startMs,
    endMs,
    limit,
    ...(attribute === undefined ? {} : { attribute: { key: attribute.AttributeKey, value: attribute.AttributeValue } }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

async function pageOf(auditLog: AuditLog, query: LookupQuery): ReturnType<AuditLog["lookup"]> {
  try {
    return await auditLog.lookup(query);
  } catch (error) {
    if (error instanceof RangeError) throw invalidNextToken();
    throw error;
  }
}

function eventOut({ event, attributes }: FoundEvent): Event {
  return {
    EventId: event.eventID,
    EventName: event.eventName,
    // A string, unlike the boolean in the record itself.
    ReadOnly: String(event.readOnly),
    ...(attributes.accessKeyId === null ? {} : { AccessKeyId: attributes.accessKeyId }),
    EventTime: Date.parse(event.eventTime),
    EventSource: event.eventSource,
    ...(attributes.username === null ? {} : { Username: attributes.username }),
    Resources: attributes.resources.map(({ type, name }) => ({ ResourceType: type, ResourceName: name })),
    CloudTrailEvent: JSON.stringify(event),
  };
}

function describe(input: LookupEventsRequest): AuditDetails {
  const { LookupAttributes, StartTime, EndTime, MaxResults, EventCategory } = input;
  return {
    requestParameters: {
      ...(LookupAttributes === undefined
        ? {}
        : {
            lookupAttributes: LookupAttributes.map(({ AttributeKey, AttributeValue }) => ({
              attributeKey: AttributeKey,
              attributeValue: AttributeValue,
            })),
          }),
      ...(StartTime === undefined ? {} : { startTime: new Date(StartTime).toISOString() }),
      ...(EndTime === undefined ? {} : { endTime: new Date(EndTime).toISOString() }),
      ...(MaxResults === undefined ? {} : { maxResults: MaxResults }),
      ...(EventCategory === undefined ? {} : { eventCategory: EventCategory }),
    },
  };
}
