/** One subscription of a consumer to a shard: what SubscribeToShard goes on to answer for five minutes. */
import type { Opener } from "../../envelope/data-keys.ts";
import type { WrappedDataKey } from "../../envelope/record-block.ts";
import { parseBlock } from "../../envelope/record-block.ts";
import { ServiceError } from "../../base/errors.ts";
import type { Afterwards, Call } from "../../gateway/contract.ts";
import type { ShardRef } from "../../store/record-log.ts";
import { encryptionContextOf, servingStream } from "./access.ts";
import type { ConsumerTarget } from "./consumers.ts";
import type { Environment } from "./environment.ts";
import { shardNotFound, withKmsErrors } from "./errors.ts";
import type { Subscriber } from "./fan-out.ts";
import { isExpired } from "./model.ts";
import type { StreamRecord } from "./model.ts";
import type { ReadResult } from "./read-records.ts";
import { readRecords } from "./read-records.ts";
import type { SubscribeToShardEvent, SubscribeToShardEventStream } from "./shapes.generated.ts";
import type { LiveShard, ShardMap } from "./shards.ts";
import { childShardsOf, shardIdOf } from "./shards.ts";

/** API Reference, SubscribeToShard. */
export const SUBSCRIPTION_MS = 300_000;
/** An event comes at least this often (recorded), a little earlier than a client would start to wonder. */
export const EVENT_INTERVAL_MS = 5_000;
const KEEP_ALIVE_MS = EVENT_INTERVAL_MS - 500;
/** Content of one event: what a client that reads slowly keeps in memory. */
const EVENT_BYTES_MAX = 1024 * 1024;
const EVENT_RECORDS_MAX = 10_000;

export interface SubscriptionOptions {
  readonly env: Environment;
  readonly call: Call;
  readonly afterwards: Afterwards;
  readonly target: ConsumerTarget;
  readonly ref: ShardRef;
  /** Index of the first record to send. */
  readonly position: number;
  /** What may be sent in a second; null: as much as the client takes. */
  readonly bytesPerSecond: number | null;
}

type Next = IteratorResult<SubscribeToShardEventStream, undefined>;
/** The model requires the number, AWS leaves it out at the end of a shard, and KCL takes that for the end. */
type Event = Omit<SubscribeToShardEvent, "ContinuationSequenceNumber"> & {
  readonly ContinuationSequenceNumber?: string;
};

const OVER: Next = { done: true, value: undefined };

/**
 * Reads only when it is asked for the next event, so that nothing is decrypted ahead of the client. Not a generator: one could
 * not be ended while it waits for a record.
 */
export class Subscription implements AsyncIterableIterator<SubscribeToShardEventStream, undefined>, Subscriber {
  readonly #options: SubscriptionOptions;
  readonly #endsAtMs: number;
  #position: number;
  #isOver = false;
  /** The shard's last event was sent. */
  #isComplete = false;
  /** Null: no event was sent yet. */
  #sentMs: number | null = null;
  /** Behind the rate before this. */
  #notBeforeMs = 0;
  /** How often it was woken: what is told while it reads is not missed. */
  #wakes = 0;
  #wakeUp: (() => void) | null = null;
  /** The data key that the newest record before `index` is sealed under. */
  #sealed: { readonly index: number; readonly dataKey: WrappedDataKey | null } | null = null;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#endsAtMs = options.env.clock.monotonicMs() + SUBSCRIPTION_MS;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  wake(): void {
    this.#wakes++;
    this.#wakeUp?.();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.env.fanOut.leave(this.#options.ref, this);
    this.wake();
  }

  return(): Promise<Next> {
    this.end();
    return Promise.resolve(OVER);
  }

  async next(): Promise<Next> {
    for (;;) {
      if (this.#isComplete || this.#nowMs() >= this.#endsAtMs) this.end();
      if (this.#isOver) return OVER;
      const wakes = this.#wakes;
      const event = await this.#look();
      if (event !== null && !this.#isEnded()) {
        // Of an event, the model's type says which one it is.
        return { done: false, value: { SubscribeToShardEvent: event as SubscribeToShardEvent } };
      }
      await this.#wait(wakes);
    }
  }

  /** Asked anew: the answer changes while something else is awaited. */
  #isEnded(): boolean {
    return this.#isOver;
  }

  #nowMs(): number {
    return this.#options.env.clock.monotonicMs();
  }

  /** The event that is due, or null. Throws what ends the subscription, after that was written down. */
  async #look(): Promise<Event | null> {
    try {
      if (this.#nowMs() < this.#notBeforeMs) return await this.#permitted();
      return await this.#read();
    } catch (error) {
      // The client went away meanwhile, or the server ended it: nobody is told.
      if (this.#isEnded()) return null;
      this.end();
      if (!(error instanceof ServiceError)) this.#options.env.backgroundFailed?.(error);
      throw await this.#options.afterwards.endedBy(error);
    }
  }

  async #permitted(): Promise<null> {
    await this.#options.afterwards.stillPermitted();
    return null;
  }

  async #read(): Promise<Event | null> {
    const { env, afterwards, target, ref } = this.#options;
    await afterwards.stillPermitted();
    const call: Call = { ...this.#options.call, nowMs: env.clock.wallMs() };
    const stream = await servingStream(env.reader, target, call.nowMs);
    const shards = await env.shardMaps.of(stream);
    const shard = shards.at(ref.shardIndex);
    if (stream.streamId !== ref.streamId || shard === undefined || isExpired(shard.record, stream, call.nowMs))
      throw shardNotFound(shardIdOf(ref.shardIndex), target);
    const read = await readRecords(env, call, {
      stream,
      target,
      shard,
      position: this.#position,
      limit: EVENT_RECORDS_MAX,
      bytesMax: EVENT_BYTES_MAX,
    });
    this.#position = read.nextPosition;
    if (read.records.length > 0) return this.#event(shard, read, call.nowMs);
    if ((shard.record.closed ?? null) !== null && read.atTip) return this.#lastEvent(shards, ref.shardIndex);
    await this.#requireKey(call, stream);
    const isDue = this.#sentMs === null || this.#nowMs() - this.#sentMs >= KEEP_ALIVE_MS;
    return isDue ? this.#event(shard, read, call.nowMs) : null;
  }

  #event(shard: LiveShard, read: ReadResult, wallMs: number): Event {
    const newest = read.records.at(-1);
    const bytes = read.records.reduce(
      (total, { Data, PartitionKey }) => total + Data.length + (PartitionKey?.length ?? 0),
      0,
    );
    this.#sent(bytes);
    return {
      Records: read.records,
      // A number of the last record that was read, dated now: whoever goes on behind it misses nothing and gets nothing twice.
      ContinuationSequenceNumber: newest?.SequenceNumber ?? shard.sequenceNumber(this.#position - 1, wallMs),
      MillisBehindLatest: read.millisBehindLatest,
    };
  }

  #lastEvent(shards: ShardMap, shardIndex: number): Event {
    this.#isComplete = true;
    return { Records: [], MillisBehindLatest: 0, ChildShards: childShardsOf(shards, shardIndex) };
  }

  #sent(bytes: number): void {
    const nowMs = this.#nowMs();
    this.#sentMs = nowMs;
    const { bytesPerSecond } = this.#options;
    if (bytesPerSecond !== null)
      this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs) + (bytes * 1000) / bytesPerSecond;
  }

  /**
   * Nothing is there to be sent: the key is asked for all the same, so that one that was disabled, or taken from the caller, ends
   * the subscription at once and not with the next record.
   */
  async #requireKey(call: Call, stream: StreamRecord): Promise<void> {
    const { env, target } = this.#options;
    if (stream.encryption === null) return;
    const dataKey = await this.#newestDataKey();
    // What comes next is sealed under another key: this one may go.
    if (dataKey === null || dataKey.keyArn !== stream.encryption.keyArn) return;
    const scope = { resourceId: stream.streamId, encryptionContext: encryptionContextOf(target) };
    const open: Opener = env.dataKeys.forOpening(call, scope);
    await withKmsErrors(() => open(dataKey));
  }

  async #newestDataKey(): Promise<WrappedDataKey | null> {
    const index = this.#position - 1;
    if (this.#sealed?.index !== index) {
      const limits = { blocksMax: 1, bytesMax: 1 };
      const [block] = index < 1 ? [] : await this.#options.env.records.read(this.#options.ref, index, limits);
      const found =
        block === undefined ? null : (parseBlock(block.bytes, block.firstIndex, block.lastIndex)?.dataKey ?? null);
      // Copies: views would keep the whole block in memory.
      const dataKey = found && {
        ...found,
        wrapped: new Uint8Array(found.wrapped),
        commitment: new Uint8Array(found.commitment),
      };
      this.#sealed = { index, dataKey };
    }
    return this.#sealed.dataKey;
  }

  /** Until something was told since `wakes`, the next event is due, or the time is over. */
  async #wait(wakes: number): Promise<void> {
    if (this.#isOver || this.#wakes !== wakes) return;
    const nowMs = this.#nowMs();
    const dueMs = this.#notBeforeMs > nowMs ? this.#notBeforeMs : (this.#sentMs ?? nowMs) + KEEP_ALIVE_MS;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.env.clock.after(Math.min(dueMs, this.#endsAtMs) - nowMs, resolve);
      this.#wakeUp = () => {
        cancel();
        resolve();
      };
    });
    this.#wakeUp = null;
  }
}
