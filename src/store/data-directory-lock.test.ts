import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type DataDirectory, openDataDirectory } from "./data-directory.ts";
import { DataDirectoryInUseError, lockDataDirectory } from "./data-directory-lock.ts";
import { type CompiledScript, compileScript } from "./testing/spawn-typescript.ts";

let holderScript: CompiledScript;
let parent: string;
let directory: DataDirectory;

beforeAll(async () => {
  holderScript = await compileScript(new URL("./testing/lock-holder.ts", import.meta.url));
  parent = await mkdtemp(join(tmpdir(), "waxseal-lock-"));
});

beforeEach(async () => {
  directory = await openDataDirectory(await mkdtemp(join(parent, "data-")));
});

afterAll(async () => {
  await holderScript.remove();
  await rm(parent, { recursive: true });
});

interface Contender {
  readonly child: ChildProcess;
  /** `held` or `refused PID`. */
  readonly verdict: string;
}

/** Starts a process that wants the lock; resolves when it knows whether it has it. */
async function contend(): Promise<Contender> {
  const child = holderScript.spawn([directory.path]);
  for await (const verdict of createInterface({ input: child.stdout as NodeJS.ReadableStream }))
    return { child, verdict };
  throw new Error("the contender said nothing");
}

async function end(child: ChildProcess, how: "release" | "kill"): Promise<void> {
  const exited = once(child, "exit");
  if (how === "kill") child.kill("SIGKILL");
  else child.stdin?.end();
  await exited;
}

describe("the lock of a data directory", () => {
  it("refuses a second process, and names the first, until that releases it", async () => {
    const first = await contend();
    expect(first.verdict).toBe("held");
    expect((await contend()).verdict).toBe(`refused ${first.child.pid}`);
    await expect(lockDataDirectory(directory)).rejects.toThrow(`in use by process ${first.child.pid}`);
    await end(first.child, "release");
    const lock = await lockDataDirectory(directory);
    expect((await contend()).verdict).toBe(`refused ${process.pid}`);
    await lock.release();
  });

  it("refuses its own process, too", async () => {
    const lock = await lockDataDirectory(directory);
    await expect(lockDataDirectory(directory)).rejects.toThrow(DataDirectoryInUseError);
    await lock.release();
    await (await lockDataDirectory(directory)).release();
    expect(await readdir(directory.runPath)).not.toContain("lock.sock");
  });

  it("goes to exactly one of many when its holder was killed", async () => {
    const killed = await contend();
    await end(killed.child, "kill");
    expect(await readdir(directory.runPath)).toContain("lock.sock");
    const contenders = await Promise.all(Array.from({ length: 6 }, contend));
    const [winner, ...others] = contenders.filter(({ verdict }) => verdict === "held");
    expect([winner?.verdict, others]).toEqual(["held", []]);
    const refusals = new Set(contenders.map(({ verdict }) => verdict).filter((verdict) => verdict !== "held"));
    expect(refusals).toEqual(new Set([`refused ${winner?.child.pid}`]));
    await end(winner?.child as ChildProcess, "release");
  });

  it("works where the path is longer than a socket's may be, and over what is no socket", async () => {
    directory = await openDataDirectory(join(parent, "long".repeat(40)));
    await writeFile(join(directory.runPath, "lock.sock"), "");
    const lock = await lockDataDirectory(directory);
    expect((await contend()).verdict).toBe(`refused ${process.pid}`);
    await lock.release();
  });
});
