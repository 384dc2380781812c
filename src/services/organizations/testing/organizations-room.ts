/** Organizations on a memory store, without a gateway: authorization is left out but for what `checks` shows. */
import { compilePolicy } from "../../../authz/compile.ts";
import { type MovableClock, movableClock } from "../../../base/clock.ts";
import { ServiceError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import type { AccessCheck, Call, Outcome, Principal } from "../../../gateway/contract.ts";
import { RecordReader } from "../../../store/caching-reader.ts";
import { memoryMetadataStore } from "../../../store/memory-metadata-store.ts";
import type { MetadataStore } from "../../../store/metadata-store.ts";
import { createOrganizationsService } from "../api.ts";
import { type CompilePolicy, POLICY_LENGTH_MAX } from "../model.ts";
import { newOrganization } from "../organization.ts";
import type { MemberAccounts } from "../ports.ts";
import type { Operations } from "../shapes.generated.ts";

export const MANAGEMENT = "111122223333";

export const rootOf = (accountId: string): Principal => ({
  type: "Root",
  arn: `arn:aws:iam::${accountId}:root`,
  accountId,
  userId: accountId,
});

export const compileControl: CompilePolicy = (document, id) =>
  compilePolicy(document, { id, kind: "service control", lengthMax: POLICY_LENGTH_MAX });

/** A service control policy with one statement. */
export const control = (effect: "Allow" | "Deny", action: string): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: effect, Action: action, Resource: "*" }] });

export interface OrganizationsRoom {
  readonly store: MetadataStore;
  readonly reader: RecordReader;
  readonly clock: MovableClock;
  /** What IAM was asked for: `open NAME ROLE` and `suspend ID`. */
  readonly asked: readonly string[];
  run<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    accountId?: string,
  ): Promise<Operations[Name]["output"]>;
  outcome<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    accountId?: string,
  ): Promise<Outcome<Operations[Name]["output"]>>;
  checks(name: keyof Operations, input: object): Promise<readonly AccessCheck[]>;
  /** Code of the error that a call ends with, and its message. */
  failure<Name extends keyof Operations>(
    name: Name,
    input: Operations[Name]["input"],
    accountId?: string,
  ): Promise<string>;
  /** Makes an account and answers its id. */
  account(name: string): Promise<string>;
  /** Makes a policy with one statement and answers its id. */
  policy(name: string, effect: "Allow" | "Deny", action: string): Promise<string>;
  /** Makes a unit and answers its id. */
  unit(parentId: string, name: string): Promise<string>;
  readonly rootId: string;
}

export async function organizationsRoom(): Promise<OrganizationsRoom> {
  const store = memoryMetadataStore();
  const reader = new RecordReader(store);
  const clock = movableClock();
  const random = systemRandom();
  await store.commit(newOrganization({ managementAccountId: MANAGEMENT, random, nowMs: clock.wallMs() }));
  const asked: string[] = [];
  let lastId = 200_000_000_000;
  const accounts: MemberAccounts = {
    async open(_read, { name, roleName }) {
      asked.push(`open ${name} ${roleName}`);
      lastId += 1;
      return { accountId: String(lastId), writes: [] };
    },
    async suspend(_read, accountId) {
      asked.push(`suspend ${accountId}`);
      return [];
    },
  };
  const service = createOrganizationsService({ random, accounts, compilePolicy: compileControl });
  const row = (name: string) => {
    const operation = service.operations[name];
    if (operation === undefined) throw new Error(`no operation ${name}`);
    return operation;
  };
  const callOf = (operation: string, accountId: string): Call => ({
    requestId: "request",
    principal: rootOf(accountId),
    region: "us-east-1",
    service: "organizations",
    operation,
    nowMs: clock.wallMs(),
    sourceIp: "192.0.2.1",
    userAgent: "test",
    secureTransport: true,
  });
  const room: Omit<OrganizationsRoom, "rootId"> = {
    store,
    reader,
    clock,
    asked,
    async outcome(name, input, accountId = MANAGEMENT) {
      const tracking = reader.tracking();
      const context = { call: callOf(name, accountId), read: tracking.reader };
      const { target } = await row(name).access(context, input);
      const outcome = await row(name).handle(context, input, target);
      const result = await store.commit({ expect: tracking.expectations(), writes: outcome.writes ?? [] });
      if (result !== "committed") throw new Error("conflict");
      return outcome;
    },
    run: async (name, input, accountId) => (await room.outcome(name, input, accountId)).output,
    checks: async (name, input) =>
      (await row(name).access({ call: callOf(name, MANAGEMENT), read: reader }, input)).checks,
    async failure(name, input, accountId) {
      try {
        await room.outcome(name, input, accountId);
      } catch (error) {
        if (error instanceof ServiceError) return `${error.code}: ${error.members?.["Reason"] ?? error.message}`;
        throw error;
      }
      return "no error";
    },
    async account(name) {
      const { CreateAccountStatus } = await room.run("CreateAccount", {
        AccountName: name,
        Email: `${name}@example.com`,
      });
      return CreateAccountStatus?.AccountId ?? "";
    },
    async policy(name, effect, action) {
      const Content = control(effect, action);
      const { Policy } = await room.run("CreatePolicy", {
        Name: name,
        Description: "",
        Content,
        Type: "SERVICE_CONTROL_POLICY",
      });
      return Policy?.PolicySummary?.Id ?? "";
    },
    async unit(ParentId, Name) {
      const { OrganizationalUnit } = await room.run("CreateOrganizationalUnit", { ParentId, Name });
      return OrganizationalUnit?.Id ?? "";
    },
  };
  const { Roots } = await room.run("ListRoots", {});
  return Object.assign(room, { rootId: Roots?.[0]?.Id ?? "" });
}
