/** Which records a put is about, and into which shards they go: by partition key, or as the stream distributes them itself. */
import type { Environment } from "./environment.ts";
import { validationFailed } from "./errors.ts";
import type { StreamRecord } from "./model.ts";
import { isOpen } from "./model.ts";
import type { IncomingRecord } from "./put-records.ts";
import type { ShardMap } from "./shards.ts";

/** A record as a request brings it. Without a partition key only streams take it that need none. */
export interface GivenRecord {
  readonly Data: Uint8Array;
  readonly PartitionKey?: string | undefined;
  readonly ExplicitHashKey?: string | undefined;
}

/** On-demand streams only: one that has become provisioned has partition keys again. */
export const distributesItself = (stream: StreamRecord): boolean =>
  stream.distribution === "AUTO" && stream.mode === "ON_DEMAND";

/** Throws ValidationException where one has none, as the model would if every stream needed them. `pathOf`: AWS's names. */
export function withPartitionKeys(
  records: readonly GivenRecord[],
  pathOf: (position: number) => string,
): readonly IncomingRecord[] {
  for (let position = 0; position < records.length; position++) {
    if (records[position]?.PartitionKey !== undefined) continue;
    throw validationFailed(
      `1 validation error detected: Value null at '${pathOf(position)}' failed to satisfy constraint: Member must not be null`,
    );
  }
  return records as readonly IncomingRecord[];
}

/** Where each open shard begins, in decimal: a hash key that leads there. */
function explicitHashKeys(shards: ShardMap): readonly string[] {
  return shards.shards
    .filter(({ record }) => isOpen(record))
    .map(({ record }) => BigInt(`0x${record.startHash}`).toString());
}

/**
 * The records with hash keys that spread them evenly over the open shards: one after the other, from one that chance names.
 * What the producer said of placement is ignored; a partition key stays with its record, an absent one is an empty one.
 */
export async function distributed(
  env: Environment,
  stream: StreamRecord,
  records: readonly GivenRecord[],
): Promise<readonly IncomingRecord[]> {
  const keys = explicitHashKeys(await env.shardMaps.of(stream));
  const first = Buffer.from(env.random.bytes(4)).readUInt32BE();
  return records.map(({ Data, PartitionKey = "" }, at) => ({
    Data,
    PartitionKey,
    ExplicitHashKey: keys[(first + at) % keys.length] ?? "0",
  }));
}
