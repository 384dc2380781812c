import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Write } from "../store/metadata-store.ts";
import type { AuditEvent } from "./event.ts";
import type { AuditLog } from "./log.ts";

/** A request whose caller could not be authenticated. */
export interface Refusal {
  readonly sourceIp: string;
  readonly errorCode: string;
  readonly eventSource: string;
  readonly eventName: string;
  readonly nowMs: number;
}

export interface RefusalCounter {
  /**
   * Resolves when the refusal is on record: the first of a source and error in a minute durably, as an event of its own;
   * those that follow in the same minute counted. Rejects when the event could not be written; then the request must fail
   * with that.
   */
  recordRefusal(refusal: Refusal): Promise<void>;
  /** Writes what is counted and stops. */
  stop(): Promise<void>;
}

export interface RefusalCounterDeps {
  readonly auditLog: AuditLog;
  /** Durable when it resolves. */
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  /** The deployment's own account and Region: nobody knows whose account a refused request meant. */
  readonly accountId: string;
  readonly region: string;
  /** Told when a minute's summary could not be written; it is tried again a minute later. */
  readonly onError: (cause: unknown) => void;
}

const WINDOW_MS = 60_000;
/** Sources told apart in a minute. An attacker with more addresses shares one line, so that nobody fills the log from outside. */
export const SOURCES_PER_WINDOW_MAX = 1_000;
/** Summaries that wait for a store that fails. */
const UNWRITTEN_COUNT_MAX = 2_000;
/** Summaries committed at a time. */
const BATCH_COUNT = 250;

const OTHER_SOURCES = "other-sources";
const SEVERAL = "several";

interface Tally {
  readonly first: Refusal;
  /** Further refusals after the first. */
  further: number;
  lastMs: number;
}

const keyOf = (refusal: Refusal): string => `${refusal.sourceIp}\n${refusal.errorCode}`;

/** Counts refused unauthenticated requests by source, error and minute. */
export function createRefusalCounter(deps: RefusalCounterDeps): RefusalCounter {
  let tallies = new Map<string, Tally>();
  let unwritten: readonly Tally[] = [];
  let cancelTimer: (() => void) | null = null;
  let flushing: Promise<void> = Promise.resolve();

  const disarm = (): void => {
    cancelTimer?.();
    cancelTimer = null;
  };
  const arm = (): void => {
    cancelTimer ??= deps.clock.after(WINDOW_MS, () => {
      cancelTimer = null;
      void flush();
    });
  };

  const closeWindow = async (): Promise<void> => {
    const closed = [...unwritten, ...[...tallies.values()].filter(({ further }) => further > 0)];
    tallies = new Map();
    unwritten = [];
    for (let from = 0; from < closed.length; from += BATCH_COUNT) {
      const batch = closed.slice(from, from + BATCH_COUNT);
      try {
        await deps.commit(batch.flatMap((tally) => deps.auditLog.entry(summaryEvent(deps, tally))));
      } catch (cause) {
        unwritten = closed.slice(from, from + UNWRITTEN_COUNT_MAX);
        arm();
        deps.onError(cause);
        return;
      }
    }
  };

  const flush = (): Promise<void> => {
    flushing = flushing.then(closeWindow);
    return flushing;
  };

  return {
    async recordRefusal(refusal) {
      const own = keyOf(refusal);
      const crowded = tallies.size >= SOURCES_PER_WINDOW_MAX && !tallies.has(own);
      const counted: Refusal = crowded
        ? { ...refusal, sourceIp: OTHER_SOURCES, errorCode: SEVERAL, eventSource: SEVERAL, eventName: SEVERAL }
        : refusal;
      const key = keyOf(counted);
      const known = tallies.get(key);
      if (known !== undefined) {
        known.further += 1;
        known.lastMs = refusal.nowMs;
        return;
      }
      const window = tallies;
      const tally: Tally = { first: counted, further: 0, lastMs: refusal.nowMs };
      window.set(key, tally);
      arm();
      try {
        await deps.commit(deps.auditLog.entry(firstEvent(deps, counted)));
      } catch (cause) {
        // The next one of this source is a first again: nothing of it is on record yet.
        if (window.get(key) === tally && tally.further === 0) window.delete(key);
        throw cause;
      }
    },
    async stop() {
      disarm();
      await flush();
      disarm();
    },
  };
}

function firstEvent(deps: RefusalCounterDeps, refusal: Refusal): AuditEvent {
  return refusalEvent(deps, refusal, refusal.nowMs, { unauthenticated: true });
}

function summaryEvent(deps: RefusalCounterDeps, tally: Tally): AuditEvent {
  return {
    ...refusalEvent(deps, tally.first, tally.lastMs, {
      unauthenticated: true,
      furtherRefusalCount: tally.further,
      since: new Date(tally.first.nowMs).toISOString(),
    }),
    // Written by the server about many requests, which may have named different operations.
    eventName: "RefusedRequests",
    eventType: "AwsServiceEvent",
  };
}

function refusalEvent(
  deps: RefusalCounterDeps,
  refusal: Refusal,
  timeMs: number,
  additionalEventData: Readonly<Record<string, unknown>>,
): AuditEvent {
  return {
    eventVersion: "1.11",
    userIdentity: { type: "Unknown", accountId: deps.accountId },
    eventTime: new Date(Math.floor(timeMs / 1000) * 1000).toISOString().replace(".000Z", "Z"),
    eventSource: refusal.eventSource,
    eventName: refusal.eventName,
    awsRegion: deps.region,
    sourceIPAddress: refusal.sourceIp,
    userAgent: "",
    errorCode: refusal.errorCode,
    requestParameters: null,
    responseElements: null,
    additionalEventData,
    requestID: deps.random.uuid(),
    eventID: deps.random.uuid(),
    readOnly: true,
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: deps.accountId,
    eventCategory: "Management",
  };
}
