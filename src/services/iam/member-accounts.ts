/**
 * Accounts that an organization makes: nobody has a key to one unless the deployment's owner made it, the organization's
 * management account gets in by a role.
 */
import { accountRootArn, formatArn } from "../../base/arn.ts";
import { LruMap } from "../../base/lru.ts";
import type { Random } from "../../base/random.ts";
import type { Write } from "../../store/metadata-store.ts";
import type { Reader } from "../../store/table.ts";
import type { Credential, CredentialSource } from "../../authn/credentials.ts";
import type { SecretBox } from "../../envelope/secret-box.ts";
import { newAccountId } from "./accounts.ts";
import { putEntity, roleKind } from "./entities.ts";
import { AWS_MANAGED_ACCOUNT, MAX_SESSION_SECONDS_DEFAULT, newEntityId, roleArn } from "./model.ts";
import { newAccessKey } from "./operations/access-keys.ts";
import { usePolicy } from "./policy-use.ts";
import { accessKeys, accounts, type RoleRecord } from "./records.ts";

const ADMINISTRATOR_ACCESS = formatArn("iam", "", AWS_MANAGED_ACCOUNT, "policy/AdministratorAccess");

/** How often an id is drawn that is taken. */
const DRAWS_MAX = 16;

/** For who owns the deployment. The secret leaves with the answer and is nowhere else. */
interface MemberRootKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface NewMember {
  readonly name: string;
  readonly roleName: string;
  readonly managementAccountId: string;
  readonly nowMs: number;
}

export interface MemberAccounts {
  open(
    read: Reader,
    input: NewMember,
  ): Promise<{ readonly accountId: string; readonly writes: readonly Write[]; readonly rootKey?: MemberRootKey }>;
  suspend(read: Reader, accountId: string): Promise<readonly Write[]>;
}

/**
 * What services/organizations needs of IAM (its port of the same name). `rootKeys`: accounts are made with an access key of
 * their root, in one commit, so that none is left without one by a crash.
 */
export const memberAccounts = (
  random: Random,
  rootKeys: { readonly secretBox: SecretBox } | null = null,
): MemberAccounts => ({
  async open(read, input) {
    const accountId = await freeAccountId(read, random);
    const role = accessRole(accountId, input, random);
    const key =
      rootKeys === null ? null : newAccessKey({ random, ...rootKeys }, accountId, { type: "root" }, input.nowMs);
    const { accessKeyId } = key?.record ?? {};
    return {
      accountId,
      ...(key === null
        ? {}
        : { rootKey: { accessKeyId: key.record.accessKeyId, secretAccessKey: key.secretAccessKey } }),
      writes: [
        ...(key === null ? [] : [accessKeys.put([key.record.accessKeyId], key.record)]),
        accounts.put([accountId], {
          accountId,
          name: input.name,
          createdMs: input.nowMs,
          rootAccessKeyIds: accessKeyId === undefined ? [] : [accessKeyId],
          userCount: 0,
          policyCount: 0,
          roleCount: 1,
        }),
        putEntity(roleKind, role),
        ...(await usePolicy(read, roleKind, role, ADMINISTRATOR_ACCESS, { asPolicy: true })),
      ],
    };
  },
  async suspend(read, accountId) {
    const account = await read.get(accounts, [accountId]);
    if (account === null) throw new Error("an account of the organization has no record");
    return [accounts.put([accountId], { ...account, status: "SUSPENDED" })];
  },
});

async function freeAccountId(read: Reader, random: Random): Promise<string> {
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const accountId = newAccountId(random);
    if ((await read.get(accounts, [accountId])) === null) return accountId;
  }
  throw new Error("no account id is free");
}

/** The role that AWS makes, with its trust policy: whoever the management account lets may do everything. */
function accessRole(accountId: string, input: NewMember, random: Random): RoleRecord {
  return {
    accountId,
    roleName: input.roleName,
    roleId: newEntityId("AROA", random),
    path: "/",
    arn: roleArn(accountId, "/", input.roleName),
    createdMs: input.nowMs,
    description: null,
    maxSessionSeconds: MAX_SESSION_SECONDS_DEFAULT,
    trustDocument: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: { AWS: accountRootArn(input.managementAccountId) }, Action: "sts:AssumeRole" },
      ],
    }),
    tags: [],
    inlinePolicies: [],
    attachedPolicyArns: [ADMINISTRATOR_ACCESS],
    boundaryArn: null,
    instanceProfileNames: [],
  };
}

/** For the gateway: its port of the same name. Not of an account that is not known: what it would have is not there either. */
export const isAccountClosed = async (read: Reader, accountId: string): Promise<boolean> =>
  (await read.get(accounts, [accountId]))?.status === "SUSPENDED";

/** Accounts whose state is kept ready. */
const KEPT_COUNT_MAX = 1_000;

interface Kept {
  readonly generation: number;
  readonly open: boolean;
}

/**
 * The credentials of open accounts: those of a suspended one are nobody's, sessions too. Asks the store once after each
 * change of anything, and answers from memory in between.
 */
export function ofOpenAccounts(
  credentials: CredentialSource,
  deps: { readonly reader: Reader; readonly generation: () => number | null },
): CredentialSource {
  const kept = new LruMap<string, Kept>(KEPT_COUNT_MAX);
  /** As it is remembered; undefined: it has to be asked for. */
  const rememberedOpen = (accountId: string): boolean | undefined => {
    const known = kept.get(accountId);
    return known !== undefined && known.generation === deps.generation() ? known.open : undefined;
  };
  const isOpen = async (accountId: string): Promise<boolean> => {
    // Before the read: what is written meanwhile makes its answer old.
    const generation = deps.generation();
    const account = await deps.reader.get(accounts, [accountId]);
    const open = account !== null && account.status !== "SUSPENDED";
    if (generation !== null) kept.set(accountId, { generation, open });
    return open;
  };
  return {
    async find(accessKeyId, sessionToken): Promise<Credential | null> {
      const credential = await credentials.find(accessKeyId, sessionToken);
      if (credential === null) return null;
      const { accountId } = credential.principal;
      return (rememberedOpen(accountId) ?? (await isOpen(accountId))) ? credential : null;
    },
  };
}
