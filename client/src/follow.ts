/** All shards of a stream at once, without leases: what is put from now on, or since some time. */
import type { Api } from "./api.ts";
import type { StreamRecord } from "./records.ts";
import { backoffMs, listShards, readShard, readyShards } from "./shards.ts";

export interface Following {
  readonly api: Api;
  /** Name or ARN. */
  readonly stream: string;
  readonly from: "TRIM_HORIZON" | "LATEST" | Date;
  readonly signal: AbortSignal;
  readonly pollMs: number;
  /** One call at a time; reading waits for it. */
  readonly onRecords: (records: readonly StreamRecord[]) => Promise<void> | void;
  /** Told of each failure that is tried again. Throw to end everything. */
  readonly onError: (error: unknown) => void;
}

/** Resolves when the signal is given; rejects with what `onRecords` or `onError` throws. */
export async function followStream(following: Following): Promise<void> {
  const { api, stream, from, pollMs, onError } = following;
  const ends = new AbortController();
  const signal = AbortSignal.any([following.signal, ends.signal]);
  const done = new Set<string>();
  const running = new Map<string, Promise<void>>();
  let turn: Promise<void> = Promise.resolve();
  let failure: { readonly error: unknown } | null = null;

  const inTurn = (records: readonly StreamRecord[]): Promise<void> => {
    turn = turn.then(() => (signal.aborted ? undefined : following.onRecords(records)));
    return turn;
  };
  const read = async (shardId: string, isFirst: boolean): Promise<void> => {
    const position =
      from instanceof Date
        ? { type: "AT_TIMESTAMP" as const, timestampMs: from.getTime() }
        : { type: isFirst ? from : ("TRIM_HORIZON" as const) };
    for await (const page of readShard({ api, stream, shardId, from: position, signal, pollMs, onError })) {
      if (page.records.length > 0) await inTurn(page.records);
      if (page.ended) done.add(shardId);
    }
    await lookAgain();
  };
  /** For the children of a shard that ended. It counts as running until they do. */
  const lookAgain = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await look(false);
        return;
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        await api.time.sleep(backoffMs(failures), signal);
      }
    }
  };
  const look = async (isFirst: boolean): Promise<void> => {
    const shards = await listShards(api, stream, { signal });
    // What was closed before holds nothing new.
    if (isFirst && from === "LATEST") for (const { shardId, isOpen } of shards) if (!isOpen) done.add(shardId);
    for (const { shardId } of readyShards(shards, (id) => done.has(id))) {
      if (running.has(shardId)) continue;
      const reading = read(shardId, isFirst)
        .catch((error: unknown) => {
          if (!signal.aborted) failure ??= { error };
          ends.abort();
        })
        .finally(() => running.delete(shardId));
      running.set(
        shardId,
        reading.then(() => undefined),
      );
    }
  };
  try {
    await look(true);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  while (running.size > 0) await Promise.race(running.values());
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}
