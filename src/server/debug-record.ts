import { OperatorError } from "../base/operator-error.ts";
import { exportRecord, overwriteRecord } from "../services/kinesis/debug-record.ts";
import { RecordReader } from "../store/caching-reader.ts";
import type { MetadataStore } from "../store/metadata-store.ts";
import type { RecordLog } from "../store/record-log.ts";
import { readDeployment } from "./deployment.ts";

/** Which record of which data directory. */
export interface StoredRecord {
  readonly dataDir: string;
  /** Null: the default Region. */
  readonly region: string | null;
  readonly streamName: string;
  readonly sequenceNumber: string;
}

/** The stored bytes of one record, after they were replaced if a replacement is given. Needs no key. */
export async function readOrReplaceRecord(
  store: MetadataStore,
  records: RecordLog,
  record: StoredRecord,
  replacement: Uint8Array | null,
): Promise<Uint8Array> {
  const deployment = await readDeployment(store);
  if (deployment === null)
    throw new OperatorError(`${record.dataDir} holds no deployment: nothing was ever stored in it.`);
  const stores = { reader: new RecordReader(store), records };
  const name = { ...record, accountId: deployment.accountId, region: record.region ?? deployment.region };
  if (replacement !== null) await overwriteRecord(stores, name, replacement);
  return await exportRecord(stores, name);
}
