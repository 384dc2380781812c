/** Consumers of enhanced fan-out: which one a request names, in what state it is, and the permission that it needs. */
import { parseArn } from "../../base/arn.ts";
import type { AccessCheck, AuditDetails, Call } from "../../gateway/contract.ts";
import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import type { StreamTarget } from "./access.ts";
import { targetOfArn } from "./access.ts";
import { invalidArgument, notConsumerArn, consumerNotFound } from "./errors.ts";
import { TRANSITION_MS } from "./model.ts";
import type { StreamRecord } from "./model.ts";
import type { ConsumerRecord } from "./records.ts";
import { consumerChanges, consumers, resourcePolicies, streamKey, streams } from "./records.ts";
import type { Consumer, ConsumerStatus } from "./shapes.generated.ts";

/** Per stream (Developer Guide, "Quotas and limits": on-demand standard and provisioned). */
export const CONSUMER_COUNT_MAX = 20;
/** More than there can be: those that were deregistered stay for a moment. */
const LISTED_COUNT_MAX = 1_000;

const CONSUMER_PART = /\/consumer\/([a-zA-Z0-9_.-]{1,128}):([0-9]{1,20})$/;

/** A consumer as a request names it. It need not exist. */
export interface ConsumerTarget extends StreamTarget {
  readonly consumerName: string;
  readonly consumerArn: string;
}

const epochSeconds = (createdAtMs: number): number => Math.floor(createdAtMs / 1000);

export const consumerArn = (streamArn: string, name: string, createdAtMs: number): string =>
  `${streamArn}/consumer/${name}:${epochSeconds(createdAtMs)}`;

export const isConsumerArn = (arn: string): boolean => parseArn(arn)?.resource.includes("/consumer/") === true;

/** Throws InvalidArgumentException for an ARN that names no consumer of this Region. */
export function consumerOfArn(call: Call, arn: string): ConsumerTarget {
  const [part, consumerName = ""] = CONSUMER_PART.exec(arn) ?? [];
  if (part === undefined) throw notConsumerArn(arn);
  const stream = targetOfArn(call, arn.slice(0, -part.length));
  return { ...stream, consumerName, consumerArn: arn };
}

export interface NamesConsumer {
  readonly StreamARN?: string | undefined;
  readonly ConsumerName?: string | undefined;
  readonly ConsumerARN?: string | undefined;
}

/** Takes the consumer's ARN, the stream's with its name, or all of them where they agree. */
export async function consumerOfInput(read: Reader, call: Call, input: NamesConsumer): Promise<ConsumerTarget> {
  const { StreamARN, ConsumerName, ConsumerARN } = input;
  if (ConsumerARN !== undefined) {
    const target = consumerOfArn(call, ConsumerARN);
    const agrees =
      (StreamARN === undefined || targetOfArn(call, StreamARN).arn === target.arn) &&
      (ConsumerName === undefined || ConsumerName === target.consumerName);
    if (agrees) return target;
    throw invalidArgument("ConsumerARN, StreamARN and ConsumerName name different consumers.");
  }
  if (StreamARN === undefined || ConsumerName === undefined) {
    throw invalidArgument("Either ConsumerARN, or both StreamARN and ConsumerName must be specified.");
  }
  const stream = targetOfArn(call, StreamARN);
  // Others have to give the consumer's ARN (API Reference): a refusal must not tell them when it was registered.
  const isOwn = stream.accountId === call.principal.accountId;
  const record = isOwn ? await read.get(streams, streamKey(stream)) : null;
  const consumer = record === null ? null : await read.get(consumers, [record.streamId, ConsumerName]);
  // Of one that does not exist nobody knows the time: who may use any of that name is told so.
  const createdAtMs = consumer?.createdAtMs ?? 0;
  return { ...stream, consumerName: ConsumerName, consumerArn: consumerArn(stream.arn, ConsumerName, createdAtMs) };
}

/** Null: it is gone. As with streams, nothing flips a status in the background. */
export function consumerStatusOf({ createdAtMs, deletedAtMs }: ConsumerRecord, nowMs: number): ConsumerStatus | null {
  const within = (sinceMs: number): boolean => sinceMs <= nowMs && nowMs < sinceMs + TRANSITION_MS;
  if (deletedAtMs !== null) return within(deletedAtMs) ? "DELETING" : null;
  return within(createdAtMs) ? "CREATING" : "ACTIVE";
}

/** Throws ResourceNotFoundException for one that never was, is gone, or was registered at another time than its ARN says. */
export async function existingConsumer(
  read: Reader,
  stream: StreamRecord,
  target: ConsumerTarget,
  nowMs: number,
): Promise<ConsumerRecord> {
  const record = await read.get(consumers, [stream.streamId, target.consumerName]);
  const isIt =
    record !== null &&
    consumerStatusOf(record, nowMs) !== null &&
    consumerArn(target.arn, record.name, record.createdAtMs) === target.consumerArn;
  if (!isIt) throw consumerNotFound(target);
  return record;
}

/** Those that exist, by name; and the records of those that do not any more. */
export async function consumersOf(
  read: Reader,
  streamId: string,
  nowMs: number,
): Promise<{ readonly present: readonly ConsumerRecord[]; readonly gone: readonly ConsumerRecord[] }> {
  const all = (await read.list(consumers, { prefix: [streamId], limit: LISTED_COUNT_MAX })).map(({ value }) => value);
  const isPresent = (record: ConsumerRecord): boolean => consumerStatusOf(record, nowMs) !== null;
  return { present: all.filter(isPresent), gone: all.filter((record) => !isPresent(record)) };
}

/** The consumers of a stream of which some are about to change. */
export interface ChangingConsumers {
  readonly present: readonly ConsumerRecord[];
  readonly gone: readonly ConsumerRecord[];
  readonly changeCount: number;
}

/**
 * The same, for a change of them. The count of changes is read in front of the list, which is not part of what a commit
 * expects: a change of which the list did not know yet makes the operation run again.
 */
export async function consumersToChange(read: Reader, streamId: string, nowMs: number): Promise<ChangingConsumers> {
  const changes = await read.get(consumerChanges, [streamId]);
  return { ...(await consumersOf(read, streamId, nowMs)), changeCount: changes?.count ?? 0 };
}

const removeAll = (streamId: string, records: readonly ConsumerRecord[]): readonly Write[] =>
  records.flatMap((record) => [consumers.remove([streamId, record.name]), removePolicy(streamId, record)]);

/** To be written with every change: counts it, and takes away what is gone. */
export const changeWrites = (streamId: string, { gone, changeCount }: ChangingConsumers): readonly Write[] => [
  ...removeAll(streamId, gone),
  consumerChanges.put([streamId], { count: changeCount + 1 }),
];

/** The part of a resource policy's key that names a consumer (`kinesis.policy`). */
const policyPart = ({ name, createdAtMs }: ConsumerRecord): string => `consumer/${name}:${epochSeconds(createdAtMs)}`;

export const removePolicy = (streamId: string, consumer: ConsumerRecord): Write =>
  resourcePolicies.remove([streamId, policyPart(consumer)]);

/** All that a stream's consumers leave in the store goes with the stream. */
export const removeAllConsumers = (streamId: string, { present, gone }: ChangingConsumers): readonly Write[] => [
  ...removeAll(streamId, [...present, ...gone]),
  consumerChanges.remove([streamId]),
];

/** A check on a consumer. Its tags are conditions, if it exists. */
export async function checkOnConsumer(read: Reader, action: string, target: ConsumerTarget): Promise<AccessCheck> {
  const stream = await read.get(streams, streamKey(target));
  const consumer = stream === null ? null : await read.get(consumers, [stream.streamId, target.consumerName]);
  const tags = Object.entries(consumer?.tags ?? {});
  return {
    action: `kinesis:${action}`,
    resource: target.consumerArn,
    resourceAccountId: target.accountId,
    ...(tags.length === 0
      ? {}
      : { context: Object.fromEntries(tags.map(([key, value]) => [`aws:ResourceTag/${key}`, value])) }),
  };
}

export const describeConsumer = (target: StreamTarget, record: ConsumerRecord, nowMs: number): Consumer => ({
  ConsumerName: record.name,
  ConsumerARN: consumerArn(target.arn, record.name, record.createdAtMs),
  ConsumerStatus: consumerStatusOf(record, nowMs) ?? "DELETING",
  ConsumerCreationTimestamp: epochSeconds(record.createdAtMs) * 1000,
});

export const consumerResource = (target: ConsumerTarget): AuditDetails => ({
  resources: [
    { type: "AWS::Kinesis::StreamConsumer", arn: target.consumerArn, accountId: target.accountId },
    { type: "AWS::Kinesis::Stream", arn: target.arn, accountId: target.accountId },
  ],
});
