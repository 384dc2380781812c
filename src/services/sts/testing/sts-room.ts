/** STS behind the real gateway, audit trail and evaluator; IAM's records are maps here. */
import { createAuditLog } from "../../../audit/audit-log.ts";
import type { AuditEvent } from "../../../audit/event.ts";
import type { OpenedSession, SessionTokens } from "../../../authn/credentials.ts";
import { createSessionTokens } from "../../../authn/session-tokens.ts";
import { compilePolicy } from "../../../authz/compile.ts";
import type { PolicyDocumentKind } from "../../../authz/policy-document-kind.ts";
import type { CompiledPolicy } from "../../../authz/types.ts";
import { type Clock, type MovableClock, movableClock, systemClock } from "../../../base/clock.ts";
import { ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { Principal } from "../../../gateway/contract.ts";
import { createOperations } from "../../../gateway/operations.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import { createStsService } from "../api.ts";
import type { AssumableRole, IdentityProvider } from "../ports.ts";
import type { Operations } from "../shapes.generated.ts";
import type { ProviderRules } from "../web-identity/provider-address.ts";

export const ACCOUNT = "111122223333";
export const OTHER_ACCOUNT = "444455556666";
export const REGION = "eu-central-1";

export const roleArn = (name: string, accountId: string = ACCOUNT): string => `arn:aws:iam::${accountId}:role/${name}`;

export const user = (userName: string, accountId: string = ACCOUNT): Principal => ({
  type: "User",
  arn: `arn:aws:iam::${accountId}:user/${userName}`,
  accountId,
  userId: `AIDA${userName.toUpperCase()}`,
  userName,
  accessKeyId: "AKIATEST",
});

export const root: Principal = {
  type: "Root",
  arn: `arn:aws:iam::${ACCOUNT}:root`,
  accountId: ACCOUNT,
  userId: ACCOUNT,
};

export type Statement = Readonly<Record<string, unknown>>;

export const documentOf = (...statements: readonly Statement[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements.map((item) => ({ Effect: "Allow", ...item })) });

type Name = keyof Operations;

export interface StsRoom {
  readonly clock: MovableClock;
  readonly sessions: SessionTokens;
  /** A role whose trust policy has these statements. */
  putRole(name: string, trust: readonly Statement[], parts?: Partial<AssumableRole>): void;
  putProvider(provider: IdentityProvider): void;
  /** What the user's own policies say, by ARN of the user or the session's issuer. */
  allow(arn: string, ...statements: readonly Statement[]): void;
  run<N extends Name>(name: N, input: Operations[N]["input"], principal?: Principal): Promise<Operations[N]["output"]>;
  /** `CODE: message` of the refusal. */
  failure<N extends Name>(name: N, input: Operations[N]["input"], principal?: Principal): Promise<string>;
  /** The session behind credentials that were handed out. */
  opened(credentials: { readonly AccessKeyId: string; readonly SessionToken: string } | undefined): OpenedSession;
  /** Providers whose keys could not be fetched, for each time. */
  readonly unreachable: string[];
  events(accountId?: string): Promise<readonly AuditEvent[]>;
}

export const stsRoom = (
  realClock: Clock = systemClock(),
  providerRules: ProviderRules = { loopbackAccountId: ACCOUNT, hosts: null },
): StsRoom => {
  const store = memoryMetadataStore();
  const clock = movableClock();
  const random = systemRandom();
  const reader = new RecordReader(store);
  const auditLog = createAuditLog({ store, clock });
  const roles = new Map<string, AssumableRole>();
  const providers = new Map<string, IdentityProvider>();
  const identities = new Map<string, readonly CompiledPolicy[]>();
  const compile = (kind: PolicyDocumentKind) => (document: string, id: string) =>
    compilePolicy(document, { id, kind, lengthMax: 10_000 });
  const sessions = createSessionTokens({ box: bindingBox, random });
  const service = createStsService({
    roles: {
      find: async (_read, arn) => roles.get(arn) ?? null,
      findProvider: async (_read, accountId, issuer) => providers.get(`${accountId} ${issuer}`) ?? null,
      hasPolicy: async (_read, _accountId, arn) => arn.startsWith("arn:aws:iam::aws:policy/"),
    },
    sessions,
    compileSessionPolicy: compile("session"),
    reader,
    realClock,
    providerRules,
    onProviderFailure: (arn) => void room.unreachable.push(arn),
    accountOfAccessKey: async () => null,
    decodeAuthorization: async () => null,
  });
  const operations = createOperations({
    services: new Map([["sts", service]]),
    store,
    reader,
    policies: {
      policiesOf: async ({ arn, session }) => ({
        identityPolicies: identities.get(session?.issuerArn ?? arn) ?? [],
        boundary: null,
        sessionPolicies: session?.limits?.documents.map((text) => compile("session")(text, "session")) ?? null,
        serviceControlPolicies: [],
        tags: {},
      }),
    },
    auditLog,
    clock,
    random,
  });
  const room: StsRoom = {
    clock,
    unreachable: [],
    sessions,
    putRole(name, trust, parts = {}) {
      const accountId = parts.accountId ?? ACCOUNT;
      const arn = roleArn(name, accountId);
      roles.set(arn, {
        arn,
        accountId,
        roleName: name.split("/").at(-1) ?? "",
        roleId: "AROATEST",
        maxSessionSeconds: 3_600,
        trustPolicy: compile("trust")(documentOf(...trust), arn),
        tags: {},
        ...parts,
      });
    },
    putProvider: (provider) => void providers.set(`${provider.accountId} ${provider.url}`, provider),
    allow: (arn, ...statements) => void identities.set(arn, [compile("identity")(documentOf(...statements), "own")]),
    async run(name, input, principal) {
      const who = principal ?? (await service.operations[name]?.identify?.(input)) ?? user("ann");
      const call = {
        requestId: random.uuid(),
        principal: who,
        region: REGION,
        service: "sts",
        operation: name,
        nowMs: clock.wallMs(),
        sourceIp: "192.0.2.1",
        userAgent: "test",
        secureTransport: true,
      };
      return (await operations.run(call, () => input)) as Operations[typeof name]["output"];
    },
    async failure(name, input, principal) {
      try {
        await room.run(name, input, principal);
      } catch (error) {
        if (error instanceof ServiceError) return `${error.code}: ${error.message}`;
        throw error;
      }
      throw new Error("the call was not refused");
    },
    opened(credentials) {
      const session = sessions.open(credentials?.AccessKeyId ?? "", credentials?.SessionToken ?? "");
      if (session === null) throw new Error("the token does not open");
      return session;
    },
    async events(accountId = ACCOUNT) {
      const query = { accountId, region: REGION, startMs: 0, endMs: clock.wallMs(), limit: 50 };
      return (await auditLog.lookup(query)).events.map(({ event }) => event).toReversed();
    },
  };
  return room;
};

/** Keeps nothing secret, but opens only under the same purpose and binding. */
const bindingBox = {
  seal: (purpose: string, binding: string, secret: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from(`${purpose}\n${binding}\n`), secret]),
  open(purpose: string, binding: string, sealed: Uint8Array): Uint8Array | null {
    const head = Buffer.from(`${purpose}\n${binding}\n`);
    const bytes = Buffer.from(sealed);
    return bytes.subarray(0, head.length).equals(head) ? bytes.subarray(head.length) : null;
  },
};
