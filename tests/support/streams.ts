import {
  CreateStreamCommand,
  DescribeStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
  ListShardsCommand,
  type StreamDescription,
  StartStreamEncryptionCommand,
} from "@aws-sdk/client-kinesis";
import { eventually } from "./wait.ts";

export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));
export const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("utf8");

export async function waitUntilActive(kinesis: KinesisClient, StreamName: string): Promise<StreamDescription> {
  return eventually(async () => {
    const { StreamDescription } = await kinesis.send(new DescribeStreamCommand({ StreamName }));
    return StreamDescription?.StreamStatus === "ACTIVE" ? StreamDescription : null;
  });
}

/** A new stream that is ACTIVE and, when a key is given, encrypted under it. */
export async function createStream(
  kinesis: KinesisClient,
  StreamName: string,
  { shards = 1, keyId }: { readonly shards?: number; readonly keyId?: string } = {},
): Promise<StreamDescription> {
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
  const made = await waitUntilActive(kinesis, StreamName);
  if (keyId === undefined) return made;
  await kinesis.send(new StartStreamEncryptionCommand({ StreamName, EncryptionType: "KMS", KeyId: keyId }));
  return waitUntilActive(kinesis, StreamName);
}

export interface ReadRecord {
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: string;
  readonly encryptionType: string | undefined;
}

/** Reads a shard to its present end, from its beginning or behind a record. */
export async function readShard(
  kinesis: KinesisClient,
  StreamName: string,
  ShardId: string,
  afterSequenceNumber?: string,
): Promise<readonly ReadRecord[]> {
  const start = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName,
      ShardId,
      ShardIteratorType: afterSequenceNumber === undefined ? "TRIM_HORIZON" : "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber: afterSequenceNumber,
    }),
  );
  const found: ReadRecord[] = [];
  let iterator = start.ShardIterator;
  for (;;) {
    const page = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator }));
    for (const record of page.Records ?? []) {
      found.push({
        shardId: ShardId,
        sequenceNumber: record.SequenceNumber ?? "",
        partitionKey: record.PartitionKey ?? "",
        data: text(record.Data),
        encryptionType: record.EncryptionType,
      });
    }
    iterator = page.NextShardIterator;
    if (iterator === undefined || ((page.Records ?? []).length === 0 && page.MillisBehindLatest === 0)) return found;
  }
}

export async function shardIds(kinesis: KinesisClient, StreamName: string): Promise<readonly string[]> {
  const { Shards } = await kinesis.send(new ListShardsCommand({ StreamName }));
  return (Shards ?? []).map((shard) => shard.ShardId ?? "");
}

/** All records of a stream, shard by shard. */
export async function readStream(kinesis: KinesisClient, StreamName: string): Promise<readonly ReadRecord[]> {
  const found: ReadRecord[] = [];
  for (const shardId of await shardIds(kinesis, StreamName))
    found.push(...(await readShard(kinesis, StreamName, shardId)));
  return found;
}
