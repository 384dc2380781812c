import type { Answer } from "./api.ts";
import { deaggregated } from "./kpl.ts";

/** What an application gets: a record of the stream, or one of those that a producer put into it. */
export interface StreamRecord {
  readonly shardId: string;
  readonly sequenceNumber: string;
  /** Place in a record that holds several; null: it is the whole record. */
  readonly subSequenceNumber: number | null;
  /** Whether others follow in the same record of the stream. */
  readonly isLastOfRecord: boolean;
  readonly partitionKey: string;
  readonly explicitHashKey: string | null;
  readonly data: Buffer;
  readonly arrivedAt: Date;
  readonly encryptionType: string;
}

/** Where to go on in a shard. */
export type Position =
  | { readonly type: "TRIM_HORIZON" | "LATEST" }
  | { readonly type: "AT_TIMESTAMP"; readonly timestampMs: number }
  /** Behind this record, or, with a sub-sequence number, behind that one of those in it. */
  | { readonly type: "AFTER"; readonly sequenceNumber: string; readonly subSequenceNumber: number | null };

export const after = (record: StreamRecord): Position & { readonly type: "AFTER" } => ({
  type: "AFTER",
  sequenceNumber: record.sequenceNumber,
  subSequenceNumber: record.isLastOfRecord ? null : record.subSequenceNumber,
});

const textOf = (value: unknown, otherwise = ""): string => (typeof value === "string" ? value : otherwise);

/** The records in an answer of GetRecords, taken apart. */
export function recordsOf(shardId: string, answer: Answer): readonly StreamRecord[] {
  const records = (answer["Records"] ?? []) as readonly Readonly<Record<string, unknown>>[];
  return records.flatMap((record): readonly StreamRecord[] => {
    const data = Buffer.from(textOf(record["Data"]), "base64");
    const common = {
      shardId,
      sequenceNumber: String(record["SequenceNumber"]),
      arrivedAt: new Date(Number(record["ApproximateArrivalTimestamp"]) * 1000),
      encryptionType: textOf(record["EncryptionType"], "NONE"),
    };
    const several = deaggregated(data);
    if (several !== null)
      return several.map((one, index) => ({
        ...common,
        ...one,
        subSequenceNumber: index,
        isLastOfRecord: index === several.length - 1,
      }));
    const partitionKey = textOf(record["PartitionKey"]);
    return [{ ...common, subSequenceNumber: null, isLastOfRecord: true, partitionKey, explicitHashKey: null, data }];
  });
}
