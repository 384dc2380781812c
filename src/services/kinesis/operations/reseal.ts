/**
 * What `waxseal stream reseal` asks for. None of it is in the service's model, so that no request from outside reaches it: the
 * operator asks through the admin socket, as the root of the account that owns the stream, and the trail keeps both the
 * request and how it ended.
 */
import { ServiceError } from "../../../base/errors.ts";
import type { Operation } from "../../../gateway/contract.ts";
import type { StreamTarget } from "../access.ts";
import { checkOn, describeRequest, existingStream, streamResource, targetOf } from "../access.ts";
import { AT_START, recordsBehind } from "../shard-walk.ts";
import type { Environment } from "../environment.ts";
import { requestedJob, type ResealJob, resealJobs } from "../reseal-job.ts";
import type { ResealEnd } from "../resealing.ts";
import { suiteText } from "../stored-suite.ts";

export interface ResealInput {
  readonly StreamName: string;
}

/** A job as it is told to whoever asks. */
export interface ResealStatus {
  readonly resealId: string;
  readonly streamArn: string;
  readonly state: ResealJob["state"];
  readonly requested: string;
  readonly ended: string | null;
  readonly reason: ResealJob["reason"];
  /** What went wrong in the last step, which is tried again; null: nothing. */
  readonly trouble: string | null;
  readonly sealedUnder: { readonly keyArn: string; readonly materialId: string | null; readonly suite: string } | null;
  readonly recordsTotal: number;
  readonly recordsDone: number;
  readonly counts: ResealJob["counts"];
  readonly damaged: ResealJob["damaged"];
}

const isoTime = (ms: number): string => new Date(ms).toISOString();

const notEncrypted = (name: string): ServiceError =>
  new ServiceError(
    "StreamNotEncrypted",
    `Stream ${name} is not encrypted. Its records can be sealed again once StartStreamEncryption has given it a key.`,
  );

const accessOf =
  (action: string): Operation<ResealInput, unknown, StreamTarget>["access"] =>
  async ({ call }, input) => {
    const target = targetOf(call.principal.accountId, call.region, input.StreamName);
    return { checks: [checkOn(action, target)], target };
  };

/** Asked for while it runs, it goes on as it is; after it stopped, from where it stood. */
export function resealStream(env: Environment): Operation<ResealInput, { readonly resealId: string }, StreamTarget> {
  return {
    event: "management",
    readOnly: false,
    describe: (input) => describeRequest(input),
    access: accessOf("ResealStream"),
    handle: async ({ call, read }, _input, target) => {
      const stream = await existingStream(read, target, call.nowMs);
      if (stream.deletedAtMs !== null || stream.encryption === null) throw notEncrypted(target.name);
      const previous = await read.get(resealJobs, [stream.streamId]);
      const running = previous?.state === "RUNNING" ? previous : null;
      const job = running ?? requestedJob(stream, previous, call.requestId, call.nowMs);
      return {
        output: { resealId: job.id },
        ...(running === null ? { writes: [resealJobs.put([stream.streamId], job)] } : {}),
        audit: {
          ...streamResource(target),
          additionalEventData: { resealId: job.id, keyId: stream.encryption.keyArn, alreadyRunning: running !== null },
        },
        committed: () => env.resealing.wake(),
      };
    },
  };
}

export function describeStreamReseal(env: Environment): Operation<ResealInput, ResealStatus, StreamTarget> {
  return {
    event: "data",
    readOnly: true,
    describe: (input) => describeRequest(input),
    access: accessOf("DescribeStreamReseal"),
    handle: async ({ call }, _input, target) => {
      const stream = await existingStream(env.reader, target, call.nowMs);
      const stored = await env.reader.get(resealJobs, [stream.streamId]);
      if (stored === null) {
        throw new ServiceError("NoSuchReseal", `The records of stream ${target.name} were never sealed again.`);
      }
      const inWork = env.resealing.inWork(stream.streamId);
      const current = stored.state === "RUNNING" && inWork?.job.id === stored.id ? inWork : null;
      const job = current?.job ?? stored;
      const total = await recordsBehind(env, stream, AT_START, call.nowMs);
      const left = job.state === "DONE" ? 0 : await recordsBehind(env, stream, job.cursor, call.nowMs);
      const { sealedUnder } = job;
      const status: ResealStatus = {
        resealId: job.id,
        streamArn: target.arn,
        state: job.state,
        requested: isoTime(job.requestedAtMs),
        ended: job.endedAtMs === null ? null : isoTime(job.endedAtMs),
        reason: job.reason,
        trouble: current?.trouble ?? null,
        sealedUnder: sealedUnder === null ? null : { ...sealedUnder, suite: suiteText(sealedUnder.suite) },
        recordsTotal: total,
        recordsDone: Math.max(0, total - left),
        counts: job.counts,
        damaged: job.damaged,
      };
      return { output: status };
    },
  };
}

/** Called by the work itself, through the gateway, so that the trail tells how it ended. Nobody can be denied it. */
export const endStreamReseal: Operation<ResealEnd, Readonly<Record<string, never>>, ResealEnd> = {
  event: "management",
  readOnly: false,
  describe: ({ job }) => ({
    requestParameters: { streamName: job.name },
    ...streamResource(targetOf(job.accountId, job.region, job.name)),
    additionalEventData: {
      resealId: job.id,
      state: job.state,
      ...(job.sealedUnder === null ? {} : { keyId: job.sealedUnder.keyArn }),
      ...(job.reason === null ? {} : { reason: job.reason.code }),
      ...job.counts,
    },
  }),
  access: async (_context, end) => ({ checks: [], target: end }),
  handle: async ({ read }, _input, { streamId, job }) => {
    const stored = await read.get(resealJobs, [streamId]);
    // Another request took its place, or the stream went: nothing is left to be written down but the event.
    const ours = stored?.id === job.id && stored.state === "RUNNING";
    return { output: {}, ...(ours ? { writes: [resealJobs.put([streamId], job)] } : {}) };
  },
};
