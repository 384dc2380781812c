/** `waxseal stream tail|put|consume|map`: clients of the public API. */
import { type Command, InvalidArgumentError, Option } from "commander";

const within =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`Not a whole number from ${min} to ${max}.`);
    return value;
  };

const COUNT_MAX = 1_000_000_000;

const withServer = (command: Command): Command =>
  command
    .argument("<stream>", "name or ARN of the stream")
    .option("--endpoint <url>", "the server (default: AWS_ENDPOINT_URL; credentials from the AWS_* variables)")
    .option("--region <region>", "region of the stream (default: AWS_REGION)");

const withApplication = (command: Command): Command =>
  withServer(command)
    .requiredOption("--application <name>", "consumers of one application share the shards and go on where they ended")
    .option("--start <where>", "of a new application: trim-horizon, latest, or a time (default: trim-horizon)")
    .option("--batch-size <n>", "records in one batch at most (default: 1000)", within(1, 10_000))
    .option("--batch-window <ms>", "how long a batch waits to become full (default: 0)", within(0, 300_000))
    .addOption(
      new Option("--poll-ms <ms>", "between two reads of an idle shard (default: 1000)").argParser(within(20, 60_000)),
    )
    .addOption(
      new Option(
        "--lease-ms <ms>",
        "after so long without a word, a consumer's shards go to others (default: 10000)",
      ).argParser(within(1_000, 300_000)),
    )
    .option("--quiet", "do not tell which shards come and go");

export function addStreamCommands(stream: Command): void {
  withServer(stream.command("tail").description("print records as they come; follows resharding, opens KPL records"))
    .option("--from-start", "begin with the oldest record")
    .option("--since <time>", "begin with records that arrived then: 2026-11-01T12:00:00Z, or seconds since 1970")
    .option("--limit <n>", "end after so many records", within(1, COUNT_MAX))
    .option("--json", "one line of JSON for each record, with its data as base64")
    .action(async (name: string, options) => (await import("./stream-tail.ts")).streamTail(name, options));

  withServer(stream.command("put").description("put standard input, or a file, as one record or line by line"))
    .requiredOption("--partition-key <key>", "partition key of the records")
    .option("--file <file>", "what to put; - is standard input (default: -)")
    .option("--lines", "each line is a record")
    .option("--json", "print JSON")
    .action(async (name: string, options) => (await import("./stream-put.ts")).streamPut(name, options));

  withApplication(
    stream
      .command("consume")
      .description("run a command for each batch of records, with leases and checkpoints kept by the server"),
  )
    .requiredOption("--exec <command>", "gets records as lines of JSON on standard input; exit code 0 means done")
    .action(async (name: string, options) => (await import("./stream-consume.ts")).streamConsume(name, options));

  withApplication(
    stream
      .command("map")
      .description("let a stream drive an HTTP hook or a command in batches, with retries and dead letters"),
  )
    .option("--http <url>", "POST each batch there as JSON; any 2xx means done")
    .option("--exec <command>", "gets records as lines of JSON on standard input; exit code 0 means done")
    .option("--retries <n>", "repetitions before a batch, or a single record, is given up", within(0, 10_000), 3)
    .option("--bisect", "halve a batch that fails, to find the record that does it")
    .option(
      "--dead-letter <place>",
      "stream:NAME or dir:PATH for what was given up (default: nothing is given up, the shard waits)",
    )
    .action(async (name: string, options) => (await import("./stream-consume.ts")).streamMap(name, options));
}
