/**
 * Which key and material seals how much of a stream: counted from the heads of its blocks, which name the wrapped data key.
 * Nothing is decrypted and no key is asked for, so that what heads say is what the store says, not what was proved.
 */
import type { ParsedBlock } from "../../envelope/record-block.ts";
import { parseBlock, storedContentBytes } from "../../envelope/record-block.ts";
import type { Operation } from "../../gateway/contract.ts";
import type { Block } from "../../store/record-log.ts";
import type { StreamTarget } from "./access.ts";
import { checkOn, describeRequest, existingStream, targetOf } from "./access.ts";
import type { Environment } from "./environment.ts";
import { AT_START, blocksAt, cursorBehind, nextPlace, recordsBehind, type ShardCursor } from "./shard-walk.ts";
import { suiteText } from "./stored-suite.ts";

/** What one step reads at most: a few milliseconds of the event loop. */
const STEP_BLOCKS_MAX = 256;
const STEP_BYTES_MAX = 2 * 1024 * 1024;

export interface SealedShare {
  /** Null: in clear, or damaged. */
  readonly keyArn: string | null;
  /** Null: the wrapped data key does not tell. */
  readonly materialId: string | null;
  /** As `stored-suite.ts` names them; `none` in clear, `damaged` for blocks that cannot be divided into records. */
  readonly suite: string;
  readonly blocks: number;
  readonly records: number;
  /** Partition keys and payloads. */
  readonly bytes: number;
  /** With nonces, tags and heads. */
  readonly storedBytes: number;
}

/** `materialOf` reads the id of the key material out of a wrapped data key. */
function shareOf(block: Block, materialOf: Environment["materialOf"]): SealedShare {
  const parsed = parseBlock(block.bytes, block.firstIndex, block.lastIndex);
  const records = block.lastIndex - block.firstIndex + 1;
  const size = { blocks: 1, records, storedBytes: block.bytes.length };
  if (parsed === null) return { keyArn: null, materialId: null, suite: "damaged", bytes: 0, ...size };
  const bytes = contentOf(parsed);
  if (parsed.dataKey === null) return { keyArn: null, materialId: null, suite: "none", bytes, ...size };
  const { keyArn, wrapped } = parsed.dataKey;
  return { keyArn, materialId: materialOf(wrapped), suite: suiteText(parsed.suite), bytes, ...size };
}

function contentOf(block: ParsedBlock): number {
  let bytes = 0;
  for (let position = 0; position < block.count; position++) bytes += storedContentBytes(block, position);
  return bytes;
}

/** Shares of the same key, material and suite as one. */
export function summed(shares: readonly SealedShare[]): readonly SealedShare[] {
  const sums = new Map<string, SealedShare>();
  for (const share of shares) {
    const name = JSON.stringify([share.keyArn, share.materialId, share.suite]);
    const sum = sums.get(name);
    if (sum === undefined) sums.set(name, share);
    else
      sums.set(name, {
        ...sum,
        blocks: sum.blocks + share.blocks,
        records: sum.records + share.records,
        bytes: sum.bytes + share.bytes,
        storedBytes: sum.storedBytes + share.storedBytes,
      });
  }
  return [...sums.values()];
}

export interface ReportInput {
  readonly StreamName: string;
  /** Null: from the beginning. */
  readonly cursor: ShardCursor | null;
}

export interface ReportOutput {
  readonly streamArn: string;
  /** What the stream seals with now; null: it is not encrypted. */
  readonly keyArn: string | null;
  readonly shares: readonly SealedShare[];
  /** How many records there are to count: said by the first step, null in the others. */
  readonly recordsTotal: number | null;
  /** Null: this was the last step. */
  readonly cursor: ShardCursor | null;
}

/**
 * One step of the report, whose shares whoever asks adds up. Not in the service's model, so that no request from outside
 * names it: the operator asks, through the admin socket.
 */
export function reportStreamEncryption(env: Environment): Operation<ReportInput, ReportOutput, StreamTarget> {
  return {
    event: "data",
    readOnly: true,
    describe: (input) => describeRequest(input),
    access: async ({ call }, input) => {
      const target = targetOf(call.principal.accountId, call.region, input.StreamName);
      return { checks: [checkOn("ReportStreamEncryption", target)], target };
    },
    handle: async ({ call }, input, target) => {
      const stream = await existingStream(env.reader, target, call.nowMs);
      const from = input.cursor ?? AT_START;
      const answer = {
        streamArn: target.arn,
        keyArn: stream.encryption?.keyArn ?? null,
        recordsTotal: input.cursor === null ? await recordsBehind(env, stream, from, call.nowMs) : null,
      };
      const place = await nextPlace(env, stream, from, call.nowMs);
      if (place === null) return { output: { ...answer, shares: [], cursor: null } };
      const blocks = await blocksAt(env, place, { blocksMax: STEP_BLOCKS_MAX, bytesMax: STEP_BYTES_MAX });
      const cursor = cursorBehind(place, blocks);
      const isLast = (await nextPlace(env, stream, cursor, call.nowMs)) === null;
      const shares = summed(blocks.map((block) => shareOf(block, env.materialOf)));
      return { output: { ...answer, shares, cursor: isLast ? null : cursor } };
    },
  };
}
