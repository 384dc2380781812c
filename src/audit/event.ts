/** A CloudTrail record, version 1.11: field names are AWS's. Times are ISO 8601 with whole seconds. */
export interface AuditEvent {
  readonly eventVersion: "1.11";
  readonly userIdentity: Readonly<Record<string, unknown>>;
  readonly eventTime: string;
  readonly eventSource: string;
  readonly eventName: string;
  readonly awsRegion: string;
  readonly sourceIPAddress: string;
  readonly userAgent: string;
  readonly errorCode?: string | undefined;
  readonly errorMessage?: string | undefined;
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
  readonly responseElements: Readonly<Record<string, unknown>> | null;
  readonly additionalEventData?: Readonly<Record<string, unknown>> | undefined;
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources?:
    | readonly { readonly ARN: string; readonly accountId: string; readonly type: string }[]
    | undefined;
  readonly eventType: "AwsApiCall" | "AwsServiceEvent";
  readonly managementEvent: boolean;
  readonly recipientAccountId: string;
  /** The same in the events that one call leaves in several accounts' trails. */
  readonly sharedEventID?: string | undefined;
  /** Of `AwsServiceEvent`s alone: what the service did by itself. */
  readonly serviceEventDetails?: Readonly<Record<string, unknown>>;
  readonly eventCategory: "Management" | "Data";
  readonly tlsDetails?: Readonly<Record<string, string>> | undefined;
}

export interface LookupQuery {
  readonly accountId: string;
  readonly region: string;
  readonly startMs: number;
  readonly endMs: number;
  /** One of CloudTrail's lookup attributes, or none. */
  readonly attribute?: { readonly key: string; readonly value: string };
  readonly limit: number;
  /** Continues behind an earlier page. Opaque. */
  readonly cursor?: string;
}

/** What CloudTrail's look-up tells of an event beside the event itself, and what its lookup attributes match. */
export interface EventAttributes {
  /** User name, role session name or `root`; null for callers without one. */
  readonly username: string | null;
  readonly accessKeyId: string | null;
  readonly resources: readonly { readonly type: string; readonly name: string }[];
}

export interface FoundEvent {
  readonly event: AuditEvent;
  readonly attributes: EventAttributes;
}

export interface LookupPage {
  /** Newest first. May hold fewer than asked for, even none, while `cursor` tells that there is more to search. */
  readonly events: readonly FoundEvent[];
  readonly cursor: string | null;
}
