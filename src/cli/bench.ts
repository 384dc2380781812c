import { authzText, benchAuthz } from "../../bench/authz.ts";
import { benchKms, kmsText } from "../../bench/kms.ts";
import { benchStreams, streamsText } from "../../bench/streams.ts";
import { existingServer, startWaxseal } from "../../bench/support/server-process.ts";
import { CommandError } from "./command-error.ts";

interface BenchCommandOptions {
  readonly endpoint?: string;
  readonly serverPid?: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly workers: number;
  readonly json?: boolean;
}

const SUITES = {
  streams: { run: benchStreams, text: streamsText },
  kms: { run: benchKms, text: kmsText },
  authz: { run: benchAuthz, text: authzText },
} as const;

export async function bench(name: string, options: BenchCommandOptions): Promise<void> {
  if (!Object.hasOwn(SUITES, name))
    throw new CommandError(`There is no suite '${name}'. Choose one of: ${Object.keys(SUITES).join(", ")}.`, 2);
  const suite = SUITES[name as keyof typeof SUITES];
  const target =
    options.endpoint === undefined
      ? await startWaxseal(options.workers)
      : existingServer(options.endpoint, options.serverPid, process.env);
  const progress = (line: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`  ${line}\n`);
  };
  try {
    const result = await suite.run(target, { seconds: options.seconds, rounds: options.rounds, progress });
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${suite.text(result)}\n`);
  } finally {
    await target.stop();
  }
}
