import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** kinesalite (npm) on disk, in a process of its own. It ships no types. */
const require = createRequire(import.meta.url);
const kinesalite = require("kinesalite") as (options: object) => Server;

const path = mkdtempSync(join(tmpdir(), "kinesalite-bench-"));
const server = kinesalite({ path, shardLimit: 1000, createStreamMs: 50, deleteStreamMs: 50, updateStreamMs: 50 });
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ endpoint: `http://127.0.0.1:${port}`, pid: process.pid })}\n`);
});
process.on("SIGTERM", () => {
  rmSync(path, { recursive: true, force: true });
  process.exit(0);
});
