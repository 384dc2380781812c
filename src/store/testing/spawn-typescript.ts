import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface CompiledScript {
  /** Runs it in a process of its own, with pipes for stdin and stdout. */
  spawn(args: readonly string[]): ChildProcess;
  remove(): Promise<void>;
}

const sourceRoot = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Compiles a script of this repository and what it imports, for tests that must kill a process: Node 20 runs no TypeScript.
 * The result goes to `dist/`, where imports of packages still resolve.
 */
export async function compileScript(script: URL): Promise<CompiledScript> {
  const dist = join(sourceRoot, "..", "dist");
  await mkdir(dist, { recursive: true });
  const output = await mkdtemp(join(dist, "test-"));
  const source = fileURLToPath(script);
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const options = "--ignoreConfig --noCheck --skipLibCheck --module nodenext --target es2023 --types node";
  const emit = [
    "--allowImportingTsExtensions",
    "--rewriteRelativeImportExtensions",
    "--rootDir",
    sourceRoot,
    "--outDir",
    output,
  ];
  await promisify(execFile)(process.execPath, [compiler, ...options.split(" "), ...emit, source]);
  const compiled = join(output, relative(sourceRoot, source).replace(/\.ts$/, ".js"));
  return {
    spawn: (args) => spawn(process.execPath, [compiled, ...args], { stdio: ["pipe", "pipe", "inherit"] }),
    remove: () => rm(output, { recursive: true, force: true }),
  };
}
