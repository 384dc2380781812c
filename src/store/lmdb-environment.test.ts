import { constants, tmpdir } from "node:os";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SealedBytes } from "../base/brand.ts";
import { LmdbEnvironment, type LmdbRoot, StoreFailure } from "./lmdb-environment.ts";
import { openLmdbMetadataStore } from "./lmdb-metadata-store.ts";
import { openLmdbRecordLog } from "./lmdb-record-log.ts";
import type { MetadataBytes, StoreKey } from "./metadata-store.ts";

const PLENTY = 1024 ** 3;
const FULL = 10 * 1024 ** 2;

/** As lmdb-js fails: the reason is in a promise of its own. */
function commitFailed(code: number): Error {
  const cause = Object.assign(new Error(`code ${code}`), { code });
  return Object.assign(new Error("Commit failed (see commitError for details)"), {
    commitError: Promise.reject(cause),
  });
}

/** An environment over a root whose next commits have these outcomes. */
function environmentOf(outcomes: readonly (Error | null)[], beginFails = false): LmdbEnvironment {
  const left = [...outcomes];
  const commit = async (): Promise<boolean> => {
    const outcome = left.shift() ?? null;
    if (outcome !== null) throw outcome;
    return true;
  };
  const root = {
    batch: commit,
    transaction: commit,
    transactionSync: () => {
      if (beginFails) throw new Error("MDB_PANIC");
    },
  };
  return new LmdbEnvironment(root as unknown as LmdbRoot, () => PLENTY);
}

const failureOf = async (commit: Promise<unknown>): Promise<StoreFailure> => {
  const failure = await commit.then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StoreFailure);
  return failure as StoreFailure;
};

describe("a commit that fails", () => {
  it("for want of room says so, with the reason, and the next one may succeed", async () => {
    const environment = environmentOf([commitFailed(constants.errno.ENOSPC), null]);
    const failure = await failureOf(environment.batch(() => undefined));
    expect([failure.noRoom, (failure.cause as Error).message]).toEqual([true, `code ${constants.errno.ENOSPC}`]);
    await environment.batch(() => undefined);
  });

  it("for any other reason closes the store to writes, because a later sync would not tell what became of this one", async () => {
    const environment = environmentOf([commitFailed(constants.errno.EIO), null]);
    const failure = await failureOf(environment.batch(() => undefined));
    expect(failure.noRoom).toBe(false);
    expect(await failureOf(environment.batch(() => undefined))).toBe(failure);
  });

  it("and leaves LMDB unusable makes the next one fail instead of waiting for ever", async () => {
    const environment = environmentOf([commitFailed(constants.errno.ENOSPC), null], true);
    await failureOf(environment.batch(() => undefined));
    expect((await failureOf(environment.batch(() => undefined))).message).toContain("must be opened again");
  });
});

describe("a disk that runs full", () => {
  it("stops writes before it is, keeps what is stored readable, and writes go on when there is room", async () => {
    const directory = await mkdtemp(join(tmpdir(), "waxseal-store-"));
    let freeBytes = PLENTY;
    const options = { freeBytes: () => freeBytes };
    const log = await openLmdbRecordLog(join(directory, "records.mdb"), options);
    const store = await openLmdbMetadataStore(join(directory, "metadata.mdb"), options);
    const shard = { streamId: "s", shardIndex: 0 };
    const append = (index: number): Promise<void> =>
      log.append(shard, {
        firstIndex: index,
        lastIndex: index,
        lastArrivalMs: index,
        bytes: new Uint8Array([index]) as SealedBytes,
      });
    const key = "a" as StoreKey;
    const value = new Uint8Array([1]) as MetadataBytes;
    await Promise.all([append(1), append(2)]);
    freeBytes = FULL;
    const queued = await Promise.allSettled([append(3), append(4)]);
    expect(queued.map((each) => each.status === "rejected" && (each.reason as StoreFailure).noRoom)).toEqual([
      true,
      true,
    ]);
    expect((await failureOf(store.commit({ expect: [], writes: [{ key, value }] }))).noRoom).toBe(true);
    expect([await store.get(key), (await log.last(shard))?.lastIndex]).toEqual([null, 2]);
    // What makes room may use the last of it.
    expect(await log.trim(shard, 2, 10)).toBe(1);
    freeBytes = PLENTY;
    await Promise.all([append(3), append(4)]);
    expect(await store.commit({ expect: [], writes: [{ key, value }] })).toBe("committed");
    await Promise.all([log.close(), store.close()]);
    await rm(directory, { recursive: true });
  });
});
