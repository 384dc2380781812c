/** A stream whose records can be sealed again, with what the operator's commands ask for. */
import { systemRandom } from "../../../base/random.ts";
import type { Call, Service } from "../../../gateway/contract.ts";
import { memoryRecordLog } from "../../../store/memory-record-log.ts";
import type { RecordLog } from "../../../store/record-log.ts";
import type { ReportOutput, SealedShare } from "../encryption-report.ts";
import { summed } from "../encryption-report.ts";
import type { ResealStatus } from "../operations/reseal.ts";
import type { ShardCursor } from "../shard-walk.ts";
import { ACCOUNT, REGION, TestKinesis } from "./harness.ts";

const TURNS_MAX = 5_000;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class ResealRoom {
  readonly room: TestKinesis;
  readonly events: { readonly operation: string; readonly input: unknown }[] = [];
  /** Under which the next data key is wrapped: a test that rotates the key changes it. */
  material = "material-1";
  readonly #materials = new Map<string, string>();
  /** What background work reported. */
  readonly failures: unknown[] = [];
  #stop: (() => Promise<void>) | null = null;

  constructor(records: RecordLog = memoryRecordLog()) {
    this.room = new TestKinesis(records);
    const { room } = this;
    const asked = room.kms.run.bind(room.kms);
    room.kms.run = async (call, service, operation, input) => {
      if (service !== "kinesis") return await asked(call, service, operation, input);
      this.events.push({ operation, input });
      return await this.#perform(call, operation, input);
    };
    const generated = room.kms.generateDataKey.bind(room.kms);
    room.kms.generateDataKey = async (call, scope) => {
      const made = await generated(call, scope);
      this.#materials.set(hex(made.ciphertext), this.material);
      return made;
    };
    room.further = {
      materialOf: (wrapped) => this.#materials.get(hex(wrapped)) ?? null,
      backgroundFailed: (error) => void this.failures.push(error),
    };
    room.restarted();
  }

  get service(): Service {
    return this.room.service;
  }

  start(): void {
    this.#stop = this.service.start?.() ?? null;
  }

  async stop(): Promise<void> {
    await this.#stop?.();
    this.#stop = null;
  }

  /** As after a crash: what ran is forgotten, and nothing was written down for it. */
  crash(): void {
    this.#stop = null;
    this.room.restarted();
  }

  async #perform(call: Call, operation: string, input: unknown): Promise<unknown> {
    const row = this.service.operations[operation];
    if (row === undefined) throw new Error(`no operation ${operation}`);
    for (;;) {
      const { reader, expectations } = this.room.reader.tracking();
      const context = { call: { ...call, operation }, read: reader };
      const { target } = await row.access(context, input);
      const outcome = await row.handle(context, input, target);
      const writes = outcome.writes ?? [];
      const committed = writes.length === 0 || (await this.room.metadata.commit({ expect: expectations(), writes }));
      if (committed === "conflict") continue;
      outcome.committed?.(null);
      return outcome.output;
    }
  }

  #ask(operation: string, input: object): Promise<unknown> {
    const call = this.room.call(operation);
    const principal = {
      type: "Root",
      arn: `arn:aws:iam::${ACCOUNT}:root`,
      accountId: ACCOUNT,
      userId: ACCOUNT,
    } as const;
    return this.#perform({ ...call, requestId: systemRandom().uuid(), principal, region: REGION }, operation, input);
  }

  async reseal(name = "orders"): Promise<string> {
    return ((await this.#ask("ResealStream", { StreamName: name })) as { readonly resealId: string }).resealId;
  }

  status(name = "orders"): Promise<ResealStatus> {
    return this.#ask("DescribeStreamReseal", { StreamName: name }) as Promise<ResealStatus>;
  }

  /** Waits until the job has ended, letting time pass where it waits for that. */
  async ended(name = "orders"): Promise<ResealStatus> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const status = await this.status(name);
      if (status.state !== "RUNNING") return status;
      await new Promise((resolve) => setImmediate(resolve));
      if (turn % 20 === 19) this.room.clock.advance(500);
    }
    throw new Error("the job did not end");
  }

  async report(name = "orders"): Promise<readonly SealedShare[]> {
    const shares: SealedShare[] = [];
    let cursor: ShardCursor | null = null;
    do {
      const page = (await this.#ask("ReportStreamEncryption", { StreamName: name, cursor })) as ReportOutput;
      shares.push(...page.shares);
      ({ cursor } = page);
    } while (cursor !== null);
    return summed(shares);
  }
}
