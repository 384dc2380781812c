import { type CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";

/** The parts of a CloudTrail record that the suites look at. */
export interface TrailEvent {
  readonly eventName: string;
  readonly eventSource: string;
  readonly requestID: string;
  readonly errorCode?: string;
  readonly userIdentity: { readonly type?: string; readonly arn?: string; readonly invokedBy?: string };
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
}

/** Events of one name, newest first: all of them, or as many as `countMax`. */
export async function eventsNamed(
  cloudtrail: CloudTrailClient,
  name: string,
  countMax = 5_000,
): Promise<readonly TrailEvent[]> {
  return lookup(cloudtrail, countMax, [{ AttributeKey: "EventName" as const, AttributeValue: name }]);
}

export async function allEvents(cloudtrail: CloudTrailClient, countMax = 5_000): Promise<readonly TrailEvent[]> {
  return lookup(cloudtrail, countMax);
}

async function lookup(
  cloudtrail: CloudTrailClient,
  countMax: number,
  LookupAttributes?: { readonly AttributeKey: "EventName"; readonly AttributeValue: string }[],
): Promise<readonly TrailEvent[]> {
  const found: TrailEvent[] = [];
  let NextToken: string | undefined;
  do {
    const page = await cloudtrail.send(new LookupEventsCommand({ LookupAttributes, MaxResults: 50, NextToken }));
    for (const event of page.Events ?? []) found.push(JSON.parse(event.CloudTrailEvent ?? "{}") as TrailEvent);
    NextToken = page.NextToken;
  } while (NextToken !== undefined && found.length < countMax);
  return found;
}
