import type { Operation, OperationContext, Outcome } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { accessTo, describeRequest, existingStream, streamResource, targetOfInput } from "../access.ts";
import { invalidArgument, streamNotActive } from "../errors.ts";
import type { StreamRecord } from "../model.ts";
import { horizonMs, RETENTION_HOURS_MAX, RETENTION_HOURS_MIN, servesData, statusOf } from "../model.ts";
import { streamKey, streams } from "../records.ts";
import type {
  DecreaseStreamRetentionPeriodInput,
  IncreaseStreamRetentionPeriodInput,
  Nothing,
} from "../shapes.generated.ts";

function checkBounds(hours: number): void {
  if (hours < RETENTION_HOURS_MIN) {
    throw invalidArgument(
      `Minimum allowed retention period is ${RETENTION_HOURS_MIN} hours. ` +
        `Requested retention period (${hours} hours) is too short.`,
    );
  }
  if (hours > RETENTION_HOURS_MAX) {
    throw invalidArgument(
      `Maximum allowed retention period is ${RETENTION_HOURS_MAX} hours. ` +
        `Requested retention period (${hours} hours) is too long.`,
    );
  }
}

async function change(
  { call, read }: OperationContext,
  target: StreamTarget,
  hours: number,
  check: (stream: StreamRecord) => void,
): Promise<Outcome<Nothing>> {
  const stream = await existingStream(read, target, call.nowMs);
  checkBounds(hours);
  const status = statusOf(stream, call.nowMs);
  if (!servesData(status)) throw streamNotActive(target, status ?? "DELETING");
  check(stream);
  const changed: StreamRecord = {
    ...stream,
    retentionHours: hours,
    // What has expired under the shorter period must not come back under a longer one.
    expiredBeforeMs: horizonMs(stream, call.nowMs),
  };
  return { output: {}, writes: [streams.put(streamKey(target), changed)], audit: streamResource(target) };
}

export const increaseStreamRetentionPeriod: Operation<IncreaseStreamRetentionPeriodInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { retentionPeriodHours: input.RetentionPeriodHours }),
  access: async ({ call }, input) => accessTo("IncreaseStreamRetentionPeriod", targetOfInput(call, input)),
  handle: (context, input, target) =>
    change(context, target, input.RetentionPeriodHours, ({ name, retentionHours }) => {
      if (input.RetentionPeriodHours >= retentionHours) return;
      throw invalidArgument(
        `Requested retention period (${input.RetentionPeriodHours} hours) for stream ${name} can not be shorter than ` +
          `existing retention period (${retentionHours} hours). Use DecreaseRetentionPeriod API.`,
      );
    }),
};

export const decreaseStreamRetentionPeriod: Operation<DecreaseStreamRetentionPeriodInput, Nothing, StreamTarget> = {
  event: "management",
  readOnly: false,
  describe: (input) => describeRequest(input, { retentionPeriodHours: input.RetentionPeriodHours }),
  access: async ({ call }, input) => accessTo("DecreaseStreamRetentionPeriod", targetOfInput(call, input)),
  handle: (context, input, target) =>
    change(context, target, input.RetentionPeriodHours, ({ name, retentionHours }) => {
      if (input.RetentionPeriodHours <= retentionHours) return;
      throw invalidArgument(
        `Requested retention period (${input.RetentionPeriodHours} hours) for stream ${name} can not be longer than ` +
          `existing retention period (${retentionHours} hours). Use IncreaseRetentionPeriod API.`,
      );
    }),
};
