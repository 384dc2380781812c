import { existsSync } from "node:fs";
import { join } from "node:path";

/** What the kernel takes for the path of a Unix socket (sun_path, without its final zero). Longer ones it cuts off. */
const PATH_BYTES_MAX = 107;

/**
 * A path to a socket in a directory that is short enough however long the directory's own path is: through the open
 * directory. `descriptor` must stay open as long as the path is in use. Throws where there is no short way (no /proc).
 */
export function socketPath(directoryPath: string, descriptor: number, name: string): string {
  const opened = `/proc/self/fd/${descriptor}`;
  const path = join(existsSync(opened) ? opened : directoryPath, name);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return path;
  throw new Error(`The path ${path} is too long for a socket: choose a data directory with a shorter path.`);
}
