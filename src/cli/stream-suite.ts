import { dataDirectory } from "../config.ts";
import { askServer } from "./admin-client.ts";

interface StreamSuiteOptions {
  readonly dataDir?: string;
  readonly stream: string;
  readonly region?: string;
  readonly account?: string;
  readonly json?: boolean;
}

/** Chooses the cipher suite of what is put into a stream from now on. */
export async function streamSuite(suite: string, options: StreamSuiteOptions): Promise<void> {
  const answer = await askServer(dataDirectory(options.dataDir), "POST", "/streams/suite", {
    stream: options.stream,
    suite,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.account === undefined ? {} : { accountId: options.account }),
  });
  const chosen = suite === "default" ? "the server's suite (serve --stream-suite)" : suite;
  process.stdout.write(
    options.json
      ? `${JSON.stringify(answer)}\n`
      : `New records of stream ${options.stream} are sealed with ${chosen}. What is stored stays readable as it is.\n`,
  );
}
