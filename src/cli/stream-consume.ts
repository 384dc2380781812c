import {
  type ConsumerOptions,
  createApi,
  createConsumer,
  deliverBatch,
  naming,
  type ProcessRecords,
  systemTime,
} from "../../client/src/index.ts";
import { CommandError } from "./command-error.ts";
import {
  type ClientOptions,
  connection,
  messageOf,
  timeOf,
  told,
  untilStopped,
  warn,
  warnOnChange,
} from "./stream-client.ts";
import { deadLetterDirectory, type DeadLetters, deadLetterStream } from "./stream-dead-letters.ts";
import { execTarget, httpTarget, type Target } from "./stream-exec.ts";

export interface ConsumeOptions extends ClientOptions {
  readonly application: string;
  readonly exec?: string;
  readonly start?: string;
  readonly batchSize?: number;
  readonly batchWindow?: number;
  readonly pollMs?: number;
  readonly leaseMs?: number;
  readonly quiet?: boolean;
}

export interface MapOptions extends ConsumeOptions {
  readonly http?: string;
  readonly retries: number;
  readonly bisect?: boolean;
  readonly deadLetter?: string;
}

/** Runs a command for each batch, again and again until it succeeds. */
export async function streamConsume(
  stream: string,
  options: ConsumeOptions & { readonly exec: string },
): Promise<void> {
  const send = execTarget(options.exec, { stream, application: options.application });
  await consumed(stream, options, (records, _checkpoint, { signal }) => send(records, signal));
}

/** Drives a hook or a command, and gives up at some time what cannot be delivered, if there is a place for it. */
export async function streamMap(stream: string, options: MapOptions): Promise<void> {
  const send = targetOf(stream, options);
  const letters = await deadLettersOf(stream, options);
  const time = systemTime();
  const process: ProcessRecords = (records, _checkpoint, { signal }) =>
    deliverBatch(
      {
        send,
        retries: options.retries,
        bisect: options.bisect === true,
        deadLetter: letters?.keep ?? null,
        time,
        onError: (error, { length }) => warn(`a batch of ${length} records was not taken: ${messageOf(error)}`),
      },
      records,
      signal,
    );
  try {
    await consumed(stream, options, process);
  } finally {
    letters?.close();
  }
}

function targetOf(stream: string, options: MapOptions): Target {
  const labels = { stream, application: options.application };
  if ((options.http === undefined) === (options.exec === undefined))
    throw new CommandError("Give either --http or --exec.", 2);
  if (options.exec !== undefined) return execTarget(options.exec, labels);
  const url = URL.canParse(options.http ?? "") ? new URL(options.http ?? "") : null;
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new CommandError("--http takes a URL such as http://127.0.0.1:9000/hook.", 2);
  return httpTarget(url, labels);
}

async function deadLettersOf(stream: string, options: MapOptions): Promise<DeadLetters | null> {
  const { deadLetter, application } = options;
  if (deadLetter === undefined) return null;
  const [, kind, where = ""] = /^(stream|dir):(.+)$/s.exec(deadLetter) ?? [];
  if (kind === "dir") return await deadLetterDirectory(where, { stream, application });
  if (kind !== "stream") throw new CommandError("--dead-letter takes stream:NAME or dir:PATH.", 2);
  const api = createApi(connection(options));
  // Before anything is lost in it.
  const answer = await api.kinesis("DescribeStreamSummary", naming(where)).catch((error: unknown) => {
    throw told(error);
  });
  const { StreamName: name, StreamARN: arn } = (answer["StreamDescriptionSummary"] ?? {}) as Record<string, unknown>;
  // Either of them may have been given by name or by ARN.
  if ([where, name, arn].includes(stream))
    throw new CommandError("A stream cannot be the place for its own dead letters.", 2);
  return deadLetterStream(api, where);
}

const startOf = (text: string | undefined): NonNullable<ConsumerOptions["start"]> =>
  text === undefined || text === "trim-horizon" ? "TRIM_HORIZON" : text === "latest" ? "LATEST" : timeOf(text);

async function consumed(stream: string, options: ConsumeOptions, process: ProcessRecords): Promise<void> {
  const again = warnOnChange();
  const consumer = createConsumer({
    ...connection(options),
    stream,
    application: options.application,
    process,
    start: startOf(options.start),
    ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
    ...(options.batchWindow === undefined ? {} : { batchWindowMs: options.batchWindow }),
    ...(options.pollMs === undefined ? {} : { pollMs: options.pollMs }),
    ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
    onError: (error, shardId) => again(`${shardId === null ? "" : `${shardId}: `}${messageOf(error)}`),
    onShard(shardId, what) {
      if (options.quiet !== true) warn(`${shardId} ${what}`);
    },
  });
  const stop = untilStopped();
  stop.addEventListener("abort", () => void consumer.stop(), { once: true });
  try {
    await consumer.start();
    await consumer.stopped;
  } catch (error) {
    throw told(error);
  }
}
