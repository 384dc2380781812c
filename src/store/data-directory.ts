import { mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";

/** Where a server keeps what it must not lose, and what only lives as long as it runs. */
export interface DataDirectory {
  readonly path: string;
  /** Secrets that open the rest: left out of a backup unless asked for. */
  readonly privatePath: string;
  /** The stores. */
  readonly storePath: string;
  /** Sockets and the lock: of no use once the server has stopped. */
  readonly runPath: string;
}

const OWNER_ONLY = 0o700;
const OTHERS_MAY_WRITE = 0o022;
const OTHERS_MAY_ANYTHING = 0o077;

/**
 * Makes what is missing (0700) and checks what is there. Throws with the command that mends it when others than the owner
 * could exchange a directory or look into one.
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const root = resolve(path);
  const directory: DataDirectory = {
    path: root,
    privatePath: join(root, "private"),
    storePath: join(root, "store"),
    runPath: join(root, "run"),
  };
  await openDirectory(directory.path, OTHERS_MAY_WRITE);
  for (const part of [directory.privatePath, directory.storePath, directory.runPath]) {
    await openDirectory(part, OTHERS_MAY_ANYTHING);
  }
  return directory;
}

async function openDirectory(path: string, forbidden: number): Promise<void> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY });
  const { mode } = await stat(path);
  if ((mode & forbidden) === 0) return;
  const octal = (mode & 0o777).toString(8);
  throw new Error(`${path} is open to other users (mode ${octal}). Close it with: chmod 700 ${path}`);
}
