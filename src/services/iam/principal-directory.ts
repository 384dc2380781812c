/** Who stands behind the names in policies of resources and roles: unique ids, which outlive nothing and are never given twice. */
import { accountRootArn, PARTITION, parseArn } from "../../base/arn.ts";
import type { PrincipalIds } from "../../authz/principals.ts";
import type { CompiledPolicy } from "../../authz/types.ts";
import type { BoundPrincipals, PrincipalDirectory } from "../../gateway/contract.ts";
import type { Reader } from "../../store/table.ts";
import { malformedPolicy } from "./errors.ts";
import { foldedName } from "./model.ts";
import { accounts, renamedUsers, roles, users } from "./records.ts";

/** Of users and roles. Longer ones are nobody's, and too long for a key of the store. */
const NAME_LENGTH_MAX = 64;
const ACCOUNT_ID = /^\d{12}$/;

/** `id` null: there, and without a unique id (accounts, federated users). */
type Found = { readonly id: string | null };

/**
 * Accounts that this deployment does not have are somebody's elsewhere, on AWS perhaps, and may be named, as may their users and
 * roles: nobody here is any of them.
 */
const BY_NAME: Found = { id: null };

async function find(read: Reader, name: string): Promise<Found | null> {
  if (ACCOUNT_ID.test(name)) return BY_NAME;
  const arn = parseArn(name);
  if (arn === null || arn.partition !== PARTITION || arn.region !== "" || !ACCOUNT_ID.test(arn.accountId)) return null;
  const { accountId, service, resource } = arn;
  if (service === "iam" && resource === "root") return BY_NAME;
  const [type, ...segments] = resource.split("/");
  if (!(await isHere(read, accountId))) return NAMED_TYPES.has(`${service}:${type}`) ? BY_NAME : null;
  switch (`${service}:${type}`) {
    case "iam:user": {
      const user = await byName(segments.at(-1), (folded) => read.get(users, [accountId, folded]));
      return user?.arn === name ? { id: user.userId } : null;
    }
    case "iam:role": {
      const role = await byName(segments.at(-1), (folded) => read.get(roles, [accountId, folded]));
      return role?.arn === name ? { id: role.roleId } : null;
    }
    case "sts:assumed-role": {
      const [roleName, session, ...more] = segments;
      const role = await byName(roleName, (folded) => read.get(roles, [accountId, folded]));
      if (role === null || role.roleName !== roleName || !session || more.length > 0) return null;
      return { id: `${role.roleId}:${session}` };
    }
    case "sts:federated-user":
      return BY_NAME;
    default:
      return null;
  }
}

const NAMED_TYPES: ReadonlySet<string> = new Set(["iam:user", "iam:role", "sts:assumed-role", "sts:federated-user"]);

const isHere = async (read: Reader, accountId: string): Promise<boolean> =>
  (await read.get(accounts, [accountId])) !== null;

async function byName<T>(name: string | undefined, get: (folded: string) => Promise<T | null>): Promise<T | null> {
  return name === undefined || name === "" || name.length > NAME_LENGTH_MAX ? null : await get(foldedName(name));
}

export const principalDirectory: PrincipalDirectory = {
  async bind(read, names) {
    const distinct = [...new Set(names)];
    const found = await Promise.all(distinct.map(async (name) => [name, await find(read, name)] as const));
    return {
      ids: Object.fromEntries(found.flatMap(([name, principal]) => (principal?.id ? [[name, principal.id]] : []))),
      unknown: found.flatMap(([name, principal]) => (principal === null ? [name] : [])),
    };
  },

  async nameOf(read, arn, id) {
    if ((await find(read, arn))?.id === id) return arn;
    // Policies go with a user that is given another name or path.
    const accountId = parseArn(arn)?.accountId ?? "";
    const renamed = await read.get(renamedUsers, [accountId, id]);
    const user = renamed === null ? null : await read.get(users, [accountId, foldedName(renamed.userName)]);
    return user?.userId === id ? user.arn : id;
  },

  async show(read, document, ids) {
    const gone = new Map<string, string>();
    for (const [arn, id] of Object.entries(ids ?? {})) {
      const shown = await principalDirectory.nameOf(read, arn, id);
      if (shown !== arn) gone.set(arn, shown);
    }
    return gone.size === 0 ? document : withNames(document, gone);
  },
};

type Statement = { readonly [element: string]: unknown };

/** In the place of ARNs in Principal and NotPrincipal, and nowhere else: a condition may hold the same text. */
function withNames(document: string, names: ReadonlyMap<string, string>): string {
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename);
    return typeof value === "string" ? (names.get(value) ?? value) : value;
  };
  const renameIn = (element: unknown): unknown =>
    typeof element === "object" && element !== null && "AWS" in element
      ? { ...element, AWS: rename(element.AWS) }
      : element;
  const shown = (statement: Statement): Statement =>
    Object.fromEntries(
      Object.entries(statement).map(([name, element]) => [
        name,
        name === "Principal" || name === "NotPrincipal" ? renameIn(element) : element,
      ]),
    );
  const policy = JSON.parse(document) as { readonly Statement: Statement | readonly Statement[] };
  const given = policy.Statement;
  return JSON.stringify({
    ...policy,
    Statement: Array.isArray(given) ? given.map((item: Statement) => shown(item)) : shown(given as Statement),
  });
}

/** The document with accounts that it names by their bare ids named as AWS stores them: `arn:aws:iam::ID:root`. */
export function withAccountArns(document: string, { principals = [] }: CompiledPolicy): string {
  const bare = principals.filter((name) => ACCOUNT_ID.test(name));
  if (bare.length === 0) return document;
  const named = withNames(document, new Map(bare.map((id) => [id, accountRootArn(id)])));
  // Compiled policies know accounts by their ids, however they were named: a document without bare ones stays as it was put.
  return named === JSON.stringify(JSON.parse(document)) ? document : named;
}

/**
 * The unique ids behind a trust policy that was just compiled, to be stored beside it. Throws MalformedPolicyDocument when it
 * names a principal that is not there.
 */
export async function boundPrincipals(read: Reader, { principals = [] }: CompiledPolicy): Promise<PrincipalIds> {
  const { ids, unknown }: BoundPrincipals = await principalDirectory.bind(read, principals);
  const [first] = unknown;
  if (first === undefined) return ids;
  const name = ACCOUNT_ID.test(first) ? accountRootArn(first) : first;
  throw malformedPolicy(`Invalid principal in policy: "AWS":"${name}"`);
}
