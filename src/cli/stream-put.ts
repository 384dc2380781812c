import { createReadStream } from "node:fs";
import { type Api, createApi, naming } from "../../client/src/index.ts";
import { CommandError } from "./command-error.ts";
import { type ClientOptions, connection, told } from "./stream-client.ts";

export interface PutOptions extends ClientOptions {
  readonly partitionKey: string;
  readonly file?: string;
  readonly lines?: boolean;
  readonly json?: boolean;
}

/** The largest record of all (UpdateMaxRecordSize). */
const RECORD_BYTES_MAX: number = 10 * 1024 * 1024;
/** Of PutRecords: 500 records; 10 MiB, or 5 in older texts. */
const BATCH_COUNT_MAX = 500;
const BATCH_BYTES_MAX: number = 5 * 1024 * 1024;
/** Of records that were refused one by one (a shard that throttles). What may have been put is never put again. */
const ATTEMPTS_MAX = 10;

/** Puts standard input, or a file: as one record, or each line as one. */
export async function streamPut(stream: string, options: PutOptions): Promise<void> {
  const api = createApi(connection(options));
  const source = options.file === undefined || options.file === "-" ? process.stdin : createReadStream(options.file);
  const print = (record: object, text: string): void =>
    void process.stdout.write(`${options.json ? JSON.stringify(record) : text}\n`);
  try {
    if (options.lines !== true) {
      const data = await everything(source);
      const input = { ...naming(stream), PartitionKey: options.partitionKey, Data: data.toString("base64") };
      const { ShardId: shardId, SequenceNumber: sequenceNumber } = await api.kinesis("PutRecord", input);
      print({ shardId, sequenceNumber }, `${String(shardId)}  ${String(sequenceNumber)}`);
      return;
    }
    let records = 0;
    for await (const batch of batchesOf(linesOf(source))) {
      await putAll(api, stream, options.partitionKey, batch);
      records += batch.length;
    }
    print({ records }, `${records} records`);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    throw code === "ENOENT" && path === options.file ? new CommandError(`There is no file ${path}.`, 1) : told(error);
  } finally {
    api.close();
  }
}

const tooLarge = (): CommandError => new CommandError(`A record has at most ${RECORD_BYTES_MAX} bytes.`, 1);

async function everything(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > RECORD_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Bytes between newlines, which need not be text. */
async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, at)]);
      parts = [];
      bytes = 0;
      from = at + 1;
    }
    parts.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > RECORD_BYTES_MAX) throw tooLarge();
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

async function* batchesOf(lines: AsyncIterable<Buffer>): AsyncGenerator<readonly Buffer[]> {
  let batch: Buffer[] = [];
  let bytes = 0;
  for await (const line of lines) {
    if (batch.length === BATCH_COUNT_MAX || (batch.length > 0 && bytes + line.length > BATCH_BYTES_MAX)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(line);
    bytes += line.length;
  }
  if (batch.length > 0) yield batch;
}

async function putAll(api: Api, stream: string, partitionKey: string, records: readonly Buffer[]): Promise<void> {
  let left = records;
  for (let attempt = 1; ; attempt++) {
    const Records = left.map((data) => ({ PartitionKey: partitionKey, Data: data.toString("base64") }));
    const answer = await api.kinesis("PutRecords", { ...naming(stream), Records });
    const results = answer["Records"] as readonly { readonly ErrorCode?: string; readonly ErrorMessage?: string }[];
    const refused = results.flatMap(({ ErrorCode: code, ErrorMessage: message }, index) =>
      code === undefined ? [] : [{ index, message: `${code}: ${message}` }],
    );
    if (refused.length === 0) return;
    if (attempt === ATTEMPTS_MAX)
      throw new CommandError(`${refused.length} records were refused. ${refused[0]?.message}`, 1);
    const before: readonly Buffer[] = left;
    left = refused.flatMap(({ index }) => before[index] ?? []);
    await api.time.sleep(Math.min(5_000, 100 * 2 ** attempt));
  }
}
