import { parseArn } from "../base/arn.ts";
import type { AuditEvent, EventAttributes } from "./event.ts";

/** The keys that LookupEvents takes (CloudTrail API reference, LookupAttribute). */
export type LookupAttributeKey =
  | "EventId"
  | "EventName"
  | "ReadOnly"
  | "Username"
  | "ResourceType"
  | "ResourceName"
  | "EventSource"
  | "AccessKeyId";

const textMember = (members: Readonly<Record<string, unknown>>, name: string): string | null => {
  const value = members[name];
  return typeof value === "string" && value !== "" ? value : null;
};

function usernameOf(event: AuditEvent): string | null {
  const identity = event.userIdentity;
  const type = textMember(identity, "type");
  if (type === "Root") return "root";
  if (type === "AssumedRole" || type === "FederatedUser") {
    // The session's name is the last part of its ARN: assumed-role/ROLE/SESSION, federated-user/NAME.
    return textMember(identity, "arn")?.split("/").at(-1) ?? null;
  }
  return textMember(identity, "userName") ?? textMember(identity, "invokedBy");
}

/** The resource types that CloudTrail names by ARN. All others go by their plain name. */
const NAMED_BY_ARN: ReadonlySet<string> = new Set(["AWS::KMS::Key", "AWS::IAM::Policy"]);

function plainName(arn: string): string {
  const resource = parseArn(arn)?.resource ?? arn;
  return resource.split(/[/:]/).at(-1) || arn;
}

/** What an event is looked up by. */
export function attributesOf(event: AuditEvent): EventAttributes {
  return {
    username: usernameOf(event),
    accessKeyId: textMember(event.userIdentity, "accessKeyId"),
    resources: (event.resources ?? []).map(({ type, ARN }) => ({
      type,
      name: NAMED_BY_ARN.has(type) ? ARN : plainName(ARN),
    })),
  };
}

/** Does the event have this lookup attribute? Values are compared with case, as AWS does. A key of no known name matches nothing. */
export function hasAttribute(
  event: AuditEvent,
  attributes: EventAttributes,
  wanted: { readonly key: string; readonly value: string },
): boolean {
  switch (wanted.key as LookupAttributeKey) {
    case "EventId":
      return event.eventID === wanted.value;
    case "EventName":
      return event.eventName === wanted.value;
    case "ReadOnly":
      return String(event.readOnly) === wanted.value;
    case "EventSource":
      return event.eventSource === wanted.value;
    case "Username":
      return attributes.username === wanted.value;
    case "AccessKeyId":
      return attributes.accessKeyId === wanted.value;
    case "ResourceType":
      return attributes.resources.some(({ type }) => type === wanted.value);
    case "ResourceName":
      // Whoever has only the plain name, or only the ARN, finds the event by either.
      return (event.resources ?? []).some(({ ARN }) => ARN === wanted.value || plainName(ARN) === wanted.value);
    default:
      return false;
  }
}
