import { contentBytes } from "../../envelope/record-block.ts";
import type { Call } from "../../gateway/contract.ts";
import type { StreamTarget } from "./access.ts";
import type { Environment } from "./environment.ts";
import type { StreamRecord } from "./model.ts";
import type { IncomingRecord, Put } from "./put-records.ts";
import { putRecords } from "./put-records.ts";
import { hashKeyOf } from "./shards.ts";
import type { StreamLimits } from "./stream-limits.ts";

/** Under `--stream-limits aws`, records that come too fast for their shards are throttled each by itself. */
export async function putWithinLimits(
  env: Environment,
  call: Call,
  stream: StreamRecord,
  target: StreamTarget,
  records: readonly IncomingRecord[],
): Promise<readonly Put[]> {
  if (env.limits === null) return await putRecords(env, call, stream, target, records);
  const results = await throttled(env, env.limits, stream, records);
  const positions: number[] = [];
  const admitted = records.filter((_, position) => {
    if (results[position] !== undefined) return false;
    positions.push(position);
    return true;
  });
  const puts = await putRecords(env, call, stream, target, admitted);
  puts.forEach((put, nth) => (results[positions[nth] ?? 0] = put));
  return results;
}

/** What is refused, at its position in the request; holes where a record may be put. */
async function throttled(
  env: Environment,
  limits: StreamLimits,
  stream: StreamRecord,
  records: readonly IncomingRecord[],
): Promise<Put[]> {
  const shards = await env.shardMaps.of(stream);
  const results: Put[] = [];
  records.forEach((record, position) => {
    const { shardId, ref } = shards.route(hashKeyOf(record));
    const bytes = contentBytes({ partitionKey: record.PartitionKey, data: record.Data });
    if (!limits.admitPut(ref.streamId, ref.shardIndex, bytes)) results[position] = { kind: "throttled", shardId };
  });
  return results;
}
