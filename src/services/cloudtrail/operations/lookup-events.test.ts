import { describe, expect, test } from "vitest";
import type { AuditEvent, LookupPage, LookupQuery } from "../../../audit/event.ts";
import type { Call, OperationContext } from "../../../gateway/contract.ts";
import { createCloudTrailService } from "../api.ts";
import type { LookupEventsRequest, LookupEventsResponse } from "../shapes.generated.ts";

const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;

const event: AuditEvent = {
  eventVersion: "1.11",
  userIdentity: { type: "IAMUser", userName: "ann" },
  eventTime: "2023-11-14T22:13:20Z",
  eventSource: "kms.amazonaws.com",
  eventName: "Decrypt",
  awsRegion: "eu-central-1",
  sourceIPAddress: "192.0.2.1",
  userAgent: "x",
  requestParameters: null,
  responseElements: null,
  requestID: "r",
  eventID: "e",
  readOnly: true,
  eventType: "AwsApiCall",
  managementEvent: true,
  recipientAccountId: "111122223333",
  eventCategory: "Management",
};

const FOUND: LookupPage = {
  events: [
    { event, attributes: { username: "ann", accessKeyId: null, resources: [{ type: "AWS::KMS::Key", name: "arn" }] } },
  ],
  cursor: "behind-e",
};

/** LookupEvents on a trail that answers with one page, and the queries that reached it. */
function lookup(page: LookupPage | Error = FOUND) {
  const queries: LookupQuery[] = [];
  const service = createCloudTrailService({
    auditLog: {
      entry: () => [],
      async lookup(query) {
        queries.push(query);
        if (page instanceof Error) throw page;
        return page;
      },
    },
  });
  const operation = service.operations["LookupEvents"];
  if (operation === undefined) throw new Error("LookupEvents is not served");
  const run = async (input: LookupEventsRequest, accountId = "111122223333"): Promise<LookupEventsResponse> => {
    const context: OperationContext = {
      call: { principal: { accountId }, region: "eu-central-1", nowMs: NOW_MS } as Call,
      read: { get: () => Promise.resolve(null), list: () => Promise.resolve([]) },
    };
    const { target } = await operation.access(context, input);
    return (await operation.handle(context, input, target)).output as LookupEventsResponse;
  };
  return { run, queries };
}

describe("LookupEvents", () => {
  test("an event shows its attributes, ReadOnly as text and the whole record as JSON", async () => {
    const { run, queries } = lookup();
    const { Events, NextToken } = await run({
      LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "Decrypt" }],
    });
    expect(Events).toEqual([
      {
        EventId: "e",
        EventName: "Decrypt",
        ReadOnly: "true",
        EventTime: NOW_MS,
        EventSource: "kms.amazonaws.com",
        Username: "ann",
        Resources: [{ ResourceType: "AWS::KMS::Key", ResourceName: "arn" }],
        CloudTrailEvent: JSON.stringify(event),
      },
    ]);
    expect(NextToken).toBeDefined();
    expect(queries).toEqual([
      {
        accountId: "111122223333",
        region: "eu-central-1",
        startMs: NOW_MS - 90 * DAY_MS,
        endMs: NOW_MS,
        limit: 50,
        attribute: { key: "EventName", value: "Decrypt" },
      },
    ]);
  });

  test("a token leads on, for the same question of the same account only", async () => {
    const { run, queries } = lookup();
    const question: LookupEventsRequest = { StartTime: NOW_MS - DAY_MS };
    const { NextToken } = await run(question);
    await run({ ...question, NextToken, MaxResults: 5 });
    expect(queries.at(-1)).toMatchObject({ cursor: "behind-e", limit: 5 });
    const refused = { code: "InvalidNextTokenException", status: 400 };
    await expect(run({ StartTime: NOW_MS, NextToken })).rejects.toMatchObject(refused);
    await expect(run({ ...question, NextToken }, "999999999999")).rejects.toMatchObject(refused);
    await expect(run({ ...question, NextToken: "x" })).rejects.toMatchObject(refused);
    await expect(run({ ...question, NextToken: "" })).rejects.toMatchObject(refused);
  });

  test("a cursor that the log does not know is an invalid token", async () => {
    await expect(lookup(new RangeError("not mine")).run({})).rejects.toMatchObject({
      code: "InvalidNextTokenException",
    });
  });

  test.each<[string, LookupEventsRequest]>([
    ["InvalidMaxResultsException", { MaxResults: 0 }],
    ["InvalidMaxResultsException", { MaxResults: 51 }],
    ["InvalidTimeRangeException", { StartTime: NOW_MS, EndTime: NOW_MS - 1 }],
    ["InvalidTimeRangeException", { StartTime: NOW_MS + 1 }],
    [
      "InvalidLookupAttributesException",
      {
        LookupAttributes: [
          { AttributeKey: "EventName", AttributeValue: "a" },
          { AttributeKey: "Username", AttributeValue: "b" },
        ],
      },
    ],
  ])("%s for %j", async (code, input) => {
    await expect(lookup().run(input)).rejects.toMatchObject({ code, status: 400 });
  });

  test("there are no Insights events", async () => {
    const { run, queries } = lookup();
    expect(await run({ EventCategory: "insight" })).toEqual({ Events: [] });
    expect(queries).toEqual([]);
  });
});
