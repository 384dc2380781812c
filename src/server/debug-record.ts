import { join } from "node:path";
import { exportRecord, overwriteRecord } from "../services/kinesis/debug-record.ts";
import { RecordReader } from "../store/caching-reader.ts";
import { openDataDirectory } from "../store/data-directory.ts";
import { lockDataDirectory } from "../store/data-directory-lock.ts";
import { openLmdbMetadataStore } from "../store/lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "../store/lmdb-record-log.ts";
import { readDeployment } from "./deployment.ts";

export interface StoredRecord {
  readonly dataDir: string;
  readonly streamName: string;
  readonly sequenceNumber: string;
}

/**
 * The stored bytes of one record, after they were replaced if a replacement is given. Needs no key, and no server may run
 * on the directory meanwhile.
 */
export async function storedRecord(record: StoredRecord, replacement: Uint8Array | null): Promise<Uint8Array> {
  const directory = await openDataDirectory(record.dataDir);
  const lock = await lockDataDirectory(directory);
  try {
    const store = await openLmdbMetadataStore(join(directory.storePath, "metadata.mdb"));
    const records = await openLmdbRecordLog(join(directory.storePath, "records.mdb"));
    try {
      const deployment = await readDeployment(store);
      if (deployment === null) throw new Error(`${record.dataDir} holds no deployment: nothing was ever stored in it.`);
      const stores = { reader: new RecordReader(store), records };
      const name = { ...record, accountId: deployment.accountId, region: deployment.region };
      if (replacement !== null) await overwriteRecord(stores, name, replacement);
      return await exportRecord(stores, name);
    } finally {
      await records.close();
      await store.close();
    }
  } finally {
    await lock.release();
  }
}
