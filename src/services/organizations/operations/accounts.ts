import {
  accountAlreadyClosed,
  accountNotFound,
  constraintViolation,
  destinationParentNotFound,
  duplicateAccount,
  sourceParentNotFound,
} from "../errors.ts";
import { pageOfTable } from "../pages.ts";
import type { MemberAccounts } from "../ports.ts";
import { children, type NodeRecord, nodes } from "../records.ts";
import { managementRow, type Row } from "../row.ts";
import type { Account } from "../shapes.generated.ts";
import { accountOut, attachChild, detachChild, findMember, findParent, requireParent } from "../tree.ts";

export const describeAccount: Row<"DescribeAccount"> = managementRow("DescribeAccount", {
  readOnly: true,
  on: ({ AccountId }) => [AccountId],
  async handle({ read }, input, organization) {
    const account = await findMember(read, input.AccountId);
    if (account === null) throw accountNotFound();
    return { output: { Account: await accountOut(read, organization, account) } };
  },
});

/** In the order of their ids. */
export const listAccounts: Row<"ListAccounts"> = managementRow("ListAccounts", {
  readOnly: true,
  async handle({ read }, input, organization) {
    // Accounts begin with a digit: units and roots come behind the last of them.
    const wanted = ({ type }: NodeRecord): boolean => type === "ACCOUNT";
    const { items, tail } = await pageOfTable(read, nodes, { prefix: [], input, scope: "accounts", wanted });
    const accounts: Account[] = [];
    for (const { value } of items) {
      if (value.type === "ACCOUNT") accounts.push(await accountOut(read, organization, value));
    }
    return { output: { Accounts: accounts, ...tail } };
  },
});

export const listAccountsForParent: Row<"ListAccountsForParent"> = managementRow("ListAccountsForParent", {
  readOnly: true,
  on: ({ ParentId }) => [ParentId],
  async handle({ read }, input, organization) {
    const parent = await requireParent(read, input.ParentId);
    const scope = `accounts ${parent.id}`;
    const { items, tail } = await pageOfTable(read, children, { prefix: [parent.id, "ACCOUNT"], input, scope });
    const accounts: Account[] = [];
    for (const { id } of items) {
      const account = await findMember(read, id);
      if (account !== null) accounts.push(await accountOut(read, organization, account));
    }
    return { output: { Accounts: accounts, ...tail } };
  },
});

export const moveAccount: Row<"MoveAccount"> = managementRow("MoveAccount", {
  readOnly: false,
  on: ({ AccountId, SourceParentId, DestinationParentId }) => [AccountId, SourceParentId, DestinationParentId],
  async handle({ read }, input) {
    const account = await findMember(read, input.AccountId);
    if (account === null) throw accountNotFound();
    const source = await findParent(read, input.SourceParentId);
    const destination = await findParent(read, input.DestinationParentId);
    if (destination === null) throw destinationParentNotFound();
    if (destination.id === account.parentId) throw duplicateAccount();
    if (source === null || source.id !== account.parentId) throw sourceParentNotFound();
    const moved = { ...account, parentId: destination.id };
    return {
      output: {},
      writes: [nodes.put([account.id], moved), ...detachChild(source, account), ...attachChild(destination, moved)],
    };
  },
});

/** The account's credentials stop working with the next request. It stays in the list, and counts. */
export const closeAccount = (accounts: MemberAccounts): Row<"CloseAccount"> =>
  managementRow("CloseAccount", {
    readOnly: false,
    on: ({ AccountId }) => [AccountId],
    async handle({ call, read }, input, organization) {
      const account = await findMember(read, input.AccountId);
      if (account === null) throw accountNotFound();
      if (account.id === organization.managementAccountId) {
        throw constraintViolation("CANNOT_CLOSE_MANAGEMENT_ACCOUNT", "You attempted to close the management account.");
      }
      if (account.closedMs !== null) throw accountAlreadyClosed();
      return {
        output: {},
        writes: [
          nodes.put([account.id], { ...account, closedMs: call.nowMs }),
          ...(await accounts.suspend(read, account.id)),
        ],
      };
    },
  });
