/**
 * The last line of defence before an event is stored. Services say themselves what an event may hold (`describe`); this
 * file makes sure that a mistake there neither writes a secret into the trail nor fills the disk.
 */
import { cutTo } from "../base/text.ts";
import type { AuditEvent } from "./event.ts";

/**
 * Members that never stand in an event, wherever they are nested. Names are compared without case, dashes and
 * underscores, so `SecretAccessKey`, `secret_access_key` and `secretAccessKey` are one.
 */
const FORBIDDEN_MEMBERS: ReadonlySet<string> = new Set([
  "attestationdocument",
  "authorization",
  "ciphertext",
  "ciphertextblob",
  "ciphertextforrecipient",
  "clientsecret",
  "data",
  "encryptedkeymaterial",
  "explicithashkey",
  "importtoken",
  "keymaterial",
  "message",
  "messagebody",
  "partitionkey",
  "password",
  "newpassword",
  "oldpassword",
  "plaintext",
  "privatekey",
  "privatekeyciphertextblob",
  "privatekeyplaintext",
  "rotationtoken",
  "secretaccesskey",
  "secretbinary",
  "secretstring",
  "sessiontoken",
  "sharedsecret",
  "tokencode",
  "webidentitytoken",
]);

/**
 * Maps whose names are the caller's own. An encryption context is additional authenticated data, which KMS logs in clear by
 * contract, so a pair that happens to be called `data` belongs into the trail.
 */
const CALLER_NAMED_MAPS: ReadonlySet<string> = new Set([
  "encryptioncontext",
  "sourceencryptioncontext",
  "destinationencryptioncontext",
  "encryptioncontextequals",
  "encryptioncontextsubset",
]);

/** A key policy (32 KiB) still fits whole. */
const STRING_LENGTH_MAX = 33_000;
const SHORT_STRING_LENGTH_MAX = 1_024;
const LIST_LENGTH_MAX = 1_000;
const MEMBER_COUNT_MAX = 1_000;
const DEPTH_MAX = 12;
const RESOURCE_COUNT_MAX = 100;
/** How many are left of those of an event that is too large without anything else. */
const RESOURCE_COUNT_MIN = 10;
const ARN_LENGTH_MAX = 2_048;
/** CloudTrail stops at 256 KB per event; ours stay well below, so that a page of fifty is bounded too. */
export const EVENT_BYTES_MAX = 100_000;

const OMITTED = '{"omitted":true,"reason":"The event was too large."}';

/** Printable ASCII without quotes and backslashes is its own JSON: the usual text, and a third of the cost. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < SPACE || code > TILDE || code === QUOTE || code === BACKSLASH) return false;
  }
  return true;
}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const TILDE = 0x7e;
/** What is longer is looked through faster natively. */
const PLAIN_LENGTH_MAX = 128;

const quoted = (text: string): string =>
  text.length <= PLAIN_LENGTH_MAX && isPlain(text) ? `"${text}"` : JSON.stringify(text);

const canonicalName = (name: string): string => (/[-_]/.test(name) ? name.replace(/[-_]/g, "") : name).toLowerCase();

interface Bounds {
  readonly stringLengthMax: number;
  readonly listLengthMax: number;
}

const FULL: Bounds = { stringLengthMax: STRING_LENGTH_MAX, listLengthMax: LIST_LENGTH_MAX };
const TIGHT: Bounds = { stringLengthMax: 256, listLengthMax: 50 };
/** For what the server itself says of the caller and the connection. */
const FRAME: Bounds = { stringLengthMax: SHORT_STRING_LENGTH_MAX, listLengthMax: 10 };

/**
 * The JSON text of a value without anything forbidden; null when nothing is left. It is written in one pass: what is not
 * copied here on purpose cannot slip through, and no copy has to be made first.
 */
function valueText(value: unknown, bounds: Bounds, depth: number): string | null {
  if (typeof value === "string") return quoted(cutTo(value, bounds.stringLengthMax));
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? JSON.stringify(value) : null;
  if (typeof value === "bigint") return `"${value}"`;
  // Bytes are payloads, key material or ciphertext: an event has no use for any of them.
  if (typeof value !== "object" || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return null;
  if (depth >= DEPTH_MAX) return null;
  if (!Array.isArray(value)) return membersText(value, bounds, depth, false);
  const items: string[] = [];
  for (const item of value.slice(0, bounds.listLengthMax)) {
    const text = valueText(item, bounds, depth + 1);
    if (text !== null) items.push(text);
  }
  return `[${items.join(",")}]`;
}

function membersText(value: object, bounds: Bounds, depth: number, callerNamed: boolean): string {
  const members = value as Members;
  let text = "{";
  let count = 0;
  for (const name of Object.keys(members)) {
    if (count >= MEMBER_COUNT_MAX) break;
    const member = members[name];
    const canonical = canonicalName(name);
    if (callerNamed ? typeof member !== "string" : FORBIDDEN_MEMBERS.has(canonical)) continue;
    const isCallerNamedMap =
      !callerNamed && CALLER_NAMED_MAPS.has(canonical) && typeof member === "object" && member !== null;
    const written = isCallerNamedMap
      ? membersText(member, bounds, depth + 1, true)
      : valueText(member, bounds, depth + 1);
    if (written === null) continue;
    text += `${count === 0 ? "" : ","}${quoted(cutTo(name, SHORT_STRING_LENGTH_MAX))}:${written}`;
    count += 1;
  }
  return `${text}}`;
}

type Members = Readonly<Record<string, unknown>>;

const short = (text: string): string => quoted(cutTo(text, SHORT_STRING_LENGTH_MAX));

/** How the parts are written that a service fills in: parameters, response, and what else it tells. */
type BodyText = (members: Members) => string;

const resourceText = ({ ARN, accountId, type }: NonNullable<AuditEvent["resources"]>[number]): string =>
  `{"ARN":${quoted(cutTo(ARN, ARN_LENGTH_MAX))},"accountId":${short(accountId)},"type":${short(type)}}`;

/** Every member of an event by name, in CloudTrail's order: a member that is not listed here is not stored. */
function textWith(event: AuditEvent, identity: string, body: BodyText, resourceCountMax: number): string {
  const { errorCode, errorMessage, requestParameters, responseElements, additionalEventData, tlsDetails } = event;
  const { serviceEventDetails } = event;
  const resources = event.resources?.slice(0, resourceCountMax).map(resourceText);
  return (
    `{"eventVersion":${short(event.eventVersion)},"userIdentity":${identity}` +
    `,"eventTime":${short(event.eventTime)},"eventSource":${short(event.eventSource)}` +
    `,"eventName":${short(event.eventName)},"awsRegion":${short(event.awsRegion)}` +
    `,"sourceIPAddress":${short(event.sourceIPAddress)},"userAgent":${short(event.userAgent)}` +
    (errorCode === undefined ? "" : `,"errorCode":${short(errorCode)}`) +
    (errorMessage === undefined ? "" : `,"errorMessage":${short(errorMessage)}`) +
    `,"requestParameters":${requestParameters === null ? "null" : body(requestParameters)}` +
    `,"responseElements":${responseElements === null ? "null" : body(responseElements)}` +
    (additionalEventData === undefined ? "" : `,"additionalEventData":${body(additionalEventData)}`) +
    `,"requestID":${short(event.requestID)},"eventID":${short(event.eventID)},"readOnly":${event.readOnly}` +
    (resources === undefined ? "" : `,"resources":[${resources.join(",")}]`) +
    `,"eventType":${short(event.eventType)},"managementEvent":${event.managementEvent}` +
    `,"recipientAccountId":${short(event.recipientAccountId)}` +
    (event.sharedEventID === undefined ? "" : `,"sharedEventID":${short(event.sharedEventID)}`) +
    (serviceEventDetails === undefined ? "" : `,"serviceEventDetails":${body(serviceEventDetails)}`) +
    `,"eventCategory":${short(event.eventCategory)}` +
    (tlsDetails === undefined ? "" : `,"tlsDetails":${membersText(tlsDetails, FRAME, 0, false)}`) +
    "}"
  );
}

const FULL_BODY: BodyText = (members) => membersText(members, FULL, 0, false);
const TIGHT_BODY: BodyText = (members) => membersText(members, TIGHT, 0, false);
const OMITTED_BODY: BodyText = () => OMITTED;

/** UTF-8 takes at most three bytes for one UTF-16 unit, so that the usual event need not be measured. */
const fits = (text: string): boolean =>
  text.length * 3 <= EVENT_BYTES_MAX || Buffer.byteLength(text) <= EVENT_BYTES_MAX;

/** The caller as it may be stored. The same object has the same text. */
export const identityText = (identity: AuditEvent["userIdentity"]): string => membersText(identity, FRAME, 0, false);

/**
 * The event as it may be stored, as JSON: nothing forbidden, no bytes, every string bounded, the whole at most
 * EVENT_BYTES_MAX. What is too large loses first the tails of its strings, then its parameters and response.
 */
export function storableText(event: AuditEvent, identity: string = identityText(event.userIdentity)): string {
  const full = textWith(event, identity, FULL_BODY, RESOURCE_COUNT_MAX);
  if (fits(full)) return full;
  const tight = textWith(event, identity, TIGHT_BODY, RESOURCE_COUNT_MAX);
  if (fits(tight)) return tight;
  const bare = textWith(event, identity, OMITTED_BODY, RESOURCE_COUNT_MAX);
  // 100 resources of 3 KiB each can still be too many.
  return fits(bare) ? bare : textWith(event, identity, OMITTED_BODY, RESOURCE_COUNT_MIN);
}
