import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchCredentials } from "./sign.ts";

/** What is kept of a process's log, in case that it fails: the end of it. */
const LOG_LENGTH_MAX = 65_536;

/** Linux counts in hundredths of a second wherever node runs. */
const TICK_US = 10_000;

/**
 * CPU time of a process and its children (a server's front-ends) so far, user and system, all threads, in microseconds.
 * From the scheduler's own count in nanoseconds: the usual one in hundredths of a second is too coarse for slices of a
 * second.
 */
export function cpuTimeUs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    // A thread may end in between: what it used counts no more.
    const schedstat = readIfThere(`/proc/${pid}/task/${thread}/schedstat`);
    ns += Number(schedstat.split(" ")[0]);
  }
  return ns / 1000 + childrenOf(pid).reduce((sum, child) => sum + cpuTimeUs(child), 0);
}

/** The usual count. It knows threads that have ended, too: some servers start one for each connection. */
export function coarseCpuTimeUs(pid: number): number {
  // The name of the process, which may hold anything, stands in brackets before these fields (proc_pid_stat(5)).
  const fields = (readIfThere(`/proc/${pid}/stat`).split(") ").at(-1) ?? "").split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_US;
}

/** The processes that any thread of this one started. Throws when the process has ended. */
const childrenOf = (pid: number): readonly number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    [...readIfThere(`/proc/${pid}/task/${thread}/children`).matchAll(/[1-9]\d*/g)].map(([child]) => Number(child)),
  );

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "0";
  }
}

export interface Target {
  readonly endpoint: URL;
  readonly credentials: BenchCredentials;
  /** Null when the CPU time of the server cannot be seen. */
  readonly pid: number | null;
  /** Null when the server cannot be administered from here. */
  readonly dataDir: string | null;
  stop(): Promise<void>;
}

/**
 * Starts a script in a process of its own and waits for its first line on stdout: a JSON object. Its log would stand amid
 * the tables, so that it is shown only if the process ends before it is ready, or ends badly.
 */
export async function startProcess(
  args: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly ready: Record<string, unknown> }> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString("utf8")).slice(-LOG_LENGTH_MAX)));
  child.once("close", (code) => {
    if (code !== 0) process.stderr.write(log);
  });
  const ready = await new Promise<Record<string, unknown>>((done, fail) => {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      const end = text.indexOf("\n");
      if (end >= 0) done(JSON.parse(text.slice(0, end)) as Record<string, unknown>);
    });
    child.once("exit", (code) => fail(new Error(`the process ended with code ${code} before it was ready`)));
  });
  return { child, ready };
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  await ended;
}

/** Our own server, in its own process, on a fresh data directory that is removed afterwards. */
export async function startWaxseal(workers = 0): Promise<Target & { readonly dataDir: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), "waxseal-bench-"));
  const command = fileURLToPath(new URL("../../../bin/waxseal.js", import.meta.url));
  const args = ["--data-dir", dataDir, "--port", "0", "--json", "--workers", String(workers)];
  const { child, ready } = await startProcess([command, "serve", ...args]);
  const root = JSON.parse(readFileSync(join(dataDir, "private", "root-credentials.json"), "utf8")) as {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  };
  return {
    dataDir,
    endpoint: new URL(String(ready["endpoint"])),
    credentials: {
      accessKeyId: root.accessKeyId,
      secretAccessKey: root.secretAccessKey,
      region: String(ready["region"]),
    },
    pid: Number(ready["pid"]),
    async stop() {
      await stopProcess(child);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Another server, with the credentials of the environment. */
export function existingServer(endpoint: string, pid: number | undefined, environment: NodeJS.ProcessEnv): Target {
  return {
    endpoint: new URL(endpoint),
    credentials: {
      accessKeyId: environment["AWS_ACCESS_KEY_ID"] ?? "bench",
      secretAccessKey: environment["AWS_SECRET_ACCESS_KEY"] ?? "bench",
      region: environment["AWS_REGION"] ?? "us-east-1",
    },
    pid: pid ?? null,
    dataDir: null,
    stop: async () => {},
  };
}
