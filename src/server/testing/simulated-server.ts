/**
 * The whole server but for sockets and disk: the real services, gateway, KMS and keyring, on memory stores that fail by a plan
 * and outlive the process, which dies and is started again. Time stands still unless it is moved. All that happens follows
 * from the seed, but for the bytes of keys and ciphertexts.
 */
import { type Clock, type MovableClock, movableClock } from "../../base/clock.ts";
import { ServiceError } from "../../base/errors.ts";
import { GuardedKey } from "../../crypto/guarded.ts";
import type { SuiteName } from "../../envelope/suite.ts";
import type { Principal } from "../../gateway/contract.ts";
import { initializeSeal, readSealConfiguration } from "../../seal/configuration.ts";
import { Keyring } from "../../seal/keyring.ts";
import type { SealProvider } from "../../seal/provider.ts";
import { newAccount } from "../../services/iam/accounts.ts";
import { newOrganization } from "../../services/organizations/organization.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import { memoryRecordLog } from "../../store/memory-record-log.ts";
import type { MetadataStore } from "../../store/metadata-store.ts";
import type { Block, RecordLog } from "../../store/record-log.ts";
import {
  type FaultPlan,
  faultyMetadataStore,
  faultyRecordLog,
  InjectedFault,
  seededFaults,
} from "../../store/testing/faults.ts";
import { Life, mortalMetadataStore, mortalRecordLog } from "../../store/testing/mortal.ts";
import { type Api, createApi } from "../api.ts";
import type { SeededRandom } from "./simulated-random.ts";

export const ACCOUNT = "111122223333";
export const REGION = "eu-central-1";
export const ROOT: Principal = {
  type: "Root",
  arn: `arn:aws:iam::${ACCOUNT}:root`,
  accountId: ACCOUNT,
  userId: ACCOUNT,
};

/** How a call ended, as its caller knows it. */
export type Ended =
  | { readonly kind: "answered"; readonly output: unknown }
  | { readonly kind: "refused"; readonly error: ServiceError }
  /** The server died: it may have happened. */
  | { readonly kind: "unknown" };

/** Everything that reaches a store, before it does. */
export interface Witness {
  metadata(bytes: Uint8Array): void;
  block(streamId: string, block: Block): void;
}

interface Process {
  readonly life: Life;
  readonly clock: Clock;
  readonly api: Api;
  readonly keyring: Keyring;
}

const FAULTS = { fail: 0.004, failAfterWrite: 0.004, delay: 0.1 };
/** Of calls of a store that are held back until others went first. */
const HELD_BACK = 0.3;
/** While calls are under way: what sleeps must be able to come in between. */
const TIME_GOES_ON = 0.15;
/** A new domain key, and everything wrapped again, ever so often. */
const DOMAIN_KEY_ROTATED_AFTER_MS = 20 * 60_000;
const CLOCK_STEP_MS_MAX = 60;
/** Between two starts, the machine's clock may be set forward or back. */
const CLOCK_OFF_MS_MAX = 4_000;
const STEPS_MAX = 2_000_000;

/** Was it planned to fail? */
export function isInjected(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof InjectedFault) return true;
  return false;
}

export class SimulatedServer {
  readonly clock: MovableClock = movableClock();
  /** What was reported that no plan had asked for. */
  readonly troubles: string[] = [];
  crashes = 0;
  /** No more faults and no more deaths. */
  isCalm = false;
  readonly #random: SeededRandom;
  readonly #suite: SuiteName;
  readonly #metadata: MetadataStore;
  readonly #records: RecordLog;
  readonly #rootKey = Buffer.alloc(32, 7);
  readonly #faults: FaultPlan;
  readonly #heldBack: (() => void)[] = [];
  #crashesLeft: number;
  #process: Process | null = null;
  #booting: Promise<void> | null = null;
  /** Calls wait for the next start. */
  #ready: Promise<void> = Promise.resolve();

  constructor(
    random: SeededRandom,
    options: { readonly suite: SuiteName; readonly crashes: number; readonly witness: Witness },
  ) {
    this.#random = random;
    this.#suite = options.suite;
    this.#crashesLeft = options.crashes;
    this.#faults = seededFaults(random.below(0x1_0000_0000), FAULTS);
    const { witness } = options;
    const metadata = memoryMetadataStore();
    const records = memoryRecordLog();
    this.#metadata = {
      ...bound(metadata, ["get", "range", "generation", "close"]),
      commit: (batch) => {
        for (const { key, value } of batch.writes) {
          witness.metadata(Buffer.from(key));
          if (value !== null) witness.metadata(value);
        }
        return metadata.commit(batch);
      },
    };
    this.#records = {
      ...bound(records, ["read", "last", "firstIndexAt", "trim", "drop", "close"]),
      append: (ref, block) => {
        witness.block(ref.streamId, block);
        return records.append(ref, block);
      },
      replace: (ref, blocks) => {
        for (const block of blocks) witness.block(ref.streamId, block);
        return records.replace(ref, blocks);
      },
    };
  }

  /** Runs until `work` has ended: lets calls of the stores go on in some order, moves the time, starts what has died. */
  async run<Result>(work: Promise<Result>): Promise<Result> {
    const state = { isOver: false };
    const done = work.finally(() => {
      state.isOver = true;
    });
    // Seen below, by whoever awaits the work.
    done.catch(() => {});
    for (let steps = 0; !state.isOver; steps++) {
      if (steps > STEPS_MAX) throw new Error("it never ends");
      this.#startIfDead();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#heldBack.length > 0 && !this.#random.chance(TIME_GOES_ON)) {
        const [next] = this.#heldBack.splice(this.#random.below(this.#heldBack.length), 1);
        next?.();
      } else {
        this.clock.advance(this.#random.below(CLOCK_STEP_MS_MAX));
      }
    }
    return await done;
  }

  /** Resolves when other steps of the program were taken. */
  pause(): Promise<void> {
    return new Promise((resolve) => void this.#heldBack.push(resolve));
  }

  /** kill -9. */
  kill(): void {
    this.#process?.life.end();
  }

  async call(principal: Principal, service: string, operation: string, input: object): Promise<Ended> {
    this.#startIfDead();
    await this.#ready;
    const running = this.#process;
    if (running === null) return { kind: "unknown" };
    const nowMs = running.clock.wallMs();
    const call = {
      requestId: this.#random.uuid(),
      principal,
      region: REGION,
      service,
      operation,
      nowMs,
      sourceIp: "192.0.2.1",
      userAgent: "simulation",
      secureTransport: true,
    };
    const ended = running.api.operatorOperations
      .run(call, () => input)
      .then(
        (output): Ended => ({ kind: "answered", output }),
        (error: unknown): Ended => this.#refused(error, operation),
      );
    const first = await Promise.race([ended, running.life.died.then((): Ended => ({ kind: "unknown" }))]);
    return running.life.isAlive ? first : { kind: "unknown" };
  }

  #refused(error: unknown, operation: string): Ended {
    if (error instanceof ServiceError) return { kind: "refused", error };
    this.troubles.push(`${operation} threw ${String(error)}`);
    return { kind: "unknown" };
  }

  #startIfDead(): void {
    if (this.#process?.life.isAlive === true || this.#booting !== null) return;
    if (this.#process !== null) {
      this.crashes += 1;
      this.#bury(this.#process);
    }
    this.#ready = this.#start();
    this.#booting = this.#ready;
    void this.#ready.finally(() => {
      this.#booting = null;
    });
  }

  /** Its memory is gone: nothing of it may run on, and guarded pages are few. */
  #bury({ keyring }: Process): void {
    this.#process = null;
    keyring.seal().catch(() => {});
  }

  async #start(): Promise<void> {
    for (;;) {
      const life = this.#newLife();
      const started = this.#boot(life).catch((error: unknown) => {
        // As its supervisor does, who starts what did not start.
        if (!isInjected(error)) this.troubles.push(`start failed: ${String(error)}`);
        life.end();
        return null;
      });
      const process = await Promise.race([started, life.died.then(() => null)]);
      if (process !== null && life.isAlive) {
        this.#process = process;
        return;
      }
      this.crashes += 1;
    }
  }

  #newLife(): Life {
    const random = this.#random;
    const dies = !this.isCalm && this.#crashesLeft > 0;
    if (dies) this.#crashesLeft -= 1;
    const calls = dies ? 1 + (random.chance(0.15) ? random.below(60) : random.below(6_000)) : Number.POSITIVE_INFINITY;
    const turn = (): Promise<void> => (!this.isCalm && random.chance(HELD_BACK) ? this.pause() : Promise.resolve());
    return new Life({ calls, lastCallHappens: random.chance(0.5), turn });
  }

  async #boot(life: Life): Promise<Process> {
    const plan: FaultPlan = {
      next: (operation) => (this.isCalm ? { kind: "none", delayTurns: 0 } : this.#faults.next(operation)),
    };
    const store = faultyMetadataStore(mortalMetadataStore(this.#metadata, life), plan);
    const records = faultyRecordLog(mortalRecordLog(this.#records, life), plan);
    const random = this.#random;
    const clock = clockOf(this.clock, life, random.below(CLOCK_OFF_MS_MAX) - CLOCK_OFF_MS_MAX / 2);
    const onError = (what: string, error: unknown): void => {
      if (life.isAlive && !isInjected(error)) this.troubles.push(`${what}: ${describeError(error)}`);
    };
    const keyring = new Keyring({
      store,
      clock,
      random,
      rotateAfterMs: DOMAIN_KEY_ROTATED_AFTER_MS,
      onError: (error) => onError("keyring", error),
    });
    void life.died.then(() => void keyring.seal().catch(() => {}));
    const log = {
      info: () => {},
      warn: () => {},
      error: (message: string, error: unknown) => onError(message, error),
    };
    const api = createApi({
      store,
      records,
      keyring,
      clock,
      signatureClock: clock,
      random,
      regions: [REGION],
      region: REGION,
      accountId: ACCOUNT,
      kmsQuotas: "none",
      streamLimits: "none",
      streamSuite: this.#suite,
      log,
    });
    const provider = this.#provider();
    if ((await readSealConfiguration(store)) === null) await initializeSeal({ store, provider, clock });
    await keyring.unseal(provider);
    const nowMs = clock.wallMs();
    await store.commit(newOrganization({ managementAccountId: ACCOUNT, random, nowMs }));
    const account = newAccount({ accountId: ACCOUNT, name: "root", random, secretBox: keyring.secretBox, nowMs });
    // A conflict means that it is there.
    await store.commit({
      expect: account.writes.slice(0, 1).map(({ key }) => ({ key, value: null })),
      writes: account.writes,
    });
    api.open();
    return { life, clock, api, keyring };
  }

  #provider(): SealProvider {
    return {
      kind: "file",
      adopt: () => Promise.resolve(GuardedKey.take(new Uint8Array(this.#rootKey))),
      protect: () => Promise.resolve({ kind: "file" }),
      open: () => Promise.resolve(GuardedKey.take(new Uint8Array(this.#rootKey))),
    };
  }

  /** Ends the last process, and gives back what it holds. */
  close(): void {
    const last = this.#process;
    last?.life.end();
    if (last !== null) this.#bury(last);
  }
}

const describeError = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Timers of a process that is dead never fire. */
const clockOf = (clock: Clock, life: Life, offMs: number): Clock => ({
  wallMs: () => clock.wallMs() + offMs,
  monotonicMs: () => clock.monotonicMs(),
  after: (delayMs, run) => clock.after(delayMs, () => void (life.isAlive && run())),
});

function bound<T extends object, K extends keyof T>(of: T, names: readonly K[]): Pick<T, K> {
  const made = {} as Pick<T, K>;
  for (const name of names) made[name] = (of[name] as (...args: unknown[]) => unknown).bind(of) as T[K];
  return made;
}
