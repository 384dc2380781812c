/** Which stream a request names, and the permission it needs. */
import { parseArn } from "../../base/arn.ts";
import type { Access, AccessCheck, AuditDetails, Call } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { invalidArgument, streamNotActive, streamNotFound } from "./errors.ts";
import type { StreamRecord } from "./model.ts";
import { servesData, statusOf, streamArn } from "./model.ts";
import { streamKey, streams } from "./records.ts";

/** A stream by name: it need not exist. */
export interface StreamTarget {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
  readonly arn: string;
}

export interface NamesStream {
  readonly StreamName?: string | undefined;
  readonly StreamARN?: string | undefined;
  readonly StreamId?: string | undefined;
}

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;

export const targetOf = (accountId: string, region: string, name: string): StreamTarget => ({
  accountId,
  region,
  name,
  arn: streamArn({ accountId, region, name }),
});

/** Throws InvalidArgumentException for an ARN that names no stream of this region. */
export function targetOfArn(call: Call, arn: string): StreamTarget {
  const parsed = parseArn(arn);
  const name = parsed?.resource.startsWith("stream/") === true ? parsed.resource.slice("stream/".length) : "";
  if (
    parsed === null ||
    parsed.service !== "kinesis" ||
    !STREAM_NAME.test(name) ||
    !/^[0-9]{12}$/.test(parsed.accountId)
  ) {
    throw invalidArgument(`${arn} is not the ARN of a stream.`);
  }
  if (parsed.region !== call.region) {
    throw invalidArgument(
      `The stream ${arn} is in another Region than the one that this request was sent to (${call.region}).`,
    );
  }
  return targetOf(parsed.accountId, parsed.region, name);
}

/** Takes the name, the ARN, or both where they agree. */
export function targetOfInput(call: Call, input: NamesStream): StreamTarget {
  if (input.StreamId !== undefined) throw invalidArgument("StreamId is not supported. Use StreamName or StreamARN.");
  if (input.StreamARN !== undefined) {
    const target = targetOfArn(call, input.StreamARN);
    if (input.StreamName === undefined || input.StreamName === target.name) return target;
    throw invalidArgument("StreamName and StreamARN name different streams.");
  }
  if (input.StreamName === undefined) throw invalidArgument("Either StreamName or StreamARN must be specified.");
  return targetOf(call.principal.accountId, call.region, input.StreamName);
}

/** Encryption context of every KMS call for a stream. */
export const encryptionContextOf = (target: StreamTarget): Readonly<Record<string, string>> => ({
  "aws:kinesis:arn": target.arn,
});

export const checkOn = (action: string, target: StreamTarget, context?: AccessCheck["context"]): AccessCheck => ({
  action: `kinesis:${action}`,
  resource: target.arn,
  resourceAccountId: target.accountId,
  ...(context === undefined ? {} : { context }),
});

/** Permission comes first: whether the stream exists is nobody's business who may not use it. */
export const accessTo = (action: string, target: StreamTarget): Access<StreamTarget> => ({
  checks: [checkOn(action, target)],
  target,
});

/** Throws ResourceNotFoundException for a stream that never was or is gone. */
export async function existingStream(read: Reader, target: StreamTarget, nowMs: number): Promise<StreamRecord> {
  const stream = await read.get(streams, streamKey(target));
  if (stream === null || statusOf(stream, nowMs) === null) throw streamNotFound(target);
  return stream;
}

/** A stream that takes and gives records: to a producer one that is being made or deleted does not exist. */
export async function servingStream(read: Reader, target: StreamTarget, nowMs: number): Promise<StreamRecord> {
  const stream = await existingStream(read, target, nowMs);
  if (!servesData(statusOf(stream, nowMs))) throw streamNotFound(target);
  return stream;
}

/** Throws ResourceInUseException while the stream is on its way from one state to another. */
export async function activeStream(read: Reader, target: StreamTarget, nowMs: number): Promise<StreamRecord> {
  const stream = await existingStream(read, target, nowMs);
  const status = statusOf(stream, nowMs);
  if (status !== "ACTIVE") throw streamNotActive(target, status ?? "DELETING");
  return stream;
}

/** For the audit trail: the names in a request, and what else `extra` says. Never a payload, partition key or hash key. */
export const describeRequest = (input: NamesStream, extra: Readonly<Record<string, unknown>> = {}): AuditDetails => ({
  requestParameters: {
    ...(input.StreamName === undefined ? {} : { streamName: input.StreamName }),
    ...(input.StreamARN === undefined ? {} : { streamARN: input.StreamARN }),
    ...extra,
  },
});

/** The stream as a resource of the event, once it is known which it is. */
export const streamResource = (target: StreamTarget): AuditDetails => ({
  resources: [{ type: "AWS::Kinesis::Stream", arn: target.arn, accountId: target.accountId }],
});
