/** Warm throughput: how much an on-demand stream is to be ready for, as open shards of 1 MiB a second each. */
import type { Reader } from "../../store/table.ts";
import { isCommitted } from "./account-commitment.ts";
import { limitExceeded, validationFailed } from "./errors.ts";
import type { StreamRecord } from "./model.ts";
import { accountSettings } from "./records.ts";
import type { StreamMode, WarmThroughputObject } from "./shapes.generated.ts";

/** API Reference, UpdateStreamWarmThroughput: 10 GiB a second. */
export const WARM_THROUGHPUT_MIBPS_MAX = 10_240;

/** Throws ValidationException for a stream, or an account, that cannot have warm throughput; LimitExceededException for too much. */
export async function checkWarmThroughput(
  read: Reader,
  of: { readonly accountId: string; readonly region: string; readonly mode: StreamMode },
  mibps: number,
  nowMs: number,
): Promise<void> {
  if (of.mode !== "ON_DEMAND") {
    throw validationFailed("Warm throughput is only supported for streams in ON_DEMAND mode.");
  }
  if (!isCommitted(await read.get(accountSettings, [of.accountId, of.region]), nowMs)) {
    throw validationFailed(
      "Warm throughput is only supported for accounts that have MinimumThroughputBillingCommitment enabled.",
    );
  }
  if (mibps > WARM_THROUGHPUT_MIBPS_MAX) {
    throw limitExceeded(
      `Warm throughput cannot be greater than ${WARM_THROUGHPUT_MIBPS_MAX} MiBps. Requested: ${mibps} MiBps.`,
    );
  }
}

/** Null: the stream has none. */
export function warmThroughputOf(stream: StreamRecord): WarmThroughputObject | null {
  if (stream.mode !== "ON_DEMAND" || stream.warmThroughputMiBps === undefined) return null;
  return { TargetMiBps: stream.warmThroughputMiBps, CurrentMiBps: stream.openShardCount };
}
