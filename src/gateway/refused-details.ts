/**
 * What an event keeps of a call that was refused. Who may do nothing can still send anything: without a bound each refused
 * request writes as much into the trail as it is long. What identifies the call is short; documents are kept in full of calls
 * that succeeded.
 */
import type { AccessCheck, AuditDetails, AuditResource } from "./contract.ts";

const TEXT_LENGTH_MAX = 1_024;
/** Of all parameters of one call, names and values. */
const PARAMETERS_LENGTH_MAX = 8_192;
/** What a value takes besides its text. */
const OVERHEAD = 8;
const DEPTH_MAX = 8;
const CUT = "…";

interface Room {
  left: number;
}

export function refusedDetails(details: AuditDetails): AuditDetails {
  const { requestParameters } = details;
  if (requestParameters === undefined || requestParameters === null) return details;
  return { ...details, requestParameters: cutMembers(requestParameters, { left: PARAMETERS_LENGTH_MAX }, 0) };
}

/** What finds no room is left out. The flat members come first: names and ids are among them, and lists may be long. */
function cutMembers(value: object, room: Room, depth: number): Readonly<Record<string, unknown>> {
  const members = Object.entries(value) as [string, unknown][];
  const flatFirst = members.toSorted(([, a], [, b]) => Number(isNested(a)) - Number(isNested(b)));
  const kept = new Map<string, readonly [string, unknown]>();
  for (const [name, member] of flatFirst) {
    if (room.left <= 0) break;
    kept.set(name, [cutText(name, room), cutValue(member, room, depth)]);
  }
  // In the order of the request, as events of other calls are.
  const ordered = members.flatMap(([name]) => {
    const one = kept.get(name);
    return one === undefined ? [] : [one];
  });
  return Object.fromEntries(ordered);
}

function cutValue(value: unknown, room: Room, depth: number): unknown {
  room.left -= OVERHEAD;
  if (typeof value === "string") return cutText(value, room);
  if (!isNested(value)) return value;
  // A document as JSON may be nested at will.
  if (depth === DEPTH_MAX) return CUT;
  if (!Array.isArray(value)) return cutMembers(value, room, depth + 1);
  const kept: unknown[] = [];
  for (const item of value as readonly unknown[]) {
    if (room.left <= 0) break;
    kept.push(cutValue(item, room, depth + 1));
  }
  return kept;
}

function cutText(text: string, room: Room): string {
  const lengthMax = Math.max(0, Math.min(TEXT_LENGTH_MAX, room.left));
  room.left -= Math.min(text.length, lengthMax);
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax).toWellFormed()}${CUT}`;
}

const isNested = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The resource of a check as an event names it; none when the check was on no single resource. */
function resourceOf(check: AccessCheck): readonly AuditResource[] {
  const type = RESOURCE_TYPES.find(([pattern]) => pattern.test(check.resource))?.[1];
  return type === undefined ? [] : [{ type, arn: check.resource, accountId: check.resourceAccountId }];
}

/** What was asked about in several ways is one resource. */
export const resourcesOf = (checks: readonly AccessCheck[]): readonly AuditResource[] => [
  ...new Map(checks.flatMap(resourceOf).map((resource) => [resource.arn, resource])).values(),
];

/** CloudFormation's names of resource types, which CloudTrail uses. */
const RESOURCE_TYPES: readonly (readonly [RegExp, string])[] = [
  [/^arn:[^:]*:kms:[^:]*:[^:]*:key\//, "AWS::KMS::Key"],
  [/^arn:[^:]*:kinesis:[^:]*:[^:]*:stream\/[^/]*\/consumer\//, "AWS::Kinesis::StreamConsumer"],
  [/^arn:[^:]*:kinesis:[^:]*:[^:]*:stream\//, "AWS::Kinesis::Stream"],
  [/^arn:[^:]*:iam:[^:]*:[^:]*:user\//, "AWS::IAM::User"],
  [/^arn:[^:]*:iam:[^:]*:[^:]*:policy\//, "AWS::IAM::ManagedPolicy"],
  [/^arn:[^:]*:iam:[^:]*:[^:]*:role\//, "AWS::IAM::Role"],
];
