import { open as openFile, unlink } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { socketPath } from "../base/socket-path.ts";
import type { DataDirectory } from "./data-directory.ts";
import { type LmdbDatabase, openLmdbEnvironment } from "./lmdb-environment.ts";

export interface DataDirectoryLock {
  release(): Promise<void>;
}

/** Another process serves this data directory. */
export class DataDirectoryInUseError extends Error {
  readonly holderPid: number | null;

  constructor(path: string, holderPid: number | null) {
    const holder = holderPid === null ? "another process" : `process ${holderPid}`;
    super(`${path} is in use by ${holder}. Stop it, or choose another data directory.`);
    this.name = "DataDirectoryInUseError";
    this.holderPid = holderPid;
  }
}

const SOCKET_NAME = "lock.sock";
const HOLDER_KEY = Buffer.from("holder");

/** A page and a few bytes. */
const MAP_BYTES = 1024 * 1024;
const PAGE_BYTES = 4096;

/**
 * Takes the data directory for this process or throws DataDirectoryInUseError.
 *
 * The holder listens on a socket in `run/`. Only the kernel knows for certain whether a process lives: it refuses
 * connections from the moment when the listener is gone, however it went, and it does so across containers that share the
 * directory, where process ids mean nothing. Whoever finds the socket dead replaces it inside a write transaction of a small
 * LMDB file, whose lock two contenders cannot hold at once and which the kernel frees when its holder dies; so that nobody
 * removes the socket of one who has just replaced it.
 */
export async function lockDataDirectory(directory: DataDirectory): Promise<DataDirectoryLock> {
  const run = await openFile(directory.runPath, "r");
  try {
    const server = await takeOver(directory, socketPath(directory.runPath, run.fd, SOCKET_NAME));
    return {
      async release() {
        // Removes the socket, too.
        await new Promise<void>((resolve) => void server.close(() => resolve()));
        await run.close();
      },
    };
  } catch (error) {
    await run.close();
    throw error;
  }
}

async function takeOver(directory: DataDirectory, path: string): Promise<Server> {
  const options = { pageBytes: PAGE_BYTES, mapBytes: MAP_BYTES };
  const environment = await openLmdbEnvironment(join(directory.runPath, "lock.mdb"), options);
  try {
    const holder = environment.database("lock");
    const taken = await environment.exclusively(() => takeOverAlone(path, holder));
    if (taken === null) throw new DataDirectoryInUseError(directory.path, readHolder(holder));
    return taken;
  } finally {
    await environment.close();
  }
}

/** Within the transaction. Null when the holder lives. */
async function takeOverAlone(path: string, holder: LmdbDatabase): Promise<Server | null> {
  if (await answers(path)) return null;
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  const server = await listen(path);
  void holder.put(HOLDER_KEY, Buffer.from(JSON.stringify({ pid: process.pid })));
  return server;
}

/** Whether somebody listens. What can't be told counts as a yes. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ENOENT" && error.code !== "ECONNREFUSED"),
    );
  });
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

function readHolder(holder: LmdbDatabase): number | null {
  const value = holder.getBinary(HOLDER_KEY);
  if (value === undefined) return null;
  const { pid } = JSON.parse(value.toString()) as { readonly pid?: unknown };
  return typeof pid === "number" ? pid : null;
}
