/**
 * The background of `waxseal stream reseal`: works on all jobs in turn, a step each, and rests as long as it worked, so that
 * puts and gets keep half of the time. Where a job stands is written down about every second; a crash costs a second look
 * at what was done since, because a block that is sealed as it shall be is passed over.
 */
import type { Clock } from "../../base/clock.ts";
import type { Dispatch } from "../../gateway/contract.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import { type ResealJob, resealJobs } from "./reseal-job.ts";
import { resealStep, rootCall, type StepDeps } from "./reseal-step.ts";

const PAGE_COUNT = 100;
const SAVE_INTERVAL_MS = 1_000;
/** After what may pass: a store that failed, KMS that throttled. */
const RETRY_MS = 5_000;

export interface ResealingDeps extends StepDeps {
  readonly metadata: MetadataStore;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  /** Told of what failed and is tried again. */
  readonly failed?: ((error: unknown) => void) | undefined;
}

/** How a job ended, for the operation that writes it down. */
export interface ResealEnd {
  readonly streamId: string;
  readonly job: ResealJob;
}

export interface Resealing {
  /** A job was committed. Before `start`, nothing happens. */
  wake(): void;
  /** The job as it stands, newer than the store knows; null: the store knows best. */
  inWork(streamId: string): { readonly job: ResealJob; readonly trouble: string | null } | null;
  /** Works until every job has ended or waits for time to pass. Tests call it; `start` does so again and again. */
  run(): Promise<void>;
  start(): () => Promise<void>;
}

interface Held {
  job: ResealJob;
  savedMs: number;
  /** Not before then, by the monotonic clock. */
  notBeforeMs: number;
  trouble: string | null;
}

export function createResealing(deps: ResealingDeps): Resealing {
  const { metadata, reader, dispatch, clock } = deps;
  const held = new Map<string, Held>();
  let started = false;
  let stopped = false;
  let working: Promise<void> | null = null;
  let cancelRest: (() => void) | null = null;

  const holdOf = (streamId: string, stored: ResealJob): Held => {
    const known = held.get(streamId);
    // A new request takes the place of an old one.
    if (known?.job.id === stored.id) return known;
    const fresh = { job: stored, savedMs: clock.monotonicMs(), notBeforeMs: 0, trouble: null };
    held.set(streamId, fresh);
    return fresh;
  };

  /** Unless it ended, or another request has taken its place. */
  const save = async (streamId: string, job: ResealJob): Promise<void> => {
    const key = resealJobs.key([streamId]);
    const value = await metadata.get(key);
    const stored = value === null ? null : resealJobs.decode(value);
    if (stored?.id !== job.id || stored.state !== "RUNNING") return;
    await metadata.commit({ expect: [{ key, value }], writes: [resealJobs.put([streamId], job)] });
  };

  const end = async (streamId: string, job: ResealJob): Promise<void> => {
    const ended: ResealJob = { ...job, endedAtMs: Math.floor(clock.wallMs()) };
    await dispatch.run(rootCall(job, clock.wallMs()), "kinesis", "EndStreamReseal", {
      streamId,
      job: ended,
    } satisfies ResealEnd);
    held.delete(streamId);
  };

  const work = async (streamId: string, hold: Held): Promise<void> => {
    const step = await resealStep(deps, streamId, hold.job);
    hold.trouble = null;
    if (step.kind === "wait") hold.notBeforeMs = clock.monotonicMs() + step.ms;
    else if (step.kind === "done") await end(streamId, { ...hold.job, state: "DONE" });
    else if (step.kind === "stopped") await end(streamId, { ...hold.job, state: "STOPPED", reason: step.reason });
    else if (step.kind === "gone") {
      await metadata.commit({ expect: [], writes: [resealJobs.remove([streamId])] });
      held.delete(streamId);
    } else {
      hold.job = step.job;
      if (clock.monotonicMs() - hold.savedMs >= SAVE_INTERVAL_MS) {
        hold.savedMs = clock.monotonicMs();
        await save(streamId, hold.job);
      }
    }
  };

  const workGuarded = async (streamId: string, hold: Held): Promise<void> => {
    try {
      await work(streamId, hold);
    } catch (error) {
      if (stopped) return;
      hold.trouble = "The last step failed and is tried again; the server's log says why.";
      hold.notBeforeMs = clock.monotonicMs() + RETRY_MS;
      deps.failed?.(error);
    }
  };

  const running = async (): Promise<readonly (readonly [string, Held])[]> => {
    const found: (readonly [string, Held])[] = [];
    let after: readonly string[] | undefined;
    for (;;) {
      const page = await reader.list(resealJobs, { prefix: [], after, limit: PAGE_COUNT });
      for (const { id, value } of page) {
        const streamId = id[0] ?? "";
        if (value.state === "RUNNING") found.push([streamId, holdOf(streamId, value)]);
        else held.delete(streamId);
      }
      after = page.at(-1)?.id;
      if (page.length < PAGE_COUNT) return found;
    }
  };

  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(ms, resolve);
      cancelRest = () => {
        cancel();
        resolve();
      };
    });

  /** Answers with how long there is nothing to do; null: until somebody asks for more. */
  const round = async (): Promise<number | null> => {
    const jobs = await running();
    for (const [streamId, hold] of jobs) {
      const beganMs = clock.monotonicMs();
      if (stopped || hold.notBeforeMs > beganMs) continue;
      await workGuarded(streamId, hold);
      const workedMs = clock.monotonicMs() - beganMs;
      if (workedMs > 0 && !stopped) await rest(workedMs);
    }
    if (jobs.length === 0) return null;
    const nowMs = clock.monotonicMs();
    return Math.max(0, Math.min(...jobs.map(([, { notBeforeMs }]) => notBeforeMs - nowMs)));
  };

  const loop = async (mayRest: boolean): Promise<void> => {
    for (;;) {
      if (stopped) return;
      const idleMs = await round().catch((error: unknown) => {
        if (!stopped) deps.failed?.(error);
        return RETRY_MS;
      });
      if (idleMs === null || (idleMs > 0 && !mayRest)) return;
      if (idleMs > 0 && !stopped) await rest(idleMs);
    }
  };

  const wake = (): void => {
    if (!started || stopped) return;
    // What is asked for while the last round ends must not be forgotten.
    const before = working ?? Promise.resolve();
    working = before.then(() => loop(true));
  };

  return {
    wake() {
      wake();
      cancelRest?.();
    },
    inWork(streamId) {
      const hold = held.get(streamId);
      return hold === undefined ? null : { job: hold.job, trouble: hold.trouble };
    },
    run: () => loop(false),
    start() {
      started = true;
      stopped = false;
      wake();
      return async () => {
        stopped = true;
        started = false;
        cancelRest?.();
        await working;
        for (const [streamId, { job }] of held)
          await save(streamId, job).catch((error: unknown) => deps.failed?.(error));
        held.clear();
      };
    },
  };
}
