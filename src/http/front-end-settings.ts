import type { HttpLimits } from "./limits.ts";

/** What a front-end process is told before it takes connections. Comes over the pipe, as it holds the key of the certificate. */
export interface FrontEndSettings {
  /** From 1; shown in the process's title. */
  readonly number: number;
  readonly limits: HttpLimits;
  /** PEM; null: no HTTPS is served. */
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly health: Health;
}

export interface Health {
  readonly status: number;
  readonly body: object;
}

/** Which port a connection came to. */
export type PortName = "http" | "https";

/** What is said of a connection that is handed over, beside the connection itself: the only message on node's own channel. */
export interface HandedOver {
  /** Named by the front-end when it has it. */
  readonly id: number;
  readonly port: PortName;
}

/** How often the engine says that it is there. */
export const HEALTH_INTERVAL_MS = 2_000;

/** After so long without a word, an engine is taken to hang, and the health check says so. */
export const ENGINE_SILENCE_MS_MAX = 15_000;

/** What is a request but its body: 128 headers that were read as Latin-1 take twice their bytes at most. */
const REQUEST_TEXT_BYTES_MAX = 256 * 1024;

/** The longest frame that the engine takes. */
export const requestPayloadBytesMax = (limits: HttpLimits): number => limits.bodyBytesMax + REQUEST_TEXT_BYTES_MAX;

/** The longest frame that a front-end takes. GetRecords answers 10 MiB of records in less than twice that. */
export const ANSWER_PAYLOAD_BYTES_MAX: number = 64 * 1024 * 1024;

/** Limits that are totals, divided among so many processes. One request and one answer have room in each. */
export function dividedLimits(limits: HttpLimits, count: number): HttpLimits {
  const share = (total: number): number => Math.ceil(total / count);
  return {
    ...limits,
    totalBodyBytesMax: Math.max(share(limits.totalBodyBytesMax), limits.bodyBytesMax),
    totalAnswerBytesMax: Math.max(share(limits.totalAnswerBytesMax), limits.bodyBytesMax),
    connectionCountMax: share(limits.connectionCountMax),
    requestCountMax: share(limits.requestCountMax),
    streamCountMax: share(limits.streamCountMax),
  };
}
