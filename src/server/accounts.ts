/**
 * The accounts of a deployment, for who owns its data directory. Everything goes through the gateway as the root of an account,
 * so that it leaves the same events as a call from outside; the owner needs no credentials for it.
 */
import { accountRootArn } from "../base/arn.ts";
import type { Clock } from "../base/clock.ts";
import { ServiceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { Call } from "../gateway/contract.ts";
import type { Operations } from "../gateway/operations.ts";
import { BlobArena } from "../protocol/base64.ts";
import { type CompiledModel, compileModel } from "../protocol/compiled-model.ts";
import { model as iamModel, type Operations as Iam } from "../services/iam/shapes.generated.ts";
import type { CreatedAccount } from "../services/organizations/operations/create-account.ts";
import {
  model as organizationsModel,
  type Operations as Organizations,
} from "../services/organizations/shapes.generated.ts";

/** An access key of an account's root. The secret is in no other place from now on. */
export interface RootKey {
  readonly accountId: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface AccountLine {
  readonly accountId: string;
  readonly name: string;
  readonly email: string;
  readonly state: string;
  /** ISO 8601. */
  readonly created: string;
  readonly management: boolean;
}

export interface KeyLine {
  readonly accessKeyId: string;
  readonly status: string;
  readonly created: string;
}

/** What throws is a ServiceError, as a caller of the operation would see it. */
export interface AccountAdministration {
  /** `email` null: one that reaches nobody. */
  create(name: string, email: string | null): Promise<RootKey>;
  list(): Promise<readonly AccountLine[]>;
  createKey(accountId: string): Promise<RootKey>;
  listKeys(accountId: string): Promise<readonly KeyLine[]>;
  deleteKey(accountId: string, accessKeyId: string): Promise<void>;
}

export interface AccountAdministrationDeps {
  readonly operations: Operations;
  readonly managementAccountId: string;
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** More accounts than an organization can have, in pages: a listing ends. */
const PAGES_MAX = 1_000;

export function accountAdministration(deps: AccountAdministrationDeps): AccountAdministration {
  const { managementAccountId } = deps;
  const organizations = <Name extends keyof Organizations>(name: Name, input: Organizations[Name]["input"]) =>
    asRoot(deps, ORGANIZATIONS(), managementAccountId, name, input) as Promise<Organizations[Name]["output"]>;
  const iam = <Name extends keyof Iam>(accountId: string, name: Name, input: Iam[Name]["input"]) =>
    asRoot(deps, IAM(), accountId, name, input) as Promise<Iam[Name]["output"]>;

  const requireOpen = async (accountId: string): Promise<void> => {
    const { Account } = await organizations("DescribeAccount", { AccountId: accountId });
    if (Account?.State !== "ACTIVE") throw new ServiceError("AccountClosed", `Account ${accountId} is closed.`);
  };

  const newKey = async (accountId: string): Promise<RootKey> => {
    const { AccessKey } = await iam(accountId, "CreateAccessKey", {});
    return { accountId, accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  };

  const list = async (): Promise<readonly AccountLine[]> => {
    const lines: AccountLine[] = [];
    let token: string | undefined;
    for (let page = 0; page < PAGES_MAX; page++) {
      const { Accounts, NextToken } = await organizations("ListAccounts", { NextToken: token });
      for (const { Id = "", Name = "", Email = "", State = "", JoinedTimestamp = 0 } of Accounts ?? []) {
        const created = new Date(JoinedTimestamp).toISOString();
        lines.push({
          accountId: Id,
          name: Name,
          email: Email,
          state: State,
          created,
          management: Id === managementAccountId,
        });
      }
      if (NextToken === undefined) break;
      token = NextToken;
    }
    return lines;
  };

  return {
    async create(name, email) {
      // There is nobody to write to: .invalid is no domain, for good (RFC 2606).
      const address = email ?? `account-${deps.random.uuid()}@waxseal.invalid`;
      const created = organizations("CreateAccount", { AccountName: name, Email: address }) as Promise<CreatedAccount>;
      const { CreateAccountStatus: status, RootKey: key } = await created;
      // With the account, in one commit: an account that nobody has a key to would hold its e-mail address for good.
      if (status.AccountId !== undefined && key !== undefined) return { accountId: status.AccountId, ...key };
      const reason = status.FailureReason ?? "INTERNAL_FAILURE";
      throw new ServiceError(
        reason,
        reason === "EMAIL_ALREADY_EXISTS"
          ? emailIsTaken((await list()).find((one) => one.email.toLowerCase() === address.toLowerCase()))
          : `The account could not be made: ${reason}.`,
      );
    },
    list,
    async createKey(accountId) {
      await requireOpen(accountId);
      try {
        return await newKey(accountId);
      } catch (error) {
        if (!(error instanceof ServiceError) || error.code !== "LimitExceeded") throw error;
        throw new ServiceError(
          error.code,
          `The root of account ${accountId} has two access keys, the most that there can be. Delete one first.`,
          { cause: error },
        );
      }
    },
    async listKeys(accountId) {
      await organizations("DescribeAccount", { AccountId: accountId });
      const { AccessKeyMetadata } = await iam(accountId, "ListAccessKeys", {});
      return AccessKeyMetadata.map(({ AccessKeyId = "", Status = "", CreateDate = 0 }) => ({
        accessKeyId: AccessKeyId,
        status: Status,
        created: new Date(CreateDate).toISOString(),
      }));
    },
    async deleteKey(accountId, accessKeyId) {
      await organizations("DescribeAccount", { AccountId: accountId });
      await iam(accountId, "DeleteAccessKey", { AccessKeyId: accessKeyId });
    },
  };
}

/** It may be the account that a command made whose answer was lost on the way. */
const emailIsTaken = (account: AccountLine | undefined): string =>
  account === undefined
    ? "Another account has this e-mail address. Give another one with --email, or none."
    : `Account ${account.accountId} (${account.name}) has this e-mail address. Give another one with --email, or none. ` +
      `If you lost the key of that account's root, make one with: waxseal account key --account ${account.accountId}`;

/** Compiled when asked for: these commands are rare. */
const ORGANIZATIONS = (): CompiledModel => compileModel(organizationsModel);
const IAM = (): CompiledModel => compileModel(iamModel);

/** One call of an account's root. Its input is checked as one from outside is. */
function asRoot(
  { operations, region, clock, random }: AccountAdministrationDeps,
  compiled: CompiledModel,
  accountId: string,
  name: string,
  input: object,
): Promise<unknown> {
  const call: Call = {
    requestId: random.uuid(),
    principal: { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId },
    region,
    service: compiled.model.name,
    operation: name,
    nowMs: clock.wallMs(),
    sourceIp: "127.0.0.1",
    userAgent: "waxseal account",
    secureTransport: true,
  };
  return operations.run(call, () => compiled.operation(name).input.decode("json", input, new BlobArena(0)));
}
