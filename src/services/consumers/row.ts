/** What all operations have in common: the stream that a request names, and the application's rows. */
import { formatArn, parseArn } from "../../base/arn.ts";
import type { Access, AuditDetails, Call, Operation, OperationContext } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { invalidArgument, noSuchApplication, noSuchStream } from "./errors.ts";
import type { LeaseRecord } from "./lease.ts";
import { holderOf, requesterOf } from "./lease.ts";
import { type ApplicationRecord, applications } from "./records.ts";
import type { LeaseDescription, OperationName, Operations } from "./shapes.ts";

export interface StreamPlace {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
}

/**
 * Port: which stream it is that has this name now, by its id. Null: none that can be read. Implemented by services/kinesis;
 * the composition root hands it in.
 */
export type StreamLookup = (read: Reader, place: StreamPlace, nowMs: number) => Promise<string | null>;

export interface Target extends StreamPlace {
  readonly arn: string;
}

export type Row<Name extends OperationName> = Operation<Operations[Name]["input"], Operations[Name]["output"], Target>;

type Input = Operations["ListApplications"]["input"] & { readonly Application?: string; readonly ShardId?: string };

const STREAM_RESOURCE = /^stream\/([a-zA-Z0-9_.-]{1,128})$/;

function targetOf(call: Call, input: Input): Target {
  const { StreamName: given, StreamARN: arn } = input;
  if (arn === undefined) {
    if (given === undefined) throw invalidArgument("Either StreamName or StreamARN must be specified.");
    const { accountId } = call.principal;
    return { accountId, region: call.region, name: given, arn: streamArn(call.region, accountId, given) };
  }
  const parsed = parseArn(arn);
  const name = STREAM_RESOURCE.exec(parsed?.resource ?? "")?.[1];
  if (parsed === null || parsed.service !== "kinesis" || name === undefined)
    throw invalidArgument("StreamARN is not the ARN of a stream.");
  if (parsed.region !== call.region) throw invalidArgument("StreamARN names a stream of another Region.");
  if (given !== undefined && given !== name) throw invalidArgument("StreamName and StreamARN name different streams.");
  return {
    accountId: parsed.accountId,
    region: parsed.region,
    name,
    arn: streamArn(parsed.region, parsed.accountId, name),
  };
}

const streamArn = (region: string, accountId: string, name: string): string =>
  formatArn("kinesis", region, accountId, `stream/${name}`);

/** Permission comes first: whether the stream exists is nobody's business who may not use it. */
const accessTo = (call: Call, name: OperationName, input: Input): Access<Target> => {
  const target = targetOf(call, input);
  return {
    checks: [{ action: `waxseal:${name}`, resource: target.arn, resourceAccountId: target.accountId }],
    target,
  };
};

const describe = (input: Input): AuditDetails => ({
  requestParameters: {
    ...(input.StreamName === undefined ? {} : { streamName: input.StreamName }),
    ...(input.StreamARN === undefined ? {} : { streamARN: input.StreamARN }),
    ...(input.Application === undefined ? {} : { application: input.Application }),
    ...(input.ShardId === undefined ? {} : { shardId: input.ShardId }),
  },
});

/** A row of the table. `event`: leases are taken and renewed all the time, as records are read. */
export const row = <Name extends OperationName>(
  name: Name,
  kind: { readonly event: "management" | "data"; readonly readOnly: boolean },
  handle: Row<Name>["handle"],
): Row<Name> => ({
  ...kind,
  describe,
  access: async ({ call }, input) => accessTo(call, name, input),
  handle: async (context, input, target) => {
    const outcome = await handle(context, input, target);
    const resources = [{ type: "AWS::Kinesis::Stream", arn: target.arn, accountId: target.accountId }];
    return { ...outcome, audit: { ...outcome.audit, resources } };
  },
});

/** Throws ResourceNotFoundException. */
export async function streamIdOf(lookup: StreamLookup, context: OperationContext, target: Target): Promise<string> {
  const id = await lookup(context.read, target, context.call.nowMs);
  if (id === null) throw noSuchStream(target.arn);
  return id;
}

/** Throws ResourceNotFoundException. */
export async function registered(read: Reader, streamId: string, name: string): Promise<ApplicationRecord> {
  const application = await read.get(applications, [streamId, name]);
  if (application === null) throw noSuchApplication(name);
  return application;
}

export function describeLease(shardId: string, lease: LeaseRecord, nowMs: number): LeaseDescription {
  const holder = holderOf(lease, nowMs);
  const requester = requesterOf(lease, nowMs);
  return {
    ShardId: shardId,
    Counter: lease.counter,
    ...(holder === null ? {} : { Owner: holder, RemainingMs: Math.ceil(lease.untilMs - nowMs) }),
    ...(requester === null ? {} : { RequestedBy: requester }),
    ...(lease.checkpoint === null ? {} : { SequenceNumber: lease.checkpoint.sequenceNumber }),
    ...(typeof lease.checkpoint?.subSequenceNumber !== "number"
      ? {}
      : { SubSequenceNumber: lease.checkpoint.subSequenceNumber }),
    Ended: lease.ended,
  };
}
