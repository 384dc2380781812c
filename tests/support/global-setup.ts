import { spawnSync } from "node:child_process";
import { REPOSITORY } from "./processes.ts";

/** The suites drive `bin/waxseal.js`, which runs what was built: so build what has changed. */
export function setup(): void {
  const { status, stdout, stderr } = spawnSync("npx", ["tsc", "-b", "tsconfig.build.json"], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the build failed, so there is nothing to test:\n${stdout}${stderr}`);
}
