/** How shards turn into others, one round after the other. Pure: what is committed is decided by resharder.ts. */
import type { Reshard, ShardChange, ShardRecord } from "./model.ts";
import { isOpen } from "./model.ts";
import { hashKeyHex, uniformStarts } from "./shards.ts";

/** Sequence numbers of a child begin this much behind its parents' end (facts of recorded streams: 1 s). */
const CHILD_AFTER_MS = 1_000;

/** The open shards, by hash key. */
export const openByHash = (shards: readonly ShardRecord[]): readonly ShardRecord[] =>
  shards.filter(isOpen).toSorted((a, b) => (a.startHash < b.startHash ? -1 : 1));

/** The hash key in the middle of a shard's range, where its upper half begins. */
export function middleOf({ startHash, endHash }: ShardRecord): string {
  const start = BigInt(`0x${startHash}`);
  return hashKeyHex(start + (BigInt(`0x${endHash}`) - start + 1n) / 2n);
}

/**
 * The next changes that a plan asks of these shards; none once it is carried out. They concern different shards, so that one
 * commit can make all of them. What they are follows from the shards alone, so that a crash between two rounds costs nothing.
 */
export const nextRound = (plan: Reshard, shards: readonly ShardRecord[]): readonly ShardChange[] =>
  plan.kind === "round"
    ? plan.changes.filter((change) => appliesTo(change, shards))
    : uniformRound(plan.shardCount, shards);

const parentsOf = (change: ShardChange): readonly number[] =>
  change.kind === "split" ? [change.index] : change.indices;

function appliesTo(change: ShardChange, shards: readonly ShardRecord[]): boolean {
  const wanted = parentsOf(change);
  return wanted.every((index) => shards.some((shard) => shard.index === index && isOpen(shard)));
}

/**
 * Towards equal ranges: shards that reach over a border are split at it (at the middle one of several), neighbours between
 * the same two borders merged. Ends, since every split takes a border away from inside a shard and no merge puts one there.
 */
function uniformRound(count: number, shards: readonly ShardRecord[]): readonly ShardChange[] {
  const open = openByHash(shards);
  const borders = uniformStarts(count);
  const changes: ShardChange[] = [];
  let next = 0;
  /** The shard before, if it lies between two borders and has no partner yet. */
  let single: ShardRecord | null = null;
  for (const shard of open) {
    const startsAtBorder = borders[next] === shard.startHash;
    if (startsAtBorder) next++;
    const first = next;
    while ((borders[next] ?? "g") <= shard.endHash) next++;
    const inside = borders.slice(first, next);
    const at = inside[Math.floor(inside.length / 2)];
    if (at !== undefined) {
      changes.push({ kind: "split", index: shard.index, at });
      single = null;
    } else if (single !== null && !startsAtBorder) {
      changes.push({ kind: "merge", indices: [single.index, shard.index] });
      single = null;
    } else single = shard;
  }
  return changes;
}

/** The last place of a shard that closes. */
export interface ShardEnd {
  readonly lastIndex: number;
  readonly lastArrivalMs: number;
}

/** The list of shards after a round: parents closed, children open behind all others. */
export function afterRound(
  shards: readonly ShardRecord[],
  changes: readonly ShardChange[],
  endOf: (index: number) => ShardEnd,
  nowMs: number,
): readonly ShardRecord[] {
  const byIndex = new Map(shards.map((shard) => [shard.index, shard]));
  let nextIndex = 1 + shards.reduce((highest, { index }) => Math.max(highest, index), -1);
  const closed = new Map<number, ShardRecord>();
  const children: ShardRecord[] = [];
  for (const change of changes) {
    const parents = parentsOf(change).map((index) => {
      const parent = byIndex.get(index);
      if (parent === undefined) throw new Error(`no shard ${index} to close`);
      return parent;
    });
    // Nothing in a parent arrived later, nor did the wall clock step back behind its beginning.
    const atMs = parents.reduce(
      (latest, parent) => Math.max(latest, endOf(parent.index).lastArrivalMs, parent.openedAtMs ?? 0),
      Math.floor(nowMs),
    );
    for (const parent of parents) {
      closed.set(parent.index, { ...parent, closed: { atMs, lastIndex: endOf(parent.index).lastIndex } });
    }
    // Behind the parents' own beginning, too: shards may close again within the second.
    const createdAtMs = parents.reduce((latest, parent) => Math.max(latest, parent.createdAtMs), atMs) + CHILD_AFTER_MS;
    for (const range of rangesOf(change, parents)) {
      const parentIndices = parents.map(({ index }) => index);
      children.push({ index: nextIndex++, ...range, createdAtMs, openedAtMs: atMs, parents: parentIndices });
    }
  }
  return [...shards.map((shard) => closed.get(shard.index) ?? shard), ...children];
}

type HashRange = Pick<ShardRecord, "startHash" | "endHash">;

function rangesOf(change: ShardChange, parents: readonly ShardRecord[]): readonly HashRange[] {
  const [lower, upper] = [parents[0], parents.at(-1)];
  if (lower === undefined || upper === undefined) throw new Error("a change of no shards");
  const { startHash } = lower;
  const { endHash } = upper;
  if (change.kind === "merge") return [{ startHash, endHash }];
  return [
    { startHash, endHash: hashKeyHex(BigInt(`0x${change.at}`) - 1n) },
    { startHash: change.at, endHash },
  ];
}
