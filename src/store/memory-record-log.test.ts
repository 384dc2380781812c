import { memoryRecordLog } from "./memory-record-log.ts";
import { recordLogConformance } from "./testing/record-log-conformance.ts";

recordLogConformance("memory", async () => {
  const store = memoryRecordLog();
  return { store, reopen: null, dispose: () => store.close() };
});
