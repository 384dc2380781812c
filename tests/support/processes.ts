import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const REPOSITORY: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a child process may see of this one's environment: nothing of AWS's or Waxseal's. */
export function plainEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(AWS_|WAXSEAL_|NODE_|VITEST|npm_)/.test(entry[0]),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}

/** Runs a program to its end. Never rejects for an exit code. */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
    readonly timeoutMs?: number;
    readonly cwd?: string;
  } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    env: { ...plainEnvironment(), ...options.env },
    cwd: options.cwd ?? REPOSITORY,
    timeout: options.timeoutMs ?? 120_000,
    killSignal: "SIGKILL",
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString("utf8"), stderr: Buffer.concat(err).toString("utf8") }),
    );
  });
}

export const WAXSEAL: string = fileURLToPath(new URL("../../bin/waxseal.js", import.meta.url));

/** Runs a `waxseal` command to its end. */
export async function waxseal(args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Finished> {
  return run(process.execPath, [WAXSEAL, ...args], options);
}

/** The same, for a command that must succeed. */
export async function waxsealOk(args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<string> {
  const finished = await waxseal(args, options);
  if (finished.code !== 0)
    throw new Error(`waxseal ${args.join(" ")} exited with ${finished.code}:\n${finished.stderr}`);
  return finished.stdout;
}
