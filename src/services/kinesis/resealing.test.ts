import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clearBlock } from "../../envelope/record-block.ts";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { Block, RecordLog } from "../../store/record-log.ts";
import { streams } from "./records.ts";
import { resealJobs } from "./reseal-job.ts";
import { KEY_ARN, OTHER_KEY_ARN, refusal } from "./testing/harness.ts";
import { ResealRoom } from "./testing/reseal-room.ts";

const EVERYTHING = { blocksMax: 10_000, bytesMax: Number.MAX_SAFE_INTEGER };

let inner: RecordLog;
/** Runs before each replacement. */
let beforeReplace: () => Promise<void> | void;
/** Runs after each. */
let afterReplace: () => void;
let subject: ResealRoom;

beforeEach(async () => {
  inner = memoryRecordLog();
  beforeReplace = () => undefined;
  afterReplace = () => undefined;
  subject = new ResealRoom(logged(inner));
  subject.start();
  await subject.room.stream();
});
afterEach(async () => subject.stop());

const logged = (log: RecordLog): RecordLog => ({
  append: (shard, block) => log.append(shard, block),
  read: (shard, fromIndex, limits) => log.read(shard, fromIndex, limits),
  last: (shard) => log.last(shard),
  firstIndexAt: (shard, timeMs) => log.firstIndexAt(shard, timeMs),
  replace: async (shard, blocks) => {
    await beforeReplace();
    const count = await log.replace(shard, blocks);
    afterReplace();
    return count;
  },
  trim: (shard, timeMs, blocksMax) => log.trim(shard, timeMs, blocksMax),
  drop: (streamId) => log.drop(streamId),
  close: () => log.close(),
});

const streamId = async (): Promise<string> => {
  const [entry] = await subject.room.reader.list(streams, { prefix: [], limit: 1 });
  if (entry === undefined) throw new Error("no stream");
  return entry.value.streamId;
};

const stored = async (): Promise<readonly Block[]> =>
  inner.read({ streamId: await streamId(), shardIndex: 0 }, 0, EVERYTHING);

const records = async (): Promise<readonly unknown[]> => {
  const iterator = await subject.room.iterator();
  const { Records } = await subject.room.run("GetRecords", { ShardIterator: iterator });
  return Records.map(({ SequenceNumber, ApproximateArrivalTimestamp, Data, PartitionKey }) => [
    SequenceNumber,
    ApproximateArrivalTimestamp,
    Buffer.from(Data).toString(),
    PartitionKey,
  ]);
};

async function putUnderOldKey(count: number): Promise<void> {
  await subject.room.encrypt("orders", KEY_ARN);
  for (let nth = 0; nth < count; nth++) {
    await subject.room.put(`order ${nth}`);
    subject.room.clock.advance(10);
  }
  await subject.room.encrypt("orders", OTHER_KEY_ARN);
}

describe("sealing a stream's records again", () => {
  test("brings them under its present key, and changes nothing that a reader sees", async () => {
    await putUnderOldKey(40);
    await subject.room.put("under the new key");
    const before = await records();
    const frames = (await stored()).map(({ firstIndex, lastIndex, lastArrivalMs }) => [
      firstIndex,
      lastIndex,
      lastArrivalMs,
    ]);
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({
      state: "DONE",
      sealedUnder: { keyArn: OTHER_KEY_ARN, suite: "aes" },
      counts: { resealedRecords: 40, resealedBlocks: 40, currentRecords: 1, leftRecords: 0 },
      recordsTotal: 41,
      recordsDone: 41,
    });
    subject.room.kms.states.set(KEY_ARN, "Disabled");
    expect(await records()).toEqual(before);
    expect(
      (await stored()).map(({ firstIndex, lastIndex, lastArrivalMs }) => [firstIndex, lastIndex, lastArrivalMs]),
    ).toEqual(frames);
    expect(await subject.report()).toMatchObject([{ keyArn: OTHER_KEY_ARN, records: 41, suite: "aes" }]);
  });

  test("takes records in clear along, of which no block is left in clear", async () => {
    await subject.room.put("in clear");
    await subject.room.encrypt("orders", KEY_ARN);
    expect(await subject.report()).toMatchObject([{ keyArn: null, suite: "none", records: 1 }]);
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "DONE", counts: { resealedRecords: 1 } });
    expect(Buffer.concat((await stored()).map(({ bytes }) => bytes)).includes("in clear")).toBe(false);
    expect(await subject.room.texts()).toEqual(["in clear"]);
  });

  test("does not seal what the store may have forged: records in clear, dated when the stream was encrypted", async () => {
    await subject.room.put("in clear");
    const [clear] = await stored();
    await subject.room.encrypt("orders", KEY_ARN);
    subject.room.clock.advance(60_000);
    await subject.room.put("sealed");
    const [, sealed] = await stored();
    if (clear === undefined || sealed === undefined) throw new Error("no blocks");
    const forged = [{ partitionKey: "k", data: Buffer.from("forged") }];
    const bytes = clearBlock(sealed.firstIndex, sealed.lastArrivalMs, forged);
    await inner.replace({ streamId: await streamId(), shardIndex: 0 }, [{ ...sealed, bytes }]);
    await subject.room.encrypt("orders", OTHER_KEY_ARN);
    await subject.reseal();
    const status = await subject.ended();
    expect(status).toMatchObject({ state: "DONE", counts: { resealedRecords: 1, leftRecords: 1 } });
    expect(status.damaged).toHaveLength(1);
    expect((await stored()).map((block) => Buffer.compare(block.bytes, bytes))[1]).toBe(0);
  });

  test("leaves a damaged block as it is, and says where it is", async () => {
    await putUnderOldKey(3);
    const blocks = await stored();
    const [, second] = blocks;
    if (second === undefined) throw new Error("no block");
    const bytes = Uint8Array.from(second.bytes) as typeof second.bytes;
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await inner.replace({ streamId: await streamId(), shardIndex: 0 }, [{ ...second, bytes }]);
    await subject.reseal();
    const status = await subject.ended();
    expect(status).toMatchObject({ state: "DONE", counts: { resealedRecords: 2, leftRecords: 1 } });
    expect((await stored()).map((block) => Buffer.compare(block.bytes, bytes))[1]).toBe(0);
  });

  test("done twice, finds everything as it shall be", async () => {
    await putUnderOldKey(5);
    await subject.reseal();
    await subject.ended();
    const before = await stored();
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({
      state: "DONE",
      counts: { resealedRecords: 0, currentRecords: 5 },
    });
    expect(await stored()).toEqual(before);
    // Its record goes with the stream.
    const key = resealJobs.key([await streamId()]);
    expect(await subject.room.metadata.get(key)).not.toBeNull();
    await subject.room.run("DeleteStream", { StreamName: "orders" });
    subject.room.clock.advance(1_000);
    await expect.poll(async () => subject.room.metadata.get(key)).toBeNull();
  });

  test("also brings records under the key's newest material", async () => {
    await subject.room.encrypt("orders", KEY_ARN);
    await subject.room.put("before the rotation");
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ counts: { resealedRecords: 0, currentRecords: 1 } });
    subject.material = "material-2";
    await subject.reseal();
    // By a data key of the job's own, not one in the cache from before the rotation.
    expect(await subject.ended()).toMatchObject({
      counts: { resealedRecords: 1 },
      sealedUnder: { keyArn: KEY_ARN, materialId: "material-2" },
    });
    expect(await subject.report()).toMatchObject([{ materialId: "material-2", records: 1 }]);
  });

  test("is refused for a stream without encryption", async () => {
    await subject.room.put("in clear");
    expect((await refusal(subject.reseal())).code).toBe("StreamNotEncrypted");
    expect((await refusal(subject.status())).code).toBe("NoSuchReseal");
  });

  test("while it runs is the same job", async () => {
    await putUnderOldKey(3);
    const first = await subject.reseal();
    expect(await subject.reseal()).toBe(first);
    await subject.ended();
  });
});

describe("without permission", () => {
  test("to use the old key it stops, says why, and goes on from there when it is permitted", async () => {
    await putUnderOldKey(3);
    subject.room.kms.states.set(KEY_ARN, "Disabled");
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({
      state: "STOPPED",
      reason: { code: "KMSDisabledException" },
      counts: { resealedRecords: 0 },
    });
    expect(subject.events.at(-1)).toMatchObject({
      operation: "EndStreamReseal",
      input: { job: { state: "STOPPED" } },
    });
    subject.room.kms.states.set(KEY_ARN, "Enabled");
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "DONE", counts: { resealedRecords: 3 } });
  });

  test("taken away in the middle, it stops there: each step asks anew", async () => {
    await putUnderOldKey(600);
    let steps = 0;
    beforeReplace = () => {
      if (++steps === 1) subject.room.kms.refuse("*", "AccessDeniedException", "not any more");
    };
    await subject.reseal();
    const stopped = await subject.ended();
    expect(stopped).toMatchObject({ state: "STOPPED", reason: { code: "KMSAccessDeniedException" } });
    expect(stopped.recordsDone).toBeGreaterThan(0);
    expect(stopped.recordsDone).toBeLessThan(600);
    subject.room.kms.refusals.clear();
    await subject.reseal();
    const done = await subject.ended();
    // It went on where it stood: nothing was looked at twice.
    expect(done.counts).toMatchObject({ resealedRecords: 600, currentRecords: 0 });
  });

  test("and with another key in between, it starts over when the key is back: records came under the other one", async () => {
    await putUnderOldKey(600);
    beforeReplace = () => subject.room.kms.refuse("*", "AccessDeniedException", "not any more");
    expect(await subject.reseal().then(() => subject.ended())).toMatchObject({ state: "STOPPED" });
    beforeReplace = () => undefined;
    subject.room.kms.refusals.clear();
    await subject.room.encrypt("orders", KEY_ARN);
    await subject.room.put("under the other key");
    await subject.room.encrypt("orders", OTHER_KEY_ARN);
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "DONE" });
    expect(await subject.report()).toMatchObject([{ keyArn: OTHER_KEY_ARN, records: 601 }]);
  });

  test("KMS that throttles is asked again later", async () => {
    await putUnderOldKey(2);
    subject.room.kms.refuse("*", "ThrottlingException", "slowly");
    await subject.reseal();
    subject.room.clock.advance(5_000);
    await new Promise((resolve) => setImmediate(resolve));
    await expect.poll(async () => (await subject.status()).trouble).toMatch(/tried again/);
    subject.room.kms.refusals.clear();
    expect(await subject.ended()).toMatchObject({ state: "DONE", trouble: null });
    expect(subject.failures).toHaveLength(1);
  });
});

describe("meanwhile", () => {
  test("a crash costs a second look, and loses nothing", async () => {
    await putUnderOldKey(600);
    const before = await records();
    let steps = 0;
    const crashed = new Promise<void>((resolve) => {
      beforeReplace = () => {
        if (++steps !== 2) return undefined;
        resolve();
        // The process is gone: what it had begun never ends.
        return new Promise(() => undefined);
      };
    });
    await subject.reseal();
    subject.room.clock.advance(5_000);
    await crashed;
    beforeReplace = () => undefined;
    subject.crash();
    subject.start();
    const { counts, state } = await subject.ended();
    expect(state).toBe("DONE");
    expect(counts.resealedRecords + counts.currentRecords).toBe(600);
    expect(counts.currentRecords).toBeGreaterThan(0);
    subject.room.kms.states.set(KEY_ARN, "Disabled");
    expect(await records()).toEqual(before);
  });

  test.each(["before", "after"] as const)(
    "a store that fails %s it has replaced blocks is asked again",
    async (when) => {
      await putUnderOldKey(600);
      const before = await records();
      let steps = 0;
      const failOnce = (): void => {
        if (++steps === 2) throw new Error("the disk is full");
      };
      if (when === "before") beforeReplace = failOnce;
      else afterReplace = failOnce;
      await subject.reseal();
      expect(await subject.ended()).toMatchObject({ state: "DONE", counts: { leftRecords: 0 } });
      expect(subject.failures).toHaveLength(1);
      subject.room.kms.states.set(KEY_ARN, "Disabled");
      expect(await records()).toEqual(before);
    },
  );

  test("records trimmed in the middle stay gone", async () => {
    await putUnderOldKey(600);
    const ref = { streamId: await streamId(), shardIndex: 0 };
    const last = await inner.last(ref);
    beforeReplace = async () => {
      beforeReplace = () => undefined;
      await inner.trim(ref, last?.lastArrivalMs ?? 0, 1_000);
    };
    await subject.reseal();
    expect((await subject.ended()).state).toBe("DONE");
    expect(await stored()).toHaveLength(1);
    expect(await inner.last(ref)).toEqual(last);
  });

  test("closed shards and their children are gone through, too", async () => {
    await putUnderOldKey(20);
    const NewStartingHashKey = (1n << 127n).toString();
    const ShardToSplit = "shardId-000000000000";
    await subject.room.run("SplitShard", { StreamName: "orders", ShardToSplit, NewStartingHashKey });
    await expect
      .poll(async () => (await subject.room.run("ListShards", { StreamName: "orders" })).Shards?.length)
      .toBe(3);
    subject.room.clock.advance(1_000);
    for (let nth = 0; nth < 10; nth++) await subject.room.put(`in a child ${nth}`);
    await subject.room.encrypt("orders", KEY_ARN);
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "DONE", recordsTotal: 30, recordsDone: 30 });
    expect(await subject.report()).toMatchObject([{ keyArn: KEY_ARN, records: 30 }]);
  });

  test("a reader sees every record once, and puts go on", async () => {
    await putUnderOldKey(400);
    const seen: string[] = [];
    let iterator = await subject.room.iterator();
    const readSome = async (): Promise<void> => {
      const page = await subject.room.run("GetRecords", { ShardIterator: iterator, Limit: 30 });
      seen.push(...page.Records.map(({ Data }) => Buffer.from(Data).toString()));
      iterator = page.NextShardIterator ?? "";
    };
    let put = 0;
    beforeReplace = async () => {
      await readSome();
      await subject.room.put(`meanwhile ${put++}`);
    };
    await subject.reseal();
    expect((await subject.ended()).state).toBe("DONE");
    beforeReplace = () => undefined;
    while (seen.length < 400 + put) await readSome();
    await readSome();
    expect(put).toBeGreaterThan(1);
    expect(seen).toEqual([
      ...Array.from({ length: 400 }, (_, nth) => `order ${nth}`),
      ...Array.from({ length: put }, (_, nth) => `meanwhile ${nth}`),
    ]);
  });

  test("another change of the key makes it start over, under the newest one", async () => {
    await putUnderOldKey(600);
    let steps = 0;
    beforeReplace = async () => {
      if (++steps === 2) await subject.room.encrypt("orders", KEY_ARN);
    };
    await subject.reseal();
    const status = await subject.ended();
    expect(status).toMatchObject({ state: "DONE", sealedUnder: { keyArn: KEY_ARN } });
    expect(await subject.report()).toMatchObject([{ keyArn: KEY_ARN, records: 600 }]);
  });

  test("the end of encryption stops it", async () => {
    await putUnderOldKey(600);
    beforeReplace = async () => {
      beforeReplace = () => undefined;
      const StreamName = "orders";
      await subject.room.run("StopStreamEncryption", { StreamName, EncryptionType: "KMS", KeyId: KEY_ARN });
    };
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "STOPPED", reason: { code: "StreamNotEncrypted" } });
  });

  test("the deletion of the stream ends it without a trace", async () => {
    await putUnderOldKey(600);
    const id = await streamId();
    beforeReplace = async () => {
      beforeReplace = () => undefined;
      await subject.room.run("DeleteStream", { StreamName: "orders" });
    };
    await subject.reseal();
    subject.room.clock.advance(5_000);
    await expect.poll(async () => subject.room.metadata.get(resealJobs.key([id]))).toBeNull();
  });

  test("records that expire are not looked at, so that their key need not be there", async () => {
    await putUnderOldKey(2);
    subject.room.clock.advance(25 * 3_600_000);
    subject.room.kms.states.delete(KEY_ARN);
    await subject.room.put("fresh");
    await subject.reseal();
    expect(await subject.ended()).toMatchObject({ state: "DONE", counts: { currentRecords: 1 } });
  });
});
