/** KMS behind the gateway's own walk, with the real policy evaluator: who may do what, as a client would see it. */
import { requestContext } from "../../../authz/context.ts";
import { compilePolicy } from "../../../authz/compile.ts";
import { allowsPrincipal } from "../../../authz/decide.ts";
import type { PrincipalPolicies } from "../../../authz/policy-source.ts";
import type { CompiledPolicy } from "../../../authz/types.ts";
import { createAuditLog } from "../../../audit/audit-log.ts";
import { ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { Call, Principal } from "../../../gateway/contract.ts";
import { createOperations, type Operations } from "../../../gateway/operations.ts";
import { ACCOUNT, type Answer, type KmsHarness, kmsHarness, OTHER_ACCOUNT, REGION, rootOf } from "./harness.ts";

const LENGTH_MAX = 100_000;

export type Statement = Readonly<Record<string, unknown>>;

/** What a principal carries; nothing by default. */
export interface Carried {
  readonly identity?: readonly Statement[];
  readonly boundary?: readonly Statement[];
  readonly session?: readonly Statement[];
  readonly serviceControl?: readonly Statement[];
}

export interface AuthorizedRoom {
  readonly harness: KmsHarness;
  readonly operations: Operations;
  /** From now on. Root needs none. */
  carry(principal: Principal, carried: Carried): void;
  callOf(operation: string, principal: Principal, changes?: Partial<Call>): Call;
  run(principal: Principal, operation: string, input: object, changes?: Partial<Call>): Promise<Answer>;
  /** The code of the refusal; `done` when there is none. */
  outcome(principal: Principal, operation: string, input: object, changes?: Partial<Call>): Promise<string>;
  /** A key of the account with this policy; its ARN. */
  newKey(statements: readonly Statement[], input?: object): Promise<string>;
}

export const ROOT: Principal = rootOf(ACCOUNT);
export const OTHER_ROOT: Principal = rootOf(OTHER_ACCOUNT);

export const userOf = (name: string, accountId: string = ACCOUNT): Principal => ({
  type: "User",
  arn: `arn:aws:iam::${accountId}:user/${name}`,
  accountId,
  userId: `AIDA${name.toUpperCase()}`,
  userName: name,
});

export const roleArnOf = (role: string, accountId: string = ACCOUNT): string =>
  `arn:aws:iam::${accountId}:role/${role}`;

export const sessionOf = (role: string, name: string, accountId: string = ACCOUNT): Principal => ({
  type: "AssumedRole",
  arn: `arn:aws:sts::${accountId}:assumed-role/${role}/${name}`,
  accountId,
  userId: `AROA${role.toUpperCase()}:${name}`,
  session: {
    issuerArn: roleArnOf(role, accountId),
    issuerId: `AROA${role.toUpperCase()}`,
    name,
    issuedAtMs: 0,
    mfa: false,
    tags: {},
  },
});

export const federatedOf = (name: string): Principal => ({
  type: "FederatedUser",
  arn: `arn:aws:sts::${ACCOUNT}:federated-user/${name}`,
  accountId: ACCOUNT,
  userId: `${ACCOUNT}:${name}`,
});

export const serviceOf = (name: string): Principal => ({ type: "Service", arn: name, accountId: "", userId: name });

const document = (statements: readonly Statement[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Action: "kms:*", Resource: "*", ...statement })),
  });

/** All to the account's root, which leaves the rest to IAM policies. */
export const DELEGATE: Statement = { Principal: { AWS: ROOT.arn } };

export async function authorizedRoom(): Promise<AuthorizedRoom> {
  const harness = await kmsHarness({
    compilePolicy: (text, id, ids) => compilePolicy(text, { id, kind: "key", lengthMax: LENGTH_MAX }, ids),
    allowsPrincipal,
    conditionsOf: (call, resourceAccountId, own) => requestContext(call, { principalTags: {}, resourceAccountId, own }),
  });
  const { store, reader, clock } = harness;
  const random = systemRandom();
  const carried = new Map<string, PrincipalPolicies>();
  const operations = createOperations({
    services: new Map([["kms", harness.service]]),
    store,
    reader,
    policies: { policiesOf: async ({ arn }) => carried.get(arn) ?? NOTHING },
    auditLog: createAuditLog({ store, clock }),
    clock,
    random,
  });
  const callOf = (operation: string, principal: Principal, changes: Partial<Call> = {}): Call => ({
    requestId: random.uuid(),
    principal,
    region: REGION,
    service: "kms",
    operation,
    nowMs: clock.wallMs(),
    sourceIp: "192.0.2.1",
    userAgent: "test",
    secureTransport: true,
    ...changes,
  });
  const run: AuthorizedRoom["run"] = async (principal, operation, input, changes) =>
    (await operations.run(callOf(operation, principal, changes), () => input)) as Answer;
  return {
    harness,
    operations,
    carry: (principal, policies) => void carried.set(principal.arn, policiesOf(policies)),
    callOf,
    run,
    async outcome(principal, operation, input, changes) {
      try {
        await run(principal, operation, input, changes);
        return "done";
      } catch (error) {
        if (error instanceof ServiceError && error.status < 500) return error.code;
        throw error;
      }
    },
    async newKey(statements, input = {}) {
      const { KeyMetadata } = await run(ROOT, "CreateKey", {
        Policy: document(statements),
        BypassPolicyLockoutSafetyCheck: true,
        ...input,
      });
      return KeyMetadata.Arn as string;
    },
  };
}

const NOTHING: PrincipalPolicies = {
  identityPolicies: [],
  boundary: null,
  sessionPolicies: null,
  serviceControlPolicies: [],
  tags: {},
};

function policiesOf({ identity, boundary, session, serviceControl }: Carried): PrincipalPolicies {
  const compiled =
    (kind: "identity" | "boundary" | "session" | "service control") =>
    (statements: readonly Statement[]): CompiledPolicy =>
      compilePolicy(document(statements), { id: kind, kind, lengthMax: LENGTH_MAX });
  return {
    identityPolicies: identity === undefined ? [] : [compiled("identity")(identity)],
    boundary: boundary === undefined ? null : compiled("boundary")(boundary),
    sessionPolicies: session === undefined ? null : [compiled("session")(session)],
    serviceControlPolicies: serviceControl === undefined ? [] : [[compiled("service control")(serviceControl)]],
    tags: {},
  };
}
