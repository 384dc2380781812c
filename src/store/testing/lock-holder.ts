/**
 * Takes the lock of a data directory and says how that went: `held` or `refused PID`. Releases it and exits when stdin
 * closes. Run by data-directory-lock.test.ts. Argument: the directory.
 */
import { writeSync } from "node:fs";
import { openDataDirectory } from "../data-directory.ts";
import { DataDirectoryInUseError, lockDataDirectory } from "../data-directory-lock.ts";

const directory = await openDataDirectory(process.argv[2] ?? "");
try {
  const lock = await lockDataDirectory(directory);
  writeSync(1, "held\n");
  process.stdin.resume();
  process.stdin.once("end", () => void lock.release());
} catch (error) {
  if (!(error instanceof DataDirectoryInUseError)) throw error;
  writeSync(1, `refused ${error.holderPid}\n`);
}
