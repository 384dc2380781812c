/**
 * Who is subscribed to what: one subscription per consumer and shard, woken when the shard grows, and asked to look again when
 * anything in the metadata store changed (a permission, a key, the consumer, the shards).
 */
import type { ServiceError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { RecordLog, ShardRef } from "../../store/record-log.ts";

/** API Reference, SubscribeToShard: before this time a second call is refused, behind it it takes over. */
export const TAKEOVER_MS = 5_000;
/** How late a change of metadata is seen by a subscription that waits. */
const LOOK_INTERVAL_MS = 250;
/** How many look for themselves then, before whatever else waits has its turn: a look takes some 0.1 ms. */
const SLICE_COUNT = 50;
const SLICE_PAUSE_MS = 5;

/** A subscription as its shard and the clock see it. */
export interface Subscriber {
  /** Something may have changed. */
  wake(): void;
  /** It ends, as if its time were over. */
  end(): void;
}

interface Place {
  readonly subscriber: Subscriber;
  readonly calledMs: number;
}

export interface FanOutDeps {
  readonly clock: Clock;
  readonly metadata: Pick<MetadataStore, "generation">;
}

const shardKey = ({ streamId, shardIndex }: ShardRef): string => `${streamId}/${shardIndex}`;

export class FanOut {
  readonly #deps: FanOutDeps;
  /** By consumer and shard. Kept until another may take over, even when it ended before. */
  readonly #places = new Map<string, Place>();
  readonly #byShard = new Map<string, Set<Subscriber>>();
  #generation: number | null = null;
  #cancelLook: (() => void) | null = null;

  constructor(deps: FanOutDeps) {
    this.#deps = deps;
  }

  /** The same log, of which subscribers hear as soon as a block is durable. */
  telling(log: RecordLog): RecordLog {
    return {
      append: (shard, block) => log.append(shard, block).then(() => this.#appended(shard)),
      replace: (shard, blocks) => log.replace(shard, blocks),
      read: (shard, fromIndex, limits) => log.read(shard, fromIndex, limits),
      last: (shard) => log.last(shard),
      firstIndexAt: (shard, timeMs) => log.firstIndexAt(shard, timeMs),
      trim: (shard, timeMs, blocksMax) => log.trim(shard, timeMs, blocksMax),
      drop: (streamId) => log.drop(streamId),
      close: () => log.close(),
    };
  }

  #appended(shard: ShardRef): void {
    const subscribers = this.#byShard.get(shardKey(shard));
    if (subscribers !== undefined) for (const subscriber of subscribers) subscriber.wake();
  }

  /** Takes the place of a consumer at a shard; throws what `inUse` makes when it was taken a moment ago. */
  enter(consumerArn: string, shard: ShardRef, subscriber: Subscriber, inUse: () => ServiceError): void {
    const id = `${consumerArn}\n${shardKey(shard)}`;
    const calledMs = this.#deps.clock.monotonicMs();
    const before = this.#places.get(id);
    if (before !== undefined && calledMs - before.calledMs < TAKEOVER_MS) throw inUse();
    before?.subscriber.end();
    this.#places.set(id, { subscriber, calledMs });
    const subscribers = this.#byShard.get(shardKey(shard)) ?? new Set();
    this.#byShard.set(shardKey(shard), subscribers.add(subscriber));
    this.#look();
  }

  /** The subscription is over. Does no harm when repeated. */
  leave(shard: ShardRef, subscriber: Subscriber): void {
    const key = shardKey(shard);
    const subscribers = this.#byShard.get(key);
    if (subscribers?.delete(subscriber) === true && subscribers.size === 0) this.#byShard.delete(key);
  }

  /** Ends them all. */
  endAll(): void {
    for (const subscribers of this.#byShard.values()) for (const subscriber of subscribers) subscriber.end();
    this.#places.clear();
    this.#cancelLook?.();
    this.#cancelLook = null;
  }

  /** While there is anybody, looks for changes; one timer for all, and nothing is read while nothing has changed. */
  #look(): void {
    if (this.#cancelLook !== null) return;
    this.#cancelLook = this.#deps.clock.after(LOOK_INTERVAL_MS, () => {
      this.#cancelLook = null;
      this.#forget();
      const generation = this.#deps.metadata.generation();
      if (generation === null || generation !== this.#generation) {
        this.#generation = generation;
        this.#wakeAll([...this.#byShard.values()].flatMap((subscribers) => [...subscribers]));
      }
      if (this.#places.size > 0) this.#look();
    });
  }

  #wakeAll(subscribers: readonly Subscriber[]): void {
    for (const subscriber of subscribers.slice(0, SLICE_COUNT)) subscriber.wake();
    const rest = subscribers.slice(SLICE_COUNT);
    if (rest.length > 0) this.#deps.clock.after(SLICE_PAUSE_MS, () => this.#wakeAll(rest));
  }

  /** Places whose subscription is over and that anybody may take again. */
  #forget(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [id, { subscriber, calledMs }] of this.#places) {
      if (nowMs - calledMs < TAKEOVER_MS) continue;
      const shard = id.slice(id.indexOf("\n") + 1);
      if (this.#byShard.get(shard)?.has(subscriber) !== true) this.#places.delete(id);
    }
  }
}
