import { accountAliasExists, noSuchAccountAlias } from "../entity-errors.ts";
import { pageOfList } from "../pagination.ts";
import { accountAliases, accounts } from "../records.ts";
import { accountOf, describe, listAccess } from "../row.ts";
import type { Row } from "../row.ts";

/** An account has one alias: a new one takes the place of the one before (IAM User Guide, "Your AWS account ID and its alias"). */
export const createAccountAlias: Row<"CreateAccountAlias", null> = {
  event: "management",
  readOnly: false,
  describe,
  access: listAccess("iam:CreateAccountAlias"),
  async handle({ call, read }, input) {
    const { accountId } = call.principal;
    const alias = input.AccountAlias;
    if ((await read.get(accountAliases, [alias])) !== null) throw accountAliasExists(alias);
    const account = await accountOf(read, accountId);
    return {
      output: {},
      writes: [
        ...(typeof account.alias === "string" ? [accountAliases.remove([account.alias])] : []),
        accountAliases.put([alias], { accountId }),
        accounts.put([accountId], { ...account, alias }),
      ],
    };
  },
};

export const deleteAccountAlias: Row<"DeleteAccountAlias", null> = {
  event: "management",
  readOnly: false,
  describe,
  access: listAccess("iam:DeleteAccountAlias"),
  async handle({ call, read }, input) {
    const { accountId } = call.principal;
    const account = await accountOf(read, accountId);
    if (account.alias !== input.AccountAlias) throw noSuchAccountAlias(input.AccountAlias);
    return {
      output: {},
      writes: [accountAliases.remove([input.AccountAlias]), accounts.put([accountId], { ...account, alias: null })],
    };
  },
};

export const listAccountAliases: Row<"ListAccountAliases", null> = {
  event: "management",
  readOnly: true,
  describe,
  access: listAccess("iam:ListAccountAliases"),
  async handle({ call, read }, input) {
    const { alias } = await accountOf(read, call.principal.accountId);
    const { items, tail } = pageOfList(typeof alias === "string" ? [alias] : [], (name) => name, input);
    return { output: { AccountAliases: items, ...tail } };
  },
};
