import { expect, it } from "vitest";
import { type Answer, type Api, ApiError } from "./api.ts";
import { followStream } from "./follow.ts";

const PARENT = "shardId-000000000000";
const CHILD = "shardId-000000000001";

/** A shard that was closed, and its child, which holds one record more. The list of shards fails as often as that. */
function resharded(failures: number): Api {
  let lists = 0;
  const answers: Readonly<Record<string, (input: Readonly<Record<string, unknown>>) => Answer>> = {
    ListShards() {
      lists += 1;
      if (lists > 1 && lists <= 1 + failures) throw new ApiError("ECONNRESET", "", null);
      return { Shards: [{ ShardId: PARENT }, { ShardId: CHILD, ParentShardId: PARENT }] };
    },
    GetShardIterator: ({ ShardId }) => ({ ShardIterator: ShardId }),
    GetRecords: ({ ShardIterator: shardId }) => ({
      Records: [{ SequenceNumber: "1", PartitionKey: "p", ApproximateArrivalTimestamp: 1, Data: "" }],
      ...(shardId === CHILD ? { NextShardIterator: CHILD } : {}),
    }),
  };
  const call = async (operation: string, input: object): Promise<Answer> =>
    answers[operation]?.(input as Readonly<Record<string, unknown>>) ?? {};
  const time = { monotonicMs: () => 0, wallMs: () => 0, sleep: () => Promise.resolve() };
  return { time, kinesis: call, consumers: call, close: () => undefined };
}

it("goes on with the children of a shard, also when the list of shards fails at first", async () => {
  const enough = new AbortController();
  const found: string[] = [];
  const errors: unknown[] = [];
  await followStream({
    api: resharded(2),
    stream: "orders",
    from: "TRIM_HORIZON",
    signal: enough.signal,
    pollMs: 1,
    onRecords(records) {
      found.push(...records.map(({ shardId }) => shardId));
      if (found.includes(CHILD)) enough.abort();
    },
    onError: (error) => errors.push(error),
  });
  expect([found, errors.length]).toEqual([[PARENT, CHILD], 2]);
});
