import { setFlagsFromString } from "node:v8";
import {
  dataDirectory,
  DEFAULT_REGION,
  parseHosts,
  parseSealChoice,
  readQuotaProfile,
  type ServerConfig,
} from "../config.ts";
import type { ServerState } from "../main.ts";
import type { Log } from "../server/log.ts";
import { CommandError, outcomeOf } from "./command-error.ts";
import { openLog } from "./log.ts";
import { quoted } from "./shell.ts";
import { isPassphraseGiven, type PassphraseOptions, readPassphrase } from "./passphrase.ts";

export interface InitOptions extends PassphraseOptions {
  readonly dataDir?: string;
  readonly region?: readonly string[];
  readonly accountId?: string;
  readonly seal?: string;
  readonly json?: boolean;
}

interface ServeOptions extends InitOptions {
  readonly port: number;
  readonly httpsPort?: number;
  readonly host?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly insecureHttpHost?: string;
  readonly kmsQuotas?: string;
  readonly streamLimits?: "none" | "aws";
  readonly oidcHosts?: string;
  readonly streamSuite?: ServerConfig["streamSuite"];
  readonly testHooks?: boolean;
  readonly workers?: number;
}

/** RegionType of KMS's service model; ciphertexts and tokens have no room for longer names either. */
const REGION_NAME = /^([a-z]+-){2,3}\d+$/;
const REGION_LENGTH_MAX = 32;

/** Where HTTPS is served unless --host says otherwise. */
const HOST_DEFAULT = "127.0.0.1";

/** After SIGTERM, requests in flight get this long to finish. */
const DRAIN_MS_MAX = 8_000;

type InitConfig = Pick<ServerConfig, "dataDir" | "regions" | "accountId" | "seal" | "isPassphraseGiven">;

/** What init and serve have in common, checked. */
export function initConfig(options: InitOptions): InitConfig {
  if (options.accountId !== undefined && !/^\d{12}$/.test(options.accountId)) {
    throw new CommandError("--account-id takes 12 digits.", 2);
  }
  const seal = options.seal === undefined ? null : parseSealChoice(options.seal);
  if (options.seal !== undefined && seal === null)
    throw new CommandError("--seal takes file, file:PATH or passphrase.", 2);
  return {
    dataDir: dataDirectory(options.dataDir),
    regions: options.region === undefined ? null : regionsOf(options.region),
    accountId: options.accountId ?? null,
    seal,
    isPassphraseGiven: isPassphraseGiven(options),
  };
}

/** In the order given, each once. */
function regionsOf(names: readonly string[]): readonly string[] {
  if (names.some((name) => name.length > REGION_LENGTH_MAX || !REGION_NAME.test(name))) {
    throw new CommandError(`--region takes a region's name such as ${DEFAULT_REGION}.`, 2);
  }
  return [...new Set(names)];
}

function oidcHostsOf(list: string): readonly string[] {
  const hosts = parseHosts(list);
  if (hosts !== null) return hosts;
  throw new CommandError("--oidc-hosts takes hosts such as idp.example.com or *.example.com, with commas between.", 2);
}

function serverConfig(options: ServeOptions): ServerConfig {
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined)) {
    throw new CommandError("--tls-cert and --tls-key belong together.", 2);
  }
  if (options.httpsPort === undefined && (options.host ?? options.tlsCert ?? options.tlsCa) !== undefined) {
    throw new CommandError("--host and --tls-* are about HTTPS: give --https-port, too.", 2);
  }
  const host = options.host ?? HOST_DEFAULT;
  if (options.testHooks && options.insecureHttpHost !== undefined) {
    throw new CommandError("--test-hooks works on the loopback address only, not with --insecure-http-host.", 2);
  }
  if (options.testHooks && !["127.0.0.1", "::1", "localhost"].includes(host)) {
    throw new CommandError("--test-hooks works on the loopback address only: leave --host out.", 2);
  }
  return {
    ...initConfig(options),
    port: options.port,
    httpHost: options.insecureHttpHost ?? "127.0.0.1",
    httpsPort: options.httpsPort ?? null,
    host,
    certificate:
      options.tlsCert === undefined || options.tlsKey === undefined
        ? null
        : { certificateFile: options.tlsCert, keyFile: options.tlsKey, caFile: options.tlsCa ?? null },
    kmsQuotas: readQuotaProfile(options.kmsQuotas ?? "none"),
    streamLimits: options.streamLimits ?? "none",
    oidcHosts: options.oidcHosts === undefined ? null : oidcHostsOf(options.oidcHosts),
    streamSuite: options.streamSuite ?? "aes",
    testHooks: options.testHooks ?? false,
    workers: options.workers ?? 0,
  };
}

export async function serve(options: ServeOptions): Promise<void> {
  const log = openLog(options.json ?? false);
  try {
    await serveUntilStopped(options, log);
  } catch (error) {
    if (!options.json) throw error;
    const { message, stack, exitCode } = outcomeOf(error);
    log.error(message, undefined, { exitCode, ...(stack === null ? {} : { stack }) });
    process.exitCode = exitCode;
  }
}

/** Resolves when the server answers; from then on signals stop it. */
async function serveUntilStopped(options: ServeOptions, log: Log): Promise<void> {
  const config = serverConfig(options);
  tuneCollector();
  const { startServer } = await import("../main.ts");
  const server = await startServer(config, log, (which) => readPassphrase(options, which));
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    log.info(`${signal}: finishing the requests in flight`);
    server.close(DRAIN_MS_MAX).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error("the server did not stop cleanly", error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));

  const ready = { ready: true, ...server.describe() };
  if (options.json) process.stdout.write(`${JSON.stringify(ready)}\n`);
  else process.stdout.write(greeting(config, server.describe()));
}

function greeting(config: ServerConfig, state: ServerState): string {
  const lines = [
    `Waxseal ${state.sealed ? "is SEALED: it answers 503 until it is given its passphrase" : "is ready"}`,
    `  endpoint         ${state.endpoint}${state.httpsEndpoint === null ? "" : `   ${state.httpsEndpoint}`}`,
    `  account, region  ${state.accountId}, ${state.regions.join(", ")}`,
    `  root credentials ${config.dataDir}/private/root-credentials.json`,
    state.sealed
      ? `  unseal it        npx waxseal unseal --data-dir ${quoted(config.dataDir)}`
      : `  use it           eval "$(npx waxseal env --data-dir ${quoted(config.dataDir)})" && aws kms list-keys`,
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * Each sealed record leaves a few small buffers of node:crypto behind. Helper threads that free them cost more to wake
 * than they take off the main thread: without them, encryption costs half as much CPU for a single put.
 */
function tuneCollector(): void {
  setFlagsFromString("--no-concurrent-array-buffer-sweeping");
}
