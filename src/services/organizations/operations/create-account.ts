import { accountRootArn } from "../../../base/arn.ts";
import type { FurtherEvent } from "../../../gateway/contract.ts";
import type { Write } from "../../../store/metadata-store.ts";
import type { Random } from "../../../base/random.ts";
import { constraintViolation, creationNotFound, invalidInput, parentNotFound } from "../errors.ts";
import { responseElements } from "../event.ts";
import { ACCOUNTS_MAX, FULL_ACCESS_ID, nameKey, newRequestId } from "../model.ts";
import { pageOfTable } from "../pages.ts";
import type { MemberAccounts, RootKey } from "../ports.ts";
import {
  type CreationRecord,
  creations,
  emails,
  type MemberRecord,
  nodes,
  type OrganizationRecord,
  organizations,
  THE_ORGANIZATION,
} from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import type { CreateAccountStatus } from "../shapes.generated.ts";
import { tagsWith } from "../tags.ts";
import { attachChild, findParent } from "../tree.ts";

/** The role that AWS makes in a new account when the request names none. */
const ROLE_NAME_DEFAULT = "OrganizationAccountAccessRole";

const emailKey = (email: string): string => nameKey(email.toLowerCase());

/** Done when it is answered: there is nothing to wait for. A request that fails for what only AWS checks later fails as there. */
export const createAccount = (deps: {
  readonly accounts: MemberAccounts;
  readonly random: Random;
}): Row<"CreateAccount"> =>
  managementRow("CreateAccount", {
    readOnly: false,
    tags: ({ Tags }) => Tags,
    makes: "account",
    async handle({ call, read }, input, organization) {
      const roleName = input.RoleName ?? ROLE_NAME_DEFAULT;
      if (/^AWSServiceRoleFor/i.test(roleName)) {
        throw invalidInput("INVALID_ROLE_NAME", "A role name can't begin with the reserved prefix AWSServiceRoleFor.");
      }
      const tags = tagsWith([], input.Tags);
      if (organization.accountCount >= ACCOUNTS_MAX) {
        throw constraintViolation(
          "ACCOUNT_NUMBER_LIMIT_EXCEEDED",
          `You attempted to exceed the limit on the number of accounts in an organization (${ACCOUNTS_MAX}).`,
        );
      }
      const request = { requestId: newRequestId(deps.random), accountName: input.AccountName, requestedMs: call.nowMs };
      if ((await read.get(emails, [emailKey(input.Email)])) !== null) {
        return recorded({ ...request, accountId: null, failure: "EMAIL_ALREADY_EXISTS" }, []);
      }
      const { managementAccountId, rootId } = organization;
      const opened = await deps.accounts.open(read, {
        name: input.AccountName,
        roleName,
        managementAccountId,
        nowMs: call.nowMs,
      });
      const { accountId, rootKey } = opened;
      const root = await findParent(read, rootId);
      if (root === null) throw parentNotFound();
      const member: MemberRecord = {
        type: "ACCOUNT",
        id: accountId,
        parentId: rootId,
        name: input.AccountName,
        email: input.Email,
        joined: "CREATED",
        createdMs: call.nowMs,
        closedMs: null,
        tags,
        policyIds: [FULL_ACCESS_ID],
        policyEpoch: organization.policyEpoch,
      };
      const writes = [
        ...opened.writes,
        nodes.put([accountId], member),
        ...attachChild(root, member),
        emails.put([emailKey(input.Email)], { accountId }),
        organizations.put(THE_ORGANIZATION, grown(organization)),
      ];
      const outcome = recorded({ ...request, accountId, failure: null }, writes, rootKey);
      if (rootKey === undefined) return outcome;
      return { ...outcome, furtherEvents: [rootKeyEvent(call.region, accountId, rootKey)] };
    },
  });

const grown = (organization: OrganizationRecord): OrganizationRecord => ({
  ...organization,
  accountCount: organization.accountCount + 1,
});

/** In the new account's own trail, as if its root had made the key by itself. */
const rootKeyEvent = (region: string, accountId: string, { accessKeyId }: RootKey): FurtherEvent => ({
  region,
  operation: "CreateAccessKey",
  by: {
    service: "iam",
    principal: { type: "Root", arn: accountRootArn(accountId), accountId, userId: accountId },
  },
  details: { responseElements: { accessKey: { accessKeyId, status: "Active" } } },
});

/** What CreateAccount answers. No model has the key: it never leaves by the wire. */
export interface CreatedAccount {
  readonly CreateAccountStatus: CreateAccountStatus;
  readonly RootKey?: RootKey;
}

function recorded(creation: CreationRecord, writes: readonly Write[], rootKey?: RootKey) {
  const shown = { CreateAccountStatus: statusOut(creation) };
  const output: CreatedAccount = rootKey === undefined ? shown : { ...shown, RootKey: rootKey };
  return {
    output,
    writes: [...writes, creations.put([creation.requestId], creation)],
    audit: responseElements(shown),
  };
}

const statusOut = (creation: CreationRecord): CreateAccountStatus => ({
  Id: creation.requestId,
  AccountName: creation.accountName,
  State: creation.failure === null ? "SUCCEEDED" : "FAILED",
  RequestedTimestamp: creation.requestedMs,
  CompletedTimestamp: creation.requestedMs,
  ...(creation.accountId === null ? {} : { AccountId: creation.accountId }),
  ...(creation.failure === null ? {} : { FailureReason: creation.failure }),
});

export const describeCreateAccountStatus: Row<"DescribeCreateAccountStatus"> = managementRow(
  "DescribeCreateAccountStatus",
  {
    readOnly: true,
    async handle({ read }, input) {
      const creation = await read.get(creations, [input.CreateAccountRequestId]);
      if (creation === null) throw creationNotFound();
      return { output: { CreateAccountStatus: statusOut(creation) } };
    },
  },
);

export const listCreateAccountStatus: Row<"ListCreateAccountStatus"> = managementRow("ListCreateAccountStatus", {
  readOnly: true,
  async handle({ read }, input) {
    const { items, tail } = await pageOfTable(read, creations, { prefix: [], input, scope: "creations" });
    const shown = items.map(({ value }) => statusOut(value));
    const wanted = shown.filter(
      ({ State }) => input.States === undefined || State === undefined || input.States.includes(State),
    );
    return { output: { CreateAccountStatuses: wanted, ...tail } };
  },
});
