import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, describeRequest, servingStream, streamResource, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { dryRun, invalidArgument, throughputExceeded, throughputExceededMessage, writeFailed } from "../errors.ts";
import { encryptionType } from "../model.ts";
import type { Put } from "../put-records.ts";
import { checkRecordSize } from "../put-records.ts";
import { putWithinLimits } from "../put-within-limits.ts";
import { distributed, distributesItself, withPartitionKeys } from "../record-distribution.ts";
import { parseSequenceNumber } from "../sequence.ts";
import type {
  PutRecordInput,
  PutRecordOutput,
  PutRecordsInput,
  PutRecordsOutput,
  PutRecordsResultEntry,
} from "../shapes.generated.ts";

/** All records of a request together, partition keys included. */
const REQUEST_BYTES_MAX = 10 * 1024 * 1024;

/** A sequence number may lie this far ahead, so that a wall clock that was set back refuses nobody. */
const AHEAD_MS_MAX = 60_000;

/**
 * Indices of a shard only grow, so that a record put after another one always comes behind it: the number need only be
 * one that a shard can have given.
 */
function checkOrdering(target: StreamTarget, sequenceNumber: string | undefined, nowMs: number): void {
  if (sequenceNumber === undefined) return;
  const parts = parseSequenceNumber(sequenceNumber);
  if (parts !== null && parts.arrivalSeconds * 1000 <= nowMs + AHEAD_MS_MAX) return;
  throw invalidArgument(
    `ExclusiveMinimumSequenceNumber ${sequenceNumber} used in PutRecord on stream ${target.name} under account ` +
      `${target.accountId} is invalid.`,
  );
}

export function putRecord(env: Environment): Operation<PutRecordInput, PutRecordOutput, StreamTarget> {
  return {
    event: "data",
    readOnly: false,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => accessTo("PutRecord", targetOfInput(call, input)),
    handle: async ({ call }, input, target) => {
      const stream = await servingStream(env.reader, target, call.nowMs);
      const records = distributesItself(stream)
        ? await distributed(env, stream, [input])
        : withPartitionKeys([input], () => "partitionKey");
      for (const record of records) checkRecordSize(stream, record, "data");
      checkOrdering(target, input.SequenceNumberForOrdering, call.nowMs);
      if (input.DryRun === true) throw dryRun();
      const [put] = await putWithinLimits(env, call, stream, target, records);
      if (put?.kind === "throttled") throw throughputExceeded(put.shardId, target);
      if (put?.kind !== "placed") throw writeFailed();
      const { shardId, sequenceNumber } = put;
      return {
        output: { ShardId: shardId, SequenceNumber: sequenceNumber, EncryptionType: encryptionType(stream) },
        audit: { ...streamResource(target), responseElements: { shardId, sequenceNumber } },
      };
    },
  };
}

function resultOf(put: Put, target: StreamTarget): PutRecordsResultEntry {
  if (put.kind === "placed") return { SequenceNumber: put.sequenceNumber, ShardId: put.shardId };
  if (put.kind === "failed") return { ErrorCode: "InternalFailure", ErrorMessage: "Internal Service Failure" };
  const ErrorMessage = throughputExceededMessage(put.shardId, target);
  return { ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage };
}

export function putRecords(env: Environment): Operation<PutRecordsInput, PutRecordsOutput, StreamTarget> {
  return {
    event: "data",
    readOnly: false,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => accessTo("PutRecords", targetOfInput(call, input)),
    handle: async ({ call }, input, target) => {
      const stream = await servingStream(env.reader, target, call.nowMs);
      const records = distributesItself(stream)
        ? await distributed(env, stream, input.Records)
        : withPartitionKeys(input.Records, (position) => `records.${position + 1}.member.partitionKey`);
      let bytes = 0;
      for (let position = 0; position < records.length; position++) {
        const record = records[position];
        if (record !== undefined) bytes += checkRecordSize(stream, record, `records.${position + 1}.member.data`);
      }
      if (bytes > REQUEST_BYTES_MAX) throw invalidArgument("Records size exceeds 10 MB limit");
      if (input.DryRun === true) throw dryRun();
      const puts = await putWithinLimits(env, call, stream, target, records);
      const failedCount = puts.filter(({ kind }) => kind !== "placed").length;
      return {
        output: {
          FailedRecordCount: failedCount,
          Records: puts.map((put) => resultOf(put, target)),
          EncryptionType: encryptionType(stream),
        },
        audit: { ...streamResource(target), responseElements: { failedRecordCount: failedCount } },
      };
    },
  };
}
