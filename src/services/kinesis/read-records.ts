/** Reads a shard from a position: what is in the retention period, opened with the caller's permission. */
import type { Opener } from "../../envelope/data-keys.ts";
import type { OpenedRecord, ParsedBlock } from "../../envelope/record-block.ts";
import { openRecords, parseBlock, storedContentBytes } from "../../envelope/record-block.ts";
import type { Call } from "../../gateway/contract.ts";
import type { Block } from "../../store/record-log.ts";
import { encryptionContextOf, type StreamTarget } from "./access.ts";
import type { Environment } from "./environment.ts";
import { recordsDamaged, withKmsErrors } from "./errors.ts";
import type { StreamRecord } from "./model.ts";
import { horizonMs, mayBeInClear } from "./model.ts";
import type { EncryptionType, Record } from "./shapes.generated.ts";
import type { LiveShard } from "./shards.ts";

/** What one GetRecords returns at most. */
const ANSWER_BYTES_MAX = 10 * 1024 * 1024;
/** Blocks asked for at a time: a shard with one record per block must not come in one read. */
const PAGE_BLOCKS_MAX = 512;
/** Read before it is known how large the records are. */
const FIRST_PAGE_BYTES = 256 * 1024;
const PAGE_BYTES_MIN = 16 * 1024;

export interface ReadRequest {
  readonly stream: StreamRecord;
  readonly target: StreamTarget;
  readonly shard: LiveShard;
  /** Index of the first record asked for. */
  readonly position: number;
  /** 1 to 10 000 records. */
  readonly limit: number;
  /** Content that ends the answer, which may always hold one record. Default: what GetRecords returns at most. */
  readonly bytesMax?: number;
}

export interface ReadResult {
  readonly records: readonly Record[];
  /** Index from which to go on. */
  readonly nextPosition: number;
  readonly millisBehindLatest: number;
  /** Nothing lies behind `nextPosition`: of a closed shard, the end. */
  readonly atTip: boolean;
}

/** Sequence numbers of the record, or of the whole block, that is not what was put. */
interface Damage {
  readonly first: string;
  readonly last: string;
}

/** The records of one block, and whether and where reading ends in it. */
interface BlockRead {
  readonly records: readonly OpenedRecord[];
  readonly encryptionType: EncryptionType;
  readonly nextPosition: number;
  /** Nothing behind `nextPosition` fits the answer. */
  readonly full: boolean;
  readonly damaged: Damage | null;
}

class ShardReading {
  readonly #env: Environment;
  readonly #shard: LiveShard;
  readonly #stream: StreamRecord;
  readonly #horizonMs: number;
  readonly #open: Opener;
  readonly #limit: number;
  readonly #bytesMax: number;
  readonly records: Record[] = [];
  position: number;
  #bytes = 0;

  constructor(env: Environment, call: Call, { stream, target, shard, position, limit, bytesMax }: ReadRequest) {
    this.#env = env;
    this.#shard = shard;
    this.#stream = stream;
    this.#horizonMs = horizonMs(stream, call.nowMs);
    this.#limit = limit;
    this.#bytesMax = bytesMax ?? ANSWER_BYTES_MAX;
    this.position = position;
    const scope = { resourceId: stream.streamId, encryptionContext: encryptionContextOf(target) };
    this.#open = env.dataKeys.forOpening(call, scope);
  }

  /** Reads on until the answer is full, the shard ends, or a record is damaged. */
  async run(): Promise<{ readonly atTip: boolean; readonly damaged: Damage | null }> {
    let storedBytes = 0;
    for (;;) {
      const blocksMax = Math.min(PAGE_BLOCKS_MAX, this.#limit - this.records.length);
      const bytesMax = this.#pageBytes(storedBytes);
      const blocks = await this.#env.records.read(this.#shard.ref, this.position, { blocksMax, bytesMax });
      for (const block of blocks) {
        // Arrival times never fall: behind a record that has not expired, none has, whatever the store says.
        if (block.lastArrivalMs < this.#horizonMs && this.records.length === 0) {
          this.position = block.lastIndex + 1;
          continue;
        }
        const read = await this.#readBlock(block);
        this.#add(read);
        const full = read.full || this.records.length === this.#limit;
        if (read.damaged !== null || full) return { atTip: false, damaged: read.damaged };
      }
      const bytes = blocks.reduce((total, block) => total + block.bytes.length, 0);
      storedBytes += bytes;
      if (blocks.length < blocksMax && bytes < bytesMax) return { atTip: true, damaged: null };
      if (this.records.length === 0) await this.#skipExpired();
    }
  }

  /** About what the records that are still wanted take in the store: every block beyond them is copied for nothing. */
  #pageBytes(storedBytes: number): number {
    const room = Math.max(1, this.#bytesMax - this.#bytes);
    const count = this.records.length;
    if (count === 0) return Math.min(room, FIRST_PAGE_BYTES);
    return Math.min(room, Math.max(PAGE_BYTES_MIN, Math.ceil((storedBytes / count) * (this.#limit - count))));
  }

  async #readBlock(block: Block): Promise<BlockRead> {
    const start = Math.max(this.position, block.firstIndex);
    const parsed = parseBlock(block.bytes, block.firstIndex, block.lastIndex);
    if (parsed === null) return this.#damagedBlock(block, start);
    let from = start - parsed.firstIndex;
    while (this.records.length === 0 && from < parsed.count && (parsed.arrivalsMs[from] ?? 0) < this.#horizonMs) from++;
    const to = this.#endWithin(parsed, from);
    const begin = parsed.firstIndex + from;
    const { dataKey } = parsed;
    const encryptionType = dataKey === null ? "NONE" : "KMS";
    if (to === from)
      return { records: [], encryptionType, nextPosition: begin, full: from < parsed.count, damaged: null };

    const key = dataKey === null ? null : await withKmsErrors(() => this.#open(dataKey));
    // The data key was not made by the key that the block names, or not for this stream.
    if (dataKey !== null && key === null) return this.#damagedBlock(block, begin);
    const records = openRecords(
      parsed,
      key,
      this.#shard.ref,
      from,
      dataKey === null ? this.#endInClear(parsed, from, to) : to,
    );
    const nextPosition = begin + records.length;
    const result = { records, encryptionType, nextPosition, full: to < parsed.count } as const;
    if (records.length === to - from) return { ...result, damaged: null };
    const arrivalMs = parsed.arrivalsMs[from + records.length] ?? block.lastArrivalMs;
    const damaged = this.#shard.sequenceNumber(nextPosition, arrivalMs);
    return { ...result, damaged: { first: damaged, last: damaged } };
  }

  /** How far into the block the answer's limits reach. An answer may always hold one record. */
  #endWithin(block: ParsedBlock, from: number): number {
    let count = this.records.length;
    let bytes = this.#bytes;
    let to = from;
    while (to < block.count && count < this.#limit) {
      bytes += storedContentBytes(block, to);
      if (bytes > this.#bytesMax && count > 0) break;
      count++;
      to++;
    }
    return to;
  }

  /** Records in clear, dated when the stream was encrypted, were put by nobody but the store. */
  #endInClear(block: ParsedBlock, from: number, to: number): number {
    let end = from;
    while (end < to && mayBeInClear(this.#stream, block.arrivalsMs[end] ?? 0)) end++;
    return end;
  }

  /** Of a block that can not even be divided, all that is known is its frame. */
  #damagedBlock(block: Block, start: number): BlockRead {
    const first = this.#shard.sequenceNumber(start, block.lastArrivalMs);
    const last = this.#shard.sequenceNumber(block.lastIndex, block.lastArrivalMs);
    return { records: [], encryptionType: "NONE", nextPosition: start, full: false, damaged: { first, last } };
  }

  #add(read: BlockRead): void {
    for (const { index, arrivalMs, partitionKey, data } of read.records) {
      this.#bytes += data.length + partitionKey.length;
      this.records.push({
        SequenceNumber: this.#shard.sequenceNumber(index, arrivalMs),
        ApproximateArrivalTimestamp: arrivalMs,
        Data: data,
        // A record that its stream placed by itself may have been put without one.
        PartitionKey: partitionKey === "" ? undefined : partitionKey,
        EncryptionType: read.encryptionType,
      });
    }
    this.position = read.nextPosition;
  }

  /** Far behind the retention period, one look at the times is cheaper than reading block after block. */
  async #skipExpired(): Promise<void> {
    const first = await this.#env.records.firstIndexAt(this.#shard.ref, this.#horizonMs);
    if (first !== null) this.position = Math.max(this.position, first);
  }
}

/**
 * Reads up to `limit` records. Throws KMS's refusals under this service's names, whichever block they concern, and
 * InternalFailureException where the first record asked for is not what was put; a later one ends the answer before it.
 */
export async function readRecords(env: Environment, call: Call, request: ReadRequest): Promise<ReadResult> {
  const { target, shard } = request;
  const reading = new ShardReading(env, call, request);
  const { atTip, damaged } = await reading.run();
  const newest = reading.records.at(-1);
  if (damaged !== null && newest === undefined)
    throw recordsDamaged(damaged.first, damaged.last, shard.shardId, target);
  const behindMs = Math.max(0, call.nowMs - (newest?.ApproximateArrivalTimestamp ?? call.nowMs));
  // Full to the last record is the tip too; only then is the log asked for its end.
  const last = atTip ? null : await env.records.last(shard.ref);
  const caughtUp = atTip || last === null || last.lastIndex < reading.position;
  return {
    records: reading.records,
    nextPosition: reading.position,
    millisBehindLatest: caughtUp ? 0 : Math.floor(behindMs),
    atTip: caughtUp,
  };
}
