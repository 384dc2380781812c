/**
 * One step of sealing records again: a few blocks are opened, sealed under the stream's present key, and put where they lay.
 * A block keeps its frame, each record its index and arrival time, and both are authenticated before and after.
 */
import { accountRootArn } from "../../base/arn.ts";
import type { Clock } from "../../base/clock.ts";
import { ServiceError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { DataKeys, Opener, ResourceScope } from "../../envelope/data-keys.ts";
import type { OpenedRecord, ParsedBlock, SealingKey } from "../../envelope/record-block.ts";
import { openRecords, parseBlock, sealBlock } from "../../envelope/record-block.ts";
import type { SuiteName } from "../../envelope/suite.ts";
import type { Call } from "../../gateway/contract.ts";
import type { Block } from "../../store/record-log.ts";
import type { Reader } from "../../store/table.ts";
import { encryptionContextOf, targetOf } from "./access.ts";
import { withKmsErrors } from "./errors.ts";
import { mayBeInClear, type StreamRecord } from "./model.ts";
import type { ResealJob, SealedUnder } from "./reseal-job.ts";
import { goesOn, isSame, plus, settlesInMs, startedOver, underOf, withDamage } from "./reseal-job.ts";
import { streamKey, streams } from "./records.ts";
import { blocksAt, cursorBehind, nextPlace, type ShardPlace, type WalkDeps } from "./shard-walk.ts";

/** Opening, sealing and checking this much holds the event loop for about 10 ms; a larger block comes alone. */
const STEP_BYTES_MAX = 256 * 1024;
const STEP_BLOCKS_MAX = 256;
/** More records than a step can hold: each takes 59 bytes at least, and a block has 1000 at most. */
const STEP_RECORDS_MAX = 10_000;

export type Step =
  | { readonly kind: "on"; readonly job: ResealJob }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "done" }
  /** Nothing that trying again would mend: KMS refuses, or the stream is not encrypted any more. */
  | { readonly kind: "stopped"; readonly reason: { readonly code: string; readonly message: string } }
  /** The stream was deleted. */
  | { readonly kind: "gone" };

export interface StepDeps extends WalkDeps {
  readonly reader: Reader;
  readonly dataKeys: DataKeys;
  readonly streamSuite: SuiteName;
  readonly materialOf: (wrapped: Uint8Array) => string | null;
  readonly clock: Clock;
  readonly random: Random;
}

/** Refusals that stay until somebody changes a policy, a key or the stream. */
const LASTING: ReadonlySet<string> = new Set([
  "KMSAccessDeniedException",
  "KMSDisabledException",
  "KMSInvalidStateException",
  "KMSNotFoundException",
  "InvalidArgumentException",
]);

/**
 * The job calls KMS as the root of the account that owns the stream (docs/decisions/0008): key policies, service control
 * policies and key states hold for it as for anybody, and each call leaves its event.
 */
export function rootCall(job: ResealJob, nowMs: number): Call {
  const { accountId, region, id } = job;
  return {
    requestId: id,
    principal: { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId },
    region,
    service: "kinesis",
    operation: "ResealStream",
    nowMs,
    sourceIp: "127.0.0.1",
    userAgent: "waxseal stream reseal",
    secureTransport: true,
  };
}

/** Throws what may pass: a store that fails, KMS that throttles. Nothing is lost by it, and the same step is made again. */
export async function resealStep(env: StepDeps, streamId: string, job: ResealJob): Promise<Step> {
  const nowMs = env.clock.wallMs();
  const stream = await env.reader.get(streams, streamKey(job));
  if (stream === null || stream.streamId !== streamId || stream.deletedAtMs !== null) return { kind: "gone" };
  if (stream.encryption === null) {
    const message = "Encryption of the stream was stopped. Nothing more was sealed again.";
    return { kind: "stopped", reason: { code: "StreamNotEncrypted", message } };
  }
  const ms = settlesInMs(stream, nowMs);
  if (ms > 0) return { kind: "wait", ms };
  try {
    return await new Resealing(env, stream, rootCall(job, nowMs)).step(job);
  } catch (error) {
    if (!(error instanceof ServiceError) || !LASTING.has(error.code)) throw error;
    return { kind: "stopped", reason: { code: error.code, message: error.message } };
  }
}

/** What becomes of one block. */
type Fate =
  | { readonly kind: "current" }
  | { readonly kind: "left" }
  | { readonly kind: "renewed"; readonly block: Block };

class Resealing {
  readonly #env: StepDeps;
  readonly #stream: StreamRecord;
  readonly #call: Call;
  readonly #open: Opener;
  readonly #scope: ResourceScope;

  constructor(env: StepDeps, stream: StreamRecord, call: Call) {
    this.#env = env;
    this.#stream = stream;
    this.#call = call;
    const { accountId, region, name, streamId } = stream;
    this.#scope = {
      // Data keys of the job's own: one of before the key's rotation is not used on, and the trail shows a Decrypt for each
      // data key that the job opens, whatever the account's root has in the cache from its own reading.
      resourceId: `${streamId}/reseal/${call.requestId}`,
      encryptionContext: encryptionContextOf(targetOf(accountId, region, name)),
    };
    this.#open = env.dataKeys.forOpening(call, this.#scope);
  }

  async step(job: ResealJob): Promise<Step> {
    const key = await this.#sealingKey();
    const under = underOf(key, this.#env.materialOf);
    const current = goesOn(job, this.#stream, under) ? job : startedOver(job, this.#stream, under);
    const place = await nextPlace(this.#env, this.#stream, current.cursor, this.#call.nowMs);
    if (place === null) return { kind: "done" };
    const blocks = await blocksAt(this.#env, place, { blocksMax: STEP_BLOCKS_MAX, bytesMax: STEP_BYTES_MAX });
    return { kind: "on", job: await this.#renew(current, place, blocks, key, under) };
  }

  async #sealingKey(): Promise<SealingKey> {
    const scope = { ...this.#scope, keyId: this.#stream.encryption?.keyArn ?? "" };
    const suite = this.#stream.suite ?? this.#env.streamSuite;
    return await withKmsErrors(() => this.#env.dataKeys.forSealing(this.#call, scope, STEP_RECORDS_MAX, suite));
  }

  async #renew(
    job: ResealJob,
    place: ShardPlace,
    blocks: readonly Block[],
    key: SealingKey,
    under: SealedUnder,
  ): Promise<ResealJob> {
    const renewed: Block[] = [];
    const left: Block[] = [];
    const seen: Block[] = [];
    let currentRecords = 0;
    for (const block of blocks) {
      const fate = await this.#fateOf(block, place, key, under);
      // The data key's five minutes are over: the next step has another one.
      if (fate === null) break;
      seen.push(block);
      if (fate.kind === "renewed") renewed.push(fate.block);
      else if (fate.kind === "left") left.push(block);
      else currentRecords += countOf(block);
    }
    const resealedBlocks = renewed.length === 0 ? 0 : await this.#env.records.replace(place.shard.ref, renewed);
    const { shardId, sequenceNumber } = place.shard;
    const damaged = left.map(({ firstIndex, lastIndex, lastArrivalMs }) => ({
      shardId,
      first: sequenceNumber(firstIndex, lastArrivalMs),
      last: sequenceNumber(lastIndex, lastArrivalMs),
    }));
    return {
      ...job,
      // Not one block was dealt with: the cursor stays. No block at all: they were trimmed, and the shard is done.
      cursor: seen.length === 0 && blocks.length > 0 ? job.cursor : cursorBehind(place, seen),
      counts: plus(job.counts, {
        resealedBlocks,
        resealedRecords: sum(renewed, countOf),
        resealedBytes: sum(renewed, ({ bytes }) => bytes.length),
        currentRecords,
        leftRecords: sum(left, countOf),
      }),
      damaged: withDamage(job, damaged),
    };
  }

  /** Null: the data key to seal with is gone. Throws KMS's refusals. */
  async #fateOf(block: Block, place: ShardPlace, key: SealingKey, under: SealedUnder): Promise<Fate | null> {
    const parsed = parseBlock(block.bytes, block.firstIndex, block.lastIndex);
    if (parsed === null) return { kind: "left" };
    if (isSame(this.#underOf(parsed), under)) return { kind: "current" };
    const { dataKey } = parsed;
    const [arrivalMs = 0] = parsed.arrivalsMs;
    // A block has one arrival time. One with several was not written by any version.
    if (parsed.arrivalsMs.some((each) => each !== arrivalMs)) return { kind: "left" };
    // What the store put there must not be sealed as if somebody had been permitted to put it (read-records.ts).
    if (dataKey === null && !mayBeInClear(this.#stream, arrivalMs)) return { kind: "left" };
    const oldKey = dataKey === null ? null : await withKmsErrors(() => this.#open(dataKey));
    if (dataKey !== null && oldKey === null) return { kind: "left" };
    if (key.key.destroyed || oldKey?.destroyed === true) return null;

    const { ref } = place.shard;
    const records = openRecords(parsed, oldKey, ref, 0, parsed.count);
    try {
      if (records.length !== parsed.count) return { kind: "left" };
      const bytes = sealBlock(key, this.#env.random, ref, block.firstIndex, arrivalMs, records);
      const renewed: Block = { ...block, bytes };
      this.#requireSame(renewed, key, place, records);
      return { kind: "renewed", block: renewed };
    } finally {
      wipeRecords(records);
    }
  }

  #underOf({ dataKey, suite }: ParsedBlock): SealedUnder | null {
    if (dataKey === null) return null;
    return { keyArn: dataKey.keyArn, materialId: this.#env.materialOf(dataKey.wrapped), suite };
  }

  /** The old block is about to go, and with it the only other copy: the new one must open to the same records. */
  #requireSame(renewed: Block, key: SealingKey, { shard }: ShardPlace, records: readonly OpenedRecord[]): void {
    const parsed = parseBlock(renewed.bytes, renewed.firstIndex, renewed.lastIndex);
    const opened = parsed === null ? [] : openRecords(parsed, key.key, shard.ref, 0, parsed.count);
    const same =
      opened.length === records.length &&
      opened.every(({ index, arrivalMs, partitionKey, data }, at) => {
        const before = records[at];
        return (
          before !== undefined &&
          index === before.index &&
          arrivalMs === before.arrivalMs &&
          partitionKey === before.partitionKey &&
          Buffer.compare(data, before.data) === 0
        );
      });
    wipeRecords(opened);
    if (!same) throw new Error("a block that was sealed again did not open to its records");
  }
}

const countOf = ({ firstIndex, lastIndex }: Block): number => lastIndex - firstIndex + 1;

const sum = (blocks: readonly Block[], of: (block: Block) => number): number =>
  blocks.reduce((total, block) => total + of(block), 0);

function wipeRecords(records: readonly OpenedRecord[]): void {
  for (const { data } of records) data.fill(0);
}
