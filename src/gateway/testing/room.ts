/** The gateway on a memory store, with the real audit trail, policy evaluator and IAM policy source, around a made-up service. */
import type { AuditEvent } from "../../audit/event.ts";
import { createAuditLog } from "../../audit/audit-log.ts";
import { compilePolicy } from "../../authz/compile.ts";
import { type MovableClock, movableClock } from "../../base/clock.ts";
import { ServiceError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { createPolicySource } from "../../services/iam/policy-source.ts";
import { policies, type PolicyRecord, users, type UserRecord } from "../../services/iam/records.ts";
import { RecordReader } from "../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../store/memory-metadata-store.ts";
import type { Expectation, MetadataStore, Write } from "../../store/metadata-store.ts";
import { type Fault, faultyMetadataStore } from "../../store/testing/faults.ts";
import type { IsAccountClosed, OrganizationOf } from "../access.ts";
import { createDenials, type Denials } from "../denials.ts";
import type { AnyOperation, Call, Principal, ServiceQuotas } from "../contract.ts";
import { createOperations, type Operations } from "../operations.ts";
import type { RequestQuotas } from "../quotas.ts";

export const ACCOUNT = "111122223333";
export const REGION = "eu-central-1";

export const keyArn = (id: string): string => `arn:aws:kms:${REGION}:${ACCOUNT}:key/${id}`;

export const principalOf = (userName: string): Principal => ({
  type: "User",
  arn: `arn:aws:iam::${ACCOUNT}:user/${userName}`,
  accountId: ACCOUNT,
  userId: `AIDA${userName.toUpperCase()}`,
  userName,
});

/** One statement of a policy; Effect, Action and Resource have defaults. */
export type Statement = Readonly<Record<string, unknown>>;

export const policyArn = (policyName: string): string => `arn:aws:iam::${ACCOUNT}:policy/${policyName}`;

export interface GatewayRoom {
  readonly store: MetadataStore;
  readonly clock: MovableClock;
  readonly operations: Operations;
  readonly denials: Denials;
  /** Every batch that the store was asked to commit, in order. */
  readonly batches: { readonly expect: readonly Expectation[]; readonly writes: readonly Write[] }[];
  /** What happens to commits from now on. */
  commitFault: Fault["kind"];
  /** Stores a user with an inline policy of these statements, or without one; the same user again replaces it. */
  putUser(userName: string, statements: readonly Statement[], parts?: Partial<UserRecord>): Promise<void>;
  /** Stores a managed policy. */
  putPolicy(policyName: string, statements: readonly Statement[]): Promise<void>;
  /** A call of an operation of the made-up service (or of another one). */
  callOf(operation: string, changes?: Partial<Call>): Call;
  write(...writes: readonly Write[]): Promise<void>;
  /** The audit trail, oldest first. */
  events(): Promise<readonly AuditEvent[]>;
}

/** `operations` are those of a service called kms; ann may do everything there. */
export async function gatewayRoom(
  operations: Readonly<Record<string, AnyOperation>>,
  limits: {
    readonly requestQuotas?: RequestQuotas;
    readonly quotas?: ServiceQuotas;
    readonly organizationOf?: OrganizationOf;
    readonly isAccountClosed?: IsAccountClosed;
  } = {},
): Promise<GatewayRoom> {
  const memory = memoryMetadataStore();
  const clock = movableClock();
  const batches: GatewayRoom["batches"] = [];
  const faulty = faultyMetadataStore(memory, {
    next: (name) => ({ kind: name === "commit" ? room.commitFault : "none", delayTurns: 0 }),
  });
  const store: MetadataStore = {
    ...faulty,
    commit(batch) {
      batches.push(batch);
      return faulty.commit(batch);
    },
  };
  const reader = new RecordReader(store);
  const auditLog = createAuditLog({ store, clock });
  const denials = createDenials({
    store,
    clock,
    onError(error) {
      throw error;
    },
  });
  const compile = (document: string, id: string) => ({
    ...compilePolicy(document, { id, kind: "identity", lengthMax: 10_000 }),
    document,
  });
  const ann = principalOf("ann");
  const room: GatewayRoom = {
    store,
    clock,
    denials,
    batches,
    commitFault: "none",
    operations: createOperations({
      services: new Map([
        ["kms", { model, operations, ...(limits.quotas === undefined ? {} : { quotas: limits.quotas }) }],
      ]),
      requestQuotas: limits.requestQuotas ?? null,
      store,
      reader,
      policies: createPolicySource({
        reader,
        compilePolicy: compile,
        compileSessionPolicy: compile,
        onUnusablePolicy: ({ cause }) => {
          throw cause;
        },
      }),
      auditLog,
      denials,
      organizationOf: limits.organizationOf ?? null,
      isAccountClosed: limits.isAccountClosed ?? null,
      clock,
      random: systemRandom(),
    }),
    putUser: (userName, statements, parts = {}) =>
      room.write(users.put([ACCOUNT, userName], { ...userOf(userName, statements), ...parts })),
    putPolicy: (policyName, statements) =>
      room.write(policies.put([ACCOUNT, policyName], policyOf(policyName, statements))),
    callOf: (operation, changes = {}) => ({
      requestId: "00000000-0000-4000-8000-000000000001",
      principal: ann,
      region: REGION,
      service: "kms",
      operation,
      nowMs: clock.wallMs(),
      sourceIp: "192.0.2.1",
      userAgent: "test",
      secureTransport: true,
      ...changes,
    }),
    // Straight into the memory, so that `batches` holds what the gateway committed.
    async write(...writes) {
      await memory.commit({ expect: [], writes });
    },
    async events() {
      const page = await auditLog.lookup({
        accountId: ACCOUNT,
        region: REGION,
        startMs: 0,
        endMs: clock.wallMs(),
        limit: 50,
      });
      return page.events.map(({ event }) => event).toReversed();
    },
  };
  await room.putUser("ann", [{}]);
  return room;
}

/** The code that a call is refused with; throws when it is not, or when something else than a ServiceError comes out. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    throw error;
  }
  throw new Error("the call was not refused");
}

const model = {
  name: "kms",
  protocol: "awsJson1.1",
  targetPrefix: "TrentService",
  apiVersion: "2014-11-01",
  signingName: "kms",
  eventSource: "kms.amazonaws.com",
  xmlNamespace: "",
  operations: {},
  shapes: {},
} as const;

const documentOf = (statements: readonly Statement[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Action: "*", Resource: "*", ...statement })),
  });

function userOf(userName: string, statements: readonly Statement[]): UserRecord {
  const { arn, userId } = principalOf(userName);
  return {
    accountId: ACCOUNT,
    userName,
    userId,
    path: "/",
    arn,
    createdMs: 0,
    tags: [],
    inlinePolicies: statements.length === 0 ? [] : [{ name: "own", document: documentOf(statements) }],
    attachedPolicyArns: [],
    boundaryArn: null,
    accessKeyIds: [],
  };
}

function policyOf(policyName: string, statements: readonly Statement[]): PolicyRecord {
  return {
    accountId: ACCOUNT,
    policyName,
    policyId: `ANPA${policyName.toUpperCase()}`,
    path: "/",
    arn: policyArn(policyName),
    description: "",
    createdMs: 0,
    updatedMs: 0,
    tags: [],
    defaultVersionId: "v1",
    defaultDocument: documentOf(statements),
    nextVersion: 2,
    versions: [{ versionId: "v1", createdMs: 0 }],
  };
}
