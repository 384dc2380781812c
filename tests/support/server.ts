import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { plainEnvironment, waxsealOk, WAXSEAL } from "./processes.ts";
import { within } from "./wait.ts";

const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 15_000;

/** An AWS access key. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The line that `serve --json` prints when it is ready. */
export interface Ready {
  readonly ready: true;
  readonly sealed: boolean;
  readonly endpoint: string;
  readonly httpsEndpoint: string | null;
  readonly region: string;
  readonly regions: readonly string[];
  readonly accountId: string;
  readonly pid: number;
}

/** A server in a process of its own. */
export interface RunningServer extends Ready {
  readonly dataDir: string;
  /** From the start of node to the ready line. */
  readonly readyMs: number;
  /** Everything it has printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** What `waxseal env` says: endpoint, region, the root's credentials, certificates. */
  env(): Promise<Record<string, string>>;
  /** The root credentials of the account. */
  root(): Promise<Credentials>;
  /** SIGTERM; how it ended, and how long that took. */
  stop(): Promise<{ readonly code: number | null; readonly ms: number }>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface StartOptions {
  /** An existing data directory, or one to be made. */
  readonly dataDir: string;
  readonly https?: boolean;
  readonly testHooks?: boolean;
  /** Options of node itself. */
  readonly nodeArgs?: readonly string[];
  readonly args?: readonly string[];
}

/** Makes a directory that the test removes again. */
export const temporaryDirectory = (): string => mkdtempSync(join(tmpdir(), "waxseal-test-"));
export const removeDirectory = (path: string): void => rmSync(path, { recursive: true, force: true });

/** Starts `waxseal serve` on a free port and waits until it is ready. Rejects with its error output when it ends before. */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const args = [
    ...(options.nodeArgs ?? []),
    WAXSEAL,
    "serve",
    "--data-dir",
    options.dataDir,
    "--port",
    "0",
    "--json",
    ...(options.https === true ? ["--https-port", "0"] : []),
    ...(options.testHooks === true ? ["--test-hooks"] : []),
    ...(options.args ?? []),
  ];
  const beganMs = performance.now();
  const child = spawn(process.execPath, args, { env: plainEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (printed.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (printed.stderr += chunk));

  const ready = await within(READY_MS_MAX, "the start of the server", readyLine(child, printed)).catch(
    (error: unknown) => {
      child.kill("SIGKILL");
      throw error;
    },
  );
  const readyMs = performance.now() - beganMs;
  const env = async (): Promise<Record<string, string>> =>
    JSON.parse(await waxsealOk(["env", "--data-dir", options.dataDir, "--format", "json"])) as Record<string, string>;
  return {
    ...ready,
    dataDir: options.dataDir,
    readyMs,
    output: () => ({ ...printed }),
    env,
    async root() {
      const variables = await env();
      return {
        accessKeyId: variables["AWS_ACCESS_KEY_ID"] ?? "",
        secretAccessKey: variables["AWS_SECRET_ACCESS_KEY"] ?? "",
      };
    },
    async stop() {
      const stopMs = performance.now();
      child.kill("SIGTERM");
      const code = await within(STOP_MS_MAX, "the stop of the server", ended(child));
      return { code, ms: performance.now() - stopMs };
    },
    async kill() {
      child.kill("SIGKILL");
      await ended(child);
    },
  };
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once("exit", resolve));
}

async function readyLine(
  child: ChildProcess,
  printed: { readonly stdout: string; readonly stderr: string },
): Promise<Ready> {
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", () => {
      const end = printed.stdout.indexOf("\n");
      if (end !== -1) resolve(JSON.parse(printed.stdout.slice(0, end)) as Ready);
    });
    child.once("error", reject);
    child.once("close", (code) =>
      reject(new Error(`the server ended with ${code} before it was ready:\n${printed.stderr}`)),
    );
  });
}

/** One server on a fresh directory for all tests of a file (or of a describe block). */
export function serverForAll(options: Omit<StartOptions, "dataDir"> = {}): () => RunningServer {
  let server: RunningServer | undefined;
  const dataDir = temporaryDirectory();
  beforeAll(async () => {
    server = await startServer({ ...options, dataDir });
  });
  afterAll(async () => {
    await server?.stop();
    removeDirectory(dataDir);
  });
  return () => {
    if (server === undefined) throw new Error("the server runs only inside tests");
    return server;
  };
}

/** Moves the clock of a server that was started with test hooks. */
export async function advanceClock(server: RunningServer, ms: number): Promise<void> {
  await waxsealOk(["test", "clock", "--data-dir", server.dataDir, "--advance-ms", String(ms)]);
}
