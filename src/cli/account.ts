import { existsSync } from "node:fs";
import { join } from "node:path";
import { ServiceError } from "../base/errors.ts";
import { dataDirectory } from "../config.ts";
import type { AccountAdministration, AccountLine, KeyLine, RootKey } from "../server/accounts.ts";
import { EXIT_NO_SERVER, askServer } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { openLog } from "./log.ts";
import { isPassphraseGiven, type PassphraseOptions, readPassphrase } from "./passphrase.ts";
import { quoted } from "./shell.ts";

interface AccountOptions extends PassphraseOptions {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** Exit code of askServer when no server has the directory open. */

/** The same commands, to a running server or to the directory itself. */
type Asked = <Answer extends object>(
  path: string,
  body: Record<string, unknown>,
  offline: (accounts: AccountAdministration) => Promise<Answer>,
) => Promise<Answer>;

export async function createAccount(
  options: AccountOptions & { readonly name: string; readonly email?: string },
): Promise<void> {
  if (!/^[ -~]{1,50}$/.test(options.name)) {
    throw new CommandError("--name takes 1 to 50 printable ASCII characters.", 2);
  }
  const email = options.email ?? null;
  if (email !== null && !/^(?=.{6,64}$)[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) {
    throw new CommandError("--email takes an e-mail address of at most 64 characters.", 2);
  }
  const key = await asking(options)<RootKey>("create", { name: options.name, email }, (accounts) =>
    accounts.create(options.name, email),
  );
  printKey(options, key, [
    `Made account ${key.accountId} (${options.name}).`,
    "Its management account can also enter it by the role OrganizationAccountAccessRole.",
  ]);
}

export async function listAccounts(options: AccountOptions): Promise<void> {
  const { accounts } = await asking(options)<{ accounts: readonly AccountLine[] }>("list", {}, async (all) => ({
    accounts: await all.list(),
  }));
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ accounts })}\n`);
    return;
  }
  const rows = accounts.map(({ accountId, state, created, name, management }) => [
    accountId,
    state,
    created.slice(0, 10),
    management ? `${name} (manages the organization)` : name,
  ]);
  process.stdout.write(columns([["ACCOUNT", "STATE", "CREATED", "NAME"], ...rows]));
}

interface KeyOptions extends AccountOptions {
  readonly account: string;
  readonly list?: boolean;
  readonly delete?: string;
}

export async function accountKey(options: KeyOptions): Promise<void> {
  const accountId = options.account;
  if (!/^\d{12}$/.test(accountId)) throw new CommandError("--account takes an account's 12 digits.", 2);
  if (options.list && options.delete !== undefined) throw new CommandError("Give --list or --delete, not both.", 2);
  if (options.list) await listKeys(options, accountId);
  else if (options.delete !== undefined) await deleteKey(options, accountId, options.delete);
  else await createKey(options, accountId);
}

async function createKey(options: KeyOptions, accountId: string): Promise<void> {
  const key = await asking(options)<RootKey>("create-key", { accountId }, (accounts) => accounts.createKey(accountId));
  printKey(options, key, [`Made an access key for the root of account ${accountId}.`]);
}

async function listKeys(options: KeyOptions, accountId: string): Promise<void> {
  const { keys } = await asking(options)<{ keys: readonly KeyLine[] }>(
    "list-keys",
    { accountId },
    async (accounts) => ({
      keys: await accounts.listKeys(accountId),
    }),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ accountId, keys })}\n`);
    return;
  }
  if (keys.length === 0) {
    process.stdout.write(`The root of account ${accountId} has no access keys.\n`);
    return;
  }
  const rows = keys.map(({ accessKeyId, status, created }) => [accessKeyId, status, created.slice(0, 10)]);
  process.stdout.write(columns([["ACCESS KEY", "STATUS", "CREATED"], ...rows]));
}

async function deleteKey(options: KeyOptions, accountId: string, accessKeyId: string): Promise<void> {
  if (!/^[A-Z0-9]{16,32}$/.test(accessKeyId)) throw new CommandError("--delete takes the id of an access key.", 2);
  await asking(options)("delete-key", { accountId, accessKeyId }, async (accounts) => {
    await accounts.deleteKey(accountId, accessKeyId);
    return {};
  });
  process.stdout.write(
    options.json ? `${JSON.stringify({ accountId, accessKeyId, deleted: true })}\n` : `Deleted ${accessKeyId}.\n`,
  );
}

/** Asks the server that runs on the data directory; where there is none, opens the directory itself. */
function asking(options: AccountOptions): Asked {
  const dataDir = dataDirectory(options.dataDir);
  const passphraseGiven = isPassphraseGiven(options);
  return async (path, body, offline) => {
    try {
      return (await askServer(dataDir, "POST", `/accounts/${path}`, body)) as Awaited<ReturnType<typeof offline>>;
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode !== EXIT_NO_SERVER) throw error;
    }
    if (!existsSync(join(dataDir, "store"))) {
      throw new CommandError(`${dataDir} is no data directory: name it with --data-dir, or make it with init.`, 1);
    }
    const { manageAccounts } = await import("../offline.ts");
    const config = { dataDir, regions: null, accountId: null, seal: null, isPassphraseGiven: passphraseGiven };
    const ask = (which: "existing" | "new"): Promise<string | null> => readPassphrase(options, which);
    try {
      return await manageAccounts(config, openLog(false), ask, offline);
    } catch (error) {
      throw error instanceof ServiceError ? new CommandError(error.message, 1) : error;
    }
  };
}

function printKey(options: AccountOptions, key: RootKey, lines: readonly string[]): void {
  if (options.json) {
    const { accountId, accessKeyId, secretAccessKey } = key;
    process.stdout.write(`${JSON.stringify({ accountId, accessKeyId, secretAccessKey })}\n`);
    return;
  }
  const directory = options.dataDir === undefined ? "" : ` --data-dir ${quoted(options.dataDir)}`;
  process.stdout.write(
    `${lines.join("\n")}\n\n` +
      `Access key of its root:\n` +
      `  access key id      ${key.accessKeyId}\n` +
      `  secret access key  ${key.secretAccessKey}\n\n` +
      "The secret is shown this once and can't be had again. Keep it where only those who may do everything in the account\n" +
      "can read it, or delete it when the account has users and roles of its own:\n" +
      `  npx waxseal account key${directory} --account ${key.accountId} --delete ${key.accessKeyId}\n`,
  );
}

/** As wide as their widest cells. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
