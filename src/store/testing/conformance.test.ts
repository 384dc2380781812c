import { expect, it } from "vitest";
import { memoryMetadataStore } from "../memory-metadata-store.ts";
import { memoryRecordLog } from "../memory-record-log.ts";
import type { MetadataStore } from "../metadata-store.ts";
import type { RecordLog } from "../record-log.ts";
import { failedChecks } from "./conformance.ts";
import { metadataChecks } from "./metadata-conformance.ts";
import { recordLogChecks } from "./record-log-conformance.ts";

const failedMetadataChecks = (breakIt: (store: MetadataStore) => Partial<MetadataStore>): Promise<string[]> =>
  failedChecks(metadataChecks, async () => {
    const store = memoryMetadataStore();
    return { store: { ...methodsOf(store), ...breakIt(store) }, reopen: null, dispose: () => store.close() };
  });

const failedRecordChecks = (breakIt: (log: RecordLog) => Partial<RecordLog>): Promise<string[]> =>
  failedChecks(recordLogChecks, async () => {
    const log = memoryRecordLog();
    return { store: { ...logMethodsOf(log), ...breakIt(log) }, reopen: null, dispose: () => log.close() };
  });

const methodsOf = (store: MetadataStore): MetadataStore => ({
  get: (key) => store.get(key),
  range: (query) => store.range(query),
  commit: (batch) => store.commit(batch),
  generation: () => store.generation(),
  close: () => store.close(),
});

const logMethodsOf = (log: RecordLog): RecordLog => ({
  append: (shard, block) => log.append(shard, block),
  read: (shard, fromIndex, limits) => log.read(shard, fromIndex, limits),
  last: (shard) => log.last(shard),
  firstIndexAt: (shard, timeMs) => log.firstIndexAt(shard, timeMs),
  replace: (shard, blocks) => log.replace(shard, blocks),
  trim: (shard, timeMs, blocksMax) => log.trim(shard, timeMs, blocksMax),
  drop: (streamId) => log.drop(streamId),
  close: () => log.close(),
});

it("lets the unbroken stores pass", async () => {
  expect(await failedMetadataChecks(() => ({}))).toEqual([]);
  expect(await failedRecordChecks(() => ({}))).toEqual([]);
});

it.each<[string, string, (store: MetadataStore) => Partial<MetadataStore>]>([
  [
    "ignores expectations",
    "loses no update when many count at the same time",
    (store) => ({ commit: ({ writes }) => store.commit({ expect: [], writes }) }),
  ],
  [
    "writes before it compares",
    "commits when every expectation holds, and writes nothing when one does not",
    (store) => ({
      async commit({ expect: expected, writes }) {
        const outcome = await store.commit({ expect: expected, writes: [] });
        await store.commit({ expect: [], writes });
        return outcome;
      },
    }),
  ],
  [
    "compares too early",
    "loses no update when many count at the same time",
    (store) => ({
      async commit({ expect: expected, writes }) {
        if ((await store.commit({ expect: expected, writes: [] })) === "conflict") return "conflict";
        return store.commit({ expect: [], writes });
      },
    }),
  ],
  [
    "orders keys as JavaScript does",
    "orders keys by their UTF-8 bytes, whatever they hold",
    (store) => ({
      async range(query) {
        const entries = [...(await store.range({ ...query, limit: 10_000, reverse: false }))];
        entries.sort((a, b) => (a.key < b.key ? -1 : 1));
        return (query.reverse ? entries.toReversed() : entries).slice(0, query.limit);
      },
    }),
  ],
  [
    "applies the limit before it reverses",
    "stops a range at its limit, from the end it began with",
    (store) => ({
      async range(query) {
        const entries = [...(await store.range({ ...query, reverse: false }))];
        return query.reverse ? entries.toReversed() : entries;
      },
    }),
  ],
  [
    "hands out its own memory",
    "returns private copies: neither side's changes reach the other",
    (store) => {
      const given = new Map<string, Awaited<ReturnType<MetadataStore["get"]>>>();
      return {
        async get(key) {
          const value = await store.get(key);
          const held = given.get(key);
          if (held === undefined || held === null || value === null || held.byteLength !== value.byteLength)
            given.set(key, value);
          else held.set(value);
          return given.get(key) ?? null;
        },
      };
    },
  ],
])("notices a metadata store that %s", async (_, check, breakIt) => {
  expect(await failedMetadataChecks(breakIt)).toContain(check);
});

it.each<[string, string, (log: RecordLog) => Partial<RecordLog>]>([
  [
    "loses the order of appends",
    "shows no block before the ones that were appended earlier",
    (log) => {
      const held: (() => Promise<void>)[] = [];
      return {
        async append(shard, block) {
          await new Promise<void>((resolve, reject) => {
            held.push(() => log.append(shard, block).then(resolve, reject));
            queueMicrotask(() => void held.pop()?.());
          });
        },
      };
    },
  ],
  [
    "forgets the end of a trimmed shard",
    "remembers the last frame of a shard that was trimmed empty, and goes on behind it",
    (log) => ({
      async last(shard) {
        const [newest] = (await log.read(shard, 0, { blocksMax: 100_000, bytesMax: Infinity })).slice(-1);
        return newest === undefined ? null : { lastIndex: newest.lastIndex, lastArrivalMs: newest.lastArrivalMs };
      },
    }),
  ],
  [
    "trims too much",
    "trims the oldest blocks up to a time or a count, and nothing else",
    (log) => ({ trim: (shard, timeMs, blocksMax) => log.trim(shard, timeMs + 1, blocksMax) }),
  ],
  [
    "stops short of a block that goes beyond the byte limit",
    "reads from the block that holds an index, up to either limit, but one block at least",
    (log) => ({
      async read(shard, fromIndex, limits) {
        const blocks = await log.read(shard, fromIndex, limits);
        const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
        return bytes > limits.bytesMax ? blocks.slice(0, -1) : blocks;
      },
    }),
  ],
  [
    "drops a stream whose name begins alike",
    "drops all shards of a stream with their ends, and no other stream",
    (log) => ({
      async drop(streamId) {
        await log.drop(streamId);
        await log.drop(`${streamId}0`);
      },
    }),
  ],
])("notices a record log that %s", async (_, check, breakIt) => {
  expect(await failedRecordChecks(breakIt)).toContain(check);
});
