import type { AuditEvent } from "../../audit/event.ts";
import { keyArnOf } from "./model.ts";
import type { KeyRecord } from "./records.ts";

/** What KMS does to a key by itself, and what its event tells of it: members of `serviceEventDetails`. */
type ServiceAct =
  | { readonly eventName: "DeleteKey" | "SynchronizeMultiRegionKey" }
  | { readonly eventName: "DeleteExpiredKeyMaterial"; readonly keyMaterialId: string }
  | {
      readonly eventName: "RotateKey";
      readonly rotationType: "AUTOMATIC" | "ON_DEMAND";
      readonly previousKeyMaterialId: string | undefined;
      readonly currentKeyMaterialId: string;
    };

/** What AWS writes when KMS does something to a key by itself: an event of the service's own, without a caller. */
export function serviceEvent(key: KeyRecord, act: ServiceAct, eventId: string, nowMs: number): AuditEvent {
  const details = detailsOf(key, act);
  return {
    eventVersion: "1.11",
    userIdentity: { accountId: key.accountId, invokedBy: "AWS Internal" },
    eventTime: `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    eventSource: "kms.amazonaws.com",
    eventName: act.eventName,
    awsRegion: key.region,
    sourceIPAddress: "AWS Internal",
    userAgent: "AWS Internal",
    requestParameters: null,
    // Those that have no details name the key here (developer guide, entries since December 2022).
    responseElements: details === null ? { keyId: keyArnOf(key) } : null,
    requestID: eventId,
    eventID: eventId,
    readOnly: false,
    resources: [{ ARN: keyArnOf(key), accountId: key.accountId, type: "AWS::KMS::Key" }],
    // AWS sees one Region calling another here.
    eventType: act.eventName === "SynchronizeMultiRegionKey" ? "AwsApiCall" : "AwsServiceEvent",
    managementEvent: true,
    recipientAccountId: key.accountId,
    ...(details === null ? {} : { serviceEventDetails: details }),
    eventCategory: "Management",
  };
}

function detailsOf(key: KeyRecord, act: ServiceAct): NonNullable<AuditEvent["serviceEventDetails"]> | null {
  switch (act.eventName) {
    case "RotateKey": {
      const { rotationType, previousKeyMaterialId, currentKeyMaterialId } = act;
      return {
        rotationType,
        keyOrigin: key.origin,
        ...(previousKeyMaterialId === undefined ? {} : { previousKeyMaterialId }),
        currentKeyMaterialId,
        keyId: key.keyId,
      };
    }
    case "DeleteExpiredKeyMaterial":
      return { keyId: key.keyId, keyMaterialId: act.keyMaterialId };
    default:
      return null;
  }
}
