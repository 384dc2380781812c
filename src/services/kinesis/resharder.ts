/**
 * Carries out what SplitShard, MergeShards, UpdateShardCount and on-demand scaling have committed to the stream's record. One
 * commit makes a round: it closes the parents where their last record lies and opens the children. Before it, nothing is
 * acknowledged behind that place, and after it, nothing is put there; a crash on either side leaves a plan that goes on.
 */
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import type { Reshard, StreamRecord } from "./model.ts";
import { isOpen } from "./model.ts";
import type { ShardsRecord, StreamPlace } from "./records.ts";
import { shardLists, streamKey, streams } from "./records.ts";
import type { ShardEnd } from "./reshard.ts";
import { afterRound, nextRound } from "./reshard.ts";
import type { Hold, ShardWriters } from "./shard-writer.ts";

const PAGE_COUNT = 100;
/** After a failure of the store. */
const RETRY_MS = 1_000;
/** Other changes of the stream's record that a round puts up with, before it lets the waiting records go on. */
const CONFLICTS_MAX = 20;

export interface ResharderDeps {
  readonly records: RecordLog;
  readonly metadata: MetadataStore;
  readonly reader: Reader;
  readonly writers: ShardWriters;
  readonly clock: Clock;
  /** Told of what failed and is tried again. */
  readonly failed?: ((error: unknown) => void) | undefined;
}

export interface Resharder {
  /** A plan was committed. Before `start`, nothing happens: then all plans are looked for. */
  wake(place: StreamPlace): void;
  start(): () => Promise<void>;
}

interface Planned {
  readonly stream: StreamRecord;
  readonly plan: Reshard;
  readonly list: ShardsRecord;
  readonly expect: Parameters<MetadataStore["commit"]>[0]["expect"];
}

export function createResharder(deps: ResharderDeps): Resharder {
  const { reader, clock } = deps;
  const pending = new Map<string, StreamPlace>();
  let running = false;
  let working: Promise<void> | null = null;
  const cancels = new Set<() => void>();

  const later = (run: () => void): void => {
    const cancel = clock.after(RETRY_MS, () => {
      cancels.delete(cancel);
      run();
    });
    cancels.add(cancel);
  };

  const carryOut = async (place: StreamPlace): Promise<void> => {
    for (;;) if (!running || (await round(deps, place, () => running)) === "done") return;
  };

  const work = async (): Promise<void> => {
    for (const [id, place] of pending) {
      pending.delete(id);
      try {
        await carryOut(place);
      } catch (error) {
        deps.failed?.(error);
        if (running) later(() => wake(place));
      }
      if (!running) return;
    }
  };

  const wake = (place: StreamPlace): void => {
    if (!running) return;
    pending.set(streamKey(place).join("/"), place);
    working ??= work().finally(() => {
      working = null;
      const [next] = pending.values();
      if (next !== undefined) wake(next);
    });
  };

  const wakeAll = async (): Promise<void> => {
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await reader.list(streams, { prefix: [], after, limit: PAGE_COUNT });
      for (const { value } of page) if ((value.reshard ?? null) !== null) wake(value);
      after = page.at(-1)?.id;
      if (page.length < PAGE_COUNT || !running) return;
    }
  };

  const lookForPlans = async (): Promise<void> => {
    try {
      await wakeAll();
    } catch (error) {
      deps.failed?.(error);
      if (running) later(() => void lookForPlans());
    }
  };

  return {
    wake,
    start() {
      running = true;
      const looking = lookForPlans();
      return async () => {
        running = false;
        for (const cancel of cancels) cancel();
        cancels.clear();
        pending.clear();
        await looking;
        await working;
      };
    },
  };
}

/** The stream's plan and shards as they are now; null: there is nothing to carry out. */
async function planOf(deps: ResharderDeps, place: StreamPlace): Promise<Planned | null> {
  for (let reads = 0; reads < CONFLICTS_MAX; reads++) {
    const planned = await readPlan(deps, place);
    // Changed between the two: what would be decided by it would be wrong.
    if (planned === null || planned.list.version === planned.stream.shardsVersion) return planned;
  }
  throw new Error("a stream without its list of shards");
}

async function readPlan({ metadata }: ResharderDeps, place: StreamPlace): Promise<Planned | null> {
  const key = streams.key(streamKey(place));
  const value = await metadata.get(key);
  const stream = value === null ? null : streams.decode(value);
  const plan = stream?.reshard ?? null;
  if (stream === null || plan === null || stream.deletedAtMs !== null) return null;
  const listKey = shardLists.key([stream.streamId]);
  const listValue = await metadata.get(listKey);
  if (listValue === null) return null;
  return {
    stream,
    plan,
    list: shardLists.decode(listValue),
    expect: [
      { key, value },
      { key: listKey, value: listValue },
    ],
  };
}

async function round(deps: ResharderDeps, place: StreamPlace, running: () => boolean): Promise<"more" | "done"> {
  const planned = await planOf(deps, place);
  if (planned === null) return "done";
  const { stream, list, plan } = planned;
  const closing = nextRound(plan, list.shards).flatMap((change) =>
    change.kind === "split" ? [change.index] : change.indices,
  );
  const refs = closing.map((shardIndex) => ({ streamId: stream.streamId, shardIndex }));
  const hold = await deps.writers.hold(refs);
  let answer: "committed" | "changed" | null = null;
  try {
    const ends = new Map<number, ShardEnd>();
    for (const ref of refs) {
      // The log, not the writer, says where the shard ends: after an append that failed, only it knows.
      const last = await deps.records.last(ref);
      ends.set(ref.shardIndex, last ?? { lastIndex: 0, lastArrivalMs: 0 });
    }
    answer = await commitRound(deps, place, planned, ends);
    return "more";
  } finally {
    answer ??= await outcomeOf(deps, planned, running);
    release(hold, answer, list.version + 1);
  }
}

function release(hold: Hold, answer: "committed" | "changed", listVersion: number): void {
  if (answer === "committed") hold.moved(listVersion);
  else hold.resume();
}

/** Tags, say, may change while the shards are held: the round is then committed beside that. */
async function commitRound(
  deps: ResharderDeps,
  place: StreamPlace,
  first: Planned,
  ends: ReadonlyMap<number, ShardEnd>,
): Promise<"committed" | "changed"> {
  const isSame = (now: Planned | null): now is Planned =>
    now !== null &&
    now.stream.streamId === first.stream.streamId &&
    now.list.version === first.list.version &&
    JSON.stringify(now.plan) === JSON.stringify(first.plan);
  let planned: Planned | null = first;
  for (let conflicts = 0; conflicts < CONFLICTS_MAX; conflicts++) {
    if (!isSame(planned)) return "changed";
    const { stream, list, plan, expect } = planned;
    const changes = nextRound(plan, list.shards);
    const endOf = (index: number): ShardEnd => {
      const end = ends.get(index);
      if (end === undefined) throw new Error(`shard ${index} is not held`);
      return end;
    };
    const shards = afterRound(list.shards, changes, endOf, deps.clock.wallMs());
    const version = list.version + 1;
    const more = plan.kind === "uniform" && nextRound(plan, shards).length > 0;
    const changed: StreamRecord = {
      ...stream,
      shardsVersion: version,
      openShardCount: shards.filter(isOpen).length,
      reshard: more ? plan : null,
    };
    const writes = [streams.put(streamKey(place), changed), shardLists.put([stream.streamId], { version, shards })];
    if ((await deps.metadata.commit({ expect, writes })) === "committed") return "committed";
    planned = await planOf(deps, place);
  }
  return "changed";
}

/**
 * A commit that failed may have happened. Until it is known, nothing may go on into the old shards: behind an end that is
 * written down nobody would read it. When the server stops meanwhile, what waits is sent away, which is right either way.
 */
async function outcomeOf(
  deps: ResharderDeps,
  { stream, list }: Planned,
  running: () => boolean,
): Promise<"committed" | "changed"> {
  while (running()) {
    try {
      const value = await deps.metadata.get(shardLists.key([stream.streamId]));
      return value === null || shardLists.decode(value).version > list.version ? "committed" : "changed";
    } catch (error) {
      deps.failed?.(error);
      await new Promise<void>((resolve) => void deps.clock.after(RETRY_MS, resolve));
    }
  }
  return "committed";
}
