import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { startProcess, stopProcess, type Target } from "./server-process.ts";

/**
 * kinesalite beside us, for comparison. It writes to disk without waiting for it and checks no signature. Null where this
 * development dependency is not installed.
 */
export async function startKinesalite(): Promise<Target | null> {
  try {
    createRequire(import.meta.url).resolve("kinesalite");
  } catch {
    return null;
  }
  const { child, ready } = await startProcess([fileURLToPath(new URL("kinesalite-server.js", import.meta.url))]);
  return {
    endpoint: new URL(String(ready["endpoint"])),
    credentials: { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "benchmark", region: "us-east-1" },
    pid: Number(ready["pid"]),
    dataDir: null,
    stop: () => stopProcess(child),
  };
}
