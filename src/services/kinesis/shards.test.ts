import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecordReader } from "../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import type { StreamRecord } from "./model.ts";
import { shardLists } from "./records.ts";
import type { ShardMap } from "./shards.ts";
import { describeShard, hashKeyOf, shardIndexOf, ShardMaps, uniformShards } from "./shards.ts";

async function mapOf(count: number): Promise<ShardMap> {
  const metadata = memoryMetadataStore();
  await metadata.commit({
    expect: [],
    writes: [shardLists.put(["s"], { version: 1, shards: uniformShards(count, 0) })],
  });
  return await new ShardMaps(new RecordReader(metadata)).of({ streamId: "s", shardsVersion: 1 } as StreamRecord);
}

describe("shards", () => {
  test("divide the hash keys as AWS does: the last one takes the rest", async () => {
    const { shards } = await mapOf(3);
    expect(shards.map((shard) => describeShard(shard).HashKeyRange)).toEqual([
      { StartingHashKey: "0", EndingHashKey: "113427455640312821154458202477256070484" },
      {
        StartingHashKey: "113427455640312821154458202477256070485",
        EndingHashKey: "226854911280625642308916404954512140969",
      },
      {
        StartingHashKey: "226854911280625642308916404954512140970",
        EndingHashKey: "340282366920938463463374607431768211455",
      },
    ]);
  });

  test("a record goes to the one shard whose range holds its hash key", async () => {
    const map = await mapOf(7);
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 128n - 1n), (hashKey) => {
        const shard = map.route(hashKeyOf({ PartitionKey: "x", ExplicitHashKey: hashKey.toString() }));
        const { StartingHashKey, EndingHashKey } = describeShard(shard).HashKeyRange;
        expect(BigInt(StartingHashKey) <= hashKey && hashKey <= BigInt(EndingHashKey)).toBe(true);
      }),
    );
  });

  test("a partition key's hash key is its MD5 in UTF-8", () => {
    expect(hashKeyOf({ PartitionKey: "schlüssel" })).toBe(createHash("md5").update("schlüssel", "utf8").digest("hex"));
  });

  test("an explicit hash key beyond 2^128 is refused", () => {
    expect(() => hashKeyOf({ PartitionKey: "x", ExplicitHashKey: (2n ** 128n).toString() })).toThrow(
      "Invalid ExplicitHashKey",
    );
  });

  test("ids are understood with and without prefix and zeros", () => {
    expect(["shardId-000000000012", "shard-12", "12"].map(shardIndexOf)).toEqual([12, 12, 12]);
    expect(["shardId-", "x", "shardId-99999999999", "shardId--1"].map(shardIndexOf)).toEqual([null, null, null, null]);
  });
});
