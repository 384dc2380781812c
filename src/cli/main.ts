import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { outcomeOf } from "./command-error.ts";
import { addStreamCommands } from "./stream-commands.ts";

const port = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return value;
};

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("Not a whole number of at least 0.");
  return value;
};

const atLeastOne = (text: string): number => {
  const value = count(text);
  if (value < 1) throw new InvalidArgumentError("Not a whole number of at least 1.");
  return value;
};

/** The limits that are totals are divided among the front-ends: with more, one request would be too large for its share. */
const WORKER_COUNT_MAX = 16;

const workerCount = (text: string): number => {
  const value = count(text);
  if (value > WORKER_COUNT_MAX) throw new InvalidArgumentError(`At most ${WORKER_COUNT_MAX}.`);
  return value;
};

/** For an option that may be given several times. */
const collected = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const dataDir = (): Option =>
  new Option("--data-dir <dir>", "data directory (default: WAXSEAL_DATA_DIR, else ~/.waxseal)");

/** The options that say where a passphrase comes from; never the passphrase itself. */
function withPassphrase(command: Command): Command {
  return command
    .option("--passphrase-file <file>", "read the passphrase from a file")
    .option("--passphrase-fd <fd>", "read the passphrase from an open file descriptor");
}

/** The options that say which stream. */
const withStream = (command: Command): Command =>
  command
    .addOption(dataDir())
    .requiredOption("--stream <name>", "name of the stream")
    .option("--region <region>", "region of the stream (default: the deployment's first)")
    .option("--account <id>", "12-digit id of the account that owns it (default: the deployment's first)");

/** The options that choose how a new data directory is made. */
function withInit(command: Command): Command {
  return withPassphrase(
    command
      .addOption(dataDir())
      .option(
        "--region <region>",
        "region to serve; give it again for further ones. The first is the default region, chosen once, when the " +
          "directory is made (default: us-east-1)",
        collected,
      )
      .option(
        "--account-id <id>",
        "12-digit id of the account, chosen once, when the directory is made (default: random)",
      )
      .option("--seal <how>", "root of trust: file, file:PATH or passphrase (default: chosen at init, else file)"),
  );
}

function build(): Command {
  const program = new Command("waxseal")
    .description("Self-hosted, AWS-compatible encryption platform: KMS and services that encrypt at rest through it.")
    .version("0.1.0")
    .showHelpAfterError("(add --help for what the command takes)")
    // Inherited by the commands below.
    .exitOverride();

  withInit(program.command("serve").description("start the server; makes the data directory on first start"))
    .option("--port <n>", "plain HTTP on 127.0.0.1; 0 takes a free port", port, 8780)
    .option("--https-port <n>", "HTTPS on --host; 0 takes a free port", port)
    .option("--host <host>", "address for HTTPS, with --https-port (default: 127.0.0.1)")
    .option("--tls-cert <file>", "certificate (PEM) instead of the one made at first start; with --tls-key")
    .option("--tls-key <file>", "private key (PEM) of --tls-cert")
    .option("--tls-ca <file>", "CA certificate (PEM) that clients need to trust --tls-cert")
    .option(
      "--insecure-http-host <host>",
      "listen for plain HTTP on this address: everything but signatures can be read on the way",
    )
    .option(
      "--kms-quotas <profile>",
      "limit the rate of KMS requests per account and region: none, aws, or a JSON file of figures (default: none)",
    )
    .addOption(
      new Option(
        "--stream-suite <suite>",
        "cipher suite of new stream records: aes (AES-256-GCM) or xchacha (XChaCha20-Poly1305, cheaper); " +
          "see also: waxseal stream suite",
      )
        .choices(["aes", "xchacha"])
        .default("aes"),
    )
    .option(
      "--oidc-hosts <hosts>",
      "the only hosts that are asked for keys of identity providers, such as idp.example.com,*.example.org (default: any " +
        "but this machine and link-local addresses)",
    )
    .addOption(
      new Option(
        "--stream-limits <profile>",
        "limits of shards and of requests to streams: none, or aws for AWS's (default: none)",
      ).choices(["none", "aws"] as const),
    )
    .option(
      "--workers <n>",
      "processes that serve TLS and HTTP in front of the one that holds keys and data; 0: one process does everything",
      workerCount,
      0,
    )
    .option("--test-hooks", "let `waxseal test clock` move the server's time; for tests only")
    .option("--json", "one JSON line on stdout when ready, JSON log lines on stderr")
    .action(async (options) => (await import("./serve.ts")).serve(options));

  withInit(program.command("init").description("make the data directory, its keys and its account, without serving"))
    .option("--json", "print JSON")
    .action(async (options) => (await import("./init.ts")).init(options));

  program
    .command("status")
    .description("tell whether a server runs on the data directory, and whether it is sealed")
    .addOption(dataDir())
    .option("--json", "print JSON")
    .action(async (options) => (await import("./control.ts")).status(options));

  program
    .command("seal")
    .description("wipe all keys from the server's memory; it answers 503 until it is unsealed")
    .addOption(dataDir())
    .option("--json", "print JSON")
    .action(async (options) => (await import("./control.ts")).seal(options));

  withPassphrase(
    program
      .command("unseal")
      .description("give a sealed server its root key: the passphrase, or the key file read anew"),
  )
    .addOption(dataDir())
    .option("--json", "print JSON")
    .action(async (options) => (await import("./control.ts")).unseal(options));

  program
    .command("env")
    .description('print the variables that point AWS clients at the running server: eval "$(npx waxseal env)"')
    .addOption(dataDir())
    .addOption(new Option("--format <format>", "sh or json").choices(["sh", "json"]).default("sh"))
    .action(async (options) => (await import("./env.ts")).env(options));

  program
    .command("why")
    .description("say why a request was denied: by the id that its caller was given, or that of its audit event")
    .argument("[id]", "id of the request (x-amzn-RequestId) or event; without it, the latest denials are listed")
    .addOption(dataDir())
    .addOption(new Option("--limit <number>", "how many are listed, from 1 to 1000").argParser(atLeastOne).default(20))
    .option("--principal <arn>", "list those of callers whose ARN, unique id or role's ARN holds this text")
    .option("--account <id>", "list those of this account's callers and resources")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  npx waxseal why
  npx waxseal why 4d2f8a52-7b3c-4a38-9f5e-0b6f3a1c2d4e
  npx waxseal why --principal user/ann --limit 50
  npx waxseal why --principal :role/app
  npx waxseal why --account 111122223333`,
    )
    .action(async (id: string | undefined, options) => (await import("./why.ts")).why(id ?? null, options));

  const account = program
    .command("account")
    .description("make and list accounts, and give out access keys of their roots; works beside a running server, too")
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  npx waxseal account create --name Billing          a new account and its root's access key\n" +
        "  npx waxseal account list\n" +
        "  npx waxseal account key --account 123456789012     another access key, for who lost the first\n",
    );
  withPassphrase(account.command("create").description("make an account, and print an access key of its root"))
    .addOption(dataDir())
    .requiredOption("--name <name>", "how the account is called")
    .option("--email <address>", "e-mail address that identifies it (default: one that reaches nobody)")
    .option("--json", "print JSON: accountId, accessKeyId, secretAccessKey")
    .action(async (options) => (await import("./account.ts")).createAccount(options));
  withPassphrase(account.command("list").description("list the accounts of the deployment"))
    .addOption(dataDir())
    .option("--json", "print JSON")
    .action(async (options) => (await import("./account.ts")).listAccounts(options));
  withPassphrase(account.command("key").description("make an access key for the root of an account: two at most"))
    .addOption(dataDir())
    .requiredOption("--account <id>", "12-digit id of the account")
    .option("--list", "list the keys that there are instead")
    .option("--delete <key-id>", "delete this key instead; it stops working at once")
    .option("--json", "print JSON")
    .action(async (options) => (await import("./account.ts")).accountKey(options));

  const stream = program.command("stream").description("what people do with streams, and operators");
  addStreamCommands(stream);
  stream
    .command("suite")
    .description("choose what seals new records of a stream; needs a running server")
    .addArgument(new Argument("<suite>", "cipher suite").choices(["aes", "xchacha", "default"]))
    .addOption(dataDir())
    .requiredOption("--stream <name>", "name of the stream")
    .option("--region <region>", "region of the stream (default: the deployment's first)")
    .option("--account <id>", "12-digit id of the account that owns it (default: the deployment's first)")
    .option("--json", "print JSON")
    .action(async (suite: string, options) => (await import("./stream-suite.ts")).streamSuite(suite, options));
  withStream(stream.command("report").description("count which key and material seals how many records and bytes"))
    .option("--json", "print JSON")
    .action(async (options) => (await import("./stream-report.ts")).streamReport(options));
  withStream(
    stream
      .command("reseal")
      .description("seal the retained records again under the stream's present key, so that the old key can go"),
  )
    .option("--status", "only tell how far the latest one is")
    .option("--no-wait", "leave it to the server, and do not wait for its end")
    .option("--json", "print JSON")
    .action(async (options) => (await import("./stream-reseal.ts")).streamReseal(options));
  stream
    .command("cost")
    .description("count the calls of KMS by month, stream, key and operation, and what AWS would charge for them")
    .addOption(dataDir())
    .option("--json", "print JSON")
    .action(async (options) => (await import("./stream-cost.ts")).streamCost(options));

  program
    .command("demo")
    .description(
      "play the main job on a fresh data directory: real AWS clients, an encrypted stream, a refusal, the audit trail",
    )
    .option("--keep", "keep the data directory and say where it is")
    .action(async (options) => (await import("./demo.ts")).demo(options));

  program
    .command("bench")
    .description("measure a server: streams, kms or authz")
    .argument("<suite>", "streams, kms or authz")
    .option(
      "--endpoint <url>",
      "measure this server instead of one of our own (takes AWS_* credentials from the environment)",
    )
    .option("--server-pid <pid>", "process whose CPU time is counted, with --endpoint", count)
    .option("--workers <n>", "start the server with so many front-end processes", workerCount, 0)
    .option("--seconds <n>", "length of each measured slice", atLeastOne, 1)
    .option("--rounds <n>", "how often each case is repeated, in alternation", atLeastOne, 11)
    .option("--json", "print JSON")
    .action(async (suite: string, options) => (await import("./bench.ts")).bench(suite, options));

  const test = program.command("test").description("hooks of a server that runs with --test-hooks");
  test
    .command("clock")
    .description("move the server's clock forward")
    .addOption(dataDir())
    .requiredOption("--advance-ms <n>", "milliseconds", count)
    .option("--json", "print JSON")
    .action(async (options) => (await import("./control.ts")).advanceClock(options));

  const debug = program.command("debug").description("look at what is stored, while no server runs");
  debug
    .command("record")
    .description("read or replace the stored bytes of one stream record")
    .addOption(dataDir())
    .option("--region <region>", "region of the stream (default: the deployment's first)")
    .requiredOption("--stream <name>", "name of the stream")
    .requiredOption("--sequence-number <n>", "sequence number of the record")
    .option("--out <file>", "write the stored bytes to this file (default: print them as hex)")
    .option("--replace <file>", "put the bytes of this file in their place")
    .option("--json", "print JSON")
    .action(async (options) => (await import("./debug-record.ts")).debugRecord(options));

  return program;
}

/** Exit code for what commander refused: the same as for our own refusals of options. */
const EXIT_USAGE = 2;

try {
  const program = build();
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong, or printed the help or the version that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    const { message, stack, exitCode } = outcomeOf(error);
    process.stderr.write(`waxseal: ${stack ?? message}\n`);
    process.exitCode = exitCode;
  }
}
