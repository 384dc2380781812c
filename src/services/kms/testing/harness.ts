import { PARTITION } from "../../../base/arn.ts";
import { type MovableClock, movableClock } from "../../../base/clock.ts";
import { ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { AuditEvent } from "../../../audit/event.ts";
import type { CompiledPolicy } from "../../../authz/types.ts";
import type { AccessCheck, AuditDetails, Call, FurtherEvent, Principal, Service } from "../../../gateway/contract.ts";
import { createKeyWorkers } from "../../../crypto/asymmetric/worker-pool.ts";
import { initializeSeal } from "../../../seal/configuration.ts";
import { Keyring } from "../../../seal/keyring.ts";
import { passphraseSealProvider } from "../../../seal/passphrase-provider.ts";
import type { SealProvider } from "../../../seal/provider.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import type { MetadataStore } from "../../../store/metadata-store.ts";
import { ownContext } from "../../../authz/context.ts";
import { createKmsService } from "../api.ts";
import type { KeyPolicyLanguage } from "../policy.ts";
import { type TestDirectory, testDirectory } from "./directory.ts";

export const ACCOUNT = "111122223333";
export const OTHER_ACCOUNT = "444455556666";
export const REGION = "eu-central-1";
export const OTHER_REGION = "us-west-2";
/** That the harness serves. */
const REGIONS = [REGION, OTHER_REGION, "ap-southeast-2"];

/** A KMS on a memory store, without a gateway: runs access, check, handle and commit, and decides nothing. */
export interface KmsHarness {
  readonly service: Service;
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly keyring: Keyring;
  readonly sealProvider: SealProvider;
  readonly clock: MovableClock;
  readonly principals: TestDirectory;
  readonly events: AuditEvent[];
  /** What the last operation asked to be allowed, and what it would have put into the trail. */
  readonly last: { checks: readonly AccessCheck[]; audit: AuditDetails; furtherEvents: readonly FurtherEvent[] };
  /** Errors of background work. */
  readonly errors: unknown[];
  run(operation: string, input: object, who?: Partial<Call>): Promise<Answer>;
  /** As `run`, for what must fail: the error's code and message in one line. */
  failure(operation: string, input: object, who?: Partial<Call>): Promise<string>;
  /** Only access and check. */
  authorize(operation: string, input: object, who?: Partial<Call>): Promise<void>;
  /** Makes a key and answers its id. */
  newKey(input?: object): Promise<string>;
  close(): Promise<void>;
}

/** Outputs as tests read them: any member may be asked for, and is what its use says. */
// oxlint-disable-next-line no-explicit-any -- tests look into answers of every shape
export type Answer = Record<string, any>;

export const rootOf = (accountId: string): Principal => ({
  type: "Root",
  arn: `arn:${PARTITION}:iam::${accountId}:root`,
  accountId,
  userId: accountId,
});

/** A stand-in for authz/: a policy is any JSON object with a Statement, and admits its author unless it says "nobody". */
const policyLanguage: KeyPolicyLanguage = {
  compilePolicy(document: string, id: string): CompiledPolicy {
    try {
      const parsed = JSON.parse(document) as { Statement?: unknown };
      if (parsed.Statement === undefined) throw new Error("the document has no Statement");
    } catch (error) {
      throw Object.assign(new Error(error instanceof Error ? error.message : "bad"), { name: "PolicyError" });
    }
    return { id: document.includes("nobody") ? "nobody" : id, statements: [] };
  },
  allowsPrincipal: (policy: CompiledPolicy): boolean => policy.id !== "nobody",
  conditionsOf: (): ReadonlyMap<string, string> => new Map(),
};

export async function kmsHarness(
  language: KeyPolicyLanguage = policyLanguage,
  store: MetadataStore = memoryMetadataStore(),
): Promise<KmsHarness> {
  const reader = new RecordReader(store);
  const clock = movableClock();
  const random = systemRandom();
  const events: AuditEvent[] = [];
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const sealProvider = passphraseSealProvider("a passphrase for tests", {
    cost: 1024,
    blockSize: 8,
    parallelization: 1,
  });
  await initializeSeal({ store, provider: sealProvider, clock });
  const keyring = new Keyring({ store, clock, random, onError });
  await keyring.unseal(sealProvider);
  const auditLog = { entry: (event: AuditEvent) => (events.push(event), []) };
  const keyWorkers = createKeyWorkers();
  const principals = testDirectory();
  const service = createKmsService({
    store,
    reader,
    clock,
    random,
    keyring,
    auditLog,
    keyWorkers,
    principals,
    regions: REGIONS,
    onError,
    ...language,
  });
  const last: KmsHarness["last"] = { checks: [], audit: {}, furtherEvents: [] };

  const callOf = (operation: string, who: Partial<Call>): Call => ({
    requestId: random.uuid(),
    principal: rootOf(ACCOUNT),
    region: REGION,
    service: "kms",
    operation,
    nowMs: clock.wallMs(),
    sourceIp: "192.0.2.1",
    userAgent: "test",
    secureTransport: true,
    ...who,
  });

  const attempt = async (name: string, input: object, who: Partial<Call>, handle: boolean): Promise<Answer | null> => {
    const operation = service.operations[name];
    if (operation === undefined) throw new Error(`no operation ${name}`);
    const tracking = reader.tracking();
    const context = { call: callOf(name, who), read: tracking.reader };
    last.audit = operation.describe?.(input) ?? {};
    const { checks, target } = await operation.access(context, input);
    last.checks = checks.map((check) => ({ ...check, context: ownContext(check.context) }));
    await operation.check?.(context, input, target);
    if (!handle) return {};
    const outcome = await operation.handle(context, input, target);
    last.audit = { ...last.audit, ...outcome.audit };
    last.furtherEvents = outcome.furtherEvents ?? [];
    const writes = outcome.writes ?? [];
    const expect = writes.length === 0 ? [] : tracking.expectations();
    if ((await store.commit({ expect, writes })) === "conflict") return null;
    outcome.committed?.("an event");
    return outcome.output as Answer;
  };

  const run = async (name: string, input: object, who: Partial<Call> = {}): Promise<Answer> => {
    for (;;) {
      const answer = await attempt(name, input, who, true);
      if (answer !== null) return answer;
    }
  };

  return {
    service,
    store,
    reader,
    keyring,
    sealProvider,
    clock,
    principals,
    events,
    last,
    errors,
    run,
    async failure(name, input, who = {}) {
      try {
        await run(name, input, who);
      } catch (error) {
        if (error instanceof ServiceError) return error.message === "" ? error.code : `${error.code}: ${error.message}`;
        throw error;
      }
      return "none";
    },
    authorize: async (name, input, who = {}) => void (await attempt(name, input, who, false)),
    async newKey(input = {}) {
      const { KeyMetadata } = await run("CreateKey", input);
      return KeyMetadata.KeyId as string;
    },
    async close() {
      await keyWorkers.clear();
      await keyring.seal();
      await store.close();
    },
  };
}
