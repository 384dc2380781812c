/**
 * The last line of defence before an event is stored. Services say themselves what an event may hold (`describe`); this
 * file makes sure that a mistake there neither writes a secret into the trail nor fills the disk.
 */
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
/** CloudTrail stops at 256 KB per event; ours stay well below, so that a page of fifty is bounded too. */
export const EVENT_BYTES_MAX = 100_000;

const CUT_MARK = "…";
const OMITTED: Readonly<Record<string, unknown>> = Object.freeze({ omitted: true, reason: "The event was too large." });

const canonicalName = (name: string): string => name.replace(/[-_]/g, "").toLowerCase();

const cut = (text: string, lengthMax: number): string =>
  text.length <= lengthMax ? text : text.slice(0, lengthMax) + CUT_MARK;

interface Bounds {
  readonly stringLengthMax: number;
  readonly listLengthMax: number;
}

const FULL: Bounds = { stringLengthMax: STRING_LENGTH_MAX, listLengthMax: LIST_LENGTH_MAX };
const TIGHT: Bounds = { stringLengthMax: 256, listLengthMax: 50 };

/** A copy that JSON can hold and that holds nothing forbidden; undefined when nothing is left. */
function cleanValue(value: unknown, bounds: Bounds, depth: number): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return cut(value, bounds.stringLengthMax);
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value === "bigint") return value.toString();
  // Bytes are payloads, key material or ciphertext: an event has no use for any of them.
  if (typeof value !== "object" || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return undefined;
  if (depth >= DEPTH_MAX) return undefined;
  if (Array.isArray(value)) {
    return value
      .slice(0, bounds.listLengthMax)
      .map((item: unknown) => cleanValue(item, bounds, depth + 1))
      .filter((item) => item !== undefined);
  }
  return cleanMembers(value, bounds, depth, false);
}

function cleanMembers(value: object, bounds: Bounds, depth: number, callerNamed: boolean): Record<string, unknown> {
  // Without a prototype, a member called __proto__ is a member like any other.
  const clean: Record<string, unknown> = Object.create(null);
  let count = 0;
  for (const [name, member] of Object.entries(value)) {
    if (count >= MEMBER_COUNT_MAX) break;
    const canonical = canonicalName(name);
    if (callerNamed ? typeof member !== "string" : FORBIDDEN_MEMBERS.has(canonical)) continue;
    const isCallerNamedMap =
      !callerNamed && CALLER_NAMED_MAPS.has(canonical) && typeof member === "object" && member !== null;
    const cleaned = isCallerNamedMap
      ? cleanMembers(member, bounds, depth + 1, true)
      : cleanValue(member, bounds, depth + 1);
    if (cleaned === undefined) continue;
    clean[cut(name, SHORT_STRING_LENGTH_MAX)] = cleaned;
    count += 1;
  }
  return clean;
}

type Members = Readonly<Record<string, unknown>>;

function withBodies(event: AuditEvent, body: (members: Members) => Members): AuditEvent {
  const { requestParameters, responseElements, additionalEventData } = event;
  return {
    ...event,
    requestParameters: requestParameters === null ? null : body(requestParameters),
    responseElements: responseElements === null ? null : body(responseElements),
    ...(additionalEventData === undefined ? {} : { additionalEventData: body(additionalEventData) }),
  };
}

function cleanFrame(event: AuditEvent): AuditEvent {
  const short = (text: string): string => cut(text, SHORT_STRING_LENGTH_MAX);
  return {
    ...event,
    userIdentity: cleanMembers(
      event.userIdentity,
      { stringLengthMax: SHORT_STRING_LENGTH_MAX, listLengthMax: 10 },
      0,
      false,
    ),
    eventSource: short(event.eventSource),
    eventName: short(event.eventName),
    awsRegion: short(event.awsRegion),
    sourceIPAddress: short(event.sourceIPAddress),
    userAgent: short(event.userAgent),
    ...(event.errorCode === undefined ? {} : { errorCode: short(event.errorCode) }),
    ...(event.errorMessage === undefined ? {} : { errorMessage: short(event.errorMessage) }),
    ...(event.resources === undefined
      ? {}
      : {
          resources: event.resources.slice(0, RESOURCE_COUNT_MAX).map((resource) => ({
            ARN: cut(resource.ARN, 2_048),
            accountId: short(resource.accountId),
            type: short(resource.type),
          })),
        }),
  };
}

const sizeBytes = (event: AuditEvent): number => Buffer.byteLength(JSON.stringify(event));

/**
 * The event as it may be stored: nothing forbidden, no bytes, every string bounded, the whole at most EVENT_BYTES_MAX as
 * JSON. What is too large loses first the tails of its strings, then its parameters and response.
 */
export function storableEvent(event: AuditEvent): AuditEvent {
  const framed = cleanFrame(event);
  const clean = withBodies(framed, (members) => cleanMembers(members, FULL, 0, false));
  if (sizeBytes(clean) <= EVENT_BYTES_MAX) return clean;
  const tight = withBodies(framed, (members) => cleanMembers(members, TIGHT, 0, false));
  if (sizeBytes(tight) <= EVENT_BYTES_MAX) return tight;
  const bare = withBodies(framed, () => OMITTED);
  if (sizeBytes(bare) <= EVENT_BYTES_MAX) return bare;
  // 100 resources of 3 KiB each can still be too many.
  return { ...bare, resources: (bare.resources ?? []).slice(0, 10) };
}
