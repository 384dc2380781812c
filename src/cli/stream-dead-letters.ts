import { mkdir, open, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Api, naming, type StreamRecord } from "../../client/src/index.ts";
import { messageOf, recordJson, warn } from "./stream-client.ts";

/** Where records go that could not be delivered. */
export interface DeadLetters {
  /** Durable when it resolves. */
  readonly keep: (records: readonly StreamRecord[], error: unknown) => Promise<void>;
  readonly close: () => void;
}

/** Another stream: partition key and data as they were, so that whoever reads it can do what was not done. */
export function deadLetterStream(api: Api, stream: string): DeadLetters {
  return {
    async keep(records, error) {
      for (const { partitionKey, data, shardId, sequenceNumber } of records) {
        const input = { ...naming(stream), PartitionKey: partitionKey, Data: data.toString("base64") };
        const put = await api.kinesis("PutRecord", input);
        warn(
          `${shardId} ${sequenceNumber} was given up and lies in ${stream} as ${String(put["SequenceNumber"])}: ${messageOf(error)}`,
        );
      }
    },
    close: () => api.close(),
  };
}

/** A file for each record, named after its place: another try writes the same file. In clear, for the owner alone. */
export async function deadLetterDirectory(
  path: string,
  labels: { readonly stream: string; readonly application: string },
): Promise<DeadLetters> {
  const directory = resolve(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const synced = async (name: string, text: string | null): Promise<void> => {
    const file = await open(name, text === null ? "r" : "w", 0o600);
    try {
      if (text !== null) await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return {
    async keep(records, error) {
      for (const record of records) {
        const place = [record.shardId, record.sequenceNumber, record.subSequenceNumber].filter((part) => part !== null);
        const name = join(directory, `${place.join("-")}.json`);
        const letter = { ...labels, error: messageOf(error), record: JSON.parse(recordJson(record)) as unknown };
        await synced(`${name}.part`, `${JSON.stringify(letter)}\n`);
        await rename(`${name}.part`, name);
        warn(`${record.shardId} ${record.sequenceNumber} was given up and lies in ${name}: ${messageOf(error)}`);
      }
      await synced(directory, null);
    },
    close: () => undefined,
  };
}
