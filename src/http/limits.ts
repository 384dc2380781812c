/** Bounds on what clients can make the server hold, each per port. */
export interface HttpLimits {
  /** Longest request body. PutRecords may have 10 MiB of records, which base64 makes 13.4 MiB. */
  readonly bodyBytesMax: number;
  /** Bodies in memory at once, those still arriving included: of one connection, and of all. */
  readonly connectionBodyBytesMax: number;
  readonly totalBodyBytesMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  readonly headerCountMax: number;
  readonly connectionCountMax: number;
  /**
   * Answers that are not flushed yet: of one connection, and of all. While either bound is reached, new requests get 503 at
   * once, and so does a request whose long answer is ready but finds no room.
   */
  readonly connectionAnswerBytesMax: number;
  readonly totalAnswerBytesMax: number;
  /** Requests that are being answered, until the answer is flushed; one more gets 503 at once. */
  readonly requestCountMax: number;
  /** The same for one connection, from the end of a request's headers: HTTP/1.1 pipelining, and the streams of HTTP/2. */
  readonly connectionRequestCountMax: number;
  /** Answers that go on (event streams), of those requests: one more gets 503, so that room is left for all others. */
  readonly streamCountMax: number;
  /** From the connection's start to its first byte; TLS handshake. */
  readonly firstByteMsMax: number;
  /** From a request's first byte to the end of its headers, and to the end of its body. */
  readonly headersMsMax: number;
  readonly requestMsMax: number;
  /** How long a connection may idle between two requests. Longer than clients keep theirs, so that they close first. */
  readonly keepAliveMsMax: number;
  /** How long a connection may show no sign of life at all while a request is being answered. */
  readonly idleMsMax: number;
  /** How long an answer may wait without any piece of it being flushed: its client does not read. */
  readonly answerStallMsMax: number;
  /** HTTP/2 streams that a client may reset before their answer, per connection and ten seconds (CVE-2023-44487). */
  readonly streamResetCountMax: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  bodyBytesMax: 16 * MIB,
  connectionBodyBytesMax: 48 * MIB,
  totalBodyBytesMax: 512 * MIB,
  connectionAnswerBytesMax: 64 * MIB,
  totalAnswerBytesMax: 512 * MIB,
  headerBytesMax: 32 * 1024,
  headerCountMax: 128,
  connectionCountMax: 4096,
  requestCountMax: 2048,
  connectionRequestCountMax: 256,
  streamCountMax: 1024,
  firstByteMsMax: 15_000,
  headersMsMax: 15_000,
  requestMsMax: 120_000,
  keepAliveMsMax: 75_000,
  idleMsMax: 120_000,
  answerStallMsMax: 60_000,
  streamResetCountMax: 200,
};

/**
 * Answers up to this size are sent whatever else waits, as what they tell has been done: those of everything that writes
 * are shorter. Longer ones only read, so that their requests can be repeated. `connectionRequestCountMax` bounds how many.
 */
export const SHORT_ANSWER_BYTES_MAX: number = 64 * 1024;

/** How often node looks for requests that take too long. */
export const REQUEST_CHECK_INTERVAL_MS = 1_000;

/** Window of `streamResetCountMax`. */
export const STREAM_RESET_WINDOW_MS = 10_000;
