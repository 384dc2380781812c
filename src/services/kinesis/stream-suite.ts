/** Which cipher suite seals a stream's new records: the operator's setting, which no operation of AWS's has a name for. */
import type { Clock } from "../../base/clock.ts";
import type { SuiteName } from "../../envelope/suite.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { statusOf } from "./model.ts";
import { streamNotFound } from "./errors.ts";
import { streamKey, streams } from "./records.ts";

/** A conflict is another change of the same stream; nobody makes so many of them at once. */
const ATTEMPTS_MAX = 10;

export interface StreamName {
  readonly accountId: string;
  readonly region: string;
  readonly name: string;
}

/**
 * Sets it, for what is put from then on; null: the server's own choice. What is stored already stays as it is. Throws
 * ResourceNotFoundException.
 */
export async function setStreamSuite(
  { metadata, clock }: { readonly metadata: MetadataStore; readonly clock: Clock },
  of: StreamName,
  suite: SuiteName | null,
): Promise<void> {
  const key = streams.key(streamKey(of));
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const value = await metadata.get(key);
    const stream = value === null ? null : streams.decode(value);
    if (stream === null || statusOf(stream, clock.wallMs()) === null) throw streamNotFound(of);
    if ((stream.suite ?? null) === suite) return;
    const changed = streams.put(streamKey(of), { ...stream, suite });
    if ((await metadata.commit({ expect: [{ key, value }], writes: [changed] })) === "committed") return;
  }
  throw new Error("the stream changes all the time");
}
