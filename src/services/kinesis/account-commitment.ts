/** The minimum throughput billing commitment of an account, which AWS asks for warm throughput. Nobody is billed here. */
import type { AccountSettingsRecord } from "./records.ts";
import type { MinimumThroughputBillingCommitmentOutput } from "./shapes.generated.ts";
import { DAY_MS } from "./model.ts";

/** API Reference, MinimumThroughputBillingCommitmentInput: 24 hours. */
const COMMITMENT_MS_MIN = DAY_MS;

const earliestEndMs = ({ committedAtMs }: AccountSettingsRecord): number => committedAtMs + COMMITMENT_MS_MIN;

export const isCommitted = (settings: AccountSettingsRecord | null, nowMs: number): boolean =>
  settings !== null && (settings.endsAtMs === null || nowMs < settings.endsAtMs);

/** Enabled again before it ended, a commitment goes on as if nobody had wanted to end it. */
export const enabled = (settings: AccountSettingsRecord | null, nowMs: number): AccountSettingsRecord => ({
  committedAtMs: settings !== null && isCommitted(settings, nowMs) ? settings.committedAtMs : nowMs,
  endsAtMs: null,
});

/** Before its first 24 hours are over, a commitment ends with them. Null: there is none to end. */
export const disabled = (settings: AccountSettingsRecord | null, nowMs: number): AccountSettingsRecord | null =>
  settings === null || settings.endsAtMs !== null
    ? settings
    : { ...settings, endsAtMs: Math.max(nowMs, earliestEndMs(settings)) };

export function describeCommitment(
  settings: AccountSettingsRecord | null,
  nowMs: number,
): MinimumThroughputBillingCommitmentOutput {
  if (settings === null) return { Status: "DISABLED" };
  const { committedAtMs: StartedAt, endsAtMs } = settings;
  if (endsAtMs !== null && endsAtMs <= nowMs) return { Status: "DISABLED", StartedAt, EndedAt: endsAtMs };
  const EarliestAllowedEndAt = earliestEndMs(settings);
  const Status = endsAtMs === null ? "ENABLED" : "ENABLED_UNTIL_EARLIEST_ALLOWED_END";
  return { Status, StartedAt, EarliestAllowedEndAt };
}
