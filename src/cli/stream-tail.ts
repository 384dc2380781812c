import { createApi, followStream, type StreamRecord } from "../../client/src/index.ts";
import { CommandError } from "./command-error.ts";
import {
  type ClientOptions,
  connection,
  isLasting,
  messageOf,
  recordJson,
  timeOf,
  told,
  untilStopped,
  warnOnChange,
} from "./stream-client.ts";

export interface TailOptions extends ClientOptions {
  readonly fromStart?: boolean;
  readonly since?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

const POLL_MS = 250;

/** Prints records as they come. */
export async function streamTail(stream: string, options: TailOptions): Promise<void> {
  if (options.fromStart === true && options.since !== undefined)
    throw new CommandError("Give --from-start or --since, not both.", 2);
  const from = options.since === undefined ? (options.fromStart ? "TRIM_HORIZON" : "LATEST") : timeOf(options.since);
  const api = createApi(connection(options));
  const enough = new AbortController();
  const stop = untilStopped();
  stop.addEventListener("abort", () => enough.abort(), { once: true });
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.once("error", () => enough.abort());
  const print = options.json ? recordJson : recordText;
  const again = warnOnChange();
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  try {
    await followStream({
      api,
      stream,
      from,
      signal: enough.signal,
      pollMs: POLL_MS,
      async onRecords(records) {
        const shown = records.slice(0, left);
        left -= shown.length;
        await written(shown.map((record) => `${print(record)}\n`).join(""), enough.signal);
        if (left <= 0) enough.abort();
      },
      onError(error) {
        if (isLasting(error)) throw error;
        again(messageOf(error));
      },
    });
  } catch (error) {
    throw told(error);
  } finally {
    api.close();
  }
}

/** Waits for whoever reads. */
function written(text: string, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      signal.removeEventListener("abort", end);
      done();
    };
    signal.addEventListener("abort", end, { once: true });
    process.stdout.write(text, end);
  });
}

/** Time, shard, partition key, data. */
export function recordText({ shardId, partitionKey, arrivedAt, data }: StreamRecord): string {
  return `${arrivedAt.toISOString()}  ${shardId.replace(/^shardId-0*(?=\d)/, "")}  ${printable(partitionKey)}  ${dataText(data)}`;
}

function dataText(data: Buffer): string {
  const text = data.toString("utf8");
  return Buffer.from(text, "utf8").equals(data) ? printable(text) : `base64:${data.toString("base64")}`;
}

/** What others put must not steer the terminal of who looks at it. */
const printable = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\t"
      ? character
      : JSON.stringify(character).length > 3
        ? JSON.stringify(character).slice(1, -1)
        : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
