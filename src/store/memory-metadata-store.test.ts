import { memoryMetadataStore } from "./memory-metadata-store.ts";
import { metadataConformance } from "./testing/metadata-conformance.ts";

metadataConformance("memory", async () => {
  const store = memoryMetadataStore();
  return { store, reopen: null, dispose: () => store.close() };
});
