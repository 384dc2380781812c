/** IAM on a memory store, without a gateway: what its tests stand in. Authorization is left out but for what `checks` shows. */
import { ServiceError } from "../../../base/errors.ts";
import { movableClock } from "../../../base/clock.ts";
import type { MovableClock } from "../../../base/clock.ts";
import type { SealedBytes } from "../../../base/brand.ts";
import { systemRandom } from "../../../base/random.ts";
import type { SecretBox } from "../../../envelope/secret-box.ts";
import { compilePolicy } from "../../../authz/compile.ts";
import { contextKeysOf } from "../../../authz/context-keys.ts";
import { simulate } from "../../../authz/simulate.ts";
import type { CompiledPolicy } from "../../../authz/types.ts";
import type { AccessCheck, Call, Outcome, Principal } from "../../../gateway/contract.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import type { MetadataStore } from "../../../store/metadata-store.ts";
import { createAccessKeyUse } from "../access-key-use.ts";
import type { AccessKeyUse } from "../access-key-use.ts";
import { newAccount } from "../accounts.ts";
import type { NewAccount } from "../accounts.ts";
import { createIamService } from "../api.ts";
import type { Operations } from "../shapes.generated.ts";
import { turnByTurn } from "../simulation-pace.ts";
import type { PolicySimulator } from "../simulator.ts";

export const ACCOUNT = "111122223333";

/** Seals by turning the bytes around and binding purpose and context in front: not secret, but wrong bindings do not open. */
export const plainBox: SecretBox = {
  seal(purpose, binding, secret) {
    return Buffer.concat([
      Buffer.from(`${purpose}\n${binding}\n`),
      Buffer.from(secret).toReversed(),
    ]) as Uint8Array as SealedBytes;
  },
  open(purpose, binding, sealed) {
    const head = Buffer.from(`${purpose}\n${binding}\n`);
    const bytes = Buffer.from(sealed);
    return bytes.subarray(0, head.length).equals(head)
      ? new Uint8Array(bytes.subarray(head.length).toReversed())
      : null;
  },
};

/** Takes `{"Statement":[{"Effect","Action"}]}` and matches actions exactly; refuses what is not JSON of that form. */
export function tinyCompile(document: string, id: string): CompiledPolicy {
  let statements: readonly { readonly Effect: "Allow" | "Deny"; readonly Action: string }[];
  try {
    statements = (JSON.parse(document) as { Statement: typeof statements }).Statement;
    if (!Array.isArray(statements)) throw new TypeError("no statements");
  } catch {
    const error = new Error("Syntax errors in policy.");
    error.name = "PolicyError";
    throw error;
  }
  return {
    id,
    statements: statements.map(({ Effect, Action }, index) => ({
      sid: null,
      index,
      effect: Effect,
      matchesPrincipal: () => "exact",
      matches: ({ action }) => Action === "*" || action === Action,
    })),
  };
}

/** With the real evaluator, and no organization. */
export const simulator: PolicySimulator = {
  compile: (document, id, kind) => compilePolicy(document, { id, kind, lengthMax: 131_072 }),
  contextKeysOf,
  simulate,
  nextTurn: turnByTurn(),
  serviceControlsOf: async () => [],
};

export const policyText = (effect: "Allow" | "Deny", action: string): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: effect, Action: action, Resource: "*" }] });

export const rootPrincipal: Principal = {
  type: "Root",
  arn: `arn:aws:iam::${ACCOUNT}:root`,
  accountId: ACCOUNT,
  userId: ACCOUNT,
};

export const userPrincipal = (userName: string): Principal => ({
  type: "User",
  arn: `arn:aws:iam::${ACCOUNT}:user/${userName}`,
  accountId: ACCOUNT,
  userId: "AIDATEST",
  userName,
});

export interface IamRoom {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: MovableClock;
  readonly account: NewAccount;
  readonly accessKeyUse: AccessKeyUse;
  /** Runs an operation as root, or as `principal`, and commits what it writes. */
  run<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    principal?: Principal,
  ): Promise<Operations[Name]["output"]>;
  /** The whole outcome. */
  outcome<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    principal?: Principal,
  ): Promise<Outcome<Operations[Name]["output"]>>;
  /** What the operation asks permission for. */
  checks(name: keyof Operations, input: object, principal?: Principal): Promise<readonly AccessCheck[]>;
  /** Code and status that an operation fails with. */
  failure<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    principal?: Principal,
  ): Promise<string>;
}

export async function iamRoom(options: { readonly simulator?: PolicySimulator } = {}): Promise<IamRoom> {
  const store = memoryMetadataStore();
  const reader = new RecordReader(store);
  const clock = movableClock();
  const random = systemRandom();
  const account = newAccount({ accountId: ACCOUNT, name: "main", random, secretBox: plainBox, nowMs: clock.wallMs() });
  await store.commit({ expect: [], writes: account.writes });
  const accessKeyUse = createAccessKeyUse({ store, clock, onError: (cause) => expectNever(cause) });
  const service = createIamService({
    random,
    secretBox: plainBox,
    compilePolicy: tinyCompile,
    compileTrustPolicy: tinyCompile,
    accessKeyUse,
    simulator: options.simulator ?? simulator,
  });

  const row = (name: string) => {
    const operation = service.operations[name];
    if (operation === undefined) throw new Error(`no operation ${name}`);
    return operation;
  };
  const callOf = (operation: string, principal: Principal): Call => ({
    requestId: "request",
    principal,
    region: "us-east-1",
    service: "iam",
    operation,
    nowMs: clock.wallMs(),
    sourceIp: "192.0.2.1",
    userAgent: "test",
    secureTransport: true,
  });
  const room: IamRoom = {
    store,
    reader,
    clock,
    account,
    accessKeyUse,
    async outcome(name, input, principal = rootPrincipal) {
      const tracking = reader.tracking();
      const context = { call: callOf(name, principal), read: tracking.reader };
      const { target } = await row(name).access(context, input);
      const outcome = await row(name).handle(context, input, target);
      const result = await store.commit({ expect: tracking.expectations(), writes: outcome.writes ?? [] });
      if (result !== "committed") throw new Error("conflict");
      return outcome;
    },
    run: async (name, input, principal) => (await room.outcome(name, input, principal)).output,
    async checks(name, input, principal = rootPrincipal) {
      return (await row(name).access({ call: callOf(name, principal), read: reader }, input)).checks;
    },
    async failure(name, input, principal) {
      try {
        await room.outcome(name, input, principal);
      } catch (error) {
        if (error instanceof ServiceError) return `${error.code} ${error.status}: ${error.message}`;
        throw error;
      }
      return "no error";
    },
  };
  return room;
}

function expectNever(cause: unknown): never {
  throw new Error("unexpected", { cause });
}
