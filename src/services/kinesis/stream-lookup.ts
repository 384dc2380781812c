import type { Reader } from "../../store/table.ts";
import { statusOf } from "./model.ts";
import { streamKey, type StreamPlace, streams } from "./records.ts";

/** The id of the stream that has this name now; null: there is none, or it is being deleted. For services/consumers. */
export async function streamIdAt(read: Reader, place: StreamPlace, nowMs: number): Promise<string | null> {
  const stream = await read.get(streams, streamKey(place));
  const status = stream === null ? null : statusOf(stream, nowMs);
  return status === null || status === "DELETING" ? null : (stream?.streamId ?? null);
}
