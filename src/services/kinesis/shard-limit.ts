import type { StreamTarget } from "./access.ts";
import type { Environment } from "./environment.ts";
import { limitExceeded } from "./errors.ts";
import { countedShards } from "./model.ts";
import { listStreamRecords } from "./stream-list.ts";

/** Throws LimitExceededException where the account would have too many open shards in the Region. */
export async function checkShardLimit(
  env: Environment,
  read: Environment["reader"],
  target: StreamTarget,
  nowMs: number,
  additionalCount: number,
): Promise<void> {
  const others = await listStreamRecords(read, target, nowMs, undefined, Number.POSITIVE_INFINITY);
  const open = others.reduce((total, stream) => total + countedShards(stream), 0);
  if (open + additionalCount <= env.shardCountMax) return;
  throw limitExceeded(
    `This request would exceed the shard limit for the account ${target.accountId} in ${target.region}. ` +
      `Current shard count for the account: ${open}. Limit: ${env.shardCountMax}. ` +
      `Number of additional shards that would have resulted from this request: ${additionalCount}. ` +
      "Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) " +
      "for current limits and how to request higher limits.",
  );
}
