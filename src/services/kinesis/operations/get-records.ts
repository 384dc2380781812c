import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, servingStream, streamResource, targetOf, targetOfInput } from "../access.ts";
import type { Environment } from "../environment.ts";
import { dryRun, expiredIterator, invalidIterator, shardNotFound } from "../errors.ts";
import type { ShardIterator } from "../iterator.ts";
import { ITERATOR_LIFETIME_MS, openIterator, sealIterator } from "../iterator.ts";
import { readRecords } from "../read-records.ts";
import type { GetRecordsInput, GetRecordsOutput } from "../shapes.generated.ts";
import { childShardsOf, shardIdOf } from "../shards.ts";

const RECORD_COUNT_MAX = 10_000;

interface Target extends StreamTarget {
  readonly iterator: ShardIterator;
}

export function getRecords(env: Environment): Operation<GetRecordsInput, GetRecordsOutput, Target> {
  return {
    event: "data",
    readOnly: true,
    // The iterator is a capability for five minutes: it does not belong in the audit trail.
    describe: (input) => ({
      requestParameters: {
        ...(input.StreamARN === undefined ? {} : { streamARN: input.StreamARN }),
        ...(input.Limit === undefined ? {} : { limit: input.Limit }),
      },
    }),
    access: async ({ call }, input) => {
      const iterator = openIterator(env.secretBox, input.ShardIterator);
      // Another account's stream may be read by whom its policy lets.
      if (iterator.region !== call.region) throw invalidIterator();
      const target = targetOf(iterator.accountId, iterator.region, iterator.name);
      if (input.StreamARN !== undefined || input.StreamId !== undefined) {
        if (targetOfInput(call, input).arn !== target.arn) throw invalidIterator();
      }
      return { ...accessTo("GetRecords", target), target: { ...target, iterator } };
    },
    handle: async ({ call }, input, target) => {
      const { iterator } = target;
      if (call.nowMs - iterator.createdMs > ITERATOR_LIFETIME_MS) {
        throw expiredIterator(iterator.createdMs, call.nowMs, ITERATOR_LIFETIME_MS);
      }
      const stream = await servingStream(env.reader, target, call.nowMs);
      const shards = await env.shardMaps.of(stream);
      const shard = shards.at(iterator.shardIndex);
      if (stream.streamId !== iterator.streamId || shard === undefined) {
        throw shardNotFound(shardIdOf(iterator.shardIndex), target);
      }
      if (input.DryRun === true) throw dryRun();
      const limit = input.Limit ?? RECORD_COUNT_MAX;
      const { position } = iterator;
      const read = await readRecords(env, call, { stream, target, shard, position, limit });
      const closed = shard.record.closed ?? null;
      return {
        output: {
          Records: read.records,
          // At the end of a closed shard there is no next one: its hash keys go on in its children.
          ...(closed !== null && read.atTip
            ? { ChildShards: childShardsOf(shards, iterator.shardIndex) }
            : {
                NextShardIterator: sealIterator(env.secretBox, {
                  ...iterator,
                  position: read.nextPosition,
                  createdMs: Math.floor(call.nowMs),
                }),
              }),
          MillisBehindLatest: read.millisBehindLatest,
        },
        audit: streamResource(target),
      };
    },
  };
}
