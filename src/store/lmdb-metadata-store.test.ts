import { openLmdbMetadataStore } from "./lmdb-metadata-store.ts";
import { metadataConformance } from "./testing/metadata-conformance.ts";
import { inTemporaryFile } from "./testing/temporary-file.ts";

metadataConformance("LMDB", inTemporaryFile(openLmdbMetadataStore));
