import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dataDirectory } from "../config.ts";
import { noServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { quoted } from "./shell.ts";

interface EndpointFile {
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  readonly region: string;
  readonly caFile: string | null;
  readonly pid: number;
}

/** Prints what AWS clients need to reach the running server as the account's root. */
export function env(options: { readonly dataDir?: string; readonly format: "sh" | "json" }): void {
  const dataDir = dataDirectory(options.dataDir);
  const variables = environmentOf(dataDir);
  if (options.format === "json") {
    process.stdout.write(`${JSON.stringify(variables)}\n`);
    return;
  }
  for (const [name, value] of Object.entries(variables)) process.stdout.write(`export ${name}=${quoted(value)}\n`);
}

/** The same as a map, for the demo and the benchmarks. */
export function environmentOf(dataDir: string): Readonly<Record<string, string>> {
  const endpoint = readJson(join(dataDir, "run", "endpoint.json"), (code) =>
    code === "EACCES"
      ? new CommandError(
          `Only the owner of ${dataDir} may see whether a server runs on it, and use its root credentials.`,
          1,
        )
      : noServer(dataDir),
  ) as EndpointFile;
  if (!existsSync(`/proc/${endpoint.pid}`)) throw noServer(dataDir);
  const credentials = readJson(
    join(dataDir, "private", "root-credentials.json"),
    (code) =>
      new CommandError(
        `The root credentials in ${dataDir} cannot be read (${code}). Only the owner of the directory may.`,
        1,
      ),
  ) as { readonly accessKeyId: string; readonly secretAccessKey: string };
  return {
    AWS_ENDPOINT_URL: endpoint.endpoint,
    AWS_REGION: endpoint.region,
    AWS_DEFAULT_REGION: endpoint.region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    ...(endpoint.caFile === null ? {} : { AWS_CA_BUNDLE: endpoint.caFile, NODE_EXTRA_CA_CERTS: endpoint.caFile }),
  };
}

function readJson(path: string, onError: (code: string) => CommandError): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw onError((error as NodeJS.ErrnoException).code ?? "malformed");
  }
}
