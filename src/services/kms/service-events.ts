import type { AuditEvent } from "../../audit/event.ts";
import { keyArnOf } from "./model.ts";
import type { KeyRecord } from "./records.ts";

/** What AWS writes when KMS does something to a key by itself: an event of the service's own, without a caller. */
export function serviceEvent(
  key: KeyRecord,
  eventName: "DeleteKey" | "DeleteExpiredKeyMaterial" | "RotateKey" | "SynchronizeMultiRegionKey",
  eventId: string,
  nowMs: number,
  additionalEventData?: Readonly<Record<string, unknown>>,
): AuditEvent {
  return {
    eventVersion: "1.11",
    userIdentity: { accountId: key.accountId, invokedBy: "AWS Internal" },
    eventTime: `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    eventSource: "kms.amazonaws.com",
    eventName,
    awsRegion: key.region,
    sourceIPAddress: "AWS Internal",
    userAgent: "AWS Internal",
    requestParameters: null,
    responseElements: null,
    ...(additionalEventData === undefined ? {} : { additionalEventData }),
    requestID: eventId,
    eventID: eventId,
    readOnly: false,
    resources: [{ ARN: keyArnOf(key), accountId: key.accountId, type: "AWS::KMS::Key" }],
    eventType: "AwsServiceEvent",
    managementEvent: true,
    recipientAccountId: key.accountId,
    eventCategory: "Management",
  };
}
