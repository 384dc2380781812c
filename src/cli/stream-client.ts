/** What the commands for people have in common: they are clients of the public API, with AWS's variables. */
import { readFileSync } from "node:fs";
import { type ApiOptions, type StreamRecord, ApiError } from "../../client/src/index.ts";
import { CommandError } from "./command-error.ts";

export interface ClientOptions {
  readonly endpoint?: string;
  readonly region?: string;
}

const HINT = 'Run: eval "$(npx waxseal env)", or set the variables of another server.';

export function connection(options: ClientOptions): ApiOptions {
  const { env } = process;
  const endpoint = options.endpoint ?? env["AWS_ENDPOINT_URL_KINESIS"] ?? env["AWS_ENDPOINT_URL"];
  if (endpoint === undefined) throw new CommandError(`Which server? Give --endpoint, or AWS_ENDPOINT_URL. ${HINT}`, 2);
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint))
    throw new CommandError("An endpoint is a URL such as http://127.0.0.1:8780.", 2);
  const region = options.region ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"];
  if (region === undefined) throw new CommandError(`Which region? Give --region, or AWS_REGION. ${HINT}`, 2);
  const [accessKeyId, secretAccessKey] = [env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]];
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new CommandError(`Who calls? AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set. ${HINT}`, 2);
  const sessionToken = env["AWS_SESSION_TOKEN"];
  const caFile = env["AWS_CA_BUNDLE"];
  return {
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    ...(caFile === undefined || caFile === "" ? {} : { ca: readFileSync(caFile, "utf8") }),
  };
}

/** `timeout` and terminals signal the process and its group: what comes at once is one wish. */
const ONE_WISH_MS = 1_000;

/** Given at the first SIGINT or SIGTERM. Who signals again does not want to wait. */
export function untilStopped(): AbortSignal {
  const stop = new AbortController();
  let sinceMs = 0;
  for (const [name, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    process.on(name, () => {
      if (!stop.signal.aborted) sinceMs = performance.now();
      else if (performance.now() - sinceMs > ONE_WISH_MS) process.exit(code);
      stop.abort();
    });
  return stop.signal;
}

/** A record as one line of JSON: what --json prints and what a command gets on its standard input. */
export const recordJson = (record: StreamRecord): string =>
  JSON.stringify({
    shardId: record.shardId,
    sequenceNumber: record.sequenceNumber,
    ...(record.subSequenceNumber === null ? {} : { subSequenceNumber: record.subSequenceNumber }),
    partitionKey: record.partitionKey,
    ...(record.explicitHashKey === null ? {} : { explicitHashKey: record.explicitHashKey }),
    approximateArrivalTimestamp: record.arrivedAt.toISOString(),
    encryptionType: record.encryptionType,
    data: record.data.toString("base64"),
  });

/** ISO 8601, or seconds since the epoch. Throws CommandError. */
export function timeOf(text: string): Date {
  const time = /^\d{1,12}(\.\d+)?$/.test(text) ? new Date(Number(text) * 1000) : new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new CommandError("A time is written as 2026-11-01T12:00:00Z, or as seconds since 1970.", 2);
  return time;
}

/** Failures that no waiting mends: the request itself is refused. */
const LASTING: ReadonlySet<string> = new Set([
  "AccessDeniedException",
  "InvalidArgumentException",
  "InvalidSignatureException",
  "IncompleteSignatureException",
  "MissingAuthenticationTokenException",
  "ResourceNotFoundException",
  "UnknownOperationException",
  "UnrecognizedClientException",
  "ValidationException",
]);

export const isLasting = (error: unknown): boolean => error instanceof ApiError && LASTING.has(error.code);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Of errors of the API: what the server said, without a stack. */
export const told = (error: unknown): unknown =>
  error instanceof ApiError ? new CommandError(error.message, 1) : error;

export const warn = (text: string): void => void process.stderr.write(`waxseal: ${text}\n`);

/** Says that something is tried again, but not the same thing again and again. */
export function warnOnChange(): (text: string) => void {
  let last = "";
  return (text) => {
    if (text !== last) warn(`${text} (it is tried again)`);
    last = text;
  };
}
