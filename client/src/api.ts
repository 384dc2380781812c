/** JSON 1.1 over HTTP/1.1 with kept connections. One call is one request: who calls decides what may be repeated. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { type Credentials, signedHeaders } from "./sigv4.ts";
import { systemTime, type Time } from "./time.ts";

export interface ApiOptions {
  /** `http://127.0.0.1:8780`. */
  readonly endpoint: string;
  readonly region: string;
  /** A function is asked for every request: for credentials that change. */
  readonly credentials: Credentials | (() => Credentials | Promise<Credentials>);
  /** Certificates (PEM) to trust; those that node trusts by itself are trusted no more. */
  readonly ca?: string;
  readonly time?: Time;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export type Answer = Readonly<Record<string, unknown>>;

export interface Api {
  readonly time: Time;
  /** Throws ApiError. */
  kinesis(operation: string, input: object, options?: CallOptions): Promise<Answer>;
  /** Leases and checkpoints. Throws ApiError. */
  consumers(operation: string, input: object, options?: CallOptions): Promise<Answer>;
  close(): void;
}

/** A refusal by the server, or no answer at all (`code` is then that of the connection, or `TimeoutError`). */
export class ApiError extends Error {
  readonly code: string;
  /** Null: there was no answer, and what was asked for may have been done. */
  readonly status: number | null;

  constructor(code: string, message: string, status: number | null, cause?: unknown) {
    super(message === "" ? code : `${code}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

const KINESIS = { service: "kinesis", target: "Kinesis_20131202" } as const;
const CONSUMERS = { service: "waxseal", target: "Waxseal_20261101" } as const;

const TIMEOUT_MS = 60_000;
const SOCKETS_MAX = 64;
/** The largest answer is that of GetRecords: 10 MiB of records, as base64, and as much again for keys and names. */
const ANSWER_BYTES_MAX: number = 64 * 1024 * 1024;

export function createApi(options: ApiOptions): Api {
  const endpoint = new URL(options.endpoint);
  const time = options.time ?? systemTime();
  const isTls = endpoint.protocol === "https:";
  if (!isTls && endpoint.protocol !== "http:") throw new TypeError("an endpoint begins with http:// or https://");
  const limits = { keepAlive: true, maxSockets: SOCKETS_MAX };
  const agent = isTls ? new HttpsAgent(limits) : new HttpAgent(limits);
  const { credentials } = options;
  const tls = options.ca === undefined ? {} : { ca: options.ca };

  const exchanged = (
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
    timeoutMs: number,
  ): Promise<{ readonly status: number; readonly text: string }> => {
    // AbortSignal.any would leave something behind at a signal that lives as long as a consumer.
    const ends = new AbortController();
    const end = (): void => ends.abort();
    if (signal?.aborted === true) end();
    signal?.addEventListener("abort", end, { once: true });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, timeoutMs);
    const send = isTls ? httpsRequest : httpRequest;
    const where = { host: hostOf(endpoint), port: endpoint.port, method: "POST", path: "/", headers };
    return new Promise<{ readonly status: number; readonly text: string }>((done, fail) => {
      const request = send({ ...tls, ...where, agent, signal: ends.signal });
      request.on("response", (response) => {
        done(textOf(response).then((text) => ({ status: response.statusCode ?? 0, text })));
      });
      request.on("error", fail);
      request.end(body);
    })
      .catch((error: NodeJS.ErrnoException) => {
        if (isLate) throw new ApiError("TimeoutError", `no answer within ${Math.ceil(timeoutMs)} ms`, null, error);
        throw new ApiError(ends.signal.aborted ? "AbortError" : (error.code ?? error.name), error.message, null, error);
      })
      .finally(() => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
      });
  };

  const call = async (
    { service, target }: typeof KINESIS | typeof CONSUMERS,
    operation: string,
    input: object,
    { signal, timeoutMs = TIMEOUT_MS }: CallOptions = {},
  ): Promise<Answer> => {
    const body = Buffer.from(JSON.stringify(input), "utf8");
    const headers = signedHeaders({
      endpoint,
      region: options.region,
      service,
      credentials: typeof credentials === "function" ? await credentials() : credentials,
      headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `${target}.${operation}` },
      body,
      nowMs: time.wallMs(),
    });
    const { status, text } = await exchanged(body, headers, signal, timeoutMs);
    return parsed(status, text);
  };

  return {
    time,
    kinesis: (operation, input, how) => call(KINESIS, operation, input, how),
    consumers: (operation, input, how) => call(CONSUMERS, operation, input, how),
    close: () => agent.destroy(),
  };
}

/** `[::1]` is a host in a URL, and `::1` to a socket. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(status: number, text: string): Answer {
  let answer: unknown = null;
  try {
    answer = text === "" ? {} : JSON.parse(text);
  } catch {
    // Not ours: a proxy's page, say.
  }
  const isObject = typeof answer === "object" && answer !== null;
  if (status === 200 && isObject) return answer as Answer;
  const { __type: type, message, Message: capital } = (isObject ? answer : {}) as Record<string, unknown>;
  const code = typeof type === "string" ? type.slice(type.lastIndexOf("#") + 1) : `HTTP ${status}`;
  throw new ApiError(code, ([message, capital].find((words) => typeof words === "string") as string) ?? "", status);
}
