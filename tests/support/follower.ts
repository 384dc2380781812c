import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from "@aws-sdk/client-kinesis";
import { text } from "./streams.ts";
import { sleep } from "./wait.ts";

export interface FollowedRecord {
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly data: string;
}

const PAUSE_MS = 20;

/** All shards of a stream, whatever the length of the list. */
export async function allShards(kinesis: KinesisClient, StreamName: string): Promise<readonly Shard[]> {
  const found: Shard[] = [];
  let NextToken: string | undefined;
  do {
    const page = await kinesis.send(new ListShardsCommand(NextToken === undefined ? { StreamName } : { NextToken }));
    found.push(...(page.Shards ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return found;
}

/**
 * Reads a stream as consumer libraries do while its shards split and merge: each shard from its beginning, once its parents
 * have been read to their end. Ends when `isOver` and nothing is left. The records come in the order in which they were read.
 */
export async function follow(
  kinesis: KinesisClient,
  StreamName: string,
  isOver: () => boolean,
): Promise<readonly FollowedRecord[]> {
  const records: FollowedRecord[] = [];
  const reading = new Map<string, Promise<void>>();
  const finished = new Set<string>();
  const known = new Set<string>();

  const read = async (shardId: string): Promise<void> => {
    const input = { StreamName, ShardId: shardId, ShardIteratorType: "TRIM_HORIZON" } as const;
    let { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(input));
    for (;;) {
      const lastLook = isOver();
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
      for (const { SequenceNumber = "", Data } of page.Records ?? [])
        records.push({ shardId, sequenceNumber: SequenceNumber, data: text(Data) });
      ShardIterator = page.NextShardIterator;
      if (ShardIterator === undefined) {
        if ((page.ChildShards ?? []).length === 0) throw new Error(`${shardId} ended without children`);
        finished.add(shardId);
        return;
      }
      const caughtUp = (page.Records ?? []).length === 0 && page.MillisBehindLatest === 0;
      if (caughtUp && lastLook) return;
      if (caughtUp) await sleep(PAUSE_MS);
    }
  };

  for (;;) {
    const over = isOver();
    const shards = await allShards(kinesis, StreamName);
    for (const { ShardId = "" } of shards) known.add(ShardId);
    for (const { ShardId = "", ParentShardId, AdjacentParentShardId } of shards) {
      const parents = [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined && known.has(id));
      if (reading.has(ShardId) || !parents.every((id) => finished.has(id ?? ""))) continue;
      reading.set(ShardId, read(ShardId));
    }
    const all = Promise.all(reading.values());
    if (over) {
      const count = reading.size;
      await all;
      if (count === shards.length) return records;
    } else await Promise.race([all, sleep(PAUSE_MS)]);
  }
}

/** Throws where a record is missing or there twice, or `WRITER/COUNT` do not come in the order of each writer's count. */
export function checkOrder(records: readonly FollowedRecord[], acknowledged: readonly string[]): void {
  const seen = new Set<string>();
  const last = new Map<string, number>();
  for (const { data, shardId } of records) {
    if (seen.has(data)) throw new Error(`${data} is there twice`);
    seen.add(data);
    const [writer = "", count = ""] = data.split(/\/(?=\d+$)/);
    if (Number(count) <= (last.get(writer) ?? -1)) throw new Error(`${data} is out of order in ${shardId}`);
    last.set(writer, Number(count));
  }
  const lost = acknowledged.filter((data) => !seen.has(data));
  if (lost.length > 0) throw new Error(`${lost.length} records are lost, ${lost.slice(0, 5).join(", ")} among them`);
}
