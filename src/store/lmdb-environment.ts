import { statfsSync } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { requireWhole } from "./lmdb-file.ts";

export type LmdbDatabase = Database<Buffer, Buffer>;

export interface LmdbOptions {
  /** Page size in bytes of a new file; an existing one keeps its own. */
  readonly pageBytes: number;
  /** Address space to reserve. Costs no memory; LMDB maps anew when the file outgrows it. */
  readonly mapBytes: number;
  /** Free bytes of the disk, for tests. Default: what the file system says. */
  readonly freeBytes?: () => number;
}

/** What of lmdb-js an environment uses. */
export type LmdbRoot = Pick<
  RootDatabase<Buffer, Buffer>,
  "batch" | "transaction" | "transactionSync" | "openDB" | "close"
>;

/** Named databases per file. */
const DATABASES_MAX = 4;

/**
 * The disk must never run full under LMDB: lmdb-js 3.5.6 formats the error of a failed page write into a buffer that is too
 * small and takes the process down with it. So a commit needs this much free space: four of the largest.
 */
const FREE_BYTES_MIN = 64 * 1024 * 1024;

/** Removing records makes room, but takes some itself to begin with. */
const FREE_BYTES_MIN_TO_REMOVE = 8 * 1024 * 1024;

const MDB_MAP_FULL = -30792;
const MDB_TXN_FULL = -30788;

/** No room: LMDB gave the transaction up, nothing of it was written, and a later one may find room. */
const NO_ROOM: ReadonlySet<unknown> = new Set([
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
  constants.errno.EFBIG,
  MDB_MAP_FULL,
  MDB_TXN_FULL,
]);

/** A commit that failed, and why. The outcome of the transaction is known (nothing was written) only if `noRoom`. */
export class StoreFailure extends Error {
  readonly noRoom: boolean;

  constructor(message: string, noRoom: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StoreFailure";
    this.noRoom = noRoom;
  }
}

/** One LMDB file and its lock file, both for the owner's eyes only. The directory must exist. */
export async function openLmdbEnvironment(path: string, options: LmdbOptions): Promise<LmdbEnvironment> {
  // LMDB would create them readable by others.
  for (const file of [path, `${path}-lock`]) await (await openFile(file, "a", 0o600)).close();
  await requireWhole(path);
  const root = open<Buffer, Buffer>({
    path,
    noSubdir: true,
    pageSize: options.pageBytes,
    mapSize: options.mapBytes,
    maxDbs: DATABASES_MAX,
    encoding: "binary",
    keyEncoding: "binary",
    // A commit becomes visible and is acknowledged when it is on disk, not before.
    overlappingSync: false,
    // Without it, lmdb-js adds whatever else is written in a turn of the event loop; CommitQueue decides that here.
    eventTurnBatching: false,
    // Else unused parts of a page would carry whatever this process's memory held, keys included, into the file.
    noMemInit: false,
  });
  await syncDirectory(dirname(path));
  return new LmdbEnvironment(root, options.freeBytes ?? (() => freeBytesAt(path)));
}

function freeBytesAt(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** A file survives a crash of the machine only when the directory that names it is synced too. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await openFile(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export class LmdbEnvironment {
  readonly #root: LmdbRoot;
  readonly #freeBytes: () => number;
  /** After a failure: LMDB's next transaction must be tried before one is handed to its writer thread. */
  #suspect = false;
  #failure: StoreFailure | null = null;

  constructor(root: LmdbRoot, freeBytes: () => number) {
    this.#root = root;
    this.#freeBytes = freeBytes;
  }

  database(name: string): LmdbDatabase {
    return this.#root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
  }

  /**
   * One durable transaction of the puts and removes that `write` makes. They are executed on LMDB's writer thread. Rejects
   * with StoreFailure.
   */
  async batch(write: () => void, options: { readonly makesRoom: boolean } = { makesRoom: false }): Promise<void> {
    this.#checkUsable(options.makesRoom ? FREE_BYTES_MIN_TO_REMOVE : FREE_BYTES_MIN);
    try {
      await this.#root.batch(write);
    } catch (error) {
      throw await this.#failed(error);
    }
  }

  /** One durable transaction held while `run` waits for something else, against all other processes. Its errors pass. */
  async exclusively<Result>(run: () => Promise<Result>): Promise<Result> {
    return await this.#root.transaction(run);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #checkUsable(freeBytesMin: number): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#freeBytes() < freeBytesMin) {
      throw new StoreFailure(`the disk has less than ${freeBytesMin / 1024 ** 2} MiB left: nothing is written`, true);
    }
    if (!this.#suspect) return;
    try {
      // When LMDB could not write its root page, it refuses all further transactions, and lmdb-js then never answers.
      this.#root.transactionSync(() => undefined);
    } catch (error) {
      this.#failure = new StoreFailure("the store has failed and must be opened again", false, error);
      throw this.#failure;
    }
    this.#suspect = false;
  }

  async #failed(error: unknown): Promise<StoreFailure> {
    const cause = await causeOf(error);
    const code: unknown = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const failure = new StoreFailure("the store could not commit", NO_ROOM.has(code), cause);
    this.#suspect = true;
    // After a failed sync the kernel may have dropped the pages and report success the next time: no more commits.
    if (!failure.noRoom) this.#failure = failure;
    return failure;
  }
}

/** lmdb-js hides the reason of a failed commit in a promise, which would be an unhandled rejection if nobody asked. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
