import type { Operation, OperationContext } from "../../../gateway/contract.ts";
import { servingStream } from "../access.ts";
import type { ConsumerTarget } from "../consumers.ts";
import { checkOnConsumer, consumerOfArn, consumerResource, consumerStatusOf, existingConsumer } from "../consumers.ts";
import type { Environment } from "../environment.ts";
import { consumerNotActive, consumerNotFound, dryRun, shardNotFound, subscriptionInUse } from "../errors.ts";
import { isExpired } from "../model.ts";
import type { SubscribeToShardInput, SubscribeToShardOutput } from "../shapes.generated.ts";
import { shardIdOf, shardIndexOf } from "../shards.ts";
import { Subscription } from "../subscription.ts";
import { positionOf } from "./get-shard-iterator.ts";

/** Also asked for while the subscription lasts: one that is deregistered, or whose stream is deleted, ends. */
async function requireConsumer({ call, read }: OperationContext, target: ConsumerTarget): Promise<void> {
  const stream = await servingStream(read, target, call.nowMs);
  const consumer = await existingConsumer(read, stream, target, call.nowMs);
  const status = consumerStatusOf(consumer, call.nowMs);
  if (status === "CREATING") throw consumerNotActive(target, status);
  if (status !== "ACTIVE") throw consumerNotFound(target);
}

export function subscribeToShard(
  env: Environment,
): Operation<SubscribeToShardInput, SubscribeToShardOutput, ConsumerTarget> {
  return {
    event: "data",
    readOnly: true,
    describe: ({ ConsumerARN, ShardId, StartingPosition }) => ({
      requestParameters: {
        consumerARN: ConsumerARN,
        shardId: ShardId,
        startingPosition: { type: StartingPosition.Type },
      },
    }),
    access: async ({ call, read }, input) => {
      const target = consumerOfArn(call, input.ConsumerARN);
      return { checks: [await checkOnConsumer(read, "SubscribeToShard", target)], target };
    },
    check: (context, _input, target) => requireConsumer(context, target),
    handle: async ({ call, afterwards }, input, target) => {
      // Without a way to ask again, what is revoked later would go on.
      if (afterwards === undefined) throw new Error("a subscription needs to be permitted while it lasts");
      const stream = await servingStream(env.reader, target, call.nowMs);
      const index = shardIndexOf(input.ShardId);
      const shard = index === null ? undefined : (await env.shardMaps.of(stream)).at(index);
      if (shard === undefined || isExpired(shard.record, stream, call.nowMs))
        throw shardNotFound(index === null ? input.ShardId : shardIdOf(index), target);
      const { Type, SequenceNumber, Timestamp } = input.StartingPosition;
      const start = {
        ShardId: input.ShardId,
        ShardIteratorType: Type,
        StartingSequenceNumber: SequenceNumber,
        Timestamp,
      };
      const position = await positionOf(env, start, target, shard, call.nowMs);
      if (input.DryRun === true) throw dryRun();
      const { ref } = shard;
      const bytesPerSecond = env.fanOutBytesPerSecond;
      const subscription = new Subscription({ env, call, afterwards, target, ref, position, bytesPerSecond });
      env.fanOut.enter(target.consumerArn, ref, subscription, () => subscriptionInUse(target, shard.shardId));
      return { output: { EventStream: subscription }, audit: consumerResource(target) };
    },
  };
}
