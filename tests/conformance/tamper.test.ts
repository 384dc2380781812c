import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clients, rootClients } from "../support/clients.ts";
import { waxsealOk } from "../support/processes.ts";
import { removeDirectory, type RunningServer, startServer, temporaryDirectory } from "../support/server.ts";
import { createStream, type ReadRecord, readStream, text, utf8 } from "../support/streams.ts";

const SHARD = "shardId-000000000000";

/** What is done to the stored bytes of a record. `other` are the bytes of another one. */
type Damage = (bytes: Buffer, other: Buffer) => Buffer;

const flip =
  (position: (length: number) => number): Damage =>
  (bytes) => {
    const changed = Buffer.from(bytes);
    const at = position(bytes.length);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    return changed;
  };

const DAMAGES: Readonly<Record<string, Damage>> = {
  "first byte": flip(() => 0),
  "byte 7": flip(() => 7),
  "byte 40": flip(() => 40),
  "a byte at a quarter": flip((length) => Math.floor(length / 4)),
  "a byte in the middle": flip((length) => Math.floor(length / 2)),
  "a byte at three quarters": flip((length) => Math.floor((length * 3) / 4)),
  "17th byte from the end": flip((length) => length - 17),
  "last byte": flip((length) => length - 1),
  "cut by a byte": (bytes) => bytes.subarray(0, -1),
  "cut in half": (bytes) => bytes.subarray(0, bytes.length >> 1),
  "cut to nothing": () => Buffer.alloc(0),
  "with a byte more": (bytes) => Buffer.concat([bytes, Buffer.from([0])]),
  "all zero": (bytes) => Buffer.alloc(bytes.length),
};

describe("a stored record that was changed", () => {
  const dataDir = temporaryDirectory();
  const names = Object.keys(DAMAGES);
  let server: RunningServer;
  let root: Clients;
  let singles: readonly ReadRecord[] = [];
  let batched: readonly ReadRecord[] = [];
  let neighbours: readonly ReadRecord[] = [];
  let foreign: readonly ReadRecord[] = [];

  const debugRecord = async (
    stream: string,
    record: ReadRecord | undefined,
    option: "--out" | "--replace",
    file: string,
  ): Promise<void> => {
    const number = record?.sequenceNumber ?? "";
    await waxsealOk([
      "debug",
      "record",
      "--data-dir",
      dataDir,
      "--stream",
      stream,
      "--sequence-number",
      number,
      option,
      file,
    ]);
  };
  const storedBytes = async (stream: string, record: ReadRecord | undefined): Promise<Buffer> => {
    const file = join(dataDir, "..", `${stream}-${process.pid}.bin`);
    await debugRecord(stream, record, "--out", file);
    const bytes = readFileSync(file);
    removeDirectory(file);
    return bytes;
  };
  const replace = async (stream: string, record: ReadRecord | undefined, bytes: Buffer): Promise<void> => {
    const file = join(dataDir, "..", `${stream}-${process.pid}.new`);
    writeFileSync(file, bytes);
    await debugRecord(stream, record, "--replace", file);
    removeDirectory(file);
  };
  /** One record for each damage, each between two that stay whole. */
  const damagedAt = (index: number): number => 2 * index + 1;

  beforeAll(async () => {
    server = await startServer({ dataDir });
    root = await rootClients(server);
    for (const stream of ["singles", "batched", "neighbours", "foreign"]) {
      await createStream(root.kinesis, stream, { keyId: "alias/aws/kinesis" });
    }
    const put = async (StreamName: string, count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        const record = {
          StreamName,
          PartitionKey: "k",
          Data: utf8(`${StreamName} record ${index} ${"x".repeat(100)}`),
        };
        await root.kinesis.send(new PutRecordCommand(record));
      }
    };
    await put("singles", 2 * names.length + 1);
    await put("neighbours", 4);
    await put("foreign", 4);
    const Records = Array.from({ length: 6 }, (_, index) => ({
      PartitionKey: "k",
      Data: utf8(`batched record ${index}`),
    }));
    await root.kinesis.send(new PutRecordsCommand({ StreamName: "batched", Records }));
    singles = await readStream(root.kinesis, "singles");
    batched = await readStream(root.kinesis, "batched");
    neighbours = await readStream(root.kinesis, "neighbours");
    foreign = await readStream(root.kinesis, "foreign");
    root.destroy();
    await server.stop();

    for (const [index, damage] of Object.values(DAMAGES).entries()) {
      const record = singles[damagedAt(index)];
      const bytes = await storedBytes("singles", record);
      expect(bytes.length).toBeGreaterThan(100);
      expect(bytes.includes("singles record")).toBe(false);
      await replace("singles", record, damage(bytes, bytes));
    }
    const second = await storedBytes("neighbours", neighbours[1]);
    const third = await storedBytes("neighbours", neighbours[2]);
    await replace("neighbours", neighbours[1], third);
    await replace("neighbours", neighbours[2], second);
    await replace("foreign", foreign[1], await storedBytes("neighbours", neighbours[0]));
    const inBatch = await storedBytes("batched", batched[3]);
    await replace("batched", batched[3], flip((length) => length - 1)(inBatch, inBatch));

    server = await startServer({ dataDir });
    root = await rootClients(server);
  });
  afterAll(async () => {
    root.destroy();
    await server.stop();
    removeDirectory(dataDir);
  });

  const read = async (
    kinesis: KinesisClient,
    StreamName: string,
    from: { readonly at?: ReadRecord | undefined; readonly after?: ReadRecord | undefined },
  ): Promise<readonly string[]> => {
    const start = from.at ?? from.after;
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName,
        ShardId: SHARD,
        ShardIteratorType:
          start === undefined ? "TRIM_HORIZON" : from.at === undefined ? "AFTER_SEQUENCE_NUMBER" : "AT_SEQUENCE_NUMBER",
        StartingSequenceNumber: start?.sequenceNumber,
      }),
    );
    const page = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
    return (page.Records ?? []).map((record) => text(record.Data));
  };

  /** The record is refused by name, what stands before it is read, and reading goes on behind it. */
  const expectStopsAt = async (stream: string, records: readonly ReadRecord[], index: number): Promise<void> => {
    const bad = records[index];
    await expect(read(root.kinesis, stream, { at: bad })).rejects.toMatchObject({
      name: "InternalFailureException",
      message: expect.stringContaining(bad?.sequenceNumber ?? "?") as unknown,
    });
    expect(await read(root.kinesis, stream, { at: records[index - 1] })).toEqual([records[index - 1]?.data]);
    expect((await read(root.kinesis, stream, { after: bad }))[0]).toBe(records[index + 1]?.data);
  };

  test.each(names.map((name, index) => ({ name, index })))(
    "($name) is refused by its sequence number, never misread",
    async ({ index }) => {
      await expectStopsAt("singles", singles, damagedAt(index));
    },
  );

  test("inside a batch is refused alone", async () => {
    await expectStopsAt("batched", batched, 3);
    expect(await read(root.kinesis, "batched", {})).toEqual(batched.slice(0, 3).map((record) => record.data));
    expect(await read(root.kinesis, "batched", { after: batched[3] })).toEqual(
      batched.slice(4).map((record) => record.data),
    );
  });

  test("by swapping it with its neighbour is refused", async () => {
    expect(await read(root.kinesis, "neighbours", {})).toEqual([neighbours[0]?.data]);
    for (const index of [1, 2]) {
      await expect(read(root.kinesis, "neighbours", { at: neighbours[index] })).rejects.toMatchObject({
        name: "InternalFailureException",
        message: expect.stringContaining(neighbours[index]?.sequenceNumber ?? "?") as unknown,
      });
    }
    expect(await read(root.kinesis, "neighbours", { after: neighbours[2] })).toEqual([neighbours[3]?.data]);
  });

  test("by moving it to another stream is refused", async () => {
    await expectStopsAt("foreign", foreign, 1);
  });

  test("leaves the server up and its other answers right", async () => {
    await root.kinesis.send(
      new PutRecordCommand({ StreamName: "foreign", PartitionKey: "k", Data: utf8("afterwards") }),
    );
    expect(await read(root.kinesis, "foreign", { after: foreign[3] })).toEqual(["afterwards"]);
  });
});
