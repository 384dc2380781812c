import { parseArn } from "../base/arn.ts";
import { isoSeconds } from "../base/time.ts";
import type { AuditDetails, Call, Principal } from "../gateway/contract.ts";
import type { AuditEvent } from "./event.ts";

/** What a call ended with, when it was refused or failed. */
export interface CallError {
  readonly code: string;
  readonly message: string;
}

/** All that an event is made of. */
export interface EventSubject {
  readonly call: Call;
  /** `kms.amazonaws.com`. */
  readonly eventSource: string;
  readonly readOnly: boolean;
  readonly category: "Management" | "Data";
  /** What the operation says of its input and outcome. */
  readonly details: AuditDetails;
  readonly eventId: string;
  readonly error?: CallError | undefined;
  /** Whose trail the event goes to, where that is not the caller's own account. */
  readonly recipientAccountId?: string;
}

/** Of the agent and of the error message; what goes beyond is cut off (CloudTrail User Guide, "record contents": 1 KB). */
const TEXT_LENGTH_MAX = 1_024;
const cut = (text: string): string =>
  text.length <= TEXT_LENGTH_MAX ? text : text.slice(0, TEXT_LENGTH_MAX).toWellFormed();

const serviceHost = (service: string): string => `${service}.amazonaws.com`;

/** Builds the CloudTrail record of a call: who, when, from where, what, and how it ended. */
export type BuildEvent = (subject: EventSubject) => AuditEvent;

/** A builder that remembers how callers and the current second are written: both are the same for many events. */
export function createEventBuilder(): BuildEvent {
  const identities = new WeakMap<Principal, AuditEvent["userIdentity"]>();
  const identityOf = (principal: Principal, viaHost: string | null): AuditEvent["userIdentity"] => {
    if (viaHost !== null) return userIdentity(principal, viaHost);
    const known = identities.get(principal) ?? userIdentity(principal, null);
    identities.set(principal, known);
    return known;
  };
  let second = Number.NaN;
  let secondText = "";
  const timeOf = (nowMs: number): string => {
    const asked = Math.floor(nowMs / 1000);
    if (asked !== second) {
      second = asked;
      secondText = isoSeconds(nowMs);
    }
    return secondText;
  };
  return (subject) => {
    // A call that a service makes for its caller shows the service where a client's address and agent would stand.
    const { call } = subject;
    const viaHost = call.via === undefined ? null : serviceHost(call.via.service);
    return eventOf(subject, viaHost, identityOf(call.principal, viaHost), timeOf(call.nowMs));
  };
}

/**
 * What an event does not have is undefined rather than left out, so that all events are objects of one shape: with each shape
 * of its own the code after it slows down.
 */
function eventOf(
  subject: EventSubject,
  viaHost: string | null,
  identity: AuditEvent["userIdentity"],
  eventTime: string,
): AuditEvent {
  const { call, details, error } = subject;
  const showTls = call.tls !== undefined && viaHost === null;
  return {
    eventVersion: "1.11",
    userIdentity: identity,
    eventTime,
    eventSource: subject.eventSource,
    eventName: call.operation,
    awsRegion: call.region,
    sourceIPAddress: viaHost ?? call.sourceIp,
    userAgent: viaHost ?? cut(call.userAgent),
    errorCode: error === undefined ? undefined : recordedErrorCode(subject.eventSource, error.code),
    errorMessage: error === undefined || error.message === "" ? undefined : cut(recordedErrorMessage(error.message)),
    requestParameters: details.requestParameters ?? null,
    responseElements: error === undefined ? (details.responseElements ?? null) : null,
    additionalEventData: details.additionalEventData,
    requestID: call.requestId,
    eventID: subject.eventId,
    readOnly: subject.readOnly,
    resources:
      details.resources === undefined || details.resources.length === 0
        ? undefined
        : details.resources.map(({ type, arn, accountId }) => ({ ARN: arn, accountId, type })),
    eventType: "AwsApiCall",
    managementEvent: subject.category === "Management",
    recipientAccountId: subject.recipientAccountId ?? call.principal.accountId,
    eventCategory: subject.category,
    tlsDetails:
      call.tls === undefined || !showTls
        ? undefined
        : {
            tlsVersion: call.tls.version,
            cipherSuite: call.tls.cipherSuite,
            clientProvidedHostHeader: call.tls.host,
          },
  };
}

const EVENT_IDENTITY_TYPES: Readonly<Record<Principal["type"], string>> = {
  Root: "Root",
  User: "IAMUser",
  AssumedRole: "AssumedRole",
  FederatedUser: "FederatedUser",
  WebIdentity: "WebIdentityUser",
  Service: "AWSService",
};

function userIdentity(principal: Principal, viaHost: string | null): Readonly<Record<string, unknown>> {
  const type = EVENT_IDENTITY_TYPES[principal.type];
  // A service that acts by itself has no identity but its name (CloudTrail user guide, userIdentity element).
  if (principal.type === "Service") return { type, invokedBy: viaHost ?? principal.userName ?? principal.userId };
  // Is in no account yet; CloudTrail tells who vouches for it (CloudTrail user guide, userIdentity element).
  if (principal.type === "WebIdentity") {
    return {
      type,
      principalId: principal.userId,
      ...(principal.userName === undefined ? {} : { userName: principal.userName }),
      identityProvider: principal.arn,
    };
  }
  return {
    type,
    principalId: principal.userId,
    arn: principal.arn,
    accountId: principal.accountId,
    accessKeyId: principal.accessKeyId,
    userName: principal.type === "User" ? principal.userName : undefined,
    sessionContext: principal.session === undefined ? undefined : sessionContext(principal, principal.session),
    invokedBy: viaHost ?? undefined,
  };
}

function sessionContext(
  principal: Principal,
  session: NonNullable<Principal["session"]>,
): Readonly<Record<string, unknown>> {
  const { federation, sourceIdentity } = session;
  return {
    ...(principal.type === "AssumedRole" || principal.type === "FederatedUser"
      ? { sessionIssuer: sessionIssuer(principal, session) }
      : {}),
    ...(federation === undefined
      ? {}
      : { webIdFederationData: { federatedProvider: federation.provider, attributes: {} } }),
    // AWS writes both as strings.
    attributes: { creationDate: isoSeconds(session.issuedAtMs), mfaAuthenticated: String(session.mfa) },
    ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
  };
}

/** The role, or the user whose credentials asked. A session of GetSessionToken is its user's own and has no other issuer. */
function sessionIssuer(
  principal: Principal,
  { issuerArn, issuerId }: NonNullable<Principal["session"]>,
): Readonly<Record<string, unknown>> {
  const arn = parseArn(issuerArn);
  const isRoot = arn?.resource === "root";
  return {
    type: principal.type === "AssumedRole" ? "Role" : isRoot ? "Root" : "IAMUser",
    principalId: issuerId,
    arn: issuerArn,
    accountId: arn?.accountId ?? principal.accountId,
    ...(isRoot ? {} : { userName: issuerArn.split("/").at(-1) ?? "" }),
  };
}

/** IAM's wire codes lack the suffix that its events have: a missing user is recorded as `NoSuchEntityException`. */
const SUFFIXED_IAM_CODES: ReadonlySet<string> = new Set([
  "DeleteConflict",
  "EntityAlreadyExists",
  "InvalidInput",
  "LimitExceeded",
  "MalformedPolicyDocument",
  "NoSuchEntity",
  "PolicyNotAttachable",
]);

/**
 * CloudTrail records a denial as `AccessDenied` whatever the service calls it on the wire: so do published records of KMS,
 * whose wire code is `AccessDeniedException`.
 */
function recordedErrorCode(eventSource: string, code: string): string {
  if (code === "AccessDeniedException") return "AccessDenied";
  if (eventSource === "iam.amazonaws.com" && SUFFIXED_IAM_CODES.has(code)) return `${code}Exception`;
  return code;
}

const CONSTRAINT_MESSAGE = /^\d{1,6} validation errors? detected/;
/** What follows a value in a constraint message: the name of the member that held it. */
const MEMBER_AT_FAULT = /' at '([A-Za-z0-9.[\]]{1,100})' failed to satisfy/g;
const MEMBERS_AT_FAULT_MAX = 10;

/**
 * The message as it may be recorded. Constraint messages repeat the values that they complain about, which the caller may
 * see but the trail may not: a partition key can be such a value. Only the names of the members are kept.
 */
function recordedErrorMessage(message: string): string {
  const head = CONSTRAINT_MESSAGE.exec(message)?.[0];
  if (head === undefined) return message;
  const members = [...message.matchAll(MEMBER_AT_FAULT)].slice(0, MEMBERS_AT_FAULT_MAX).map((match) => `'${match[1]}'`);
  return members.length === 0 ? head : `${head}: at ${members.join(", ")}`;
}
